-- From events to partial facts with natural keys. Between the two, hosts, actors and networks are
-- small numbers, which take less room than names: a thing above 0 is a host of the catalogue, below
-- 0 the fold of any other host, 0 none at all.

-- section: gather
CREATE OR REPLACE TEMP TABLE piece AS
SELECT
    outcome, {day} AS day, host, client, "user",
    count(*) AS requests,
    count(*) FILTER (blocked) AS blocked,
    sum(bytes_out)::BIGINT AS bytes_out,
    sum(bytes_in)::BIGINT AS bytes_in,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    CAST(bit_or(1 << date_part('hour', ts)) AS INTEGER) AS hours,
    min(line_no) AS first_line,
    max(line_no) AS last_line,
    count(*) FILTER (method = 'CONNECT') AS tunnels,
    {agents} AS agents,
    {department} AS department,
    {alias} AS alias,
    {holder} AS holder
FROM ({events}) AS event
GROUP BY ALL;

-- section: answer
-- Which names hosts lead to, in their order, and which of those names tell what the host is. An ending
-- is sought among the last labels only: no entry names more.
CREATE OR REPLACE TEMP TABLE answer AS
WITH told AS (
    SELECT rtrim(lower(host), '.') AS host, alias,
        min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM piece WHERE alias <> '' AND host IS NOT NULL AND first_seen IS NOT NULL
    GROUP BY ALL
),
listed AS (SELECT * EXCLUDE alias, string_split(alias, ' ') AS names FROM told)
SELECT host, unnest(names) AS name, generate_subscripts(names, 1) AS place, first_seen, last_seen FROM listed;

CREATE OR REPLACE TEMP TABLE lead AS
WITH labelled AS (SELECT name, string_split(name, '.')[-6:] AS labels FROM (SELECT DISTINCT name FROM answer)),
suffixed AS (
    SELECT name, unnest(list_transform(range(1, len(labels)), lambda n: array_to_string(labels[n:], '.'))) AS suffix
    FROM labelled
),
telling AS (SELECT DISTINCT name FROM suffixed SEMI JOIN ending USING (suffix))
SELECT host, arg_min(name, place) AS target, min(first_seen) AS first_seen, max(last_seen) AS last_seen, 0 AS step
FROM answer SEMI JOIN telling USING (name) GROUP BY host;

-- section: lead
-- One step more: hosts that lead to a host which leads to such a name.
INSERT INTO lead
SELECT answer.host, arg_min(lead.target, place), min(answer.first_seen), max(answer.last_seen), {step} + 1
FROM answer JOIN lead ON lead.host = answer.name AND lead.step = {step}
ANTI JOIN lead AS known ON known.host = answer.host
GROUP BY answer.host;

-- section: rename
CREATE OR REPLACE TEMP TABLE renamed AS
SELECT names.raw, names.thing AS before, fresh.thing AS after
FROM names JOIN fresh ON rtrim(split_part(lower(names.raw), ':', 1), '.') = fresh.host
WHERE names.thing < 0;
UPDATE names SET thing = renamed.after FROM renamed WHERE renamed.raw = names.raw;
UPDATE placed SET thing = whole.after
FROM (
    SELECT before, min(after) AS after FROM renamed
    ANTI JOIN names ON names.thing = renamed.before
    GROUP BY before HAVING count(DISTINCT after) = 1
) AS whole
WHERE placed.thing = whole.before;

-- section: holdings
CREATE OR REPLACE TABLE held_place AS
SELECT address, CAST(row_number() OVER () AS INTEGER) AS place FROM (SELECT DISTINCT address FROM holdings);
CREATE OR REPLACE TABLE held_by AS
SELECT CAST(row_number() OVER () AS INTEGER) AS holder, user_key, nullif(min(alt_key), '') AS alt_key
FROM holdings GROUP BY user_key;
CREATE OR REPLACE TABLE held AS
SELECT place, since, until, holder
FROM holdings JOIN held_place USING (address) JOIN held_by USING (user_key);

-- section: near
-- Who had addresses while these events happened: of a long log, a small part of all.
CREATE OR REPLACE TEMP TABLE near AS
SELECT held.* FROM held, (SELECT min(ts) AS first, max(ts) AS last FROM told)
WHERE since <= last AND until > first;

-- section: nearest
SELECT coalesce(max(rows), 0) FROM (SELECT count(*) AS rows FROM near GROUP BY place);

-- section: held
-- Rows of one address do not overlap, so no event finds two of them.
SELECT event.*, CASE WHEN event.ts < near.until THEN near.holder END AS holder
FROM (
    SELECT told.*, CASE WHEN "user" IS NULL AND outcome IS NULL THEN clients.place END AS place
    FROM told LEFT JOIN clients ON clients.raw = told.client
) AS event
{join} near ON near.place = event.place AND event.ts >= near.since {ends}

