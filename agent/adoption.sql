-- How far each app has spread in a department: regular people, stages with their memory, and what
-- changed. Reads what usage.sql left; a cell is an app in a department.

CREATE OR REPLACE TEMP TABLE active AS
SELECT week, app_no, dept, who
FROM person_week
WHERE evidence = 'use' AND bit_count(days) >= getvariable('active_days')
    AND week <= (SELECT last_week FROM span);

-- A person is regular from the active week that completes the required number until either the
-- next active week, which asks the question anew, or the end of the window that opened with the
-- first week of that number. Each such stay adds one at its start and takes it back after its end.
CREATE OR REPLACE TEMP TABLE turn AS
WITH visit AS (
    SELECT
        app_no,
        dept,
        visible_no,
        lag(visible_no, getvariable('regular_weeks') - 1) OVER visits AS opened,
        lead(visible_no) OVER visits AS next_no
    FROM active JOIN department_week USING (week, dept)
    WHERE visible
    WINDOW visits AS (PARTITION BY app_no, dept, who ORDER BY visible_no)
),
stay AS (
    SELECT
        app_no,
        dept,
        visible_no AS first_no,
        least(opened + getvariable('regular_of'), coalesce(next_no, visible_no + 1000000)) AS end_no
    FROM visit
    WHERE opened IS NOT NULL AND end_no > first_no
)
SELECT app_no, dept, visible_no, sum(change) AS change
FROM (
    SELECT app_no, dept, first_no AS visible_no, 1 AS change FROM stay
    UNION ALL
    SELECT app_no, dept, end_no, -1 FROM stay
)
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE cell_week AS
WITH past AS (
    SELECT week, app_no, dept, active, regular, visible
    FROM past_cell JOIN app_no USING (app) JOIN department_no USING (department)
),
weekly AS (
    SELECT week, app_no, dept, count(*) AS active
    FROM active
    WHERE week >= (SELECT past_until FROM span)
    GROUP BY ALL
    UNION ALL
    SELECT week, app_no, dept, active FROM past WHERE active > 0
),
cell AS (
    SELECT
        app_no, dept, min(week) AS first_week,
        CAST(row_number() OVER (ORDER BY app_no, dept) AS INTEGER) AS cell
    FROM weekly
    GROUP BY app_no, dept
),
-- Of those who used the app before a source went dark, how many are out of sight now.
gone AS (
    SELECT lost.week, active.app_no, lost.dept, count(DISTINCT who) AS gone, max(lit_until) AS lit_until
    FROM lost JOIN active USING (dept, who)
    WHERE active.week BETWEEN lit_until - 7 * (getvariable('regular_of') - 1) AND lit_until
    GROUP BY ALL
),
former AS (
    SELECT gone.week, gone.app_no, gone.dept, gone.gone, count(DISTINCT who) AS users
    FROM gone JOIN active
        ON active.app_no = gone.app_no AND active.dept = gone.dept
        AND active.week BETWEEN lit_until - 7 * (getvariable('regular_of') - 1) AND lit_until
    GROUP BY ALL
),
-- lit is whether the department is visible, visible whether the app is in it.
looked_at AS (
    SELECT
        cell,
        app_no,
        dept,
        week,
        first_week,
        coalesce(weekly.active, 0) AS active,
        covered,
        headcount,
        coverage,
        department_week.visible AS lit,
        visible_no,
        greatest(coalesce(weekly.active, 0), users - gone) AS in_sight,
        coalesce(
            past.visible,
            lit AND coalesce(fraction(in_sight, in_sight + gone), 1) >= getvariable('coverage_floor')
        ) AS visible,
        past.regular AS past_regular
    FROM cell
    JOIN department_week USING (dept)
    LEFT JOIN weekly USING (week, app_no, dept)
    LEFT JOIN former USING (week, app_no, dept)
    LEFT JOIN past USING (week, app_no, dept)
    WHERE week >= first_week AND week <= (SELECT last_week FROM span)
)
SELECT *, count(*) FILTER (WHERE visible) OVER (PARTITION BY cell ORDER BY week) AS cell_no
FROM looked_at;

