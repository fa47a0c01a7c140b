-- What is told of fewer than k people is taken out of the findings before anybody can open them.
-- Stages and what changed were judged before, on the full numbers; the company is added up after.
--
-- Nothing may come back by subtraction, so a total is the sum of what is published; counts that
-- overlap others are rounded down to multiples of k; and days are told only of weeks of which
-- every day can be. Absence is no group: how many do not use an app is not hidden.

CREATE OR REPLACE TEMP MACRO open(n) AS n = 0 OR n >= getvariable('k');
CREATE OR REPLACE TEMP MACRO shown(people) AS CASE WHEN open(people) THEN people END;
CREATE OR REPLACE TEMP MACRO stepped(n) AS
    CASE WHEN n >= getvariable('k') THEN n - n % CAST(getvariable('k') AS INTEGER) END;
-- Requests of hosts count whom no department names; a remainder of a few would be a person.
CREATE OR REPLACE TEMP MACRO rough(n) AS
    CASE WHEN n = 0 OR n >= 20 * getvariable('k')
        THEN n - n % (20 * CAST(getvariable('k') AS INTEGER)) END;

-- A department of fewer than k people, or one of which never so many were seen: that somebody of it
-- did anything would tell who. Of its weeks nothing is told, not even that there was something.
CREATE OR REPLACE TEMP TABLE small_week AS
SELECT week, department
FROM department_week JOIN basis USING (dept)
QUALIFY greatest(covered, coalesce(headcount, max(covered) OVER (PARTITION BY dept)))
    < getvariable('k');
CREATE OR REPLACE TEMP TABLE small_department AS
SELECT department FROM basis
WHERE department NOT IN (
    SELECT department
    FROM department_week JOIN basis USING (dept)
    ANTI JOIN small_week USING (week, department)
);

-- Adoption. In a small department the stage and the number of covered people tell the regular
-- ones to within one, and of a stalled or abandoned app hidden could only mean one.
CREATE OR REPLACE TEMP MACRO shown_regular(regular, covered, stage) AS
    CASE
        WHEN covered < getvariable('tells_regular_from') THEN NULL
        WHEN regular >= getvariable('k') THEN regular
        WHEN regular = 0 AND stage NOT IN ('stalled', 'abandoned') THEN 0
    END;

DELETE FROM findings.adoption_weekly USING small_week AS gone
WHERE gone.week = adoption_weekly.week AND gone.department = adoption_weekly.department;

-- As long as an app was used in no more weeks than it takes to be regular, the regular people are
-- some of those of each such week, and the others would come back by subtraction.
CREATE OR REPLACE TEMP TABLE adoption_told AS
WITH live AS (
    SELECT
        week, app, department, regular_people AS regular,
        shown_regular(regular, covered_people, stage) AS told,
        CASE WHEN visible THEN count(*) FILTER (WHERE visible AND active_people > 0) OVER lately END
            AS weeks
    FROM findings.adoption_weekly
    WINDOW lately AS (
        PARTITION BY app, department, visible ORDER BY week
        ROWS BETWEEN getvariable('regular_of') - 1 PRECEDING AND CURRENT ROW
    )
),
rounded AS (
    SELECT
        *, CASE WHEN weeks <= getvariable('regular_weeks') AND told > 0 THEN stepped(told) ELSE told END
            AS regular_told
    FROM live
)
SELECT
    week, app, department, regular_told,
    max(regular_told) OVER so_far AS peak,
    bool_or(regular > 0 AND told IS NULL) OVER so_far AS more
FROM rounded
WINDOW so_far AS (PARTITION BY app, department ORDER BY week);

UPDATE findings.adoption_weekly AS cell SET
    active_people = shown(active_people),
    regular_people = regular_told,
    share = fraction(regular_told, covered_people),
    peak_people = CASE WHEN peak > 0 OR NOT more THEN coalesce(peak, 0) END,
    coverage = fraction(shown(covered_people), shown(headcount)),
    covered_people = shown(covered_people),
    headcount = shown(headcount)
FROM adoption_told AS told
WHERE told.week = cell.week AND told.app = cell.app AND told.department = cell.department;

