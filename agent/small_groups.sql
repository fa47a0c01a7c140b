-- What is told of fewer than k people is taken out of the findings before anybody can open them.
-- Stages, company-wide and what changed were judged before, on the full numbers.
--
-- Nothing may come back by subtraction, so a total is the sum of what is published; counts that
-- overlap others are rounded down to multiples of k; and days are told only of weeks of which
-- every day can be. Absence is no group: how many do not use an app is not hidden.

CREATE OR REPLACE TEMP MACRO shown(people) AS
    CASE WHEN people = 0 OR people >= getvariable('k') THEN people END;
CREATE OR REPLACE TEMP MACRO stepped(n) AS
    CASE WHEN n >= getvariable('k') THEN n - n % CAST(getvariable('k') AS INTEGER) END;
-- Requests of hosts count whom no department names; a remainder of a few would be a person.
CREATE OR REPLACE TEMP MACRO rough(n) AS n - n % (20 * CAST(getvariable('k') AS INTEGER));

-- Adoption. In a small department the stage and the number of covered people tell the regular
-- ones to within one, and of a stalled or abandoned app hidden could only mean one.
CREATE OR REPLACE TEMP MACRO shown_regular(regular, covered, stage) AS
    CASE
        WHEN covered < greatest(getvariable('k'), getvariable('small_department_below')) THEN NULL
        WHEN regular >= getvariable('k') THEN regular
        WHEN regular = 0 AND stage NOT IN ('stalled', 'abandoned') THEN 0
    END;

UPDATE findings.adoption_weekly SET
    active_people = shown(active_people),
    regular_people = shown_regular(regular_people, covered_people, stage),
    share = fraction(shown_regular(regular_people, covered_people, stage), covered_people),
    peak_people = shown_regular(peak_people, covered_people, stage),
    coverage = fraction(shown(covered_people), shown(headcount)),
    covered_people = shown(covered_people),
    headcount = shown(headcount);

UPDATE findings.coverage_weekly SET
    coverage = fraction(shown(covered_people), shown(headcount)),
    covered_people = shown(covered_people),
    headcount = shown(headcount);

UPDATE findings.departments SET headcount = shown(headcount);

-- A sum of nothing but zeros and hidden numbers is hidden itself.
CREATE OR REPLACE TEMP MACRO told(total, hidden) AS
    CASE WHEN total > 0 OR NOT hidden THEN coalesce(total, 0) END;

CREATE OR REPLACE TEMP TABLE company_told AS
WITH part AS (
    SELECT department FROM basis WHERE known OR NOT (SELECT bool_or(known) FROM basis)
),
sight AS (
    SELECT week, sum(covered_people) AS covered
    FROM findings.coverage_weekly JOIN part USING (department)
    WHERE visible
        AND covered_people >= greatest(getvariable('k'), getvariable('small_department_below'))
    GROUP BY week
)
SELECT
    week,
    app,
    coalesce(covered, 0) AS covered,
    told(sum(active_people), bool_or(active_people IS NULL)) AS active,
    told(
        sum(regular_people) FILTER (visible), bool_or(visible AND regular_people IS NULL)
    ) AS regular
FROM findings.adoption_weekly JOIN part USING (department) LEFT JOIN sight USING (week)
GROUP BY week, app, covered;

UPDATE findings.adoption_company AS company SET
    active_people = active,
    regular_people = CASE WHEN departments_visible > 0 THEN regular END,
    covered_people = covered,
    share = CASE WHEN departments_visible > 0 THEN fraction(regular, covered) END
FROM company_told AS found
WHERE found.week = company.week AND found.app = company.app;

UPDATE findings.changes SET
    people = CASE WHEN stage = 'trial' THEN shown(people)
        ELSE shown_regular(people, covered_people, stage) END,
    covered_people = shown(covered_people)
WHERE kind <> 'company_wide';

-- People of several weeks, less those of each week, would be people of one.
UPDATE findings.changes SET people = (
    SELECT max(active_people) FROM findings.adoption_weekly AS past
    WHERE past.app = changes.app AND past.department = changes.department
)
WHERE kind = 'new';

