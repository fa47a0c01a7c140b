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
from tests.conftest import Run, counted
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
    "coverage_daily": ("people",),
    "tenants": ("people",),
    "app_overlap": ("people",),
    "hosts_unknown": ("people",),
    "unknown_queue": ("people",),
    "changes": ("people", "covered_people"),
}
"""Every published count of people."""


@pytest.fixture(scope="module")
def published(demo_store: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(demo_store / "findings.duckdb"), read_only=True) as con:
        yield con


@pytest.fixture(scope="module")
def naive(
    demo_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same company with each small count blanked, and nothing else done."""
    store = tmp_path_factory.mktemp("naive") / "store"
    shutil.copytree(demo_store, store)
    folder = counted(store)
    with duckdb.connect(str(folder / "findings.duckdb")) as con:
        for table, columns in PEOPLE.items():
            for column in columns:
                con.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} BETWEEN 1 AND 4")
        yield con


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
            if rest is not None and 0 < rest < K:
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


def attack(con: duckdb.DuckDBPyConnection, step: int) -> list[str]:
    """Try everything; return each count below k that came out."""
    return [*totals(con), *overlaps(con, step), *traffic(con), *stages(con, step)]


def test_no_table_tells_a_small_count(published: duckdb.DuckDBPyConnection) -> None:
    for table, columns in PEOPLE.items():
        for column in columns:
            found = one(
                published,
                f"SELECT count(*), count(*) FILTER ({column} BETWEEN 1 AND {K - 1}) FROM {table}",
            )
            assert found[0] > 0, table
            assert found[1] == 0, (table, column)


def test_every_count_of_people_is_looked_at(published: duckdb.DuckDBPyConnection) -> None:
    named = published.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        " AND (column_name LIKE '%people%' OR column_name = 'headcount')"
    ).fetchall()
    assert {table: set(columns) for table, columns in PEOPLE.items()} == {
        table: {column for other, column in named if other == table} for table, _ in named
    }


def test_blanking_small_counts_alone_does_not_hold(naive: duckdb.DuckDBPyConnection) -> None:
    """The attack is worth something: each of its four ways gets through a naive blanking."""
    assert list(totals(naive))
    assert list(overlaps(naive, 1))
    assert list(traffic(naive))
    assert list(stages(naive, 1))


def test_what_is_published_withstands_the_attack(published: duckdb.DuckDBPyConnection) -> None:
    assert attack(published, K) == []


def test_no_page_tells_a_small_count(demo_store: Path) -> None:
    """Every question of every page, for all departments, and for apps and weeks that differ."""
    store = findings.find(demo_store)
    assert store is not None
    weeks, apps = queries.weeks(store), [row["app"] for row in queries.apps(store)]
    places = [row["department"] for row in queries.departments(store)]
    counts = {name for columns in PEOPLE.values() for name in columns} | {"both"}
    answers = [
        queries.unknown_hosts(store),
        queries.unknown_queue(store),
        queries.departments(store),
    ]
    answers += [queries.coverage_history(store)]
    for week in weeks:
        reach = {row["app"]: row for row in queries.reach(store, week)}
        cells = queries.adoption(store, week)
        answers += [list(reach.values()), cells, queries.coverage(store, week)]
        answers += [queries.changes(store, week)]
        for app, row in reach.items():
            for measure in ("active_people", "regular_people"):
                parts = [cell[measure] or 0 for cell in cells if cell["app"] == app]
                assert (row[measure] or 0) - sum(parts) == 0, (app, week, measure)
    for app in apps:
        answers += [queries.app_history(store, app), queries.app_reach(store, app)]
        answers += [queries.app_tenants(store, app)]
    for app, week in product(apps, weeks[::9]):
        answers += [queries.alternatives(store, app, week)]
        sums = {row["evidence"]: row for row in queries.app_traffic(store, app, week)}
        blocked = queries.app_blocked(store, app, week)
        if blocked:
            assert sum(row["blocked"] for row in blocked) == sums["use"]["blocked"]
            assert min(row["blocked"] for row in blocked) >= K
    for place, week in product(places, weeks[::9]):
        answers += [queries.department_apps(store, place, week)]
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
