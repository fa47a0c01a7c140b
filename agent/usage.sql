-- Who, where and how much: puts every row of the star into a department and publishes the plain
-- counts. Leaves the numbering, department_week and person_week for adoption.sql.

CREATE OR REPLACE TEMP MACRO monday(a_day) AS a_day - CAST(isodow(a_day) - 1 AS INTEGER);

-- At most 1, and NULL where the whole is unknown or nobody; least() would make a 1 of that NULL.
CREATE OR REPLACE TEMP MACRO fraction(part, whole) AS
    CASE WHEN part > nullif(whole, 0) THEN 1 ELSE part / CAST(nullif(whole, 0) AS DOUBLE) END;

CREATE OR REPLACE TEMP TABLE span AS
SELECT
    min(day) AS first_day,
    max(day) AS last_day,
    CASE WHEN isodow(max(day)) = 7 THEN monday(max(day)) ELSE monday(max(day)) - 7 END AS last_week,
    -- Weeks before this one are known by their counts only; retention.sql says why.
    coalesce((SELECT CAST(value AS DATE) FROM setting WHERE key = 'past_until'), DATE '0001-01-01')
        AS past_until
FROM (
    SELECT day FROM presence UNION ALL SELECT day FROM usage UNION ALL SELECT day FROM source_day
    UNION ALL SELECT week FROM past_department
);

-- Millions of rows carry numbers for department and purpose; names come back when publishing.
CREATE OR REPLACE TEMP TABLE department_no AS
SELECT department, CAST(row_number() OVER (ORDER BY department) AS SMALLINT) AS dept
FROM (
    SELECT '(unknown)' AS department
    UNION SELECT coalesce(nullif(department, ''), '(unknown)') FROM membership
    UNION SELECT department FROM person_department
    UNION SELECT department FROM subnet WHERE department <> ''
    UNION SELECT department FROM past_department
);

CREATE OR REPLACE TEMP TABLE app_no AS
SELECT app, CAST(row_number() OVER (ORDER BY app) AS INTEGER) AS app_no
FROM (SELECT app FROM host WHERE app <> '' UNION SELECT app FROM past_cell);

CREATE OR REPLACE TEMP TABLE purpose AS
SELECT *, CAST(row_number() OVER (ORDER BY app, signal, evidence) AS INTEGER) AS purpose_no
FROM (SELECT DISTINCT app, signal, evidence FROM host) JOIN app_no USING (app);

-- An actor without a department is outside, but still one somebody: a person on days before the
-- first department keeps the number of that person.
CREATE OR REPLACE TEMP TABLE outside AS
WITH known AS (
    SELECT actor.actor_id, actor.kind, coalesce(spelled.name, actor.key) AS name,
        max(membership.person_id) AS person_id
    FROM actor LEFT JOIN membership USING (actor_id) LEFT JOIN spelled USING (key)
    GROUP BY ALL
)
SELECT
    actor_id,
    coalesce(person_id, -1 - min(actor_id) OVER (PARTITION BY name)) AS who,
    CASE kind WHEN 'user' THEN 'person' ELSE 'address' END AS unit,
    (SELECT dept FROM department_no WHERE department = '(unknown)') AS dept
FROM known;

CREATE OR REPLACE TEMP TABLE inside AS
SELECT actor_id, who, membership.unit, department_no.dept, valid_from, valid_to
FROM membership
JOIN outside USING (actor_id)
JOIN department_no
    ON department_no.department = coalesce(nullif(membership.department, ''), '(unknown)');

CREATE OR REPLACE TEMP TABLE seen AS
SELECT
    met.day,
    met.source_id,
    coalesce(inside.dept, outside.dept) AS dept,
    coalesce(inside.unit, outside.unit) AS unit,
    outside.who,
    sum(met.requests) AS requests,
    sum(met.unnamed) AS unnamed,
    bit_or(met.hours) AS hours,
    sum(met.tunnels) AS tunnels,
    sum(met.bare) AS bare