-- Every visible week of a cell with what it says of each stage, and for how many weeks it has been
-- saying so. n numbers the visible weeks of a cell, so weeks without sight stop all clocks.
CREATE OR REPLACE TEMP TABLE clock AS
WITH counted AS (
    SELECT
        cell,
        week,
        active,
        covered,
        visible,
        coalesce(
            past_regular,
            CAST(sum(coalesce(change, 0)) OVER (PARTITION BY cell ORDER BY week) AS INTEGER)
        ) AS regular
    FROM cell_week LEFT JOIN turn USING (app_no, dept, visible_no)
    WHERE lit
),
measured AS (
    SELECT
        cell, week, active, covered, regular, row_number() OVER (PARTITION BY cell ORDER BY week) AS n
    FROM counted
    WHERE visible
),
judged AS (
    SELECT
        *,
        fraction(regular, covered) AS share,
        max(regular) OVER (PARTITION BY cell ORDER BY n) AS peak,
        covered < getvariable('small_department_below') AS small,
        active >= getvariable('trial_people') AS enters_trial,
        regular >= getvariable('workgroup_people')
            OR (small AND share >= getvariable('small_department_workgroup_share'))
            AS enters_workgroup,
        CASE WHEN small THEN share >= getvariable('small_department_division_share')
            ELSE share >= getvariable('division_share')
                AND regular >= getvariable('division_people')
        END AS enters_division,
        active >= getvariable('keep_trial_people') AS keeps_trial,
        regular >= getvariable('keep_workgroup_people')
            OR (small AND share >= getvariable('keep_small_department_workgroup_share'))
            AS keeps_workgroup,
        CASE WHEN small THEN share >= getvariable('keep_small_department_division_share')
            ELSE share >= getvariable('keep_division_share')
        END AS keeps_division,
        -- Divided, not multiplied: 3 / 30 is the same number as 0.1, 30 * 0.1 is not always 3.
        coalesce(fraction(regular, peak), 1) AS of_peak
    FROM measured
)
SELECT
    *,
    n - coalesce(max(n) FILTER (WHERE NOT enters_trial) OVER weeks, 0) AS up_trial,
    n - coalesce(max(n) FILTER (WHERE NOT enters_workgroup) OVER weeks, 0) AS up_workgroup,
    n - coalesce(max(n) FILTER (WHERE NOT enters_division) OVER weeks, 0) AS up_division,
    n - coalesce(max(n) FILTER (WHERE keeps_trial) OVER weeks, 0) AS down_trial,
    n - coalesce(max(n) FILTER (WHERE keeps_workgroup) OVER weeks, 0) AS down_workgroup,
    n - coalesce(max(n) FILTER (WHERE keeps_division) OVER weeks, 0) AS down_division,
    n - coalesce(max(n) FILTER (WHERE of_peak >= getvariable('stalled_share_of_peak')) OVER weeks, 0)
        AS stalling,
    n - coalesce(
        max(n) FILTER (WHERE of_peak >= getvariable('abandoned_share_of_peak')) OVER weeks, 0
    ) AS leaving
FROM judged
WINDOW weeks AS (PARTITION BY cell ORDER BY n);

-- A week is a step from each of the four stages (0 none, 1 trial, 2 workgroup, 3 division) to the
-- next one. Folding the steps of a cell in order walks its history, with no look at the numbers.
CREATE OR REPLACE TEMP TABLE walked AS
WITH step AS (
    SELECT
        cell,
        n,
        CASE
            WHEN up_division >= getvariable('entry_weeks') THEN 3
            WHEN up_workgroup >= getvariable('entry_weeks') THEN 2
            WHEN up_trial >= getvariable('entry_weeks') THEN 1
            ELSE 0
        END AS up,
        CASE WHEN keeps_trial THEN 1 ELSE 0 END AS below_workgroup,
        CASE WHEN keeps_workgroup THEN 2 ELSE below_workgroup END AS below_division,
        [
            up,
            greatest(
                up, CASE WHEN down_trial >= getvariable('hysteresis_weeks') THEN 0 ELSE 1 END
            ),
            greatest(
                up,
                CASE WHEN down_workgroup >= getvariable('hysteresis_weeks') THEN below_workgroup
                    ELSE 2 END
            ),
            greatest(
                up,
                CASE WHEN down_division >= getvariable('hysteresis_weeks') THEN below_division
                    ELSE 3 END
            )
        ] AS next
    FROM clock
),
folded AS (
    SELECT
        cell,
        list_reduce(
            list(next ORDER BY n),
            lambda stages, next: list_append(stages, next[stages[-1] + 1]),
            [0]
        )[2:] AS stages
    FROM step
    GROUP BY cell
)
SELECT cell, unnest(stages) AS level, generate_subscripts(stages, 1) AS n FROM folded;

