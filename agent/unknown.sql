-- What stands behind each domain that the catalogue does not know, one row each, for unknown.py.

CREATE OR REPLACE TEMP MACRO sketched(bits) AS
    -128 * ln(1 - least(bit_count(CAST(bits AS BIT)), 127.5) / 128);

CREATE OR REPLACE TEMP TABLE unknown_domain AS
WITH part AS (
    SELECT
        domain, kind, unknown_host.*, past.users AS past_users, past.addresses AS past_addresses
    FROM unknown_host
    JOIN given_domain USING (host)
    LEFT JOIN past_unknown AS past USING (host, department)
),
-- Users where a log names them; addresses only where none does. Departments add up; whom no
-- department is known of counts only where none is known of anybody, as on the page.
crowd AS (
    SELECT
        domain,
        department,
        bit_or(user_bits) > 0 OR coalesce(max(past_users), 0) > 0 AS named,
        coalesce(CASE WHEN named THEN bit_or(user_now) ELSE bit_or(address_now) END, 0) AS bits_now,
        coalesce(CASE WHEN named THEN bit_or(user_before) ELSE bit_or(address_before) END, 0)
            AS bits_before,
        CASE WHEN named THEN greatest(sketched(bit_or(user_bits)), max(past_users))
            ELSE greatest(sketched(bit_or(address_bits)), max(past_addresses)) END AS people,
        sketched(bits_now) AS people_now,
        sketched(bits_before) AS people_before
    FROM part
    GROUP BY ALL
),
placed AS (
    FROM crowd QUALIFY department <> '(unknown)' OR count(*) OVER (PARTITION BY domain) = 1
),
people AS (
    SELECT
        domain,
        CAST(sum(round(people)) AS INTEGER) AS people,
        CAST(max(round(people)) FILTER (department <> '(unknown)') AS INTEGER) AS most,
        CAST(sum(round(people_now)) AS INTEGER) AS people_now,
        CAST(sum(round(people_before)) AS INTEGER) AS people_before,
        list(department ORDER BY people DESC, department) FILTER (
            department <> '(unknown)'
            AND department IN (SELECT department FROM findings.hosts_unknown)
        ) AS departments
    FROM placed
    GROUP BY domain
),
traffic AS (
    SELECT
        domain,
        sum(bytes_out) AS bytes_out,
        sum(bytes_in) AS bytes_in,
        coalesce(sum(requests) FILTER (kind = 'machine'), 0) / sum(requests) AS machine,
        bit_count(bit_or(weeks)) AS weeks,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM part
    GROUP BY domain
),
named AS (
    SELECT
        domain,
        list(host ORDER BY host) FILTER (kind = 'sign_in') AS sign_in,
        list(host ORDER BY host) FILTER (kind = 'app') AS app,
        list(host ORDER BY host) FILTER (kind = 'api') AS api,
        list(DISTINCT label ORDER BY label) FILTER (kind = 'tenant') AS tenants
    FROM given_domain SEMI JOIN unknown_host USING (host)
    GROUP BY domain
)
SELECT * FROM traffic JOIN named USING (domain) JOIN people USING (domain);