FROM met
JOIN outside USING (actor_id)
LEFT JOIN inside
    ON inside.actor_id = met.actor_id AND met.day >= inside.valid_from
    AND met.day < inside.valid_to
GROUP BY ALL;

-- Where the directory tells who belongs to a department, people count. Where it does not, the
-- kind that is seen more often counts: adding both up would count most people twice.
CREATE OR REPLACE TEMP TABLE basis AS
SELECT
    department,
    dept,
    first_day,
    last_day,
    CASE
        WHEN persons > 0 AND (listed OR persons >= addresses) THEN 'person'
        WHEN addresses > 0 OR NOT listed THEN 'address'
        ELSE 'person'
    END AS basis,
    department <> '(unknown)' AS known
FROM (
    SELECT
        department_no.department,
        department_no.dept,
        min(seen.day) AS first_day,
        max(seen.day) AS last_day,
        count(DISTINCT seen.who) FILTER (WHERE seen.unit = 'person') AS persons,
        count(DISTINCT seen.who) FILTER (WHERE seen.unit = 'address') AS addresses,
        department_no.department IN (SELECT department FROM person_department) AS listed
    FROM department_no LEFT JOIN seen USING (dept)
    GROUP BY department_no.department, department_no.dept
)
WHERE known OR first_day IS NOT NULL OR department IN (SELECT department FROM past_department);

-- From here on, who is NULL where a request is traffic only.
ALTER TABLE inside ADD COLUMN counted INTEGER;
UPDATE inside SET counted = who FROM basis WHERE basis.dept = inside.dept AND basis.basis = unit;
ALTER TABLE outside ADD COLUMN counted INTEGER;
UPDATE outside SET counted = who FROM basis WHERE basis.dept = outside.dept AND basis.basis = unit;

-- Who counts as a person is who; actor is who was behind it, address or not.
CREATE OR REPLACE TEMP VIEW placed_host AS
SELECT
    used.day,
    used.host_id,
    used.source_id,
    host.host,
    host.app,
    host.signal,
    host.evidence,
    coalesce(inside.dept, outside.dept) AS dept,
    CASE WHEN inside.actor_id IS NULL THEN outside.counted ELSE inside.counted END AS who,
    outside.who AS actor,
    inside.unit IS DISTINCT FROM 'shared' AS personal,
    used.requests,
    used.blocked,
    used.bytes_out,
    used.bytes_in
FROM used
JOIN host USING (host_id)
JOIN outside USING (actor_id)
LEFT JOIN inside
    ON inside.actor_id = used.actor_id AND used.day >= inside.valid_from
    AND used.day < inside.valid_to;

CREATE OR REPLACE TEMP VIEW placed_usage AS
SELECT placed_host.*, purpose_no, app_no FROM placed_host JOIN purpose USING (app, signal, evidence);

-- By person first, then by department: half the time of counting distinct people in one go.
CREATE OR REPLACE TEMP TABLE day_cell AS
WITH person_day AS (
    SELECT
        day,
        purpose_no,
        dept,
        who,
        bool_or(personal) AS personal,
        CAST(sum(requests) AS BIGINT) AS requests,
        CAST(sum(blocked) AS BIGINT) AS blocked,
        CAST(sum(bytes_out) AS BIGINT) AS bytes_out,
        CAST(sum(bytes_in) AS BIGINT) AS bytes_in
    FROM placed_usage
    GROUP BY ALL
)
SELECT
    day,
    purpose_no,
    dept,
    count(who) AS people,
    bool_or(personal) AS personal,
    sum(requests) AS requests,
    sum(blocked) AS blocked,
    sum(bytes_out) AS bytes_out,
    sum(bytes_in) AS bytes_in
FROM person_day
GROUP BY ALL;

