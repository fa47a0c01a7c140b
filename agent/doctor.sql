-- What may be wrong with the logs of a store, asked of its findings.

-- section: last
SELECT max(last_seen) FROM sources;

-- section: silent
-- A weekend is two days; a source this much behind the newest one has missed a working day.
SELECT source, last_seen
FROM sources
WHERE last_seen < (SELECT max(last_seen) FROM sources) - INTERVAL 3 DAY AND retired IS NULL
ORDER BY last_seen;

-- section: fewer
-- Of the people that a source that still speaks was expected to see in the last week, how many at
-- most: both are told in steps of k, rounded down.
WITH step AS (SELECT CAST(value AS INTEGER) - 1 AS left_out FROM meta WHERE key = 'k')
SELECT
    source,
    department,
    CAST(sum(CASE WHEN people = 0 THEN 0 ELSE coalesce(people, 0) + left_out END) AS BIGINT) AS most,
    CAST(sum(expected_people) AS BIGINT)
FROM coverage_daily JOIN sources USING (source) CROSS JOIN step
WHERE day > (SELECT max(day) FROM coverage_daily) - INTERVAL 7 DAY
    AND last_seen >= (SELECT max(last_seen) FROM sources) - INTERVAL 3 DAY
    AND expected_people IS NOT NULL AND department <> '(unknown)'
GROUP BY source, department
HAVING sum(expected_people) >= 10 AND 2 * most < sum(expected_people)
ORDER BY ALL;

-- section: rejects
-- The newest file of a source beside all others of it.
WITH file AS (
    SELECT source, path, lines, rejects,
        row_number() OVER (PARTITION BY source ORDER BY last_seen DESC NULLS LAST, file_id DESC) AS age
    FROM log_files
    WHERE lines > 0 AND source <> ''
)
SELECT source, any_value(path) FILTER (age = 1),
    sum(rejects) FILTER (age = 1) / sum(lines) FILTER (age = 1) AS now,
    coalesce(sum(rejects) FILTER (age > 1) / sum(lines) FILTER (age > 1), 0) AS before
FROM file
GROUP BY source
HAVING now > 0.05 AND now > 2 * before
ORDER BY source;

-- section: files
SELECT status, count(*), min(path), min(note)
FROM log_files
WHERE status NOT IN ('read', 'open')
GROUP BY status
ORDER BY status;

-- section: clocks
SELECT source, ahead_seconds FROM sources WHERE ahead_seconds > 300 ORDER BY source;

-- section: skew
SELECT source, beside, seconds FROM clock_skew WHERE abs(seconds) > 120 ORDER BY source, beside;

-- section: floor
-- A department of fewer than k people is never visible, and nothing is wrong with its logs.
SELECT department, covered_people, headcount,
    (SELECT max(week) FROM coverage_weekly AS past
     WHERE past.department = now.department AND past.visible)
FROM coverage_weekly AS now
WHERE week = (SELECT max(week) FROM coverage_weekly) AND NOT visible AND department <> '(unknown)'
    AND coalesce(covered_people, headcount) IS NOT NULL
ORDER BY department;

-- section: hidden
-- Apps that a department used before a source fell silent that saw most of their people.
SELECT department, list(coalesce(name, app) ORDER BY name)
FROM adoption_weekly AS cell
JOIN coverage_weekly AS place USING (week, department)
LEFT JOIN apps USING (app)
WHERE week = (SELECT max(week) FROM coverage_weekly) AND place.visible AND NOT cell.visible
GROUP BY department
ORDER BY department;

-- section: unplaced
-- Requests of nobody known, in the last week and in the four weeks before it.
WITH edge AS (SELECT max(day) AS last_day FROM coverage_daily)
SELECT
    sum(unresolved_requests) FILTER (day > last_day - 7) / sum(requests) FILTER (day > last_day - 7)
        AS now,
    sum(unresolved_requests) FILTER (day <= last_day - 7)
        / sum(requests) FILTER (day <= last_day - 7) AS before
FROM coverage_daily CROSS JOIN edge
WHERE day > last_day - 35 AND unresolved_requests IS NOT NULL
    AND EXISTS (FROM departments WHERE basis = 'person' AND headcount IS NOT NULL)
HAVING now > 0.1 AND now > 1.5 * before;
