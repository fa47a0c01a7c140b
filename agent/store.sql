-- One batch into the star. Runs top to bottom inside one transaction.

-- section: what an unfinished last line gave before is given anew
DELETE FROM usage WHERE tail_of IN (SELECT file_id FROM new_file);
DELETE FROM unknown_usage WHERE tail_of IN (SELECT file_id FROM new_file);
DELETE FROM presence WHERE tail_of IN (SELECT file_id FROM new_file);
DELETE FROM source_day WHERE tail_of IN (SELECT file_id FROM new_file);
DELETE FROM reject WHERE tail_of IN (SELECT file_id FROM new_file);

-- section: dimensions
INSERT INTO source
SELECT (SELECT coalesce(max(source_id), 0) FROM source) + row_number() OVER (ORDER BY source), source
FROM (SELECT DISTINCT source FROM new_file WHERE source IS NOT NULL) ANTI JOIN source USING (source);

INSERT INTO host
SELECT (SELECT coalesce(max(host_id), 0) FROM host) + row_number() OVER (ORDER BY host),
    host, app, signal, evidence, tenant, rule
FROM new_host ANTI JOIN host USING (host);

INSERT INTO actor
SELECT (SELECT coalesce(max(actor_id), 0) FROM actor) + row_number() OVER (ORDER BY key),
    CASE WHEN is_user THEN 'user' ELSE 'address' END, key, alt_key, network
FROM new_actor ANTI JOIN actor USING (key);

UPDATE actor SET network = least(actor.network, new_actor.network)
FROM new_actor
WHERE actor.key = new_actor.key AND new_actor.network IS NOT NULL
    AND (actor.network IS NULL OR new_actor.network < actor.network);

INSERT INTO stated_department
SELECT actor_id, department, first_day
FROM new_stated JOIN actor ON actor.key = new_stated.actor
ON CONFLICT DO UPDATE SET first_day = least(stated_department.first_day, excluded.first_day);

-- A host has the target that it was last seen to have.
INSERT INTO white_label
SELECT host, arg_max(target, (last_seen, target)), arg_max(source_id, (last_seen, target)), min(first_seen), max(last_seen)
FROM new_white_label JOIN source USING (source) GROUP BY host
ON CONFLICT DO UPDATE SET
    target = CASE WHEN excluded.last_seen >= white_label.last_seen THEN excluded.target ELSE white_label.target END,
    source_id = CASE WHEN excluded.last_seen >= white_label.last_seen THEN excluded.source_id ELSE white_label.source_id END,
    first_seen = least(white_label.first_seen, excluded.first_seen),
    last_seen = greatest(white_label.last_seen, excluded.last_seen);

-- section: facts
INSERT INTO usage
SELECT day, host_id, actor_id, source_id, requests, blocked, bytes_out, bytes_in,
    first_seen, last_seen, tail
FROM new_usage
JOIN host USING (host)
JOIN actor ON actor.key = new_usage.actor
JOIN source USING (source);

INSERT INTO unknown_usage
SELECT day, host, department, source_id, requests, blocked, bytes_out, bytes_in,
    (user_high::UHUGEINT << 64::UHUGEINT) | user_low,
    (address_high::UHUGEINT << 64::UHUGEINT) | address_low, first_seen, last_seen, tail
FROM new_unknown JOIN source USING (source);

INSERT INTO presence
SELECT day, actor_id, source_id, requests, tail, unnamed, hours, tunnels, bare, agents
FROM new_presence JOIN actor ON actor.key = new_presence.actor JOIN source USING (source);

INSERT INTO source_day
SELECT day, source_id, events, unnamed, first_seen, last_seen, tail
FROM new_source_day JOIN source USING (source);

INSERT INTO sighting
SELECT day, actor.actor_id, spot.actor_id, hours
FROM new_sighting JOIN actor ON actor.key = new_sighting.actor
JOIN actor AS spot ON spot.key = new_sighting.address;

INSERT INTO evidence
SELECT file, host_id, first_line, last_line, requests FROM new_evidence JOIN host USING (host);

-- section: ledger
-- Of a file of which nothing was read for good, all rejects were provisional.
DELETE FROM reject WHERE file_id IN (
    SELECT file_id FROM log_file SEMI JOIN new_file USING (file_id) WHERE consumed = 0
);
DELETE FROM log_file WHERE file_id IN (SELECT file_id FROM new_file);
INSERT INTO log_file
SELECT file_id, source_id, path, format, head_length, head_digest, consumed, tail_digest, also, layout,
    size, modified, lines, events, rejects, bytes, first_seen, last_seen, has_user, has_bytes,
    has_client, status, note, scanned_at, seconds, tail_lines, tail_events, tail_rejects, beginnings
FROM new_file LEFT JOIN source USING (source);

INSERT INTO reject SELECT * FROM new_reject;