-- Days are told only of weeks of which every day has k people or more, else the week less the others
-- would tell. What only shared addresses asked for is nobody's.
CREATE OR REPLACE TEMP TABLE traffic_group AS
SELECT
    monday(day) AS week, app_no, evidence, dept,
    bool_or(personal) AS personal,
    bool_and(people >= getvariable('k') OR NOT personal) OR getvariable('k') = 1 AS daily
FROM day_cell JOIN purpose USING (purpose_no)
GROUP BY ALL;

INSERT INTO findings.usage_daily
SELECT
    day, app, department, signal, purpose.evidence, people, requests, blocked, bytes_out, bytes_in
FROM day_cell
JOIN purpose USING (purpose_no)
JOIN department_no USING (dept)
JOIN traffic_group AS part
    ON part.week = monday(day) AND part.app_no = purpose.app_no
    AND part.evidence = purpose.evidence AND part.dept = day_cell.dept
WHERE daily
ORDER BY day, purpose_no, day_cell.dept;

-- The one table with a row for each person: days has a bit for each day of use that got through.
CREATE OR REPLACE TEMP TABLE person_week AS
SELECT
    monday(day) AS week,
    app_no,
    evidence,
    dept,
    who,
    bit_or(CASE WHEN requests > blocked THEN 1 << isodow(day) ELSE 0 END) AS days
FROM placed_usage
WHERE who IS NOT NULL
GROUP BY ALL;

INSERT INTO findings.usage_weekly
WITH traffic AS (
    SELECT
        monday(day) AS week,
        app_no,
        dept,
        evidence,
        sum(requests) AS requests,
        sum(blocked) AS blocked,
        sum(bytes_out) AS bytes_out,
        sum(bytes_in) AS bytes_in
    FROM placed_usage
    GROUP BY ALL
),
crowd AS (
    SELECT week, app_no, dept, evidence, count(*) AS people FROM person_week GROUP BY ALL
)
SELECT
    week, app, department, evidence, coalesce(people, 0), requests, blocked, bytes_out, bytes_in
FROM traffic
LEFT JOIN crowd USING (week, app_no, dept, evidence)
JOIN app_no USING (app_no)
JOIN department_no USING (dept)
ORDER BY week, app_no, dept, evidence;

-- A source is dark in a week in which it has data on fewer than half of its usual days. Whom only
-- dark sources used to see, and nobody sees now, is lost from sight: that somebody is not seen to
-- use an app says nothing any more. Who has left the department is not lost.
CREATE OR REPLACE TEMP TABLE dark AS
WITH calendar AS (
    SELECT CAST(unnest(generate_series(monday(first_day), last_week, INTERVAL 7 DAY)) AS DATE) AS week
    FROM span
),
lit AS (
    SELECT source_id, monday(day) AS week, count(DISTINCT day) AS days FROM seen GROUP BY ALL
),
usual AS (
    SELECT source_id, min(week) AS first_week, median(days) AS usual FROM lit GROUP BY source_id
),
judged AS (
    SELECT
        source_id,
        week,
        2 * coalesce(days, 0) < usual AS is_dark,
        max(week) FILTER (WHERE NOT is_dark) OVER (PARTITION BY source_id ORDER BY week) AS lit_until
    FROM calendar JOIN usual ON week >= first_week LEFT JOIN lit USING (source_id, week)
)
SELECT source_id, week, lit_until FROM judged WHERE is_dark AND lit_until IS NOT NULL;