UPDATE findings.coverage_weekly SET covered_people = NULL, headcount = NULL, coverage = NULL
FROM small_week AS gone
WHERE gone.week = coverage_weekly.week AND gone.department = coverage_weekly.department;
UPDATE findings.coverage_weekly SET
    coverage = fraction(shown(covered_people), shown(headcount)),
    covered_people = shown(covered_people),
    headcount = shown(headcount);

UPDATE findings.departments SET
    headcount = shown(headcount), first_day = monday(first_day), last_day = monday(last_day);
UPDATE findings.departments SET headcount = NULL, first_day = NULL, last_day = NULL, dotted = NULL
WHERE department IN (FROM small_department);

-- What changed tells what the last visible week tells: people of several weeks, less those of
-- each, would be people of one.
UPDATE findings.changes SET
    people = CASE WHEN kind = 'new' THEN most WHEN stage = 'trial' THEN active ELSE regular END,
    covered_people = covered
FROM (
    SELECT
        app,
        department,
        active_people AS active,
        regular_people AS regular,
        covered_people AS covered,
        max(active_people) OVER cell AS most
    FROM findings.adoption_weekly
    WHERE visible
    WINDOW cell AS (PARTITION BY app, department)
    QUALIFY week = max(week) OVER cell
) AS last
WHERE last.app = changes.app AND last.department = changes.department;

-- Traffic. Days that cannot be told were left out when it was counted.
-- A few refusals are a few people, though many asked.
UPDATE findings.usage_daily SET
    people = coalesce(stepped(people), 0), blocked = coalesce(stepped(blocked), 0);

-- Most rows change: writing them anew takes a tenth of the time of an UPDATE.
CREATE OR REPLACE TEMP TABLE week_told AS
SELECT usage_weekly.*, people >= getvariable('k') OR NOT personal AS told
FROM findings.usage_weekly
JOIN app_no USING (app)
JOIN department_no USING (department)
JOIN traffic_group USING (week, app_no, dept, evidence)
LEFT JOIN (SELECT *, true AS small FROM small_week) USING (week, department)
WHERE NOT (personal AND coalesce(small, false));
DELETE FROM findings.usage_weekly;
INSERT INTO findings.usage_weekly
SELECT
    week, app, department, evidence,
    CASE WHEN told THEN coalesce(stepped(people), 0) END,
    CASE WHEN told THEN requests END,
    CASE WHEN told THEN coalesce(stepped(blocked), 0) END,
    CASE WHEN told THEN bytes_out END,
    CASE WHEN told THEN bytes_in END
FROM week_told
ORDER BY week, app, department, evidence;

-- A day of first or last use is one person's day more often than not.
UPDATE findings.apps SET first_seen = monday(first_seen), last_seen = monday(last_seen);

-- The ledger. Requests are of those told apart by user or address, of those among them whom nobody
-- placed, and of shared addresses, which are nobody's: each part is told where it, and what the
-- others leave of the whole, is no small group's.
CREATE OR REPLACE TEMP TABLE ledger_told AS
SELECT
    day, department, source,
    open(apart) AS whole,
    open(apart) AND open(unplaced) AND open(apart - unplaced) AS parts,
    open(apart) AND open(nameless) AS names,
    open(apart) AND open(tunnelling) AS only_tunnels,
    open(apart) AND open(nowhere) AS only_addresses
FROM source_sight JOIN department_no USING (dept) JOIN source USING (source_id);

DELETE FROM findings.coverage_daily USING small_week AS gone
WHERE gone.week = monday(coverage_daily.day) AND gone.department = coverage_daily.department;
UPDATE findings.coverage_daily SET
    hours = CASE WHEN whole THEN hours END,
    requests = CASE WHEN whole THEN requests - requests % CAST(getvariable('k') AS INTEGER) END,
    unresolved_requests = CASE WHEN parts THEN coalesce(stepped(unresolved_requests), 0) END,
    shared_requests = CASE WHEN whole THEN coalesce(stepped(shared_requests), 0) END,
    unnamed_requests = CASE WHEN names THEN coalesce(stepped(unnamed_requests), 0) END,
    tunnel_requests = CASE WHEN only_tunnels AND tunnel_requests IS NOT NULL
        THEN coalesce(stepped(tunnel_requests), 0) END,
    bare_requests = CASE WHEN only_addresses AND bare_requests IS NOT NULL
        THEN coalesce(stepped(bare_requests), 0) END
