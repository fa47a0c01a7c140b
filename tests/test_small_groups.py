"""Groups below k people: an attacker with all tables and all pages does not learn their size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import duckdb
import pytest

from agent.adoption import Thresholds
from agent.settings import load_settings
from agent.thresholds import load_thresholds
from dashboard import findings, queries
from tests.conftest import Run, counted, run_command_line
from tests.test_adoption import Company, day, one

K = 5
PEOPLE = {
    "departments": ("headcount",),
    "usage_daily": ("people",),
    "usage_weekly": ("people",),
    "adoption_weekly": (
        *("active_people", "regular_people", "covered_people", "headcount", "peak_people"),
    ),
    "adoption_company": ("active_people", "regular_people", "covered_people"),
    "coverage_weekly": ("covered_people", "headcount"),
    "coverage_daily": (*("people", "expected_people", "headcount", "clients", "expected_clients"),),
    "hidden_daily": ("people",),
    "identity_conflicts": ("addresses",),
    "tenants": ("people",),
    "app_overlap": ("people",),
    "hosts_unknown": ("people",),
    "unknown_queue": ("people",),
    "changes": ("people", "covered_people"),
}
"""Every published count of people, and of what stands for people."""
BYTES = ("bytes_out", "bytes_in")
TRAFFIC = {
    "usage_daily": ("requests", "blocked", *BYTES),
    "usage_weekly": ("requests", "blocked", *BYTES),
    "coverage_daily": (
        *("requests", "unresolved_requests", "shared_requests", "unnamed_requests", "hours"),
        *("tunnel_requests", "bare_requests"),
    ),
    "hidden_daily": ("requests", "blocked"),
    "identity_conflicts": ("hours",),
    "apps": ("requests",),
    "hosts": ("requests", "blocked"),
    "tenants": ("requests",),
    "hosts_unknown": ("requests", "blocked", *BYTES),
    "unknown_queue": ("requests", "blocked", *BYTES),
}
"""Every published number of what people did."""
HARMLESS = {
    "adoption_weekly": ("coverage", "share"),  # of counts in the same row
    "adoption_company": (
        *("share", "departments_active", "departments_division", "departments_visible"),
    ),
    "coverage_weekly": ("coverage",),
    "changes": ("weeks_since_first",),
    "divisions": ("depth",),
    "finding_confidence": ("confidence", "days_from"),  # of what is told to be there
    "finding_evidence": ("first_line", "last_line"),
    "clock_skew": ("seconds", "pairs"),
    "unknown_queue": ("points", "weeks"),
    "sources": ("files", "lines", "events", "rejects", "ahead_seconds"),
    "log_files": ("file_id", "lines", "events", "rejects", "bytes", "seconds"),
    "rejects": ("file_id", "lines", "first_line"),
}
"""Every other published number: of weeks, departments, files and lines."""
KEYS = {
    "usage_daily": ("day", "app", "department", "signal", "evidence"),
    "usage_weekly": ("week", "app", "department", "evidence"),
    "hidden_daily": ("day", "department", "source", "kind", "operator"),
    "tenants": ("app", "tenant", "department"),
    "hosts_unknown": ("host", "department"),
}
"""What names a group of people whose traffic is told."""


@pytest.fixture(scope="module")
def store(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo company with what it has none of: tiny departments, conflicts, hidden contacts."""
    folder = tmp_path_factory.mktemp("planted") / "store"
    shutil.copytree(demo_store, folder)
    with duckdb.connect(str(folder / "work.duckdb")) as con:
        con.execute(PLANTED)
    run_command_line("reclassify", "--store", folder)
    return folder