CREATE OR REPLACE TEMP TABLE lost AS
WITH sighted AS (
    SELECT DISTINCT monday(day) AS week, source_id, seen.dept, who
    FROM seen JOIN basis ON basis.dept = seen.dept AND basis.basis = seen.unit
    WHERE known AND (SELECT count(*) FROM dark) > 0
),
missing AS (
    SELECT dark.week, dept, who, max(lit_until) AS lit_until
    FROM dark JOIN sighted
        ON sighted.source_id = dark.source_id
        AND sighted.week BETWEEN lit_until - 7 * (getvariable('regular_of') - 1) AND lit_until
    GROUP BY ALL
),
elsewhere AS (
    SELECT missing.week, missing.who
    FROM missing JOIN sighted
        ON sighted.who = missing.who
        AND sighted.week BETWEEN missing.lit_until - 7 * (getvariable('regular_of') - 1)
            AND missing.week
    LEFT JOIN dark ON dark.source_id = sighted.source_id AND dark.week = missing.week
    WHERE sighted.week = missing.week OR dark.source_id IS NULL
)
SELECT week, dept, who, lit_until
FROM missing
ANTI JOIN elsewhere USING (week, who)
SEMI JOIN inside
    ON inside.who = missing.who AND inside.dept = missing.dept
    AND valid_from < missing.week + 7 AND valid_to > missing.week;

-- Coverage: the weeks of every department, with a running number for those that are visible. Of
-- fewer than k people nothing is told, and with a headcount beside it this flag would tell of them.
CREATE OR REPLACE TEMP TABLE department_week AS
WITH calendar AS (
    SELECT CAST(unnest(generate_series(monday(first_day), last_day, INTERVAL 7 DAY)) AS DATE) AS week
    FROM span
),
listed AS (
    SELECT week, department, count(DISTINCT person_id) AS people
    FROM calendar JOIN person_department ON valid_from < week + 7 AND valid_to > week
    GROUP BY week, department
),
by_subnet AS (
    SELECT department, sum(people) AS people FROM subnet GROUP BY department
),
sighted AS (
    SELECT monday(day) AS week, seen.dept, count(DISTINCT who) AS people
    FROM seen JOIN basis ON basis.dept = seen.dept AND basis.basis = seen.unit
    GROUP BY ALL
),
counted AS (
    SELECT
        week,
        basis.dept,
        coalesce(sighted.people, 0) AS covered,
        nullif(CAST(coalesce(listed.people, by_subnet.people) AS INTEGER), 0) AS headcount,
        fraction(covered, headcount) AS coverage,
        covered >= getvariable('k')
            AND coalesce(coverage, fraction(covered, covered + coalesce(out_of_sight, 0)))
            >= getvariable('coverage_floor') AS visible
    FROM calendar
    CROSS JOIN basis
    LEFT JOIN sighted USING (week, dept)
    LEFT JOIN (SELECT week, dept, count(*) AS out_of_sight FROM lost GROUP BY ALL) USING (week, dept)
    LEFT JOIN listed USING (week, department)
    LEFT JOIN by_subnet USING (department)
)
SELECT *, count(*) FILTER (WHERE visible) OVER (PARTITION BY dept ORDER BY week) AS visible_no
FROM (
    FROM counted WHERE week >= (SELECT past_until FROM span)
    UNION ALL
    SELECT week, dept, covered, headcount, coverage, visible
    FROM past_department JOIN department_no USING (department)
    WHERE week < (SELECT past_until FROM span)
);

INSERT INTO findings.coverage_weekly
SELECT week, department, covered, headcount, coverage, visible, basis
FROM department_week JOIN basis USING (dept)
WHERE week <= (SELECT last_week FROM span)
ORDER BY ALL;

-- Each who of a unit has one row of a day, source and department in seen, so rows can be counted.
-- A source that goes silent leaves no row of its own; the habit of four such weekdays in six weeks
-- makes one.
CREATE OR REPLACE TEMP TABLE source_sight AS
SELECT
    day,
    dept,
    source_id,
    isodow(day) AS weekday,
    count(*) FILTER (WHERE unit = basis) AS people,
    count(*) AS clients,
    bit_count(bit_or(hours)) AS hours,
    sum(requests) AS requests,
    coalesce(sum(requests) FILTER (WHERE unit <> 'shared' AND (unit <> basis OR NOT known)), 0)
        AS unresolved,
    coalesce(sum(requests) FILTER (WHERE unit = 'shared'), 0) AS shared,
    sum(unnamed) AS unnamed,
    sum(tunnels) AS tunnels,
    sum(bare) AS bare,
    -- How many stand behind each of these, for small_groups.sql; a shared address is nobody.
    count(*) FILTER (WHERE unit <> 'shared') AS apart,
    count(*) FILTER (WHERE unit <> 'shared' AND (unit <> basis OR NOT known)) AS unplaced,
    count(*) FILTER (WHERE unit <> 'shared' AND unnamed > 0) AS nameless,
    count(*) FILTER (WHERE unit <> 'shared' AND tunnels > 0) AS tunnelling,
    count(*) FILTER (WHERE unit <> 'shared' AND bare > 0) AS nowhere
