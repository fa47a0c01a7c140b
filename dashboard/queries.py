"""Asks the findings: all SQL of the dashboard, one function per question.

People, shares and traffic of groups too small to be told of are NULL in the findings; nothing
here or behind it knows them.

What nobody could place in a department stands there as ``(unknown)``: it counts as traffic, never
as a department and never as people.

Every function takes the published version first, binds every value and returns rows as mappings;
answers are cached per version, so a newly published file is asked afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from dashboard.findings import Rows, Store, rows

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

MOST_HOSTS = 2000
"""Hosts outside the catalogue that a page lists; a large company has tens of thousands."""


def cached(question: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Remember the answers of a question, the newest 256 of them."""
    return st.cache_data(max_entries=256, show_spinner=False)(question)


@cached
def meta(store: Store) -> dict[str, str]:
    """Return what the agent says of this version, by key."""
    return {row["key"]: row["value"] for row in rows(store, "SELECT key, value FROM f.meta")}


@cached
def weeks(store: Store) -> list[date]:
    """Return the complete weeks by their Monday, newest first, from the first with a department."""
    found = rows(
        store,
        """SELECT DISTINCT week FROM f.coverage_weekly
           WHERE week <= (SELECT TRY_CAST(value AS DATE) FROM f.meta WHERE key = 'last_week')
             AND week >= (SELECT coalesce(min(week) FILTER (visible), min(week))
                          FROM f.coverage_weekly)
           ORDER BY week DESC""",
    )
    return [row["week"] for row in found]


@cached
def apps(store: Store) -> Rows:
    """Return every app that was seen, by name, with its category's name and its vendor."""
    return rows(
        store,
        """SELECT a.app, a.name, a.vendor, a.category, coalesce(c.name, a.category) AS filed,
             a.audience, a.homepage, a.on_premises, a.first_seen, a.last_seen, a.requests,
             (SELECT list(name ORDER BY name) FROM f.categories k
              WHERE list_contains(a.categories, k.category)) AS categories
           FROM f.apps a LEFT JOIN f.categories c ON c.category = a.category
           ORDER BY lower(a.name), a.app""",
    )


@cached
def categories(store: Store) -> list[str]:
    """Return the names of the categories of the apps that were seen."""
    found = rows(
        store,
        """SELECT DISTINCT coalesce(c.name, a.category) AS filed
           FROM f.apps a LEFT JOIN f.categories c ON c.category = a.category ORDER BY filed""",
    )
    return [row["filed"] for row in found]


@cached
def departments(store: Store) -> Rows:
    """Return the departments by name."""
    return rows(
        store,
        """SELECT * FROM f.departments WHERE department <> '(unknown)'
           ORDER BY lower(department)""",
    )


@cached
def summary(store: Store, week: date) -> dict[str, Any]:
    """Return the counts of the week that head the map, and apps in use four weeks before."""
    return rows(
        store,
        """WITH firsts AS (
             SELECT app, min(first_week) AS first_week FROM f.adoption_weekly GROUP BY app),
           placed AS (
             SELECT * FROM f.coverage_weekly
             WHERE week = $week AND department <> '(unknown)'),
           rooted AS (
             SELECT app,
               count(*) FILTER (week = $week AND stage IN ('workgroup', 'division')) AS now,
               count(*) FILTER (week = $week - INTERVAL 28 DAY
                 AND stage IN ('workgroup', 'division')) AS before
             FROM f.adoption_weekly WHERE week IN ($week, $week - INTERVAL 28 DAY)
               AND department <> '(unknown)' GROUP BY app)
           SELECT
             (SELECT count(*) FROM f.adoption_company
              WHERE week = $week AND departments_active > 0) AS in_use,
             (SELECT count(*) FROM f.adoption_company
              WHERE week = $week - INTERVAL 28 DAY AND departments_active > 0) AS in_use_before,
             (SELECT count(*) FROM f.coverage_weekly
              WHERE week = $week - INTERVAL 28 DAY) > 0 AS has_before,
             (SELECT count(*) FROM firsts
              WHERE first_week > $week - INTERVAL 28 DAY AND first_week <= $week) AS new,
             (SELECT count(*) FROM rooted WHERE now > before) AS spreading,
             (SELECT count(*) FROM placed) AS departments,
             (SELECT count(*) FROM placed WHERE visible) AS visible,
             (SELECT sum(covered_people) / nullif(sum(headcount), 0) FROM placed
              WHERE headcount IS NOT NULL AND covered_people IS NOT NULL) AS seen""",
        week=week,
    )[0]


