-- From cells (day, host, client and user as written) to partial facts with natural keys.

-- section: gather
CREATE OR REPLACE TEMP TABLE piece AS
SELECT
    outcome,
    {day} AS day,
    host,
    client,
    "user",
    count(*) AS requests,
    count(*) FILTER (blocked) AS blocked,
    sum(bytes_out)::BIGINT AS bytes_out,
    sum(bytes_in)::BIGINT AS bytes_in,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    min(line_no) AS first_line
FROM ({events})
GROUP BY ALL;

-- section: keep
INSERT INTO cell
SELECT day, host, client, "user", requests, blocked, bytes_out, bytes_in, first_seen, last_seen,
    $source, $tail
FROM piece WHERE outcome IS NULL;

-- section: outcomes
SELECT
    outcome,
    sum(requests)::BIGINT,
    min(first_line),
    min(first_seen),
    max(last_seen),
    bool_or("user" IS NOT NULL),
    bool_or(client IS NOT NULL),
    bool_or(coalesce(bytes_out, bytes_in) IS NOT NULL)
FROM piece GROUP BY outcome;

-- section: resolve
CREATE OR REPLACE TEMP TABLE placed AS
WITH who AS (
    SELECT
        cell.*,
        coalesce(users.key, clients.key, 'anonymous') AS actor,
        users.key IS NOT NULL AS is_user,
        users.alt_key,
        clients.network
    FROM cell
    LEFT JOIN users ON users.raw = cell."user"
    LEFT JOIN clients ON clients.raw = cell.client
)
SELECT
    who.day, who.source, who.tail, who.actor, who.is_user, who.alt_key, who.network,
    names.host, names.app, names.signal, names.evidence, names.tenant, names.rule, names.folded,
    who.requests, who.blocked, who.bytes_out, who.bytes_in, who.first_seen, who.last_seen
FROM who LEFT JOIN names ON names.raw = who.host;

-- section: usage
SELECT day, host, actor, source, tail,
    sum(requests)::BIGINT AS requests, sum(blocked)::BIGINT AS blocked,
    sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM placed WHERE app IS NOT NULL
GROUP BY ALL;

-- section: unknown
-- Who asked is kept as one of 128 bits: enough to count people, too little to name one.
WITH folded AS (
    SELECT CASE WHEN actor = 'anonymous' THEN 0::UHUGEINT
        ELSE 1::UHUGEINT << (('0x' || actor[1:2])::UHUGEINT % 128) END AS bit,
        day, folded AS host, actor, alt_key, is_user, network, source, tail,
        sum(requests) AS requests, sum(blocked) AS blocked,
        sum(bytes_out) AS bytes_out, sum(bytes_in) AS bytes_in,
        min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM placed WHERE app IS NULL AND folded IS NOT NULL
    GROUP BY ALL
),
seen AS (SELECT DISTINCT day, actor, alt_key, is_user, network FROM folded),
named AS (
    SELECT seen.day, seen.actor, seen.network,
        coalesce(min(whole.department), min(part.department), min(net.department), '(unknown)')
            AS department
    FROM seen
    LEFT JOIN stays AS whole
        ON seen.is_user AND whole.alias_key = seen.actor
        AND seen.day >= whole.valid_from AND seen.day < whole.valid_to
    LEFT JOIN stays AS part
        ON seen.is_user AND part.alias_key = seen.alt_key
        AND seen.day >= part.valid_from AND seen.day < part.valid_to
    LEFT JOIN networks AS net ON net.network = seen.network
    GROUP BY ALL
)
SELECT folded.day, folded.host, named.department, folded.source, folded.tail,
    sum(requests)::BIGINT AS requests, sum(blocked)::BIGINT AS blocked,
    sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in,
    coalesce(bit_or(bit) FILTER (is_user), 0::UHUGEINT) AS user_bits,
    coalesce(bit_or(bit) FILTER (NOT is_user), 0::UHUGEINT) AS address_bits,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM folded
JOIN named ON named.day = folded.day
    AND named.actor = folded.actor
    AND named.network IS NOT DISTINCT FROM folded.network
GROUP BY ALL;

-- section: presence
SELECT day, actor, source, tail, sum(requests)::BIGINT AS requests
FROM placed GROUP BY ALL;

-- section: source_day
SELECT day, source, tail, sum(requests)::BIGINT AS events,
    coalesce(sum(requests) FILTER (app IS NULL AND folded IS NULL), 0)::BIGINT AS unnamed,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM placed GROUP BY ALL;

-- section: hosts
SELECT DISTINCT host, app, signal, evidence, tenant, rule FROM placed
WHERE app IS NOT NULL;

-- section: actors
-- A user's network matters only where no directory knows the user: the least one with a department.
SELECT actor AS key, bool_or(is_user) AS is_user, min(placed.alt_key) AS alt_key,
    min(placed.network) FILTER (NOT is_user OR (net.department IS NOT NULL AND NOT net.shared))
        AS network
FROM placed LEFT JOIN networks AS net USING (network)
GROUP BY actor;