UPDATE findings.changes SET people = company.regular_people, covered_people = company.covered_people
FROM findings.adoption_company AS company
WHERE kind = 'company_wide' AND company.app = changes.app
    AND company.week = (SELECT last_week FROM span);

-- Traffic. What only shared addresses asked for is nobody's.
CREATE OR REPLACE TEMP TABLE traffic_group AS
SELECT
    monday(day) AS week, app, department, evidence,
    bool_or(personal) AS personal,
    bool_and(people >= getvariable('k') OR NOT personal) AS daily
FROM day_cell JOIN purpose USING (purpose_no) JOIN department_no USING (dept)
GROUP BY ALL;

DELETE FROM findings.usage_daily USING traffic_group AS gone
WHERE NOT gone.daily AND gone.week = monday(usage_daily.day) AND gone.app = usage_daily.app
    AND gone.department = usage_daily.department AND gone.evidence = usage_daily.evidence;
-- A few refusals are a few people, though many asked.
UPDATE findings.usage_daily SET
    people = coalesce(stepped(people), 0), blocked = coalesce(stepped(blocked), 0);

UPDATE findings.usage_weekly SET
    people = NULL, requests = NULL, blocked = NULL, bytes_out = NULL, bytes_in = NULL
FROM traffic_group AS part
WHERE part.personal AND people < getvariable('k') AND part.week = usage_weekly.week
    AND part.app = usage_weekly.app AND part.department = usage_weekly.department
    AND part.evidence = usage_weekly.evidence;
UPDATE findings.usage_weekly SET
    people = coalesce(stepped(people), 0), blocked = coalesce(stepped(blocked), 0)
WHERE people IS NOT NULL;

-- A day of first or last use is one person's day more often than not.
UPDATE findings.apps SET
    requests = (SELECT sum(requests) FROM findings.usage_weekly WHERE usage_weekly.app = apps.app),
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);

UPDATE findings.coverage_daily SET
    people = stepped(people),
    requests = CASE WHEN people = 0 OR people >= getvariable('k') THEN stepped(requests) END,
    unresolved_requests = CASE WHEN people = 0 OR people >= getvariable('k')
        THEN coalesce(stepped(unresolved_requests), 0) END,
    shared_requests = CASE WHEN people = 0 OR people >= getvariable('k')
        THEN coalesce(stepped(shared_requests), 0) END;

-- Hosts. The name of a space that few people know may name one of them.
CREATE OR REPLACE TEMP TABLE small_host AS
SELECT host
FROM usage JOIN host USING (host_id) JOIN outside USING (actor_id)
WHERE app <> ''
GROUP BY host
HAVING count(DISTINCT who) < getvariable('k')
    AND NOT bool_or(actor_id IN (SELECT actor_id FROM inside WHERE unit = 'shared'));

DELETE FROM findings.hosts WHERE tenant IS NOT NULL AND host IN (FROM small_host);
UPDATE findings.hosts SET
    requests = rough(requests),
    blocked = rough(blocked),
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);
UPDATE findings.hosts SET requests = NULL, blocked = NULL, first_seen = NULL, last_seen = NULL
WHERE host IN (FROM small_host);

DELETE FROM findings.tenants WHERE people < getvariable('k');
UPDATE findings.tenants SET
    people = stepped(people),
    requests = rough(requests),
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);

DELETE FROM findings.app_overlap WHERE people < getvariable('k');
UPDATE findings.app_overlap SET people = stepped(people);

DELETE FROM findings.hosts_unknown WHERE host IN (
    SELECT host FROM findings.hosts_unknown GROUP BY host HAVING sum(people) < getvariable('k')
);
UPDATE findings.hosts_unknown SET
    people = stepped(people),
    requests = CASE WHEN people >= getvariable('k') THEN rough(requests) END,
    blocked = CASE WHEN people >= getvariable('k') THEN rough(blocked) END,
    bytes_out = CASE WHEN people >= getvariable('k') THEN bytes_out END,
    bytes_in = CASE WHEN people >= getvariable('k') THEN bytes_in END,
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);