INSERT INTO findings.adoption_weekly
WITH staged AS (
    SELECT
        cell,
        n,
        week,
        regular,
        share,
        peak,
        max(level) OVER (PARTITION BY cell ORDER BY n) AS reached,
        CASE
            WHEN reached >= 1 AND peak >= getvariable('abandoned_peak_people')
                AND leaving >= getvariable('abandoned_weeks') THEN 'abandoned'
            WHEN reached >= 2 AND stalling >= getvariable('stalled_weeks') THEN 'stalled'
            ELSE ['none', 'trial', 'workgroup', 'division'][level + 1]
        END AS stage
    FROM clock JOIN walked USING (cell, n)
),
begun AS (
    SELECT *, stage IS DISTINCT FROM lag(stage) OVER (PARTITION BY cell ORDER BY n) AS begins
    FROM staged
),
dated AS (
    SELECT *, max(week) FILTER (WHERE begins) OVER (PARTITION BY cell ORDER BY n) AS since
    FROM begun
)
SELECT
    week,
    app,
    department,
    active,
    regular,
    covered,
    headcount,
    coverage,
    visible,
    share,
    coalesce(stage, 'not visible') AS stage,
    -- Weeks without sight share the running number of the visible week before them.
    coalesce(since, min(week) FILTER (WHERE NOT visible) OVER (PARTITION BY cell, cell_no)),
    first_week,
    coalesce(max(peak) OVER (PARTITION BY cell ORDER BY week), 0)
FROM cell_week
JOIN app_no USING (app_no)
JOIN department_no USING (dept)
LEFT JOIN dated USING (cell, week)
ORDER BY ALL;

-- Categories are joined with people: of all pairs of a busy person's apps few share one.
INSERT INTO findings.app_overlap
WITH recent AS (
    SELECT DISTINCT app_no, who
    FROM active
    WHERE week > (SELECT last_week - 7 * getvariable('regular_of') FROM span)
),
sorted AS (
    SELECT app_no, who, unnest(categories) AS category
    FROM recent JOIN app_no USING (app_no) JOIN findings.apps USING (app)
),
shared AS (
    SELECT DISTINCT first.app_no AS a_no, other.app_no AS b_no, who
    FROM sorted AS first JOIN sorted AS other USING (who, category)
    WHERE other.app_no > first.app_no
)
SELECT a.app, b.app, count(*)
FROM shared JOIN app_no AS a ON a.app_no = a_no JOIN app_no AS b ON b.app_no = b_no
GROUP BY ALL
ORDER BY ALL;

-- One row for a cell, from before the news began to now: a reader wants to know what is different,
-- not each step on the way. A department that was dark for most of the window before has no past
-- to compare with, and in the first weeks of a store everything would look new.
CREATE OR REPLACE TEMP TABLE edge AS
SELECT last_week, last_week - 7 * getvariable('changes_weeks') AS news_after FROM span;

CREATE OR REPLACE TEMP TABLE past AS
SELECT department, week AS past_since
FROM findings.coverage_weekly
WHERE visible
QUALIFY row_number() OVER (PARTITION BY department ORDER BY week) = getvariable('regular_of');

INSERT INTO findings.changes
WITH compared AS (
    SELECT
        app,
        department,
        first_week,
        last_week,
        first_week > news_after AS is_new,
        max(week) AS now_week,
        arg_max(stage, week) AS stage,
        arg_max(since, week) AS since,
        coalesce(arg_max(stage, week) FILTER (WHERE week <= news_after), 'none') AS stage_before,
        arg_max(active_people, week) AS active,
        arg_max(regular_people, week) AS regular,
        arg_max(covered_people, week) AS covered
    FROM findings.adoption_weekly JOIN past USING (department) CROSS JOIN edge
    WHERE visible AND past_since < CASE WHEN is_new THEN first_week ELSE news_after + 1 END
    GROUP BY ALL
),
so_far AS (
    SELECT app, department, count(DISTINCT who) AS people
    FROM active
    JOIN app_no USING (app_no)
    JOIN department_no USING (dept)
    GROUP BY ALL
),
ranked AS (
    SELECT
        *,
        ['none', 'abandoned', 'stalled', 'trial', 'workgroup', 'division'] AS ladder,
        list_position(ladder, stage) AS rung,
        list_position(ladder, stage_before) AS rung_before,
        CASE
            WHEN is_new THEN 'new'
            WHEN rung = rung_before THEN NULL
            WHEN stage = 'abandoned' THEN 'abandoned'
            WHEN rung < rung_before THEN 'stage_down'
            WHEN stage IN ('trial', 'workgroup', 'division') THEN 'stage_up'
        END AS kind
    FROM compared
)
SELECT
    kind,
    CASE kind WHEN 'new' THEN first_week ELSE since END,
    app,
    department,
    stage,
    CASE WHEN kind = 'new' THEN people WHEN stage = 'trial' THEN active ELSE regular END,
    covered,
    first_week,
    (last_week - first_week) // 7
FROM ranked LEFT JOIN so_far USING (app, department)
WHERE kind IS NOT NULL
ORDER BY ALL;
