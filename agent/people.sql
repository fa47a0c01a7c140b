-- section: directory
-- A person keeps the id of the stored person with whom they share a spelling. Where one stored
-- person has become two, the first of them keeps it.
CREATE OR REPLACE TEMP TABLE placed_person AS
WITH known AS (
    SELECT incoming_alias.person, min(alias.person_id) AS person_id
    FROM incoming_alias JOIN alias USING (alias_key)
    GROUP BY incoming_alias.person
),
heir AS (
    SELECT person_id, min(person) AS person FROM known GROUP BY person_id
),
incoming AS (
    SELECT DISTINCT person FROM incoming_alias
)
SELECT
    incoming.person,
    coalesce(
        heir.person_id,
        (SELECT coalesce(max(person_id), 0) FROM person)
        + row_number() OVER (PARTITION BY heir.person_id IS NULL ORDER BY incoming.person)
    )::INTEGER AS person_id
FROM incoming LEFT JOIN heir USING (person);

DELETE FROM person WHERE person_id NOT IN (SELECT person_id FROM placed_person);
INSERT INTO person (person_id)
SELECT person_id FROM placed_person ANTI JOIN person USING (person_id) ORDER BY person_id;

DELETE FROM alias;
INSERT INTO alias (alias_key, person_id)
SELECT alias_key, person_id FROM incoming_alias JOIN placed_person USING (person) ORDER BY ALL;

DELETE FROM person_department;
INSERT INTO person_department (person_id, department, valid_from, valid_to)
SELECT person_id, department, valid_from, valid_to
FROM incoming_stay JOIN placed_person USING (person)
ORDER BY ALL;

DELETE FROM person_also;
INSERT INTO person_also (person_id, department, valid_from, valid_to)
SELECT person_id, department, valid_from, valid_to
FROM incoming_also JOIN placed_person USING (person)
ORDER BY ALL;

DELETE FROM unit;
INSERT INTO unit (department, parent) SELECT department, parent FROM incoming_unit;

DROP TABLE placed_person;

-- section: subnets
DELETE FROM subnet;
INSERT INTO subnet (network, department, site, shared, people)
SELECT network, department, site, shared, people FROM incoming_subnet;

-- section: crowd
-- Which addresses are shared, from the first such day to the last: many people were logged on there at
-- once, or a log names many users of one hour, or, where it names none, more browsers than one desk has.
DELETE FROM crowd;
INSERT INTO crowd
SELECT actor_id, valid_from, valid_to, 'log-ons'
FROM shared_address JOIN actor ON actor.key = shared_address.address WHERE kind = 'address';

INSERT INTO crowd
WITH busy AS (
    SELECT day, address_id FROM sighting
    GROUP BY day, address_id HAVING count(DISTINCT actor_id) >= getvariable('many')
),
hourly AS (
    SELECT day, address_id, hour, count(DISTINCT coalesce(CAST(person_id AS VARCHAR), name)) AS people
    FROM sighting JOIN busy USING (day, address_id)
    JOIN actor USING (actor_id) JOIN spelled USING (key)
    JOIN range(24) AS clock(hour) ON (hours >> CAST(hour AS INTEGER)) & 1 = 1
    GROUP BY ALL
)
SELECT address_id, min(day), max(day) + 1, 'users'
FROM hourly WHERE people >= getvariable('many') GROUP BY address_id;

INSERT INTO crowd
WITH daily AS (
    SELECT day, actor_id, bit_or(agents) AS agents FROM presence
    WHERE agents IS NOT NULL GROUP BY day, actor_id
)
SELECT actor_id, min(day), max(day) + 1, 'browsers'
FROM daily JOIN actor USING (actor_id)
WHERE kind = 'address' AND key <> 'anonymous' AND bit_count(agents) >= getvariable('browsers')
GROUP BY actor_id;