FROM seen JOIN basis USING (dept)
GROUP BY ALL;

INSERT INTO findings.coverage_daily
WITH calendar AS (
    SELECT
        CAST(unnest(generate_series(first_day, last_day, INTERVAL 1 DAY)) AS DATE) AS day,
        dept,
        source_id
    FROM span CROSS JOIN (SELECT DISTINCT dept, source_id FROM source_sight)
),
usual AS (
    SELECT
        dept,
        source_id,
        weekday,
        day,
        median(people) FILTER (WHERE people > 0) OVER four AS people,
        median(clients) OVER four AS clients,
        lag(day, 3) OVER weeks >= day - 42 AS habit
    FROM source_sight
    WINDOW weeks AS (PARTITION BY dept, source_id, weekday ORDER BY day),
        four AS (
            PARTITION BY dept, source_id, weekday ORDER BY day ROWS BETWEEN 3 PRECEDING AND CURRENT ROW
        )
),
expecting AS (
    SELECT
        calendar.*,
        CAST(round(usual.people) AS INTEGER) AS expected,
        CAST(round(usual.clients) AS INTEGER) AS expected_clients,
        habit
    FROM calendar ASOF LEFT JOIN usual
        ON usual.dept = calendar.dept AND usual.source_id = calendar.source_id
        AND usual.weekday = isodow(calendar.day) AND calendar.day > usual.day
)
SELECT
    day,
    department,
    source,
    coalesce(people, 0),
    expected,
    headcount,
    coalesce(clients, 0),
    expected_clients,
    CASE WHEN requests IS NULL THEN 0 ELSE hours END,
    coalesce(requests, 0),
    coalesce(unresolved, 0),
    coalesce(shared, 0),
    CASE WHEN requests IS NULL THEN 0 ELSE unnamed END,
    CASE WHEN requests IS NULL THEN 0 ELSE tunnels END,
    CASE WHEN requests IS NULL THEN 0 ELSE bare END
FROM expecting
LEFT JOIN source_sight USING (day, dept, source_id)
JOIN department_no USING (dept)
JOIN source USING (source_id)
LEFT JOIN department_week ON department_week.dept = expecting.dept AND week = monday(day)
WHERE requests IS NOT NULL OR habit
ORDER BY ALL;

INSERT INTO findings.identity_conflicts
SELECT
    CAST(since AS DATE),
    CASE WHEN address IN (SELECT address FROM shared_address) THEN 'shared' ELSE 'conflict' END
        AS reason,
    count(DISTINCT address),
    sum(date_diff('second', since, until)) / 3600
FROM conflict
GROUP BY ALL
UNION ALL
SELECT day, 'users', count(*), sum(bit_count(hours)) FROM told_user WHERE NOT alone GROUP BY day
UNION ALL
SELECT day, 'many ' || why, count(*), NULL
FROM (
    SELECT why, CAST(unnest(generate_series(valid_from, valid_to - 1, INTERVAL 1 DAY)) AS DATE) AS day
    FROM crowd WHERE why <> 'log-ons'
)
GROUP BY ALL
ORDER BY ALL;