@cached
def coverage(store: Store, week: date) -> Rows:
    """Return how far the logs see into each department in a week, when they last did, and more.

    ``rooted`` is how many apps reached workgroup or division there.
    """
    return rows(
        store,
        """SELECT department, covered_people, headcount, coverage, visible, basis,
             (SELECT max(week) FROM f.coverage_weekly o
              WHERE o.department = c.department AND o.visible AND o.week <= $week) AS last_visible,
             (SELECT count(*) FROM f.adoption_weekly a
              WHERE a.department = c.department AND a.week = $week
                AND a.stage IN ('workgroup', 'division')) AS rooted
           FROM f.coverage_weekly c WHERE week = $week AND department <> '(unknown)'
           ORDER BY lower(department)""",
        week=week,
    )


@cached
def adoption(store: Store, week: date, apps: tuple[str, ...] | None = None) -> Rows:
    """Return the state of these apps, or of all, in each department, most adopted first."""
    return rows(
        store,
        """SELECT a.*, n.name, c.basis, c.visible AS lit
           FROM f.adoption_weekly a JOIN f.apps n USING (app)
           LEFT JOIN f.coverage_weekly c USING (week, department)
           WHERE week = $week AND department <> '(unknown)'
             AND ($apps IS NULL OR app IN (SELECT unnest($apps::VARCHAR[])))
             AND (a.active_people IS DISTINCT FROM 0 OR a.stage <> 'none')
           ORDER BY department, share DESC NULLS LAST, n.name""",
        week=week,
        apps=apps,
    )


def leading(store: Store, week: date, apps: Sequence[str]) -> Rows:
    """Return for each department how many of these apps have something to tell, and the first six.

    Not cached: to look up an answer by thousands of names takes longer than to ask.
    """
    return rows(
        store,
        """SELECT department, count(*) AS apps,
             max_by(struct_pack(app, stage, share, active_people),
               (coalesce(share, 0),
                coalesce(array_position(['trial', 'workgroup', 'division'], stage), 0), app),
               6) AS first
           FROM f.adoption_weekly
           WHERE week = $week AND department <> '(unknown)'
             AND app IN (SELECT unnest($apps::VARCHAR[]))
             AND (stage <> 'none' OR active_people IS NULL OR share > 0.005)  -- see charts.label
           GROUP BY department""",
        week=week,
        apps=apps,
    )


@cached
def reach(store: Store, week: date) -> Rows:
    """Return the apps of a week by how many people use them regularly, with all their stages."""
    return rows(
        store,
        """SELECT r.*, a.name, a.category, coalesce(c.name, a.category) AS filed,
             (SELECT coalesce(list(DISTINCT d.stage), []) FROM f.adoption_weekly d
              WHERE d.app = r.app AND d.week = $week AND d.department <> '(unknown)') AS stages
           FROM f.adoption_company r JOIN f.apps a USING (app)
           LEFT JOIN f.categories c ON c.category = a.category
           WHERE week = $week AND (r.departments_active > 0 OR r.regular_people > 0)
           ORDER BY regular_people DESC, departments_active DESC, active_people DESC, a.name""",
        week=week,
    )


@cached
def changes(store: Store, week: date, most: int | None = None) -> Rows:
    """Return what changed in the four weeks that end with a week, weightiest first.

    At most ``most`` rows; each tells in ``changes`` how many there are.
    """
    return rows(
        store,
        """SELECT c.*, a.name, count(*) OVER () AS changes
           FROM f.changes c JOIN f.apps a USING (app)
           WHERE week > $week - INTERVAL 28 DAY AND week <= $week
             AND coalesce(department, '') <> '(unknown)'
           ORDER BY CASE kind WHEN 'company_wide' THEN 0 WHEN 'stage_up' THEN
                      CASE stage WHEN 'division' THEN 1 ELSE 2 END
                    WHEN 'new' THEN 3 WHEN 'abandoned' THEN 4 ELSE 5 END,
                    people DESC NULLS LAST, week DESC, a.name, department
           LIMIT $most""",
        week=week,
        most=most,
    )


@cached
def app_history(store: Store, app: str) -> Rows:
    """Return every week of an app in every department that has used it, oldest first."""
    return rows(
        store,
        """SELECT a.*, c.basis, c.visible AS lit FROM f.adoption_weekly a
           LEFT JOIN f.coverage_weekly c USING (week, department)
           WHERE app = $app AND department <> '(unknown)' ORDER BY department, week""",
        app=app,
    )


