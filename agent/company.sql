-- How far each app has spread across the company: sums of what its departments tell. What one of
-- them does not tell is in no sum, and so does not come back by subtraction.

CREATE OR REPLACE TEMP MACRO told(total, hidden) AS
    CASE WHEN total > 0 OR NOT hidden THEN coalesce(total, 0) END;

UPDATE findings.apps
SET requests = (SELECT sum(requests) FROM findings.usage_weekly WHERE usage_weekly.app = apps.app);

-- People whom nobody could place are no department of the company, unless there is no other.
INSERT INTO findings.adoption_company
WITH part AS (
    SELECT department FROM basis WHERE known OR NOT (SELECT bool_or(known) FROM basis)
),
place AS (
    SELECT
        week, department,
        CASE WHEN covered_people >= getvariable('tells_regular_from') THEN covered_people END AS covered
    FROM findings.coverage_weekly JOIN part USING (department)
    WHERE visible
),
sight AS (
    SELECT week, coalesce(sum(covered), 0) AS all_covered, count(*) AS all_departments
    FROM place
    GROUP BY week
),
-- Departments that are visible, but not for an app whose users a silent source hides.
hiding AS (
    SELECT week, app, coalesce(sum(covered), 0) AS hidden_covered, count(*) AS hidden_departments
    FROM findings.adoption_weekly AS cell JOIN place USING (week, department)
    WHERE NOT cell.visible
    GROUP BY week, app
),
summed AS (
    SELECT
        week,
        app,
        all_covered - coalesce(hidden_covered, 0) AS covered,
        all_departments - coalesce(hidden_departments, 0) AS departments,
        told(sum(active_people), bool_or(active_people IS NULL)) AS active,
        CASE WHEN departments > 0
            THEN told(sum(regular_people), bool_or(visible AND regular_people IS NULL)) END AS regular,
        fraction(regular, covered) AS company_share,
        count(*) FILTER (WHERE active_people IS DISTINCT FROM 0) AS departments_active,
        count(*) FILTER (WHERE stage = 'division') AS divisions,
        count(*) FILTER (WHERE stage IN ('workgroup', 'division')) AS workgroups,
        coalesce(departments, 0) AS departments_visible,
        CASE WHEN departments > 0 THEN
            fraction(divisions, departments) >= getvariable('company_wide_departments')
            OR coalesce(company_share >= getvariable('company_wide_share'), false)
        END AS wide,
        divisions >= getvariable('tipping_point_division_departments')
            OR workgroups >= getvariable('tipping_point_workgroup_departments') AS tipped
    FROM findings.adoption_weekly JOIN part USING (department)
    LEFT JOIN sight USING (week) LEFT JOIN hiding USING (week, app)
    GROUP BY week, app, all_covered, all_departments, hidden_covered, hidden_departments
)
SELECT
    week,
    app,
    active,
    regular,
    coalesce(covered, 0),
    company_share,
    departments_active,
    divisions,
    departments_visible,
    coalesce(last_value(wide IGNORE NULLS) OVER weeks, false),
    min(week) FILTER (WHERE tipped) OVER weeks
FROM summed
WINDOW weeks AS (PARTITION BY app ORDER BY week)
ORDER BY ALL;

INSERT INTO findings.changes
WITH wide AS (
    SELECT
        app,
        min(week) FILTER (WHERE company_wide) AS week,
        min(week) AS first_week,
        arg_max_null(regular_people, week) AS regular,
        arg_max(covered_people, week) FILTER (WHERE departments_visible > 0) AS covered,
        arg_max(company_wide, week) AS still
    FROM findings.adoption_company
    GROUP BY app
)
SELECT
    'company_wide', week, app, NULL, NULL, regular, covered, first_week,
    (last_week - first_week) // 7
FROM wide CROSS JOIN edge
WHERE still AND week > news_after AND (SELECT min(past_since) FROM past) <= news_after
ORDER BY ALL;
