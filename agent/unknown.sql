-- What stands behind each domain that the catalogue does not know, one row each, for unknown.py.

CREATE OR REPLACE TEMP MACRO sketched(bits) AS
    -128 * ln(1 - least(bit_count(CAST(bits AS BIT)), 127.5) / 128);

CREATE OR REPLACE TEMP TABLE unknown_domain AS
WITH edge AS (SELECT max(day) AS last_day FROM unknown_usage),
part AS (
    SELECT
        domain, kind, label,
        unknown_usage.* REPLACE (coalesce(nullif(unknown_usage.department, ''), '(unknown)') AS department),
        past.users AS past_users, past.addresses AS past_addresses
    FROM unknown_usage
    JOIN given_domain USING (host)
    LEFT JOIN past_unknown AS past
        ON past.host = unknown_usage.host
        AND past.department = coalesce(nullif(unknown_usage.department, ''), '(unknown)')
),
-- Users where a log names them; addresses only where none does. Departments add up; whom no
-- department is known of counts only where none is known of anybody, as on the page.
crowd AS (
    SELECT
        domain,
        department,
        bit_or(user_bits) > 0 OR coalesce(max(past_users), 0) > 0 AS named,
        bit_or(CASE WHEN day > last_day - 28 THEN user_bits ELSE 0 END) AS users_now,
        bit_or(CASE WHEN day > last_day - 28 THEN address_bits ELSE 0 END) AS addresses_now,
        bit_or(CASE WHEN day BETWEEN last_day - 55 AND last_day - 28 THEN user_bits ELSE 0 END)
            AS users_before,
        bit_or(CASE WHEN day BETWEEN last_day - 55 AND last_day - 28 THEN address_bits ELSE 0 END)
            AS addresses_before,
        CASE WHEN named THEN greatest(sketched(bit_or(user_bits)), max(past_users))
            ELSE greatest(sketched(bit_or(address_bits)), max(past_addresses)) END AS people,
        sketched(CASE WHEN named THEN users_now ELSE addresses_now END) AS people_now,
        sketched(CASE WHEN named THEN users_before ELSE addresses_before END) AS people_before
    FROM part CROSS JOIN edge
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
        sum(requests) AS requests,
        sum(blocked) AS blocked,
        sum(bytes_out) AS bytes_out,
        sum(bytes_in) AS bytes_in,
        coalesce(sum(requests) FILTER (kind = 'machine'), 0) / sum(requests) AS machine,
        count(DISTINCT date_trunc('week', day)) AS weeks,
        min(day) AS first_seen,
        max(day) AS last_seen,
        list(DISTINCT host ORDER BY host) FILTER (kind = 'sign_in') AS sign_in,
        list(DISTINCT host ORDER BY host) FILTER (kind = 'app') AS app,
        list(DISTINCT host ORDER BY host) FILTER (kind = 'api') AS api,
        list(DISTINCT label ORDER BY label) FILTER (kind = 'tenant') AS tenants
    FROM part
    GROUP BY domain
)
SELECT * FROM traffic JOIN people USING (domain);