-- section: rejected
-- Lines that one format rejects may be of another device that writes to the same file; so may lines
-- that only look like a record of no interest.
CREATE OR REPLACE TEMP TABLE rejected AS
SELECT lines.line_no, lines.line FROM lines
SEMI JOIN (
    SELECT line_no FROM event WHERE outcome <> 'other' OR ({others} AND outcome = 'other' AND host IS NULL)
) AS bad USING (line_no);

-- section: retry
CREATE OR REPLACE TEMP TABLE retried AS
SELECT * FROM ({events}) WHERE outcome IS NULL OR outcome = 'other';
DELETE FROM event WHERE line_no IN (SELECT line_no FROM retried);
INSERT INTO event SELECT * FROM retried;

-- section: outcomes
SELECT
    outcome,
    sum(requests)::BIGINT,
    min(first_line),
    min(first_seen),
    max(last_seen),
    count("user") > 0,
    count(client) > 0,
    bool_or(coalesce(bytes_out, bytes_in) IS NOT NULL)
FROM piece GROUP BY outcome;

-- section: new
SELECT DISTINCT "{column}" AS raw FROM {met} AS met
ANTI JOIN {table} AS known ON known.raw = met."{column}"
WHERE outcome IS NULL AND "{column}" IS NOT NULL;

-- section: place
-- A user in the line tells who is at the address, unless the name is that of a machine (it ends with $).
INSERT INTO placed
SELECT
    day, $source, $tail,
    coalesce(users.actor, holders.actor, clients.actor, 0) AS actor,
    coalesce(clients.network, -1) AS network,
    coalesce(names.thing, 0) AS thing,
    requests, blocked, bytes_out, bytes_in, first_seen, last_seen, hours, tunnels,
    CASE WHEN piece.host IS NULL OR names.bare THEN requests ELSE 0 END AS bare,
    CASE WHEN users.actor IS NULL AND holders.actor IS NULL THEN agents END AS agents,
    CASE WHEN users.actor IS NOT NULL AND NOT ends_with(piece."user", '$') THEN clients.actor END AS address,
    $file, first_line, last_line
FROM piece
LEFT JOIN users ON users.raw = piece."user"
LEFT JOIN holders ON holders.raw = piece.holder
LEFT JOIN clients ON clients.raw = piece.client
LEFT JOIN names ON names.raw = piece.host
WHERE outcome IS NULL;

-- section: stated
-- What a log says of somebody's department. A cell with a mail address is a person and no department.
INSERT INTO stated
SELECT coalesce(users.actor, holders.actor, clients.actor), trim(department), min(day)
FROM piece
LEFT JOIN users ON users.raw = piece."user"
LEFT JOIN holders ON holders.raw = piece.holder
LEFT JOIN clients ON clients.raw = piece.client
WHERE outcome IS NULL AND strlen(trim(department)) BETWEEN 1 AND 100
    AND NOT contains(department, '@') AND NOT regexp_matches(department, '\p{C}')
    AND coalesce(users.actor, holders.actor, clients.actor) IS NOT NULL
GROUP BY ALL;

-- section: usage
WITH grouped AS (
    SELECT day, thing, actor, source, tail,
        sum(requests)::BIGINT AS requests, sum(blocked)::BIGINT AS blocked,
        sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in,
        min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM placed WHERE thing > 0
    GROUP BY ALL
)
SELECT day, known.host, actors.key AS actor, source, tail, requests, blocked, bytes_out, bytes_in,
    first_seen, last_seen
FROM grouped JOIN known USING (thing) JOIN actors USING (actor);

-- section: departments
-- Where each actor belongs each day, as far as is known while reading. Who asked for a host outside
-- the catalogue is kept as one of 128 bits: enough to count people, too little to name one.
-- What the log itself says places a user better than an address does, and an address worse than a
-- list of subnets does.
CREATE OR REPLACE TEMP TABLE numbered AS
WITH seen AS (SELECT DISTINCT day, actor, network FROM placed WHERE thing < 0),
first AS (SELECT actor, department, min(first_day) AS first_day FROM stated GROUP BY ALL),
saying AS (
    SELECT actor, department,
        CASE WHEN row_number() OVER told = 1 THEN DATE '0001-01-01' ELSE first_day END AS valid_from,
        coalesce(lead(first_day) OVER told, DATE '9999-12-31') AS valid_to
    FROM first WINDOW told AS (PARTITION BY actor ORDER BY first_day, department)
),
who AS (
    SELECT seen.*, CASE WHEN is_user THEN key END AS whole, CASE WHEN is_user THEN alt_key END AS part
    FROM seen JOIN actors USING (actor)
),
named AS (
    SELECT who.day, who.actor, who.network, coalesce(
        min(whole.department), min(part.department),
        min(said.department) FILTER (who.whole IS NOT NULL), min(net.department),
        min(said.department), '(unknown)'
    ) AS department, coalesce(min(whole.person), min(part.person)) AS person
    FROM who
    LEFT JOIN stays AS whole ON whole.alias_key = who.whole
        AND who.day >= whole.valid_from AND who.day < whole.valid_to
    LEFT JOIN stays AS part ON part.alias_key = who.part
        AND who.day >= part.valid_from AND who.day < part.valid_to
    LEFT JOIN places ON places.place = who.network
    LEFT JOIN networks AS net ON net.network = places.network
    LEFT JOIN saying AS said ON said.actor = who.actor
        AND who.day >= said.valid_from AND who.day < said.valid_to
    GROUP BY ALL
)
SELECT day, actor, network, department, dense_rank() OVER (ORDER BY department) AS number,
    is_user, CASE WHEN actor = 0 THEN 0::UHUGEINT
        ELSE 1::UHUGEINT << (('0x' || coalesce(person, key)[1:2])::UHUGEINT % 128) END AS bit
