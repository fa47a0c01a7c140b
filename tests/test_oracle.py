"""The pipeline against a company whose history is known: what was lived is what is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent import adoption, rulebook
from agent.store import Store
from tests.conftest import counted

Stages = dict[tuple[str, str, str], str]


@pytest.fixture(scope="module")
def truth(demo_folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def found(
    demo_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """What was counted: the findings of the same store as if no group were too small."""
    store = tmp_path_factory.mktemp("oracle") / "store"
    shutil.copytree(demo_store, store)
    folder = counted(store)
    with duckdb.connect(str(folder / "findings.duckdb"), read_only=True) as con:
        yield con


def lived(truth: dict[str, Any]) -> Stages:
    """The stage of every app in every department and week that the scenario tells."""
    return {
        (app, department, week): stage
        for app, departments in truth["adoption"].items()
        for department, history in departments.items()
        for week, stage in zip(truth["weeks"], history["stage"], strict=True)
    }


def seen(con: duckdb.DuckDBPyConnection) -> Stages:
    """The stage that was found; weeks before the first use have no row."""
    rows = con.execute("SELECT app, department, week, stage FROM adoption_weekly").fetchall()
    return {(app, department, str(week)): stage for app, department, week, stage in rows}


def agreement(expected: Stages, stages: Stages) -> float:
    """The share of cells that agree; before the first use, dark and blank are the same."""
    silent = {"none", "not visible"}
    same = [
        stages.get(cell) == stage or (cell not in stages and stage in silent)
        for cell, stage in expected.items()
    ]
    return sum(same) / len(same)


def test_the_stages_found_are_the_stages_lived(
    truth: dict[str, Any], found: duckdb.DuckDBPyConnection
) -> None:
    assert agreement(lived(truth), seen(found)) >= 0.95


def test_nobody_adopts_what_nobody_used(
    truth: dict[str, Any], found: duckdb.DuckDBPyConnection
) -> None:
    """Embeds, background machines and refused requests make no adopter."""
    told = {
        (app, department) for app, history in truth["adoption"].items() for department in history
    }
    assert {(app, department) for app, department, _ in seen(found)} <= told
    users = found.execute(
        "SELECT DISTINCT app FROM adoption_weekly WHERE active_people > 0"
    ).fetchall()
    assert not {app for (app,) in users} & set(truth["embedded_only"])


def test_active_people_are_counted_to_the_last_one(
    truth: dict[str, Any], found: duckdb.DuckDBPyConnection
) -> None:
    rows = found.execute(
        "SELECT app, department, week, active_people FROM adoption_weekly WHERE visible"
    ).fetchall()
    index = {week: number for number, week in enumerate(truth["weeks"])}
    wrong = [
        (app, department, week, people)
        for app, department, week, people in rows
        if truth["adoption"][app][department]["active"][index[str(week)]] != people
    ]
    assert not wrong


def test_the_company_tips_and_turns_in_the_weeks_it_did(
    truth: dict[str, Any], found: duckdb.DuckDBPyConnection
) -> None:
    for app in ("circle", "slack", "microsoft_teams"):
        rows = found.execute(
            "SELECT week, company_wide, tipping_point FROM adoption_company WHERE app = ?", [app]
        ).fetchall()
        wide = {str(week) for week, company_wide, _ in rows if company_wide}
        told = truth["company"][app]
        dark = {
            week
            for week, covered in zip(truth["weeks"], told["covered"], strict=True)
            if covered < 250
        }
        expected = {w for w, yes in zip(truth["weeks"], told["company_wide"], strict=True) if yes}
        assert wide - dark == expected - dark, app
        tipping = {str(point) for _, _, point in rows if point}
        assert tipping == ({told["tipping_point"]} if told["tipping_point"] else set()), app


def test_refused_requests_are_kept_as_demand(
    truth: dict[str, Any], found: duckdb.DuckDBPyConnection
) -> None:
    for app, refused in truth["refused"].items():
        blocked = found.execute(
            "SELECT sum(blocked) FROM usage_daily WHERE app = ?", [app]
        ).fetchall()
        assert blocked == [(refused,)], app


def test_missing_logs_never_look_like_a_decline(found: duckdb.DuckDBPyConnection) -> None:
    """Three dark weeks: no stage falls in them, and after them all goes on as before."""
    rows = found.execute(
        "SELECT app, stage, lag(stage) OVER (PARTITION BY app ORDER BY week) FROM adoption_weekly "
        "WHERE department = 'Works' AND week BETWEEN DATE '2026-08-10' AND DATE '2026-09-14' "
        "QUALIFY stage IN ('none', 'stalled', 'abandoned') AND lag(stage) OVER "
        "(PARTITION BY app ORDER BY week) NOT IN ('none', 'stalled', 'abandoned')"
    ).fetchall()
    dark = found.execute(
        "SELECT count(*) FROM coverage_weekly WHERE department = 'Works' AND NOT visible"
    ).fetchall()
    assert dark[0][0] >= 3
    assert rows == []


def test_losing_a_tenth_of_the_days_changes_few_stages(
    demo_store: Path, found: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A tenth of all days is dropped at random; at most two stages in a hundred change."""
    shutil.copytree(demo_store, tmp_path / "store")
    rules = rulebook.load_rules()
    store = Store(tmp_path / "store")
    for table in ("usage", "presence", "source_day", "unknown_usage"):
        store.con.execute(f"DELETE FROM {table} WHERE hash(day, 4) % 10 = 0")
    apps, categories = rules.catalogue.apps.values(), rules.catalogue.categories.values()
    store.publish(
        lambda con: adoption.derive(
            con, rules.thresholds, k=1, meta={}, apps=apps, categories=categories
        )
    )
    store.close()
    before = seen(found)
    with duckdb.connect(str(tmp_path / "store" / "findings.duckdb"), read_only=True) as con:
        days = con.execute(
            "SELECT count(DISTINCT day) FROM coverage_daily WHERE requests > 0"
        ).fetchall()[0][0]
        after = seen(con)
    everything = found.execute(
        "SELECT count(DISTINCT day) FROM coverage_daily WHERE requests > 0"
    ).fetchall()[0][0]
    assert 0.8 < days / everything < 0.97
    changed = [cell for cell, stage in before.items() if after.get(cell, "none") != stage]
    assert len(changed) <= 0.02 * len(before), (len(changed), len(before))