INSERT INTO findings.departments
WITH lent AS (
    SELECT person_also.department, own.department AS own
    FROM person_also JOIN person_department AS own USING (person_id)
    CROSS JOIN (SELECT monday(last_day) AS week FROM span)
    WHERE person_also.valid_from < week + 7 AND person_also.valid_to > week
        AND own.valid_from < week + 7 AND own.valid_to > week
    GROUP BY ALL
    HAVING count(DISTINCT person_id) >= getvariable('k')
),
dotted AS (SELECT department, list(own ORDER BY own) AS dotted FROM lent GROUP BY department)
SELECT
    department, headcount, basis, least(past.first_day, basis.first_day), basis.last_day, parent, dotted
FROM basis
LEFT JOIN (SELECT dept, headcount FROM department_week QUALIFY week = max(week) OVER ())
    USING (dept)
LEFT JOIN (
    SELECT department, min(week) AS first_day FROM past_department WHERE covered > 0 GROUP BY department
) AS past USING (department)
LEFT JOIN unit USING (department)
LEFT JOIN dotted USING (department)
ORDER BY ALL;

-- No tree is deeper than 32 levels; more would be a circle.
INSERT INTO findings.divisions
WITH RECURSIVE below AS (
    SELECT DISTINCT parent AS division, parent AS department, 0 AS depth FROM unit
    UNION
    SELECT division, unit.department, depth + 1
    FROM below JOIN unit ON unit.parent = below.department WHERE depth < 32
)
SELECT division, department, min(depth) FROM below SEMI JOIN basis USING (department)
GROUP BY division, department
ORDER BY ALL;

INSERT INTO findings.meta
SELECT unnest(['first_day', 'last_day', 'last_week']),
    unnest([first_day, last_day, CASE WHEN last_week >= monday(first_day) THEN last_week END])
FROM span;

-- What the catalogue says of what was seen.
INSERT INTO findings.hosts
SELECT
    host, app, signal, evidence, tenant, rule,
    sum(requests), sum(blocked), min(first_seen), max(last_seen)
FROM (
    SELECT host_id, requests, blocked, day AS first_seen, day AS last_seen FROM usage
    UNION ALL
    SELECT host_id, requests, blocked, first_seen, last_seen FROM past_host
) JOIN host USING (host_id)
WHERE app <> ''
GROUP BY ALL
ORDER BY ALL;

INSERT INTO findings.tenants
SELECT app, tenant, department, max(people), sum(requests), min(first_seen), max(last_seen)
FROM (
    SELECT
        host.app, tenant, department, count(DISTINCT who) AS people, sum(requests) AS requests,
        min(day) AS first_seen, max(day) AS last_seen
    FROM placed_usage JOIN host USING (host_id) JOIN department_no USING (dept)
    WHERE tenant IS NOT NULL
    GROUP BY ALL
    UNION ALL
    FROM past_tenant
)
GROUP BY ALL
ORDER BY ALL;

INSERT INTO findings.apps
SELECT
    app, coalesce(name, app), vendor, category, categories, audience, homepage,
    coalesce(on_premises, false), min(first_seen), max(last_seen), sum(requests)
FROM (
    SELECT
        app,
        min(day) FILTER (WHERE evidence = 'use' AND requests > blocked) AS first_seen,
        max(day) FILTER (WHERE evidence = 'use' AND requests > blocked) AS last_seen,
        sum(requests) AS requests
    FROM day_cell JOIN purpose USING (purpose_no)
    GROUP BY app
    UNION ALL
    SELECT app, first_seen, last_seen, 0 FROM past_app
) LEFT JOIN given_app USING (app)
GROUP BY ALL
ORDER BY ALL;

INSERT INTO findings.categories SELECT * FROM given_category ORDER BY ALL;

INSERT INTO findings.vendor_facts
SELECT
    app, fact, name, answer, value, CAST(date AS DATE), age, stated_by, link, source, licence
FROM given_fact SEMI JOIN findings.apps USING (app)
ORDER BY app, place;