FROM named JOIN actors USING (actor);

-- section: unknown
-- Arrow has no number of 128 bits, so they travel in halves.
WITH grouped AS (
    SELECT placed.day, placed.thing, numbered.number, placed.source, placed.tail,
        sum(requests)::BIGINT AS requests, sum(blocked)::BIGINT AS blocked,
        sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in,
        bit_or(CASE WHEN is_user THEN bit ELSE 0::UHUGEINT END) AS user_bits,
        bit_or(CASE WHEN is_user THEN 0::UHUGEINT ELSE bit END) AS address_bits,
        min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM placed
    JOIN numbered USING (day, actor, network)
    WHERE placed.thing < 0
    GROUP BY ALL
)
SELECT day, folds.host, department, source, tail, requests, blocked, bytes_out,
    bytes_in,
    (user_bits & 18446744073709551615::UHUGEINT)::UBIGINT AS user_low,
    (user_bits >> 64::UHUGEINT)::UBIGINT AS user_high,
    (address_bits & 18446744073709551615::UHUGEINT)::UBIGINT AS address_low,
    (address_bits >> 64::UHUGEINT)::UBIGINT AS address_high,
    first_seen, last_seen
FROM grouped
JOIN folds USING (thing)
JOIN (SELECT DISTINCT number, department FROM numbered) USING (number);

-- section: presence
WITH grouped AS (
    SELECT day, actor, source, tail, sum(requests)::BIGINT AS requests,
        coalesce(sum(requests) FILTER (thing = 0), 0)::BIGINT AS unnamed, bit_or(hours) AS hours,
        sum(tunnels)::BIGINT AS tunnels, sum(bare)::BIGINT AS bare, bit_or(agents) AS agents
    FROM placed GROUP BY ALL
)
SELECT day, actors.key AS actor, source, tail, requests, unnamed, hours, tunnels, bare, agents
FROM grouped JOIN actors USING (actor);

-- section: sightings
-- Half a word at the end of a file names no user.
WITH grouped AS (
    SELECT day, actor, address, bit_or(hours) AS hours
    FROM placed WHERE address IS NOT NULL AND tail IS NULL
    GROUP BY ALL
)
SELECT day, actors.key AS actor, spot.key AS address, hours
FROM grouped JOIN actors USING (actor) JOIN actors AS spot ON spot.actor = grouped.address;

-- section: evidence
SELECT file, known.host, min(first_line) AS first_line, max(last_line) AS last_line,
    sum(requests)::BIGINT AS requests
FROM placed JOIN known USING (thing) WHERE tail IS NULL AND file IS NOT NULL
GROUP BY ALL;

-- section: said
SELECT actors.key AS actor, department, min(first_day) AS first_day
FROM stated JOIN actors USING (actor) GROUP BY ALL;

-- section: source_day
SELECT day, source, tail, sum(requests)::BIGINT AS events,
    coalesce(sum(requests) FILTER (thing = 0), 0)::BIGINT AS unnamed,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM placed GROUP BY ALL;

-- section: hosts
SELECT host, app, signal, evidence, tenant, rule FROM known
SEMI JOIN placed USING (thing);

-- section: actors
-- A user's network matters only where no directory knows the user: the least one with a department.
WITH seen AS (
    SELECT DISTINCT actor, network FROM placed
    UNION SELECT address, network FROM placed WHERE address IS NOT NULL
)
SELECT actors.key, actors.is_user, actors.alt_key,
    min(places.network) FILTER (
        NOT actors.is_user OR (net.department IS NOT NULL AND NOT net.shared)
    ) AS network
FROM seen
JOIN actors USING (actor)
LEFT JOIN places ON places.place = seen.network
LEFT JOIN networks AS net ON net.network = places.network
GROUP BY ALL;