@cached
def app_reach(store: Store, app: str) -> Rows:
    """Return every week of an app in the whole company, oldest first."""
    return rows(store, "SELECT * FROM f.adoption_company WHERE app = $app ORDER BY week", app=app)


@cached
def app_hosts(store: Store, app: str) -> Rows:
    """Return the hosts of an app with what each proves, use first, then by requests."""
    return rows(
        store,
        """SELECT host, signal, evidence, tenant, rule, requests, blocked, first_seen, last_seen
           FROM f.hosts WHERE app = $app
           ORDER BY array_position(['use', 'machine', 'embedded'], evidence), requests DESC""",
        app=app,
    )


@cached
def confidence(store: Store, app: str) -> Rows:
    """Return how sure the use of an app is in each department, and why."""
    return rows(
        store,
        """SELECT department, confidence, rule_kind, days_from, kinds_agree, sources
           FROM f.finding_confidence WHERE app = $app
           ORDER BY confidence DESC, lower(department)""",
        app=app,
    )


@cached
def evidence(store: Store, app: str) -> Rows:
    """Return where the hosts of an app stand in the logs, use first."""
    return rows(
        store,
        """SELECT host, evidence, rule, rule_kind, source, path, first_line, last_line
           FROM f.finding_evidence WHERE app = $app
           ORDER BY array_position(['use', 'machine', 'embedded'], evidence), host, source, path""",
        app=app,
    )


@cached
def app_tenants(store: Store, app: str) -> Rows:
    """Return the tenants of an app with the departments that use them."""
    return rows(
        store,
        """SELECT tenant, list(department ORDER BY people DESC) AS departments,
             sum(people)::BIGINT AS people, sum(requests)::BIGINT AS requests,
             min(first_seen) AS first_seen, max(last_seen) AS last_seen
           FROM f.tenants WHERE app = $app GROUP BY tenant ORDER BY people DESC, tenant""",
        app=app,
    )


@cached
def app_traffic(store: Store, app: str, week: date) -> Rows:
    """Return requests, blocked requests and bytes of four weeks by class of evidence."""
    return rows(
        store,
        """SELECT evidence, sum(requests)::BIGINT AS requests, sum(blocked)::BIGINT AS blocked,
             sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in
           FROM f.usage_weekly WHERE app = $app
             AND week > $week - INTERVAL 28 DAY AND week <= $week
           GROUP BY evidence""",
        app=app,
        week=week,
    )


@cached
def app_blocked(store: Store, app: str, week: date) -> Rows:
    """Return the departments whose use of an app was blocked in four weeks, most first."""
    return rows(
        store,
        """SELECT department, sum(blocked)::BIGINT AS blocked FROM f.usage_weekly
           WHERE app = $app AND evidence = 'use'
             AND week > $week - INTERVAL 28 DAY AND week <= $week
           GROUP BY department HAVING sum(blocked) > 0 ORDER BY blocked DESC""",
        app=app,
        week=week,
    )


@cached
def vendor_facts(store: Store, app: str) -> Rows:
    """Return what is stated of an app's vendor, in the order in which the agent published it."""
    return rows(
        store,
        """SELECT fact, name, answer, value, date, age, stated_by, link, source, licence
           FROM f.vendor_facts WHERE app = $app ORDER BY rowid""",
        app=app,
    )


@cached
def fact_names(store: Store) -> dict[str, str]:
    """Return the names of everything that is stated of any vendor, by key."""
    found = rows(store, "SELECT DISTINCT fact, name FROM f.vendor_facts ORDER BY lower(name)")
    return {row["fact"]: row["name"] for row in found}


@cached
def alternatives(store: Store, app: str, week: date) -> Rows:
    """Return the other apps of an app's categories with their reach and the people in both."""
    return rows(
        store,
        """SELECT b.app, b.name, coalesce(c.name, b.category) AS filed,
             CASE WHEN b.on_premises THEN 'on premises' ELSE 'SaaS' END AS housed,
             CASE WHEN r.app IS NULL THEN 0 ELSE r.regular_people END AS regular_people,
             coalesce(r.departments_active, 0) AS departments_active,
             (SELECT sum(people)::BIGINT FROM f.app_overlap o
              WHERE o.app_a = least(a.app, b.app) AND o.app_b = greatest(a.app, b.app)) AS both
           FROM f.apps a JOIN f.apps b
             ON a.app <> b.app AND list_has_any(a.categories, b.categories)
           LEFT JOIN f.categories c ON c.category = b.category
           LEFT JOIN f.adoption_company r ON r.app = b.app AND r.week = $week
           WHERE a.app = $app
           ORDER BY regular_people DESC, b.name""",
        app=app,
        week=week,
    )


