"""Rows by person expire; what was told of their weeks stays, and so do stages and their memory."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.adoption import derive
from agent.settings import load_settings
from agent.thresholds import load_thresholds
from tests.conftest import Run
from tests.test_adoption import APPS, Company, day, fill, one

BY_WEEK = ("adoption_weekly", "adoption_company", "coverage_weekly", "usage_weekly", "changes")
BY_DAY = ("usage_daily", "coverage_daily")
TOTALS = ("apps", "departments")
BY_PERSON = ("usage", "presence")
K = 5
SKETCHED = "user_bits > 0 OR address_bits > 0"


def company() -> Company:
    """Seventy weeks of departments whose stages rest on what was long ago."""
    made, choose = Company(weeks=70), random.Random(7)
    sales, works, legal = (made.hire(*one) for one in (("Sales", 40), ("Works", 25), ("Legal", 3)))
    for week in range(70):
        made.seen([who for who in sales + works if choose.random() < 0.95], [week])
        made.seen(legal, [week])
        # A division that only its memory keeps: never again as many as made it one.
        regulars = 14 if week < 12 else 10
        made.uses(sales[:regulars], "slack", [week], weekday=week % 5, tenant="acme")
        if week < 20:
            made.uses(works[:8], "slack", [week])  # abandoned from then on
        if week > 40:
            made.uses(works[: min(12, week - 38)], "reddit", [week])
        made.uses([who for who in legal if choose.random() < 0.5], "reddit", [week])
    return made


def publish(con: duckdb.DuckDBPyConnection, expire_before: date | None = None) -> dict[str, Any]:
    """Publish anew and return every row, by table."""
    con.execute("DETACH findings")
    con.execute("ATTACH ':memory:' AS findings")
    derive(
        con,
        load_thresholds(),
        k=K,
        meta={},
        apps=APPS,
        categories=(),
        expire_before=expire_before,
    )
    tables = (*BY_WEEK, *BY_DAY, *TOTALS, "hosts", "tenants")
    return {
        table: con.execute(f"SELECT * FROM findings.{table} ORDER BY ALL").fetchall()
        for table in tables
    }


def oldest(con: duckdb.DuckDBPyConnection) -> list[date]:
    return [one(con, f"SELECT min(day) FROM {table}")[0] for table in BY_PERSON]


def test_what_was_published_stays_when_its_people_expire() -> None:
    """Not one number, stage or date of the past changes, nor any of the weeks after it."""
    con = company().findings(k=K)
    before = publish(con)
    stages = {
        row[0] for row in con.execute("SELECT stage FROM findings.adoption_weekly").fetchall()
    }
    assert stages > {"division", "abandoned", "workgroup"}
    for week in (10, 30, 31, 45):
        assert publish(con, day(week)) == before
        assert oldest(con) == [day(week), day(week)]
        after = publish(con)
        for table, rows in before.items():
            assert after[table] == rows, (table, week)


def test_nothing_expires_that_is_young_enough() -> None:
    con = company().findings(k=K)
    before = publish(con)
    assert publish(con, day(0)) == before == publish(con)
    assert oldest(con) == [day(0), day(0)]
    assert one(con, "SELECT count(*) FROM past_cell") == (0,)


def test_nobody_is_left_of_whom_all_rows_have_expired() -> None:
    made = Company(weeks=30)
    gone, stays = made.hire("Sales", 6), made.hire("Sales", 6)
    made.seen(gone, range(10))
    made.seen(stays, range(30))
    made.uses(gone, "slack", range(10))
    con = made.findings(k=K)
    con.execute("UPDATE person_department SET valid_to = ? WHERE person_id <= 106", [day(11)])
    con.execute(
        "INSERT INTO claim SELECT 'lease', 's', 'a', day, day + 1, '', '', 'u', '', false, 1"
        " FROM presence"
    )
    publish(con, day(20))
    kept = [row[0] for row in con.execute("SELECT actor_id FROM actor ORDER BY ALL").fetchall()]
    assert kept == stays
    for table in ("membership", "person", "person_department"):
        assert one(con, f"SELECT count(*) FROM {table}") == (6,), table
    assert one(con, f"SELECT min(until) >= DATE '{day(20)}' FROM claim") == (True,)


def test_a_scan_lets_rows_expire_and_rewrites_the_store(run: Run, tmp_path: Path) -> None:
    """Also in the blocks that a database leaves free; the weeks of then are still told."""
    (tmp_path / "sundial.toml").write_text("[privacy]\nkeep_days = 90\n")
    (tmp_path / "logs").mkdir()
    line = "{at}.1 9 10.0.0.{n} TCP_MISS/200 9 GET http://app.slack.com/ {user} HIER_DIRECT/- -\n"
    names = ("early", "always")
    line += line.replace("app.slack.com", "desk.unheard-of.net")
    text = "".join(
        line.format(at=1_735_689_600 + 604_800 * week, n=number, user=f"{name}{number}")
        for week in range(40)
        for name in (names if week < 10 else names[1:])
        for number in range(1, 13)
    )
    (tmp_path / "logs" / "a.log").write_text(text)
    store = tmp_path / "store"
    run("scan", tmp_path / "logs", "--store", store, "--config", tmp_path / "sundial.toml")
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        first, last = one(con, "SELECT min(day), max(day) FROM usage")
        (sketches,) = one(con, f"SELECT count(*) FROM unknown_usage WHERE {SKETCHED}")
        assert (last - first).days in range(84, 98)
        assert one(con, "SELECT count(*) FROM actor WHERE kind = 'user'") == (12,)
        assert one(con, f"SELECT min(day) FROM unknown_usage WHERE {SKETCHED}") == (first,)
        assert one(con, "SELECT count(DISTINCT day) FROM unknown_usage") == (40,)
        assert one(con, "SELECT free_blocks FROM pragma_database_size()") == (0,)
    told, days = _told(store)
    account = run("privacy", "report", "--store", store, "--json").rows[0]
    assert account["rows_with_bits"] == sketches
    assert [people for (people,) in told[:10]] == [24] * 10
    assert [people for (people,) in told[10:39]] == [12] * 29
    assert oct((store / "work.duckdb").stat().st_mode)[-3:] == "600"
    # No log is read any more: today's date lets the rest go.
    done = run("privacy", "expire", "--store", store)
    assert "rows removed" in done.stderr
    assert run("privacy", "expire", "--store", store).stderr == "0 rows removed.\n"
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        assert one(con, "SELECT count(*) FROM usage") == (0,)
        assert one(con, "SELECT count(*) FROM actor") == (0,)
        assert one(con, f"SELECT count(*) FROM unknown_usage WHERE {SKETCHED}") == (0,)
        assert one(con, "SELECT free_blocks FROM pragma_database_size()") == (0,)
    assert "`unknown_usage`" not in run("privacy", "report", "--store", store).stdout
    assert _told(store) == (told, days)
    # A store of an earlier Sundial has sketches of days of which nothing else is left.
    with duckdb.connect(str(store / "work.duckdb")) as con:
        con.execute("UPDATE unknown_usage SET user_bits = 1 WHERE day < ?", [first])
    assert "0 rows removed" not in run("privacy", "expire", "--store", store).stderr
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        assert one(con, f"SELECT count(*) FROM unknown_usage WHERE {SKETCHED}") == (0,)


def _told(store: Path) -> tuple[list[Any], list[Any]]:
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        weeks = con.execute("SELECT active_people FROM adoption_weekly ORDER BY week").fetchall()
        traffic = "SELECT week, people, requests FROM usage_weekly UNION ALL"
        traffic += " SELECT day, people, requests FROM usage_daily UNION ALL"
        traffic += " SELECT day, people, requests FROM coverage_daily UNION ALL"
        traffic += " SELECT first_seen, people, requests FROM hosts_unknown ORDER BY ALL"
        return weeks, con.execute(traffic).fetchall()


def test_a_sketch_of_people_expires_and_leaves_a_number() -> None:
    """The bits of a kept day stay, of what has expired only the larger count does."""
    made = Company(weeks=12)
    made.seen(made.hire("Sales", 6), range(12))
    con = made.findings(k=K)
    rows = [
        (day(3, 6), "met.example", 0b11111111, 0),
        (day(4), "met.example", 0b111111 << 60, 0),
        (day(3), "gone.example", 0, 0b11111),
        (day(3), "named.example", 0b1111111, 0),
        (day(4), "named.example", 0, 0b11),
    ]
    fill(
        con,
        "unknown_usage",
        [
            {"day": when, "host": host, "department": "Sales"}
            | {"user_bits": str(users), "address_bits": str(addresses)}
            for when, host, users, addresses in rows
        ],
    )
    bits = "SELECT day, host, user_bits, address_bits FROM unknown_usage ORDER BY ALL"
    asked = "SELECT host, people, requests, first_seen FROM findings.hosts_unknown ORDER BY host"
    kept = con.execute(bits).fetchall()
    publish(con, day(3))
    assert con.execute(bits).fetchall() == kept
    told = con.execute(asked).fetchall()
    publish(con, day(4))
    left = [(when, host, users, one) for when, host, users, one in kept if when >= day(4)]
    gone = [(when, host, 0, 0) for when, host, *_ in kept if when < day(4)]
    assert con.execute(bits).fetchall() == sorted(gone + left)
    people = [("gone.example", 5), ("met.example", 8), ("named.example", 7)]
    for _ in range(2):
        publish(con, day(4))
        assert [row[:2] for row in con.execute(asked).fetchall()] == [
            (host, n - n % K) for host, n in people
        ]
        assert [row[2:] for row in con.execute(asked).fetchall()] == [row[2:] for row in told]
    counts = con.execute("SELECT host, greatest(users, addresses) FROM past_unknown ORDER BY 1")
    assert counts.fetchall() == people
    # The second stretch was of fewer people.
    publish(con, day(5))
    assert one(con, f"SELECT count(*) FROM unknown_usage WHERE {SKETCHED}") == (0,)
    counts = con.execute("SELECT host, greatest(users, addresses) FROM past_unknown ORDER BY 1")
    assert counts.fetchall() == people


def test_what_comes_too_late_is_said_and_changes_no_week(run: Run, tmp_path: Path) -> None:
    """A file that spans the border is told for its early part only; the second scan is silent."""
    (tmp_path / "sundial.toml").write_text(
        'timezone = "America/New_York"\n[privacy]\nkeep_days = 90\n'
    )
    line = "{at}.1 9 10.0.0.{n} TCP_MISS/200 9 GET http://app.slack.com/ {user} HIER_DIRECT/- -\n"

    def log(name: str, moments: Iterable[int], user: str) -> None:
        (tmp_path / "logs").mkdir(exist_ok=True)
        lines = (line.format(at=at, n=n, user=f"{user}{n}") for at in moments for n in range(1, 13))
        (tmp_path / "logs" / name).write_text("".join(lines))

    def scan(*, ok: bool = True) -> str:
        where = ["--store", tmp_path / "store", "--config", tmp_path / "sundial.toml"]
        return run("scan", tmp_path / "logs", *where, ok=ok).stderr

    weeks = [1_735_689_600 + 604_800 * week for week in range(40)]
    log("a.log", weeks, "early")
    assert "counts only" not in scan()
    before = _told(tmp_path / "store")
    with duckdb.connect(str(tmp_path / "store" / "work.duckdb"), read_only=True) as con:
        (border,) = one(con, "SELECT CAST(value AS DATE) FROM setting WHERE key = 'past_until'")
    # The last second of the week before begins the new one in UTC already, and not in New York.
    midnight = int(datetime.combine(border, time(4), UTC).timestamp())
    log("late.log", weeks[:3], "late")
    log("both.log", [midnight - 1, midnight], "both")
    told = " ".join(scan(ok=False).split())
    assert f"48 events of 2 files are of weeks before {border}, kept as counts only;" in told
    with duckdb.connect(str(tmp_path / "store" / "findings.duckdb"), read_only=True) as con:
        left = con.execute("SELECT path, reason, lines, first_line FROM rejects ORDER BY 1")
        reason = f"of a week before {border}, kept as counts only"
        assert [(Path(path).name, *more) for path, *more in left.fetchall()] == [
            ("both.log", reason, 12, 1),
            ("late.log", reason, 36, 1),
        ]
        (rejects,) = one(con, "SELECT sum(rejects) FROM log_files")
        assert rejects == 0
    after = _told(tmp_path / "store")
    known = [count for (count,) in before[0]]
    assert [count for (count,) in after[0]] != known  # the part that was not too late
    frozen = [row for row in before[1] if row[0] < border]
    assert [row for row in after[1] if row[0] < border] == frozen
    assert "counts only" not in scan()


def test_how_long_rows_are_kept_has_bounds(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "sundial.toml"
    for days in (90, 1100):
        config.write_text(f"[privacy]\nkeep_days = {days}\n")
        assert load_settings(config).retention == days
    assert load_settings(None).retention == 400
    (tmp_path / "a.log").write_text("x\n")
    for wrong in ("89", "1101", '"400"', "true"):
        config.write_text(f"[privacy]\nkeep_days = {wrong}\n")
        done = run("scan", tmp_path / "a.log", "--config", config, ok=False)
        assert "privacy.keep_days: is not a whole number from 90 to 1100." in done.stderr


@pytest.mark.parametrize("weeks", [1, 7])
def test_weeks_are_whole(weeks: int) -> None:
    """A day in the middle of a week takes the week before it, never a part of its own."""
    con = company().findings(k=K)
    publish(con, day(20 + weeks, 3))
    assert oldest(con) == [day(20 + weeks), day(20 + weeks)]