FROM ledger_told AS told
WHERE told.day = coverage_daily.day AND told.department = coverage_daily.department
    AND told.source = coverage_daily.source;
UPDATE findings.coverage_daily SET
    people = CASE WHEN people = 0 THEN 0 ELSE stepped(people) END,
    clients = CASE WHEN clients = 0 THEN 0 ELSE stepped(clients) END,
    expected_people = stepped(expected_people),
    expected_clients = stepped(expected_clients),
    headcount = shown(headcount);

DELETE FROM findings.hidden_daily USING small_week AS gone
WHERE gone.week = monday(hidden_daily.day) AND gone.department = hidden_daily.department;
UPDATE findings.hidden_daily SET
    people = stepped(people),
    requests = CASE WHEN people >= getvariable('k') THEN stepped(requests) END,
    blocked = CASE WHEN people >= getvariable('k') THEN coalesce(stepped(blocked), 0) END;

-- Behind each of these addresses there are two people or more.
UPDATE findings.identity_conflicts SET
    addresses = stepped(addresses),
    hours = CASE WHEN addresses >= getvariable('k') THEN round(hours) END;

-- Hosts. The name of a space that few people know may name one of them.
CREATE OR REPLACE TEMP TABLE small_host AS
WITH met AS (
    SELECT
        host_id, count(DISTINCT who) AS people,
        bool_or(actor_id IN (SELECT actor_id FROM inside WHERE unit = 'shared')) AS shared
    FROM usage JOIN outside USING (actor_id)
    GROUP BY host_id
)
SELECT host
FROM host LEFT JOIN met USING (host_id) LEFT JOIN past_host USING (host_id)
WHERE app <> '' AND NOT coalesce(shared, false)
    AND greatest(coalesce(met.people, 0), coalesce(past_host.people, 0)) < getvariable('k');

DELETE FROM findings.hosts WHERE tenant IS NOT NULL AND host IN (FROM small_host);
UPDATE findings.hosts SET
    requests = rough(requests),
    blocked = rough(blocked),
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);
UPDATE findings.hosts SET requests = NULL, blocked = NULL, first_seen = NULL, last_seen = NULL
WHERE host IN (FROM small_host);
-- How sure a finding is says that there is one.
DELETE FROM findings.finding_confidence AS sure WHERE NOT EXISTS (
    SELECT 1 FROM findings.usage_weekly AS told
    WHERE told.app = sure.app AND told.department = sure.department AND told.evidence = 'use'
        AND told.people >= getvariable('k')
);
DELETE FROM findings.finding_evidence WHERE host IN (FROM small_host);

DELETE FROM findings.white_labels
WHERE host IN (FROM small_host) OR host NOT IN (SELECT host FROM findings.hosts);
UPDATE findings.white_labels SET first_seen = monday(first_seen), last_seen = monday(last_seen);

DELETE FROM findings.tenants
WHERE people < getvariable('k') OR department IN (FROM small_department);
UPDATE findings.tenants SET
    people = stepped(people),
    requests = rough(requests),
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);

DELETE FROM findings.app_overlap WHERE people < getvariable('k');
UPDATE findings.app_overlap SET people = stepped(people);

DELETE FROM findings.hosts_unknown WHERE host IN (
    SELECT host FROM findings.hosts_unknown GROUP BY host HAVING sum(people) < getvariable('k')
) OR department IN (FROM small_department);
UPDATE findings.hosts_unknown SET
    people = stepped(people),
    requests = CASE WHEN people >= getvariable('k') THEN rough(requests) END,
    blocked = CASE WHEN people >= getvariable('k') THEN rough(blocked) END,
    bytes_out = CASE WHEN people >= getvariable('k') THEN bytes_out END,
    bytes_in = CASE WHEN people >= getvariable('k') THEN bytes_in END,
    first_seen = monday(first_seen),
    last_seen = monday(last_seen);