@cached
def department_apps(store: Store, department: str, week: date) -> Rows:
    """Return a department's apps in a week with a year of shares and who else uses each."""
    return rows(
        store,
        """WITH others AS (
             SELECT app, list(department ORDER BY regular_people DESC) AS also
             FROM f.adoption_weekly
             WHERE week = $week AND department <> $department AND department <> '(unknown)'
               AND active_people IS DISTINCT FROM 0
             GROUP BY app),
           past AS (
             SELECT app, list(100 * share ORDER BY week)
                      FILTER (share IS NOT NULL) AS shares  -- weeks unseen are no decline
             FROM f.adoption_weekly
             WHERE department = $department AND week <= $week
               AND week > $week - INTERVAL 364 DAY GROUP BY app)
           SELECT a.*, n.name, n.category, coalesce(k.name, n.category) AS filed,
             c.basis, c.visible AS lit, past.shares, coalesce(others.also, []) AS also
           FROM f.adoption_weekly a JOIN f.apps n USING (app)
           LEFT JOIN f.coverage_weekly c USING (week, department)
           LEFT JOIN f.categories k ON k.category = n.category
           LEFT JOIN past USING (app) LEFT JOIN others USING (app)
           WHERE week = $week AND department = $department
             AND (a.active_people IS DISTINCT FROM 0 OR a.stage <> 'none')
           ORDER BY array_position(['division', 'workgroup', 'stalled', 'trial',
               'abandoned', 'not visible', 'none'], stage),
             a.regular_people DESC, a.active_people DESC, n.name""",
        department=department,
        week=week,
    )


@cached
def unknown_hosts(store: Store) -> Rows:
    """Return the first hosts outside the catalogue by people, then departments and requests."""
    return rows(
        store,
        """SELECT host,
             (sum(people) FILTER (department <> '(unknown)'))::BIGINT AS people,
             count(*) FILTER (department <> '(unknown)') AS reach,
             coalesce(list(department ORDER BY people DESC)
               FILTER (department <> '(unknown)'), []) AS departments,
             sum(requests)::BIGINT AS requests, sum(blocked)::BIGINT AS blocked,
             sum(bytes_out)::BIGINT AS bytes_out, sum(bytes_in)::BIGINT AS bytes_in,
             min(first_seen) AS first_seen, max(last_seen) AS last_seen
           FROM f.hosts_unknown WHERE app IS NULL AND NOT on_premises GROUP BY host
           ORDER BY people DESC, reach DESC, requests DESC, host LIMIT $most""",
        most=MOST_HOSTS,
    )


@cached
def unknown_queue(store: Store) -> Rows:
    """Return the domains that no app claims, those that look most like a service first."""
    return rows(
        store,
        """SELECT domain, points, why, people, first_seen
           FROM f.unknown_queue ORDER BY rowid LIMIT $most""",
        most=MOST_HOSTS,
    )


@cached
def coverage_history(store: Store) -> Rows:
    """Return how far the logs saw into each department in each week that ``weeks`` names."""
    return rows(
        store,
        """SELECT * FROM f.coverage_weekly
           WHERE department <> '(unknown)' AND list_contains($weeks, week)
           ORDER BY department, week""",
        weeks=weeks(store),
    )


@cached
def sources(store: Store) -> Rows:
    """Return the sources with their last line and how fast their files were read.

    Files that were skipped before they had a source stand among the files only.
    """
    return rows(
        store,
        """SELECT s.*, (SELECT sum(lines) / nullif(sum(seconds), 0) FROM f.log_files l
                        WHERE l.source = s.source) AS speed
           FROM f.sources s
           WHERE source <> '' ORDER BY source""",
    )


@cached
def files(store: Store) -> Rows:
    """Return the log files, those that need a look first, then the newest."""
    return rows(
        store,
        """SELECT path, source, format, status, note, lines, events, rejects, bytes,
             lines / nullif(seconds, 0) AS speed, first_seen, last_seen
           FROM f.log_files
           ORDER BY status IN ('read', 'open'), last_seen DESC NULLS LAST, path LIMIT 5000""",
    )


