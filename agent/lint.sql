-- What lines show of the logs they come from, stretch by stretch. Nothing here grows with a log: a
-- stretch becomes a few rows, and of clients and users only the frequent ones are kept.

-- section: tables
CREATE OR REPLACE TABLE outcomes (
    file INTEGER, format VARCHAR, outcome VARCHAR, lines BIGINT, first_line BIGINT, sample VARCHAR
);
CREATE OR REPLACE TABLE facts (
    file INTEGER, format VARCHAR, events BIGINT, client BIGINT, "user" BIGINT, host BIGINT,
    bytes_out BIGINT, bytes_in BIGINT, blocked BIGINT, user_agent BIGINT, department BIGINT,
    tunnels BIGINT, bare BIGINT, hashed BIGINT, future BIGINT, first_seen TIMESTAMP, last_seen TIMESTAMP
);
CREATE OR REPLACE TABLE who (format VARCHAR, kind VARCHAR, value VARCHAR, events BIGINT);
CREATE OR REPLACE TABLE hours (format VARCHAR, hour TIMESTAMP, events BIGINT);
CREATE OR REPLACE TABLE repeated (file INTEGER, lines BIGINT);

-- section: outcomes
INSERT INTO outcomes
SELECT $file, piece.format, outcome, count(*), min(line_no), left(arg_min(line, line_no), 160)
FROM piece JOIN lines USING (line_no)
GROUP BY ALL;

-- section: facts
INSERT INTO facts
SELECT $file, format, count(*), count(client), count("user"), count(host) FILTER (NOT is_bare),
    count(bytes_out), count(bytes_in), count(blocked), count(user_agent), count(department),
    count(*) FILTER (upper(method) = 'CONNECT'), count(*) FILTER (is_bare),
    count(*) FILTER (regexp_full_match("user",
        '[0-9a-fA-F]{16,128}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9+/_-]{22,86}={1,2}')),
    count(*) FILTER (ts > CAST($now AS TIMESTAMP) + INTERVAL 1 DAY), min(ts), max(ts)
FROM (
    SELECT *, host IS NULL OR regexp_full_match(host, '\d{1,3}(\.\d{1,3}){3}(:\d+)?')
        OR regexp_full_match(host, '\[?[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]?(:\d+)?') AS is_bare
    FROM piece WHERE outcome IS NULL
)
GROUP BY format;

-- section: who
INSERT INTO who
SELECT format, 'client', client, count(*) FROM piece
WHERE outcome IS NULL AND client IS NOT NULL GROUP BY ALL
UNION ALL
SELECT format, 'user', "user", count(*) FROM piece
WHERE outcome IS NULL AND "user" IS NOT NULL GROUP BY ALL;

-- section: hours
INSERT INTO hours
SELECT format, date_trunc('hour', ts), count(*) FROM piece WHERE outcome IS NULL GROUP BY ALL;

-- section: repeated
INSERT INTO repeated SELECT $file, count(*) - count(DISTINCT hash(line)) FROM lines WHERE strlen(line) > 1;

-- section: compact
CREATE OR REPLACE TABLE who AS
SELECT format, kind, value, sum(events)::BIGINT AS events FROM who GROUP BY format, kind, value
QUALIFY row_number() OVER (PARTITION BY format, kind ORDER BY sum(events) DESC, value) <= 20000;
CREATE OR REPLACE TABLE hours AS
SELECT format, hour, sum(events)::BIGINT AS events FROM hours GROUP BY ALL ORDER BY hour LIMIT 200000;

-- section: files
SELECT file, format, sum(events)::BIGINT AS events, min(first_seen), max(last_seen),
    sum(future)::BIGINT
FROM facts GROUP BY ALL ORDER BY file, events DESC;

-- section: file_outcomes
SELECT file, outcome, sum(lines)::BIGINT AS lines, min(first_line), arg_min(sample, first_line)
FROM outcomes GROUP BY ALL ORDER BY file, lines DESC, outcome;

-- section: formats
SELECT format, count(DISTINCT file) AS files, sum(events)::BIGINT AS events,
    sum(client)::BIGINT AS client, sum("user")::BIGINT AS "user", sum(host)::BIGINT AS host,
    sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in,
    sum(blocked)::BIGINT AS blocked, sum(user_agent)::BIGINT AS user_agent,
    sum(department)::BIGINT AS department, sum(tunnels)::BIGINT AS tunnels,
    sum(bare)::BIGINT AS bare, sum(hashed)::BIGINT AS hashed,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM facts GROUP BY format ORDER BY events DESC, format;

-- section: top
SELECT format, kind, max(events), count(*) FROM who GROUP BY ALL;

-- section: gaps
SELECT format, before, hour, date_diff('hour', before, hour) - 1
FROM (SELECT *, lag(hour) OVER (PARTITION BY format ORDER BY hour) AS before FROM
    (SELECT format, hour FROM hours GROUP BY ALL))
WHERE date_diff('hour', before, hour) > 24
ORDER BY date_diff('hour', before, hour) DESC, hour LIMIT 20;