PLANTED = """
CREATE TEMP TABLE pick AS
SELECT person_id, row_number() OVER (ORDER BY count(*) DESC, person_id) AS n
FROM presence JOIN membership USING (actor_id)
WHERE membership.department = 'Engineering' AND person_id IS NOT NULL GROUP BY person_id;

UPDATE membership SET department = 'Board'
WHERE person_id IN (SELECT person_id FROM pick WHERE n <= 2);
UPDATE person_department SET department = 'Board'
WHERE person_id IN (SELECT person_id FROM pick WHERE n <= 2);

UPDATE membership SET department = 'Annex'
WHERE person_id IN (SELECT person_id FROM pick WHERE n BETWEEN 3 AND 6);
UPDATE person_department SET department = 'Annex'
WHERE person_id IN (SELECT person_id FROM pick WHERE n BETWEEN 3 AND 6);
INSERT INTO person_department
SELECT 100000 + n, 'Annex', DATE '0001-01-01', DATE '9999-12-31' FROM range(3) AS away(n);

INSERT INTO host VALUES (100000, 'mask.icloud.com', '', '', '', NULL, '');
INSERT INTO usage
SELECT
    day, 100000, actor_id, min(source_id), 3, 0, NULL, NULL, min(first_seen), max(last_seen), NULL
FROM usage JOIN membership USING (actor_id) JOIN pick USING (person_id)
WHERE n <= 2 + 9 * (day(day) % 5) GROUP BY day, actor_id;

INSERT INTO conflict
SELECT 'a' || n, since, since + INTERVAL 2 HOUR, 2
FROM range(7) AS address(n), (SELECT max(first_seen) AS since FROM usage) UNION ALL
SELECT 'b' || n, since - INTERVAL 9 DAY, since, 3
FROM range(2) AS address(n), (SELECT max(first_seen) AS since FROM usage);
"""