@cached
def rejects(store: Store) -> Rows:
    """Return why lines were left out, with the first place and a masked sample."""
    return rows(
        store,
        """SELECT reason, source, sum(lines)::BIGINT AS lines, count(*) AS files,
             arg_min(path, first_line) AS path, min(first_line) AS first_line,
             arg_min(sample, first_line) AS sample
           FROM f.rejects GROUP BY reason, source ORDER BY lines DESC, reason""",
    )


@cached
def ledger(store: Store) -> Rows:
    """Return what each source saw of each department on the last six weeks' days."""
    return rows(
        store,
        """SELECT d.*, s.kind FROM f.coverage_daily d LEFT JOIN f.sources s USING (source)
           WHERE department <> '(unknown)'
             AND day > (SELECT max(day) FROM f.coverage_daily) - INTERVAL 42 DAY
           ORDER BY source, department, day DESC""",
    )


@cached
def hidden(store: Store, week: date) -> Rows:
    """Return which resolvers, relays and VPNs were contacted in four weeks, most people first."""
    return rows(
        store,
        """WITH by_department AS (
             SELECT kind, operator, department, max(people) AS people,
               sum(requests)::BIGINT AS requests
             FROM f.hidden_daily
             WHERE day >= $week - INTERVAL 21 DAY AND day < $week + INTERVAL 7 DAY
             GROUP BY ALL)
           SELECT kind, operator, sum(requests)::BIGINT AS requests,
             CASE WHEN bool_and(department = '(unknown)') THEN 0
               ELSE (sum(people) FILTER (department <> '(unknown)'))::BIGINT END AS people,
             coalesce(list(department ORDER BY people DESC)
               FILTER (department <> '(unknown)'), []) AS departments
           FROM by_department GROUP BY kind, operator ORDER BY people DESC, operator""",
        week=week,
    )


@cached
def placed(store: Store, week: date) -> dict[str, Any]:
    """Return a week's requests and how many of them stand behind no one person."""
    return rows(
        store,
        """SELECT sum(requests)::BIGINT AS requests,
             sum(unresolved_requests)::BIGINT AS unresolved, sum(shared_requests)::BIGINT AS shared,
             sum(bare_requests)::BIGINT AS bare
           FROM f.coverage_daily
           WHERE day >= $week AND day < $week + INTERVAL 7 DAY
             AND unresolved_requests IS NOT NULL""",
        week=week,
    )[0]


@cached
def conflicts(store: Store, week: date) -> Rows:
    """Return why addresses were nobody's in four weeks, with the most of a day."""
    return rows(
        store,
        """SELECT reason, count(DISTINCT day) AS days, max(addresses) AS addresses,
             sum(hours) AS hours, max(day) AS last_day
           FROM f.identity_conflicts
           WHERE day >= $week - INTERVAL 21 DAY AND day < $week + INTERVAL 7 DAY
           GROUP BY reason ORDER BY days DESC, reason""",
        week=week,
    )


@cached
def skews(store: Store) -> Rows:
    """Return by how much clocks of sources differ that saw the same clients."""
    return rows(store, "SELECT source, beside, seconds, pairs FROM f.clock_skew ORDER BY ALL")


@cached
def divisions(store: Store, week: date) -> Rows:
    """Return what the departments of each division that are told of do together, by app."""
    return rows(
        store,
        """WITH inside AS (
             SELECT d.division, c.* FROM f.divisions d JOIN f.coverage_weekly c USING (department)
             WHERE c.week = $week AND department <> '(unknown)'),
           size AS (
             SELECT division, count(*) AS departments,
               sum(covered_people) FILTER (visible)::BIGINT AS covered_people
             FROM inside GROUP BY division HAVING count(*) > 1),
           together AS (
             SELECT division, app, count(*) FILTER (a.active_people > 0) AS active_in,
               sum(a.regular_people)::BIGINT AS regular_people
             FROM f.adoption_weekly a JOIN inside i USING (week, department)
             GROUP BY division, app)
           SELECT division, app, name, regular_people, covered_people,
             regular_people / nullif(covered_people, 0) AS share, active_in, departments
           FROM together JOIN size USING (division) JOIN f.apps USING (app)
           WHERE regular_people > 0
           ORDER BY lower(division), regular_people DESC, name""",
        week=week,
    )
