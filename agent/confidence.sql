-- How sure each finding is, and what says so. Reads what usage.sql left; tells of rules, hosts and files, and of
-- nobody.

CREATE OR REPLACE TEMP TABLE host_kind AS
SELECT
    host_id,
    CASE
        WHEN contains(rule, ' for ') OR ends_with(rule, ' (by CNAME)') THEN 'alias'
        WHEN app IN (SELECT app FROM given_own) THEN 'own'
        WHEN ends_with(rule, ': ' || host) THEN 'exact'
        WHEN contains(rule, ': ') THEN 'suffix'
        ELSE 'guessed'
    END AS rule_kind
FROM host WHERE app <> '';

-- What was seen in the four weeks up to the last day with use.
INSERT INTO findings.finding_confidence
WITH seen_on AS (
    SELECT DISTINCT app, dept, day, host_id, source_id
    FROM placed_host
    WHERE evidence = 'use' AND app <> '' AND who IS NOT NULL AND requests > blocked
),
recent AS (
    SELECT * FROM seen_on
    QUALIFY day > max(day) OVER (PARTITION BY app, dept) - 28
),
counted AS (
    SELECT
        app,
        dept,
        arg_max(rule_kind, given_rule.odds) AS rule_kind,
        max(given_rule.odds) AS rule_odds,
        count(DISTINCT day) AS days,
        count(DISTINCT kind IS NOT DISTINCT FROM 'dns') = 2 AS agree,
        list(DISTINCT source ORDER BY source) AS sources
    FROM recent
    JOIN host_kind USING (host_id)
    JOIN given_rule USING (rule_kind)
    JOIN source USING (source_id)
    JOIN findings.sources USING (source)
    GROUP BY app, dept
),
weighed AS (
    SELECT
        counted.*,
        given_days.least,
        rule_odds * given_days.odds * CASE WHEN agree THEN getvariable('agree_odds') ELSE 1 END AS odds
    FROM counted ASOF JOIN given_days ON counted.days >= given_days.least
)
SELECT app, department, odds / (1 + odds), rule_kind, least, agree, sources
FROM weighed JOIN department_no USING (dept)
WHERE department <> '(unknown)'
ORDER BY ALL;

-- The newest three files of each source are enough to look a host up.
INSERT INTO findings.finding_evidence
WITH met AS (
    SELECT file_id, host_id, min(first_line) AS first_line, max(last_line) AS last_line
    FROM evidence GROUP BY file_id, host_id
)
SELECT app, host, evidence, rule, rule_kind, source, path, first_line, last_line
FROM met
JOIN host USING (host_id)
JOIN host_kind USING (host_id)
JOIN log_file USING (file_id)
JOIN source USING (source_id)
QUALIFY row_number() OVER (PARTITION BY host_id, source_id ORDER BY last_seen DESC, file_id DESC) <= 3
ORDER BY ALL;