-- section: membership
CREATE OR REPLACE TEMP TABLE placed AS
WITH named AS (
    SELECT actor.actor_id, actor.network, spelled.person_id
    FROM actor JOIN spelled USING (key)
    WHERE actor.kind = 'user'
),
said AS (
    -- A department that a log names holds from the day it was first named to the day of the next.
    SELECT actor_id, department,
        CASE WHEN row_number() OVER told = 1 THEN DATE '0001-01-01' ELSE first_day END AS valid_from,
        coalesce(lead(first_day) OVER told, DATE '9999-12-31') AS valid_to
    FROM stated_department
    WINDOW told AS (PARTITION BY actor_id ORDER BY first_day, department)
)
SELECT named.actor_id, named.person_id, 'person' AS unit, stay.department, stay.valid_from, stay.valid_to
FROM named JOIN person_department AS stay USING (person_id)
UNION ALL
-- The log's own word places a user whom the directory does not know, before any address does.
SELECT named.actor_id, NULL, 'person', said.department, said.valid_from, said.valid_to
FROM named JOIN said USING (actor_id)
WHERE named.person_id IS NULL AND said.valid_from < said.valid_to
UNION ALL
-- A user name tells people apart even where the address does not, so a shared network with a
-- department still places a user whom the directory does not know.
SELECT named.actor_id, NULL, 'person', seen_network.department, DATE '0001-01-01', DATE '9999-12-31'
FROM named JOIN seen_network USING (network)
WHERE named.person_id IS NULL AND seen_network.department IS NOT NULL
    AND named.actor_id NOT IN (SELECT actor_id FROM said)
UNION ALL
SELECT
    actor.actor_id,
    NULL,
    CASE WHEN seen_network.shared THEN 'shared' ELSE 'address' END,
    coalesce(seen_network.department, '(unknown)'),
    DATE '0001-01-01',
    DATE '9999-12-31'
FROM actor JOIN seen_network USING (network)
WHERE actor.kind = 'address' AND (seen_network.shared OR seen_network.department IS NOT NULL)
UNION ALL
-- An address belongs where the operator's subnets say; only where they are silent, the log is heard.
SELECT actor.actor_id, NULL, 'address', said.department, said.valid_from, said.valid_to
FROM actor JOIN said USING (actor_id) LEFT JOIN seen_network USING (network)
WHERE actor.kind = 'address' AND said.valid_from < said.valid_to
    AND NOT coalesce(seen_network.shared OR seen_network.department IS NOT NULL, false);

DELETE FROM membership;
INSERT INTO membership (actor_id, person_id, unit, department, valid_from, valid_to)
WITH together AS (
    SELECT actor_id, min(valid_from) AS first_day, max(valid_to) AS behind, any_value(seen_network.department) AS department
    FROM crowd JOIN actor USING (actor_id)
    LEFT JOIN seen_network USING (network)
    GROUP BY actor_id
),
around AS (
    SELECT actor_id, DATE '0001-01-01' AS since, first_day AS until FROM together
    UNION ALL SELECT actor_id, behind, DATE '9999-12-31' FROM together
)
FROM placed ANTI JOIN together USING (actor_id)
UNION ALL
SELECT actor_id, person_id, unit, department,
    greatest(valid_from, since), least(valid_to, until)
FROM placed JOIN around USING (actor_id)
WHERE greatest(valid_from, since) < least(valid_to, until)
UNION ALL
SELECT actor_id, NULL, 'shared', coalesce(department, '(unknown)'), first_day, behind FROM together;
DROP TABLE placed;
-- section: forgotten
-- Whom a spelling means is told of those that were met, so for the moment it was.
INSERT INTO device (device_key, user_key, alt_key) SELECT '', key, alt_key FROM given_key;

CREATE OR REPLACE TEMP TABLE gone_name AS
SELECT name, person_id FROM spelled SEMI JOIN given_key USING (key);

DELETE FROM device WHERE device_key = '';

CREATE OR REPLACE TEMP TABLE gone_person AS
SELECT DISTINCT person_id FROM gone_name WHERE person_id IS NOT NULL;

-- Every spelling that means this person. The same login in another domain is somebody else.
CREATE OR REPLACE TEMP TABLE gone_key AS
SELECT key FROM given_key
UNION SELECT alias_key FROM alias SEMI JOIN gone_person USING (person_id)
UNION SELECT key FROM spelled
WHERE person_id IN (FROM gone_person) OR name IN (SELECT name FROM gone_name);

CREATE OR REPLACE TEMP TABLE gone_actor AS
SELECT actor_id FROM actor WHERE kind = 'user' AND key IN (FROM gone_key);

CREATE OR REPLACE TEMP TABLE gone_device AS
SELECT device_key FROM device WHERE user_key IN (FROM gone_key);

-- section: held_keys
SELECT key FROM actor WHERE key <> 'anonymous'
UNION SELECT alt_key FROM actor WHERE alt_key IS NOT NULL
UNION SELECT alias_key FROM alias
UNION SELECT address FROM conflict
UNION SELECT address FROM shared_address;

