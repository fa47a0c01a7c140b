-- What becomes of rows by person when they expire: weeks before frozen_before are kept as counts,
-- then the rows of days before expire_before go. Between the two lie eight weeks, because whether
-- somebody is regular depends on the weeks before: so the weeks that are still counted from people
-- never miss any. Runs in one transaction, once everything is counted and before it is told.

-- section: keep
INSERT INTO past_department
SELECT week, department, covered, headcount, coverage, visible
FROM department_week JOIN basis USING (dept) CROSS JOIN span
WHERE week >= past_until AND week < getvariable('frozen_before');

INSERT INTO past_cell
SELECT cell_week.week, app, department, cell_week.active, regular, cell_week.visible
FROM cell_week
JOIN app_no USING (app_no)
JOIN department_no USING (dept)
LEFT JOIN clock USING (cell, week)
CROSS JOIN span
WHERE cell_week.week >= past_until AND cell_week.week < getvariable('frozen_before');

INSERT INTO past_app
SELECT
    app,
    min(day) FILTER (WHERE evidence = 'use' AND requests > blocked),
    max(day) FILTER (WHERE evidence = 'use' AND requests > blocked)
FROM day_cell JOIN purpose USING (purpose_no)
WHERE day < getvariable('expire_before')
GROUP BY app
ON CONFLICT DO UPDATE SET
    first_seen = least(past_app.first_seen, excluded.first_seen),
    last_seen = greatest(past_app.last_seen, excluded.last_seen);

-- People of two stretches of time may be the same, so only the larger number is kept.
INSERT INTO past_host
SELECT host_id, sum(requests), sum(blocked), min(day), max(day), count(DISTINCT who)
FROM usage JOIN outside USING (actor_id)
WHERE day < getvariable('expire_before')
GROUP BY host_id
ON CONFLICT DO UPDATE SET
    requests = past_host.requests + excluded.requests,
    blocked = past_host.blocked + excluded.blocked,
    first_seen = least(past_host.first_seen, excluded.first_seen),
    last_seen = greatest(past_host.last_seen, excluded.last_seen),
    people = greatest(past_host.people, excluded.people);

-- So are those of two sketches.
INSERT INTO past_unknown
SELECT
    host, coalesce(nullif(department, ''), '(unknown)') AS department,
    crowd(bit_or(user_bits)), crowd(bit_or(address_bits))
FROM unknown_usage
WHERE day < getvariable('expire_before') AND (user_bits > 0 OR address_bits > 0)
GROUP BY ALL
ON CONFLICT DO UPDATE SET
    users = greatest(past_unknown.users, excluded.users),
    addresses = greatest(past_unknown.addresses, excluded.addresses);

INSERT INTO past_tenant
SELECT host.app, tenant, department, count(DISTINCT who), sum(requests), min(day), max(day)
FROM placed_usage JOIN host USING (host_id) JOIN department_no USING (dept)
WHERE tenant IS NOT NULL AND day < getvariable('expire_before')
GROUP BY ALL
ON CONFLICT DO UPDATE SET
    people = greatest(past_tenant.people, excluded.people),
    requests = past_tenant.requests + excluded.requests,
    first_seen = least(past_tenant.first_seen, excluded.first_seen),
    last_seen = greatest(past_tenant.last_seen, excluded.last_seen);

INSERT OR REPLACE INTO setting
SELECT
    'past_until',
    CAST(greatest(past_until, getvariable('frozen_before')) AS VARCHAR)
FROM span;

-- section: expire
DELETE FROM usage WHERE day < getvariable('expire_before');
DELETE FROM presence WHERE day < getvariable('expire_before');
UPDATE unknown_usage SET user_bits = 0, address_bits = 0
WHERE day < getvariable('expire_before') AND (user_bits > 0 OR address_bits > 0);
DELETE FROM sighting WHERE day < getvariable('expire_before');
DELETE FROM claim WHERE coalesce(until, ts) < getvariable('expire_before');
DELETE FROM conflict WHERE until < getvariable('expire_before');
DELETE FROM person_department WHERE valid_to < getvariable('expire_before');
DELETE FROM person_also WHERE valid_to < getvariable('expire_before');
DELETE FROM alias WHERE person_id NOT IN (SELECT person_id FROM person_department);
DELETE FROM person WHERE person_id NOT IN (SELECT person_id FROM person_department);
DELETE FROM actor WHERE actor_id NOT IN (
    SELECT actor_id FROM usage UNION SELECT actor_id FROM presence
    UNION SELECT actor_id FROM sighting UNION SELECT address_id FROM sighting
);
DELETE FROM vault WHERE pseudonym NOT IN (SELECT key FROM actor);
DELETE FROM membership WHERE actor_id NOT IN (SELECT actor_id FROM actor);
DELETE FROM crowd WHERE actor_id NOT IN (SELECT actor_id FROM actor);
DELETE FROM stated_department WHERE actor_id NOT IN (SELECT actor_id FROM actor);