-- Linear counting: with n of 128 bits set, about -128 ln(1 - n / 128) actors set them. A full
-- sketch counts as half a bit short of full.
CREATE OR REPLACE TEMP MACRO crowd(bits) AS
    round(-128 * ln(1 - least(bit_count(CAST(bits AS BIT)), 127.5) / 128));

INSERT INTO findings.white_labels
SELECT host, target, source, CAST(first_seen AS DATE), CAST(last_seen AS DATE)
FROM white_label JOIN source USING (source_id);

-- Hosts of no entry, with sketches of the last four weeks and of the four before, and a bit for each week back
-- from the last one; what is older than the bits go shares the last.
CREATE OR REPLACE TEMP TABLE unknown_host AS
WITH edge AS (SELECT max(day) AS last_day FROM unknown_usage)
SELECT
    host,
    coalesce(nullif(department, ''), '(unknown)') AS department,
    bit_or(user_bits) AS user_bits, bit_or(address_bits) AS address_bits,
    bit_or(user_bits) FILTER (day > last_day - 28) AS user_now,
    bit_or(address_bits) FILTER (day > last_day - 28) AS address_now,
    bit_or(user_bits) FILTER (day BETWEEN last_day - 55 AND last_day - 28) AS user_before,
    bit_or(address_bits) FILTER (day BETWEEN last_day - 55 AND last_day - 28) AS address_before,
    bit_or(CAST(1 AS UBIGINT) << least((monday(last_day) - monday(day)) // 7, 63)) AS weeks,
    sum(requests) AS requests, sum(blocked) AS blocked,
    sum(bytes_out) AS bytes_out, sum(bytes_in) AS bytes_in,
    min(day) AS first_seen, max(day) AS last_seen
FROM unknown_usage CROSS JOIN edge
GROUP BY ALL;

-- Addresses stand for people only where no user is named.
-- Hosts that are in no entry any more have persons, and are unknown like the others.
INSERT INTO findings.hosts_unknown
WITH unknown AS (
    SELECT
        host, department,
        coalesce(
            nullif(greatest(crowd(user_bits), past.users), 0),
            greatest(crowd(address_bits), past.addresses)
        ) AS people,
        requests, blocked, bytes_out, bytes_in, first_seen, last_seen
    FROM unknown_host LEFT JOIN past_unknown AS past USING (host, department)
),
forgotten AS (
    SELECT
        host, department,
        count(DISTINCT who) AS people,
        sum(requests) AS requests, sum(blocked) AS blocked,
        sum(bytes_out) AS bytes_out, sum(bytes_in) AS bytes_in,
        min(day) AS first_seen, max(day) AS last_seen
    FROM placed_host JOIN department_no USING (dept)
    WHERE app = ''
    GROUP BY host, department
)
SELECT
    host, department, CAST(sum(people) AS INTEGER), sum(requests), sum(blocked),
    sum(bytes_out), sum(bytes_in), min(first_seen), max(last_seen), claimed.app,
    EXISTS (FROM given_internal WHERE ends_with('.' || ltrim(host, '*.'), '.' || suffix))
FROM (FROM unknown UNION ALL FROM forgotten) LEFT JOIN claimed USING (host)
GROUP BY ALL
ORDER BY ALL;

-- A host may be an app's as well; there persons are known, elsewhere a sketch of them.
INSERT INTO findings.hidden_daily
WITH met AS (
    SELECT host, kind, operator
    FROM (SELECT host FROM host UNION SELECT host FROM unknown_usage) AS name
    JOIN (SELECT kind, operator, host AS suffix FROM given_endpoint)
        ON ends_with('.' || ltrim(host, '*.'), '.' || suffix)
    QUALIFY row_number() OVER (PARTITION BY host ORDER BY strlen(suffix) DESC) = 1
),
counted AS (
    SELECT
        day, department, source_id, kind, operator, count(DISTINCT actor) AS people,
        sum(requests) AS requests, sum(blocked) AS blocked
    FROM placed_host JOIN met USING (host) JOIN department_no USING (dept)
    GROUP BY ALL
),
estimated AS (
    SELECT
        day, coalesce(nullif(department, ''), '(unknown)') AS department, source_id, kind, operator,
        crowd(coalesce(nullif(bit_or(user_bits), 0), bit_or(address_bits))) AS people,
        sum(requests) AS requests, sum(blocked) AS blocked
    FROM unknown_usage JOIN met USING (host)
    GROUP BY ALL
)
SELECT
    day, department, source, kind, operator,
    CAST(max(people) AS INTEGER), sum(requests), sum(blocked)
FROM (FROM counted UNION ALL FROM estimated) JOIN source USING (source_id)
GROUP BY ALL
ORDER BY ALL;

-- Where it was read from.
INSERT INTO findings.log_files
SELECT
    file_id, source, path, format, lines, events, rejects, bytes, first_seen, last_seen,
    status, note, scanned_at, seconds
FROM log_file LEFT JOIN source USING (source_id)
ORDER BY file_id;

-- Only a proxy counts bytes, so they tell what a format is of which the caller did not say it.
INSERT INTO findings.sources
SELECT
    source,
    list_sort(list_distinct(list(log_file.format))) AS formats,
    CASE WHEN count(DISTINCT kind) > 1 THEN 'mixed' ELSE max(kind) END,
    count(file_id), coalesce(sum(lines), 0), coalesce(sum(events), 0), coalesce(sum(rejects), 0),
    min(first_seen), max(last_seen),
    coalesce(bool_or(has_user), false), coalesce(bool_or(has_bytes), false),
    coalesce(bool_or(has_client), false),
    max(epoch(last_seen - least(modified, scanned_at))),
    any_value(CAST(given_retired.day AS DATE))
FROM source
LEFT JOIN given_retired USING (source)
LEFT JOIN (
    SELECT
        log_file.*,
        CASE WHEN events > 0
            THEN coalesce(given_kind.kind, CASE WHEN has_bytes THEN 'proxy' ELSE 'dns' END)
        END AS kind
    FROM log_file LEFT JOIN given_kind ON given_kind.format = log_file.format
) AS log_file USING (source_id)
GROUP BY source
ORDER BY source;

-- A client asks for an address just before it asks for the host there, so the first of both on a day are
-- as far apart as the clocks are. What a client remembers, or looks up in advance, is scattered.
INSERT INTO findings.clock_skew
WITH heard AS (
    SELECT source_id, source, kind = 'dns' AS is_dns FROM findings.sources JOIN source USING (source)
    WHERE kind <> 'mixed' AND (SELECT count(DISTINCT kind = 'dns') FROM findings.sources WHERE kind <> 'mixed') = 2
),
first AS (
    SELECT day, host_id, who, source, is_dns, min(first_seen) AS moment
    FROM used JOIN heard USING (source_id) JOIN outside USING (actor_id)
    WHERE day > (SELECT last_day FROM span) - 28
    GROUP BY ALL
)
SELECT look_up.source, request.source,
    CAST(round(median(epoch(look_up.moment) - epoch(request.moment))) AS BIGINT), count(*)
FROM first AS look_up JOIN first AS request USING (day, host_id, who)
WHERE look_up.is_dns AND NOT request.is_dns
GROUP BY ALL
HAVING count(*) >= 30 AND mad(epoch(look_up.moment) - epoch(request.moment)) <= 60
ORDER BY ALL;

INSERT INTO findings.rejects
SELECT
    reject.file_id, path, source, reason, sum(reject.lines), min(first_line),
    regexp_replace(
        regexp_replace(arg_min(sample, first_line), '\p{L}', 'x', 'g'), '\p{N}', '0', 'g'
    )
FROM reject LEFT JOIN log_file USING (file_id) LEFT JOIN source USING (source_id)
GROUP BY ALL
ORDER BY ALL;