-- section: bare
-- Whom a directory knows by login alone was met as login@elsewhere too: that spelling cannot be
-- carried over, and seen again it would stand beside itself. So its rows go to the bare login.
CREATE OR REPLACE TEMP TABLE retired AS
SELECT actor.actor_id, actor.alt_key, bare.actor_id AS bare_id
FROM actor
JOIN given_key AS part ON part.old_key = actor.alt_key AND part.carried
LEFT JOIN given_key AS own ON own.old_key = actor.key AND own.carried
JOIN alias ON alias.alias_key = actor.alt_key
LEFT JOIN actor AS bare ON bare.key = actor.alt_key
WHERE actor.kind = 'user' AND own.old_key IS NULL AND EXISTS (
    FROM membership
    WHERE membership.actor_id = actor.actor_id AND membership.person_id = alias.person_id
);

CREATE OR REPLACE TEMP TABLE joined AS
WITH target AS (
    SELECT *, coalesce(bare_id, min(actor_id) OVER (PARTITION BY alt_key)) AS into_id FROM retired
)
SELECT actor_id, into_id FROM target WHERE actor_id <> into_id;

DELETE FROM actor WHERE actor_id IN (SELECT actor_id FROM joined);
UPDATE actor SET key = actor.alt_key, alt_key = NULL
FROM retired WHERE retired.actor_id = actor.actor_id AND retired.bare_id IS NULL;
DROP TABLE retired;

-- section: rotated
CREATE OR REPLACE TEMP TABLE next_actor AS
SELECT actor_id, kind, coalesce(own.new_key, key) AS key, part.new_key AS alt_key, network
FROM actor
LEFT JOIN given_key AS own ON own.old_key = actor.key
LEFT JOIN given_key AS part ON part.old_key = actor.alt_key;
DELETE FROM actor;
INSERT INTO actor FROM next_actor;

CREATE OR REPLACE TEMP TABLE next_alias AS
SELECT new_key AS alias_key, person_id FROM alias JOIN given_key ON old_key = alias_key;
DELETE FROM alias;
INSERT INTO alias FROM next_alias;

CREATE OR REPLACE TEMP TABLE next_shared AS
SELECT new_key AS address, valid_from, valid_to FROM shared_address JOIN given_key ON old_key = address;
DELETE FROM shared_address;
INSERT INTO shared_address FROM next_shared;

UPDATE conflict SET address = new_key FROM given_key WHERE old_key = conflict.address;

DELETE FROM claim;
DELETE FROM claim_file;
DELETE FROM device;
DELETE FROM vault;
DROP TABLE joined;
DROP TABLE next_actor;
DROP TABLE next_alias;
DROP TABLE next_shared;

-- section: stored_names
-- The days on which somebody belongs nowhere are told too, so that no address places a guest.
WITH gap AS (
    SELECT
        person_id,
        '(unknown)' AS department,
        valid_to AS valid_from,
        coalesce(lead(valid_from) OVER stays, DATE '9999-12-31') AS valid_to
    FROM person_department
    WINDOW stays AS (PARTITION BY person_id ORDER BY valid_from)
    UNION ALL
    SELECT
        person_id, '(unknown)', DATE '0001-01-01', coalesce(min(valid_from), DATE '9999-12-31')
    FROM person LEFT JOIN person_department USING (person_id)
    GROUP BY person_id
),
stay AS (
    FROM person_department
    UNION ALL
    FROM gap WHERE valid_from < valid_to
)
SELECT
    alias.alias_key, stay.department, stay.valid_from, stay.valid_to,
    min(alias_key) OVER (PARTITION BY person_id) AS person
FROM alias JOIN stay USING (person_id)
ORDER BY ALL;

-- section: moved
-- Who was seen on a day and has another department for it than before.
WITH met AS (SELECT DISTINCT day, actor_id FROM presence),
told AS (
    SELECT met.day, met.actor_id,
        coalesce(earlier.department, '(unknown)') AS old, coalesce(now.department, '(unknown)') AS new
    FROM met
    LEFT JOIN earlier ON earlier.actor_id = met.actor_id
        AND met.day >= earlier.valid_from AND met.day < earlier.valid_to
    LEFT JOIN membership AS now ON now.actor_id = met.actor_id
        AND met.day >= now.valid_from AND met.day < now.valid_to
)
SELECT old, new, count(DISTINCT actor_id), min(day), max(day)
FROM told WHERE old <> new
GROUP BY old, new ORDER BY ALL
