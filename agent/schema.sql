-- work.duckdb: facts are immutable and appended; meaning (host, membership) is a dimension beside
-- them. Rows of one day, host, actor and source may stand in several pieces: readers always sum.
-- tail_of names the file whose unfinished last line a row comes from; such rows are replaced when
-- the file has grown, all others stay.

CREATE TABLE IF NOT EXISTS source (source_id INTEGER PRIMARY KEY, source VARCHAR NOT NULL UNIQUE);

-- A host that is in no entry any more keeps its row, with an empty app: the entry may come back.
CREATE TABLE IF NOT EXISTS host (
    host_id INTEGER PRIMARY KEY, host VARCHAR NOT NULL UNIQUE, app VARCHAR NOT NULL,
    signal VARCHAR NOT NULL, evidence VARCHAR NOT NULL, tenant VARCHAR, rule VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS actor (
    actor_id INTEGER PRIMARY KEY, kind VARCHAR NOT NULL, key VARCHAR NOT NULL UNIQUE,
    alt_key VARCHAR, network VARCHAR
);

CREATE TABLE IF NOT EXISTS usage (
    day DATE NOT NULL, host_id INTEGER NOT NULL, actor_id INTEGER NOT NULL,
    source_id INTEGER NOT NULL, requests BIGINT NOT NULL, blocked BIGINT NOT NULL,
    bytes_out BIGINT, bytes_in BIGINT, first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL,
    tail_of INTEGER
);

-- The bits are sketches of who asked; of days that have expired they are 0, and past_unknown has the number.
CREATE TABLE IF NOT EXISTS unknown_usage (
    day DATE NOT NULL, host VARCHAR NOT NULL, department VARCHAR NOT NULL,
    source_id INTEGER NOT NULL, requests BIGINT NOT NULL, blocked BIGINT NOT NULL,
    bytes_out BIGINT, bytes_in BIGINT, user_bits UHUGEINT NOT NULL,
    address_bits UHUGEINT NOT NULL,
    first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL, tail_of INTEGER
);

-- Folded hosts of unknown_usage that the catalogue knows by now. What they did before was counted
-- without persons, so it stays where it is.
CREATE TABLE IF NOT EXISTS claimed (host VARCHAR PRIMARY KEY, app VARCHAR NOT NULL, rule VARCHAR NOT NULL);

-- Hosts that no entry has, whose answers lead to a name that one has; what that means is asked anew.
CREATE TABLE IF NOT EXISTS white_label (
    host VARCHAR PRIMARY KEY, target VARCHAR NOT NULL, source_id INTEGER NOT NULL,
    first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL
);

-- unnamed are requests that name no host of the Internet, hours a bit for each hour of UTC with an event; both are
-- NULL in rows from before version 3. bare are requests for an address, tunnels those by CONNECT, agents a sketch of the
-- browsers that name no user; NULL before version 4.
CREATE TABLE IF NOT EXISTS presence (
    day DATE NOT NULL, actor_id INTEGER NOT NULL, source_id INTEGER NOT NULL,
    requests BIGINT NOT NULL, tail_of INTEGER, unnamed BIGINT, hours INTEGER,
    tunnels BIGINT, bare BIGINT, agents UBIGINT
);

-- At which address a user was seen in the hours of a day, in several pieces: what a proxy knows, and a resolver does not.
CREATE TABLE IF NOT EXISTS sighting (
    day DATE NOT NULL, actor_id INTEGER NOT NULL, address_id INTEGER NOT NULL, hours INTEGER NOT NULL
);

-- Between which lines a file names a host of the catalogue, in several pieces.
CREATE TABLE IF NOT EXISTS evidence (
    file_id INTEGER NOT NULL, host_id INTEGER NOT NULL, first_line BIGINT NOT NULL,
    last_line BIGINT NOT NULL, requests BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS source_day (
    day DATE NOT NULL, source_id INTEGER NOT NULL, events BIGINT NOT NULL, unnamed BIGINT NOT NULL,
    first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL, tail_of INTEGER
);

-- The ledger. A file is its content: the digest of its first head_length bytes of clean text, and
-- of the bytes just before consumed; a shorter copy of it is told by beginnings. Path, size and
-- modified only save a second look at it.
CREATE TABLE IF NOT EXISTS log_file (
    file_id INTEGER NOT NULL, source_id INTEGER, path VARCHAR NOT NULL, format VARCHAR,
    head_length BIGINT NOT NULL, head_digest VARCHAR NOT NULL, consumed BIGINT NOT NULL,
    tail_digest VARCHAR NOT NULL, also VARCHAR[], layout VARCHAR[],
    size BIGINT NOT NULL, modified TIMESTAMP NOT NULL,
    lines BIGINT NOT NULL, events BIGINT NOT NULL, rejects BIGINT NOT NULL, bytes BIGINT NOT NULL,
    first_seen TIMESTAMP, last_seen TIMESTAMP, has_user BOOLEAN NOT NULL, has_bytes BOOLEAN NOT NULL,
    has_client BOOLEAN NOT NULL, status VARCHAR NOT NULL, note VARCHAR,
    scanned_at TIMESTAMP NOT NULL, seconds DOUBLE NOT NULL,
    tail_lines BIGINT NOT NULL, tail_events BIGINT NOT NULL, tail_rejects BIGINT NOT NULL,
    beginnings BLOB DEFAULT ''
);

CREATE TABLE IF NOT EXISTS reject (
    file_id INTEGER NOT NULL, reason VARCHAR NOT NULL, lines BIGINT NOT NULL,
    first_line BIGINT NOT NULL, sample VARCHAR NOT NULL, tail_of INTEGER
);

CREATE TABLE IF NOT EXISTS person (person_id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS alias (alias_key VARCHAR PRIMARY KEY, person_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS person_department (
    person_id INTEGER NOT NULL, department VARCHAR NOT NULL,
    valid_from DATE NOT NULL, valid_to DATE NOT NULL
);
-- Further units of somebody (dotted line), who counts in none of them; and which unit is above which.
CREATE TABLE IF NOT EXISTS person_also (
    person_id INTEGER NOT NULL, department VARCHAR NOT NULL,
    valid_from DATE NOT NULL, valid_to DATE NOT NULL
);
CREATE TABLE IF NOT EXISTS unit (department VARCHAR PRIMARY KEY, parent VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS subnet (
    network VARCHAR PRIMARY KEY, department VARCHAR, site VARCHAR, shared BOOLEAN NOT NULL,
    people INTEGER
);
CREATE TABLE IF NOT EXISTS membership (
    actor_id INTEGER NOT NULL, person_id INTEGER, unit VARCHAR NOT NULL, department VARCHAR NOT NULL,
    valid_from DATE NOT NULL, valid_to DATE NOT NULL
);

-- What a log's own department column says of somebody; it counts where the directory is silent.
CREATE TABLE IF NOT EXISTS stated_department (
    actor_id INTEGER NOT NULL, department VARCHAR NOT NULL, first_day DATE NOT NULL,
    PRIMARY KEY (actor_id, department)
);

CREATE TABLE IF NOT EXISTS setting (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);

-- Who had an address when, as leases and log-ons say it; addresses, devices and users are pseudonyms,
-- and empty where a line names none. An end that nobody told is NULL.
CREATE TABLE IF NOT EXISTS claim (
    kind VARCHAR NOT NULL, source VARCHAR NOT NULL, address VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
    until TIMESTAMP, mac VARCHAR NOT NULL, hostname VARCHAR NOT NULL, user_key VARCHAR NOT NULL,
    alt_key VARCHAR NOT NULL, ends BOOLEAN NOT NULL, line BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS claim_file (
    path VARCHAR PRIMARY KEY, size BIGINT NOT NULL, modified TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS device (
    device_key VARCHAR PRIMARY KEY, user_key VARCHAR NOT NULL, alt_key VARCHAR NOT NULL
);

-- Addresses that several people had at once, and those that many share.
CREATE TABLE IF NOT EXISTS conflict (
    address VARCHAR NOT NULL, since TIMESTAMP NOT NULL, until TIMESTAMP NOT NULL, people BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS shared_address (
    address VARCHAR PRIMARY KEY, valid_from DATE NOT NULL, valid_to DATE NOT NULL
);

-- Addresses that are shared from a day on until another, by any kind of evidence.
CREATE TABLE IF NOT EXISTS crowd (
    actor_id INTEGER NOT NULL, valid_from DATE NOT NULL, valid_to DATE NOT NULL, why VARCHAR NOT NULL
);

-- Every user name that was met, and the person whom it means. A login without its domain means whoever is called so in
-- the one domain that uses it: in two domains it means nobody, and neither does another domain than the one a directory
-- names. The key of domain\login ends with a backslash. Whom no directory knows is one name under all spellings.
CREATE OR REPLACE VIEW spelled AS
WITH met AS (
    SELECT key, alt_key FROM actor WHERE kind = 'user'
    UNION SELECT user_key, nullif(alt_key, '') FROM claim WHERE user_key <> ''
    UNION SELECT user_key, nullif(alt_key, '') FROM device
),
looked_up AS (
    SELECT met.*, ends_with(key, '\') AS has_domain, whole.person_id AS own, part.person_id AS other
    FROM met
    LEFT JOIN alias AS whole ON whole.alias_key = met.key
    LEFT JOIN alias AS part ON part.alias_key = met.alt_key
),
lonely AS (
    SELECT alt_key, has_domain, true AS alone FROM looked_up
    WHERE alt_key IS NOT NULL AND (has_domain OR own IS NULL)
    GROUP BY alt_key, has_domain HAVING count(*) = 1
)
SELECT
    key,
    coalesce(own, CASE WHEN alone AND NOT (has_domain AND other IN (
        SELECT person_id FROM alias WHERE ends_with(alias_key, '\')
    )) THEN other END) AS person_id,
    CASE WHEN alone THEN alt_key ELSE key END AS name
FROM looked_up LEFT JOIN lonely USING (alt_key, has_domain);
-- What is known of weeks whose people have expired: counts, before small groups are left out of
-- them. Weeks before the setting past_until come from here and no longer from usage and presence;
-- schema past holds the same of what was published by day and week, as it was published.
CREATE TABLE IF NOT EXISTS past_department (
    week DATE NOT NULL, department VARCHAR NOT NULL, covered BIGINT NOT NULL, headcount INTEGER,
    coverage DOUBLE, visible BOOLEAN NOT NULL
);
CREATE TABLE IF NOT EXISTS past_cell (
    week DATE NOT NULL, app VARCHAR NOT NULL, department VARCHAR NOT NULL, active BIGINT NOT NULL,
    regular INTEGER, visible BOOLEAN NOT NULL
);
CREATE TABLE IF NOT EXISTS past_app (app VARCHAR PRIMARY KEY, first_seen DATE, last_seen DATE);
CREATE TABLE IF NOT EXISTS past_host (
    host_id INTEGER PRIMARY KEY, requests BIGINT NOT NULL, blocked BIGINT NOT NULL,
    first_seen DATE NOT NULL, last_seen DATE NOT NULL, people BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS past_unknown (
    host VARCHAR NOT NULL, department VARCHAR NOT NULL, users BIGINT NOT NULL,
    addresses BIGINT NOT NULL, PRIMARY KEY (host, department)
);
CREATE TABLE IF NOT EXISTS past_tenant (
    app VARCHAR NOT NULL, tenant VARCHAR NOT NULL, department VARCHAR NOT NULL,
    people BIGINT NOT NULL, requests BIGINT NOT NULL, first_seen DATE NOT NULL,
    last_seen DATE NOT NULL, PRIMARY KEY (app, tenant, department)
);

-- Clear names under a key that is not in the store; empty unless somebody made a vault.
CREATE TABLE IF NOT EXISTS vault (pseudonym VARCHAR PRIMARY KEY, sealed BLOB NOT NULL);
