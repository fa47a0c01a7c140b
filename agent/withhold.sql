-- The bit of a person is that of rollup.sql: by the first of their spellings, else by the key.
INSERT INTO unknown_usage
WITH spelling AS (
    SELECT person_id, min(alias_key) AS key FROM alias GROUP BY person_id
)
SELECT
    usage.day,
    given_host.fold,
    coalesce(nullif(membership.department, ''), '(unknown)'),
    usage.source_id,
    sum(requests),
    sum(blocked),
    sum(bytes_out),
    sum(bytes_in),
    bit_or(CASE WHEN actor.kind = 'user' THEN bit ELSE 0::UHUGEINT END),
    bit_or(CASE WHEN actor.kind = 'user' THEN 0::UHUGEINT ELSE bit END),
    min(first_seen),
    max(last_seen),
    tail_of
FROM usage
JOIN given_host USING (host_id)
JOIN (
    SELECT
        actor.*,
        CASE WHEN key = 'anonymous' THEN 0::UHUGEINT
            ELSE 1::UHUGEINT << (('0x' || key[1:2])::UHUGEINT % 128) END AS own_bit
    FROM actor
) AS actor USING (actor_id)
LEFT JOIN membership
    ON membership.actor_id = usage.actor_id AND usage.day >= membership.valid_from
    AND usage.day < membership.valid_to
LEFT JOIN spelling USING (person_id)
CROSS JOIN LATERAL (
    SELECT CASE WHEN spelling.key IS NULL THEN own_bit
        ELSE 1::UHUGEINT << (('0x' || spelling.key[1:2])::UHUGEINT % 128) END AS bit
) AS counted
GROUP BY ALL;

DELETE FROM usage WHERE host_id IN (SELECT host_id FROM given_host);