@pytest.fixture(scope="module")
def published(store: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        yield con


@pytest.fixture(scope="module")
def truth(store: Path) -> Path:
    """The findings of the same company as if no group were too small."""
    return counted(store) / "findings.duckdb"


@pytest.fixture(scope="module")
def naive(
    truth: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same company with each small count blanked, and nothing else done."""
    path = tmp_path_factory.mktemp("naive") / "findings.duckdb"
    shutil.copy(truth, path)
    with duckdb.connect(str(path)) as con:
        for table, columns in PEOPLE.items():
            for column in columns:
                con.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} BETWEEN 1 AND 4")
        yield con


def somebody(table: str) -> str:
    """Leave out the traffic of shared addresses: it is told, for it is nobody's."""
    return " AND people IS DISTINCT FROM 0" if table in {"usage_daily", "usage_weekly"} else ""


def small_counts(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """What needs no arithmetic: a count of people, or of what they did, below k."""
    for tables in (PEOPLE, TRAFFIC):
        for table, columns in tables.items():
            for column in columns:
                if column not in (*BYTES, "hours"):
                    where = f"FROM {table} WHERE {column} BETWEEN 1 AND {K - 1}{somebody(table)}"
                    if one(con, f"SELECT count(*) {where}") != (0,):
                        yield f"{table}.{column}"


def small(low: float, high: float) -> bool:
    """Whether bounds leave one count, and that one is of fewer than k people."""
    return low == high and 1 <= low < K


def totals(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Company less departments: what is left is in the departments that say nothing."""
    for measure in ("active_people", "regular_people", "covered_people"):
        where = "" if measure == "active_people" else "AND d.visible"
        rows = con.execute(
            f"SELECT week, app, c.{measure} - sum(d.{measure}),"
            f" count(*) FILTER (d.{measure} IS NULL)"
            " FROM adoption_company c JOIN adoption_weekly d USING (week, app)"
            f" WHERE d.department <> '(unknown)' {where} GROUP BY week, app, c.{measure}"
        ).fetchall()
        for week, app, rest, hidden in rows:
            one_each = measure != "covered_people" and rest in {hidden, hidden * (K - 1)}
            if rest and hidden and (0 < rest < K or one_each):
                yield f"{measure} {app} {week}: {rest} in {hidden}"


def overlaps(con: duckdb.DuckDBPyConnection, step: int) -> Iterator[str]:
    """A week and its days, use and active use: what is in one and not in the other."""
    rows = con.execute(
        "SELECT w.app, w.department, w.week, w.people, list(d.people), count(*) FROM usage_weekly w"
        " JOIN usage_daily d ON d.app = w.app AND d.department = w.department"
        " AND d.evidence = w.evidence AND d.day >= w.week AND d.day < w.week + 7"
        " WHERE w.people >= ? GROUP BY ALL",
        [K],
    ).fetchall()
    for app, department, week, people, days, _ in rows:
        top = people + step - 1
        tops = [K - 1 if day is None else day + step - 1 for day in days]
        for place, seen in enumerate(days):
            if seen is None:
                least = people - (sum(tops) - tops[place])
                if least == K - 1:
                    yield f"day {app} {department} {week}: {least}"
            elif small(max(0, people - tops[place]), top - seen):
                yield f"not that day {app} {department} {week}: {top - seen}"
    rows = con.execute(
        "SELECT a.app, a.department, a.week, u.people, a.active_people FROM adoption_weekly a"
        " JOIN usage_weekly u USING (app, department, week)"
        " WHERE u.evidence = 'use' AND u.people >= ? AND a.active_people >= ?",
        [K, K],
    ).fetchall()
    for app, department, week, people, active in rows:
        if small(max(0, people - active), people + step - 1 - active):
            yield f"only refused {app} {department} {week}: {people - active}"


def traffic(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Requests that one table has and another has not: a few requests are a few people."""
    weekly = (
        "SELECT app, department, week, w.requests - sum(d.requests) FROM usage_weekly w JOIN"
        " usage_daily d USING (app, department, evidence) WHERE d.day >= w.week AND"
        " d.day < w.week + 7 GROUP BY app, department, week, evidence, w.requests"
    )
    per_app = (
        "SELECT app, '', '', a.requests - sum(w.requests) FROM apps a JOIN usage_weekly w"
        " USING (app) GROUP BY app, a.requests"
    )
    per_host = (
        "SELECT app, '', '', h.requests - w.requests FROM (SELECT app, sum(requests) AS requests"
        " FROM hosts GROUP BY app) h JOIN (SELECT app, sum(requests) AS requests"
        " FROM usage_weekly GROUP BY app) w USING (app) WHERE app IN (SELECT app FROM hosts"
        " GROUP BY app HAVING bool_and(requests % 100 <> 0))"
    )
    single = (
        "SELECT app, department, week, least(requests, blocked) FROM usage_weekly WHERE blocked > 0"
        " UNION ALL SELECT app, department, day, least(requests, blocked) FROM usage_daily"
        " WHERE blocked > 0"
    )
    for sql in (weekly, per_app, per_host, single):
        for app, department, week, rest in con.execute(sql).fetchall():
            # What an app has more than its departments is what some of them do not tell.
            if rest is not None and (0 < rest < K or (rest > 0 and sql in {per_app, per_host})):
                yield f"requests {app} {department} {week}: {rest}"


def stages(con: duckdb.DuckDBPyConnection, step: int) -> Iterator[str]:
    """A stage that has held for ten weeks says between which numbers the hidden one lies."""
    rules = load_thresholds()
    rows = con.execute(
        "SELECT app, department, week, stage, covered_people, peak_people FROM adoption_weekly"
        " WHERE visible AND regular_people IS NULL AND week >= since + 70"
        " AND covered_people IS NOT NULL"
    ).fetchall()
    for app, department, week, stage, covered, peak in rows:
        fits = [n for n in range(covered + 1) if _fits(n, stage, covered, peak or K - 1, rules)]
        if step == 1:  # a blank is a few people, and nothing else is blank
            fits = [n for n in fits if 0 < n < K]
        elif covered >= rules.small_department_below:
            fits = [n for n in fits if n < K]
        if len(fits) == 1 and 0 < fits[0] < K:
            yield f"{stage} {app} {department} {week}: {fits[0]}"


def _fits(n: int, stage: str, covered: int, peak: int, rules: Thresholds) -> bool:
    tiny = covered < rules.small_department_below
    division = n / covered >= rules.small_department_division_share if tiny else n >= K
    team = n >= rules.workgroup_people or (
        tiny and n / covered >= rules.small_department_workgroup_share
    )
    match stage:
        case "division":
            return division
        case "workgroup":
            return team and not division
        case "stalled":
            return n < rules.stalled_share_of_peak * peak
        case "abandoned":
            return n < rules.abandoned_share_of_peak * max(peak, K)
        case _:
            return not team


def newcomers(con: duckdb.DuckDBPyConnection, step: int) -> Iterator[str]:
    """Two active weeks in four: who is regular was active in both, so the others are a rest."""
    rows = con.execute(
        "SELECT app, department, week, regular_people, list(active_people) OVER lately"
        " FROM adoption_weekly WHERE visible WINDOW lately AS (PARTITION BY app, department"
        " ORDER BY week ROWS 3 PRECEDING)"
    ).fetchall()
    for app, department, week, regular, active in rows:
        live = [count for count in active if count != 0]
        if regular and len(live) <= 2:
            for count in filter(None, live):
                if small(count - min(count, regular + step - 1), count - regular):
                    yield f"newcomers {app} {department} {week}: {count - regular}"


def visibility(con: duckdb.DuckDBPyConnection, step: int) -> Iterator[str]:
    """Seen by half of a known headcount, or not: that bounds a covered number that is hidden."""
    rows = con.execute(
        "SELECT department, week, headcount, visible FROM coverage_weekly"
        " WHERE covered_people IS NULL AND headcount IS NOT NULL"
    ).fetchall()
    for department, week, headcount, visible in rows:
        fits = [
            n for n in range(1, K) if (2 * n >= headcount and (step == 1 or n >= step)) == visible
        ]
        if len(fits) == 1:
            yield f"covered {department} {week}: {fits[0]}"


def company_wide(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """An app is company-wide from numbers that are told, or those that are not come to light."""
    rows = con.execute(
        "SELECT app, week, company_wide, regular_people / nullif(covered_people, 0) >= 0.4"
        " OR departments_division >= 0.5 * departments_visible FROM adoption_company"
        " WHERE departments_visible > 0 ORDER BY app, week"
    ).fetchall()
    for app, week, wide, told in rows:
        if wide != bool(told):
            yield f"company-wide {app} {week}"


def exposed(con: duckdb.DuckDBPyConnection, truth: Path) -> Iterator[str]:
    """What a group below k did: its traffic must not be told, nor be what others leave of a sum."""
    con.execute(f"ATTACH IF NOT EXISTS '{truth}' AS truth (READ_ONLY)")
    few = f"BETWEEN 1 AND {K - 1}"
    for table, keys in KEYS.items():
        told = " OR ".join(f"told.{column} IS NOT NULL" for column in TRAFFIC[table])
        rows = con.execute(
            f"SELECT told.* FROM {table} AS told JOIN truth.{table} AS counted"
            f" USING ({', '.join(keys)}) WHERE counted.people {few} AND ({told})"
        ).fetchall()
        yield from (f"{table} {row}" for row in rows)
    ledger = "FROM coverage_daily AS told JOIN truth.coverage_daily AS counted"
    ledger += " USING (day, department, source) WHERE"
    for group in (
        f"counted.clients {few} AND counted.shared_requests = 0 AND told.requests IS NOT NULL",
        f"counted.clients {few} AND counted.shared_requests = 0 AND told.hours IS NOT NULL",
        f"counted.people {few} AND told.requests + told.unresolved_requests IS NOT NULL",
    ):
        rows = con.execute(f"SELECT told.* {ledger} {group}").fetchall()
        yield from (f"ledger {row}" for row in rows)
    rows = con.execute(
        "SELECT domain FROM unknown_queue q JOIN (SELECT sum(bytes_in) AS told, host FROM"
        " hosts_unknown WHERE bytes_in IS NOT NULL GROUP BY host HAVING count(*) <"
        " (SELECT count(*) FROM truth.hosts_unknown f WHERE f.host = hosts_unknown.host)) h"
        " ON h.host = q.domain WHERE q.bytes_in > told"
    ).fetchall()
    yield from (f"queue {domain}" for (domain,) in rows)


def tiny(con: duckdb.DuckDBPyConnection, truth: Path) -> Iterator[str]:
    """A department of fewer than k people: that somebody of it did something tells who."""
    con.execute(f"ATTACH IF NOT EXISTS '{truth}' AS truth (READ_ONLY)")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE tiny AS SELECT week, department FROM truth.coverage_weekly"
        " QUALIFY greatest(covered_people, coalesce(headcount,"
        f" max(covered_people) OVER (PARTITION BY department))) < {K}"
    )
    assert one(con, "SELECT count(*) FROM tiny WHERE department = 'Board'")[0] > 20
    columns = con.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal"
        " AND database_name = current_database() AND table_name <> 'tiny' GROUP BY table_name"
    ).fetchall()
    for table, names in columns:
        if "department" not in names:
            continue
        when = "week" if "week" in names else "monday" if "day" in names else None
        days = "date_trunc('week', day)" if when == "monday" else when
        which = f"AND tiny.week = {days}{somebody(table)}" if when else ""
        told = [name for name in (*PEOPLE.get(table, ()), *TRAFFIC.get(table, ())) if name in names]
        if table in {"coverage_weekly", "departments"}:
            which += f" AND coalesce({', '.join(told)}) IS NOT NULL"
        rows = con.execute(
            f"SELECT DISTINCT tiny.department FROM {table} AS told JOIN tiny"
            f" ON tiny.department = told.department {which.replace('= week', '= told.week')}"
        ).fetchall()
        yield from (f"{table} {department}" for (department,) in rows)


def attack(con: duckdb.DuckDBPyConnection, truth: Path, step: int) -> list[str]:
    """Try everything; return each count below k that came out."""
    return [
        *small_counts(con),
        *totals(con),
        *overlaps(con, step),
        *traffic(con),
        *stages(con, step),
        *newcomers(con, step),
        *visibility(con, step),
        *company_wide(con),
        *exposed(con, truth),
        *tiny(con, truth),
    ]


def test_every_published_number_is_looked_at(published: duckdb.DuckDBPyConnection) -> None:
    """A new column or table has to be put into one of the three lists, or this fails."""
    named = published.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        " AND database_name = current_database()"
        " AND data_type NOT IN ('VARCHAR', 'VARCHAR[]', 'DATE', 'TIMESTAMP', 'BOOLEAN')"
    ).fetchall()
    listed = [
        (table, column)
        for tables in (PEOPLE, TRAFFIC, HARMLESS)
        for table, columns in tables.items()
        for column in columns
    ]
    assert sorted(listed) == sorted(named)


def test_every_table_of_people_has_rows_to_attack(published: duckdb.DuckDBPyConnection) -> None:
    for table, columns in (PEOPLE | TRAFFIC).items():
        told = f"coalesce({', '.join(columns)}) > 0"
        assert one(published, f"SELECT count(*) > 0 FROM {table} WHERE {told}") == (True,), table


def test_blanking_small_counts_alone_does_not_hold(
    naive: duckdb.DuckDBPyConnection, truth: Path
) -> None:
    """The attack is worth something: each of its ways gets through a naive blanking."""
    assert list(small_counts(naive))
    assert list(totals(naive))
    assert list(overlaps(naive, 1))
    assert list(traffic(naive))
    assert list(stages(naive, 1))
    assert list(newcomers(naive, 1))
    assert list(visibility(naive, 1))
    assert list(exposed(naive, truth))
    assert list(tiny(naive, truth))


def test_what_is_published_withstands_the_attack(
    published: duckdb.DuckDBPyConnection, truth: Path
) -> None:
    assert attack(published, truth, K) == []


@pytest.mark.parametrize("table", PEOPLE | TRAFFIC)
def test_one_table_left_out_is_found(store: Path, truth: Path, table: str, tmp_path: Path) -> None:
    """The attack gets in where any one table is published as it was counted."""
    path = tmp_path / "findings.duckdb"
    shutil.copy(store / "findings.duckdb", path)
    with duckdb.connect(str(path)) as con:
        con.execute(f"ATTACH '{truth}' AS truth (READ_ONLY)")
        con.execute(f"DELETE FROM {table}")
        con.execute(f"INSERT INTO {table} FROM truth.{table}")
        assert attack(con, truth, K)


def test_no_page_tells_a_small_count(store: Path) -> None:
    """Every question of every page, for all departments, and for apps and weeks that differ."""
    found = findings.find(store)
    assert found is not None
    weeks, apps = queries.weeks(found), [row["app"] for row in queries.apps(found)]
    places = [row["department"] for row in queries.departments(found)]
    counts = {name for columns in PEOPLE.values() for name in columns} | {"both"}
    answers = [
        queries.unknown_hosts(found),
        queries.unknown_queue(found),
        queries.departments(found),
        queries.coverage_history(found),
        queries.ledger(found),
    ]
    for week in weeks:
        reach = {row["app"]: row for row in queries.reach(found, week)}
        cells = queries.adoption(found, week)
        answers += [list(reach.values()), cells, queries.coverage(found, week)]
        answers += [queries.changes(found, week), queries.hidden(found, week)]
        leading = queries.leading(found, week, list(reach))
        answers += [[row for place in leading for row in place["first"]]]
        for app, row in reach.items():
            for measure in ("active_people", "regular_people"):
                parts = [cell[measure] or 0 for cell in cells if cell["app"] == app]
                assert (row[measure] or 0) - sum(parts) == 0, (app, week, measure)
    for app in apps:
        answers += [queries.app_history(found, app), queries.app_reach(found, app)]
        answers += [queries.app_tenants(found, app)]
    for app, week in product(apps, weeks[::9]):
        answers += [queries.alternatives(found, app, week)]
        sums = {row["evidence"]: row for row in queries.app_traffic(found, app, week)}
        blocked = queries.app_blocked(found, app, week)
        if blocked:
            assert sum(row["blocked"] for row in blocked) == sums["use"]["blocked"]
            assert min(row["blocked"] for row in blocked) >= K
    for place, week in product(places, weeks[::9]):
        answers += [queries.department_apps(found, place, week)]
    told = [(key, row[key]) for rows in answers for row in rows for key in counts & row.keys()]
    assert len(told) > 10_000
    assert [(key, value) for key, value in told if value is not None and 0 < value < K] == []


def test_nothing_suppressed_lies_in_freed_blocks(demo_store: Path) -> None:
    """The file is written once, in full: no block of it is free."""
    with duckdb.connect(str(demo_store / "findings.duckdb"), read_only=True) as con:
        assert one(con, "SELECT free_blocks FROM pragma_database_size()") == (0,)
    assert not list(demo_store.glob("*.full*"))


def test_stages_and_changes_are_judged_on_the_full_numbers() -> None:
    company = Company(weeks=8)
    people = company.hire("Sales", 20)
    company.seen(people, range(8))
    company.uses(people[:3], "slack", range(8), tenant="acme")
    con = company.findings(k=K)
    rows = con.execute(
        "SELECT stage, active_people, regular_people, share, covered_people"
        " FROM findings.adoption_weekly ORDER BY week DESC LIMIT 1"
    ).fetchall()
    assert rows == [("workgroup", None, None, None, 20)]
    assert con.execute("FROM findings.tenants").fetchall() == []
    assert con.execute("FROM findings.usage_daily").fetchall() == []
    assert con.execute("FROM findings.hosts").fetchall() == []
    assert one(con, "SELECT DISTINCT people, requests FROM findings.usage_weekly") == (None, None)
    assert one(con, "SELECT requests FROM findings.apps") == (None,)


def test_k_people_are_told_and_one_fewer_are_not() -> None:
    for people, told in ((K, K), (K - 1, None)):
        company = Company(weeks=4)
        staff = company.hire("Sales", 12)
        company.seen(staff, range(4))
        company.uses(staff[:people], "slack", range(4))
        con = company.findings(k=K)
        last = f"FROM findings.adoption_weekly WHERE week = '{day(3)}'"
        assert one(con, f"SELECT active_people, regular_people {last}") == (told, told)
        assert one(con, "SELECT count(*) FROM findings.usage_daily") == (4 if told else 0,)


def test_k_is_the_operators_within_bounds_and_is_remembered(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "sundial.toml"
    config.write_text("[privacy]\nk = 12\n")
    assert load_settings(config).smallest_group == 12
    (tmp_path / "a.log").write_text(
        "1772438400.1 9 10.0.0.1 TCP_MISS/200 9 GET http://a.example/\n"
    )
    for options in (("--config", config), ()):
        run("scan", tmp_path / "a.log", "--store", tmp_path / "store", *options, ok=False)
        with duckdb.connect(str(tmp_path / "store/findings.duckdb"), read_only=True) as con:
            assert one(con, "SELECT value FROM meta WHERE key = 'k'") == ("12",)
    for wrong in ("2", "1001", '"5"', "true", "4.5"):
        config.write_text(f"[privacy]\nk = {wrong}\n")
        done = run("scan", tmp_path / "a.log", "--config", config, ok=False)
        assert "privacy.k: is not a whole number from 3 to 1000." in done.stderr
