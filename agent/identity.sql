-- Claims to addresses as intervals, and the intervals as one timeline for each address. A claim says
-- that from ts on somebody had an address; a lease names a device, a log-on a person.

-- section: keep
-- A file that has grown is read again from its start: what is there already is not added.
INSERT INTO claim
SELECT kind, source, address, ts, until, mac, hostname, user_key, alt_key, ends, line
FROM new_claim
ANTI JOIN claim ON claim.kind = new_claim.kind AND claim.source = new_claim.source
    AND claim.address = new_claim.address AND claim.ts = new_claim.ts
    AND claim.until IS NOT DISTINCT FROM new_claim.until AND claim.ends = new_claim.ends
    AND claim.mac = new_claim.mac AND claim.hostname = new_claim.hostname
    AND claim.user_key = new_claim.user_key
QUALIFY row_number() OVER (
    PARTITION BY kind, source, address, ts, until, ends, mac, hostname, user_key ORDER BY line
) = 1;
INSERT OR REPLACE INTO claim_file SELECT * FROM new_claim_file;

-- section: devices
DELETE FROM device;
INSERT INTO device SELECT device_key, min(user_key), min(alt_key) FROM new_device
GROUP BY device_key HAVING count(DISTINCT user_key) = 1;

-- section: intervals
-- How long each claim holds. A source gives an address to one device at a time, so a lease ends
-- where the next one begins. Of a log-on mostly nobody tells the end: it is believed for some hours,
-- and no longer than until the next one; only one whose end is told can hold beside another.
CREATE OR REPLACE TEMP TABLE held AS
WITH named AS (
    SELECT *, CASE WHEN kind = 'logon' THEN user_key WHEN mac <> '' THEN mac ELSE hostname END AS holder
    FROM claim
),
followed AS (
    SELECT *,
        lead(ts) OVER own AS own_next,
        coalesce(lead(ends) OVER own, false) AS told,
        min(CASE WHEN ends AND holder = '' THEN ts END) OVER (
            PARTITION BY kind, source, address ORDER BY ts, line
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS freed
    FROM named
    WINDOW own AS (PARTITION BY kind, source, address, holder ORDER BY ts, line)
),
changing AS (
    SELECT *, CASE WHEN holder = lag(holder) OVER at_place THEN 0 ELSE 1 END AS changes
    FROM followed WHERE NOT ends
    WINDOW at_place AS (PARTITION BY kind, source, address ORDER BY ts, line)
),
runs AS (
    SELECT *, sum(changes) OVER (PARTITION BY kind, source, address ORDER BY ts, line) AS run
    FROM changing
),
turns AS (
    SELECT kind, source, address, run - 1 AS run, min(ts) AS other_next FROM runs GROUP BY ALL
),
spans AS (
    SELECT
        kind, source, address, holder, mac, hostname, user_key, alt_key, ts AS since,
        least(
            CASE WHEN NOT (told AND kind = 'logon') THEN coalesce(until, ts + to_seconds(
                CASE kind WHEN 'lease' THEN getvariable('lease_seconds')
                ELSE getvariable('logon_seconds') END)) END,
            own_next, freed, CASE WHEN kind = 'lease' OR NOT told THEN other_next END
        ) AS until,
        told AND kind = 'logon' AS told
    FROM runs LEFT JOIN turns USING (kind, source, address, run)
)
SELECT * FROM spans WHERE since < until;

-- Another device at an address: whoever was logged on there has gone with the one before.
CREATE OR REPLACE TEMP TABLE handed_over AS
SELECT address, since FROM held WHERE kind = 'lease'
QUALIFY lag(holder) OVER (PARTITION BY source, address ORDER BY since) <> holder;

CREATE OR REPLACE TEMP TABLE claimed_by AS
WITH ended AS (
    SELECT held.*, CASE WHEN kind = 'logon' AND NOT told THEN handed_over.since END AS moved
    FROM held ASOF LEFT JOIN handed_over
        ON handed_over.address = held.address AND held.since < handed_over.since
),
owned AS (
    SELECT
        ended.address, ended.since, least(ended.until, moved) AS until,
        CASE kind WHEN 'logon' THEN 1 ELSE 2 END AS place,
        CASE kind WHEN 'logon' THEN ended.user_key ELSE coalesce(by_mac.user_key, by_name.user_key) END
            AS user_key,
        CASE kind WHEN 'logon' THEN ended.alt_key ELSE coalesce(by_mac.alt_key, by_name.alt_key) END
            AS alt_key
    FROM ended
    LEFT JOIN device AS by_mac ON by_mac.device_key = nullif(ended.mac, '')
    LEFT JOIN device AS by_name ON by_name.device_key = nullif(ended.hostname, '')
),
known AS (
    -- One person, however spelled: by the directory, else each spelling for itself.
    SELECT owned.*, coalesce(CAST(person_id AS VARCHAR), name) AS who
    FROM owned JOIN spelled ON spelled.key = owned.user_key
),
begun AS (
    SELECT *, CASE WHEN since <= max(until) OVER (
        PARTITION BY address, place, who ORDER BY since, until
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) THEN 0 ELSE 1 END AS fresh
    FROM known
),
islands AS (
    SELECT *, sum(fresh) OVER (PARTITION BY address, place, who ORDER BY since, until) AS island
    FROM begun
)
SELECT address, place, who, min(since) AS since, max(until) AS until,
    min(user_key) AS user_key, arg_min(alt_key, user_key) AS alt_key
FROM islands GROUP BY address, place, who, island;

-- section: timeline
-- At most one row at a time for each address. Where several claims meet, a log-on goes before a
-- lease; several people of one rank are a conflict, and many at once share the address.
CREATE OR REPLACE TEMP TABLE crowded AS
SELECT DISTINCT address FROM (
    SELECT address, since < max(until) OVER (
        PARTITION BY address ORDER BY since, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS meets FROM claimed_by
) WHERE meets;

CREATE OR REPLACE TEMP TABLE timeline AS
WITH edge AS (
    SELECT address, since AS moment FROM claimed_by SEMI JOIN crowded USING (address)
    UNION SELECT address, until FROM claimed_by SEMI JOIN crowded USING (address)
),
stretch AS (
    SELECT address, moment AS since, lead(moment) OVER (PARTITION BY address ORDER BY moment) AS until
    FROM edge
),
covering AS (
    SELECT stretch.*, place, who, user_key, alt_key
    FROM stretch JOIN claimed_by AS claim ON claim.address = stretch.address
        AND claim.since <= stretch.since AND claim.until >= stretch.until
    QUALIFY place = min(place) OVER (PARTITION BY stretch.address, stretch.since)
)
SELECT address, since, until, 1 AS people, user_key, alt_key
FROM claimed_by ANTI JOIN crowded USING (address)
UNION ALL
SELECT address, since, until, count(DISTINCT who) AS people,
    CASE WHEN count(DISTINCT who) = 1 THEN min(user_key) END,
    CASE WHEN count(DISTINCT who) = 1 THEN arg_min(alt_key, user_key) END
FROM covering GROUP BY address, since, until;

DELETE FROM conflict;
INSERT INTO conflict
SELECT address, since, until, people FROM timeline WHERE people > 1;

DELETE FROM shared_address;
INSERT INTO shared_address
SELECT address,
    min(CAST(timezone(getvariable('days'), timezone('UTC', since)) AS DATE)),
    max(CAST(timezone(getvariable('days'), timezone('UTC', until)) AS DATE)) + 1
FROM conflict WHERE people >= getvariable('many') GROUP BY address;

DROP TABLE held;
DROP TABLE handed_over;
DROP TABLE claimed_by;
DROP TABLE crowded;

-- section: holdings
SELECT address, since, until, user_key, alt_key FROM timeline WHERE user_key IS NOT NULL
