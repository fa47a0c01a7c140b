"""History follows the rules: what a store says after a change is what a new scan would say."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest

from agent.errors import StoreError
from agent.relabel import Change
from agent.rulebook import load_rules
from agent.scan import scan
from agent.settings import Settings
from agent.upkeep import reclassify
from tests.conftest import Run, counted
from tests.test_scan import PEOPLE, SUBNETS, Facts, facts, squid

ENTRY = """\
[{id}]
name = "{name}"
vendor = "Example Inc."
homepage = "https://example.com"
audience = "business"
domains = [{domains}]
"""


@pytest.fixture
def company(tmp_path: Path) -> Settings:
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "subnets.csv").write_text(SUBNETS)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "access.log").write_bytes(b"\n".join(squid(400)) + b"\n")
    return Settings(people=tmp_path / "people.csv", subnets=tmp_path / "subnets.csv")


def rules_of(folder: Path, shelf: str = "team_messaging", **entry: str) -> Path:
    (folder / "apps").mkdir(parents=True, exist_ok=True)
    (folder / "apps" / f"{shelf}.toml").write_text(ENTRY.format(**entry))
    return folder


def of_apps(found: Facts) -> Facts:
    """What is said of apps; hosts without persons cannot move."""
    return {name: rows for name, rows in found.items() if not name.startswith(("hosts_un", "unkn"))}


def test_relabelled_history_is_what_a_new_scan_finds(company: Settings, tmp_path: Path) -> None:
    own = rules_of(tmp_path / "own", id="slack", name="Slack", domains='"app.slack.com"')
    shipped, ours = load_rules(), load_rules([own])
    scan([tmp_path / "logs"], tmp_path / "old", company, shipped)
    before = facts(tmp_path / "old")
    scan([tmp_path / "logs"], tmp_path / "new", company, ours)
    changes = reclassify(tmp_path / "old", ours)
    assert of_apps(facts(tmp_path / "old")) == of_apps(facts(tmp_path / "new"))
    assert {(one.kind, one.app) for one in changes} == {("gone", "slack")}
    assert {host for one in changes for host in one.hosts} == {"files.slack.com", "acme.slack.com"}
    assert reclassify(tmp_path / "old", ours) == []
    back = reclassify(tmp_path / "old", shipped)
    assert {(one.kind, one.after) for one in back} == {("new", "slack")}
    assert facts(tmp_path / "old") == before


def test_what_no_rule_knows_any_more_is_unknown_with_its_people(
    company: Settings, tmp_path: Path
) -> None:
    own = rules_of(tmp_path / "own", id="slack", name="Slack", domains='"app.slack.com"')
    scan([tmp_path / "logs"], tmp_path / "store", company, load_rules())
    reclassify(tmp_path / "store", load_rules([own]))
    with duckdb.connect(str(counted(tmp_path / "store") / "findings.duckdb")) as con:
        rows = con.execute(
            "SELECT department, people, requests > 0 FROM hosts_unknown"
            " WHERE host = 'acme.slack.com' AND department <> '(unknown)' ORDER BY ALL"
        ).fetchall()
    assert rows
    assert all(people >= 1 and seen for _, people, seen in rows)


def test_a_host_of_another_app_is_told_with_the_rule(company: Settings, tmp_path: Path) -> None:
    scan([tmp_path / "logs"], tmp_path / "store", company, load_rules())
    own = rules_of(tmp_path / "own", id="house", name="House", domains='"miro.com", "x.example"')
    report = scan([tmp_path / "logs"], tmp_path / "store", company, load_rules([own]))
    told = "renamed: miro.com of miro: now house. Rule team_messaging/house: miro.com."
    assert [str(note) for note in report.notes] == [f"catalogue: {told}"]


def test_a_new_signal_and_a_new_name_are_told(company: Settings, tmp_path: Path) -> None:
    entry = ENTRY.replace("domains = [", 'domains = ["trello.example"]\ncdn = [')
    scan([tmp_path / "logs"], tmp_path / "store", company, load_rules())
    own = tmp_path / "own" / "apps"
    own.mkdir(parents=True)
    text = entry.format(id="trello", name="Trello of ours", domains='"trello.com"')
    (own / "project_task.toml").write_text(text)
    told = [str(change) for change in reclassify(tmp_path / "store", load_rules([own.parent]))]
    assert told == [
        (
            "changed: trello, trello.com: signal cdn instead of signal app. "
            "Rule project_task/trello: trello.com."
        ),
        "renamed: trello is called Trello of ours, no longer Trello.",
    ]


def test_what_was_counted_without_persons_stays_and_is_marked(
    company: Settings, tmp_path: Path
) -> None:
    scan([tmp_path / "logs"], tmp_path / "store", company, load_rules())
    own = rules_of(tmp_path / "own", id="house", name="House", domains='"example.org"')
    (change,) = reclassify(tmp_path / "store", load_rules([own]))
    rule = "team_messaging/house: example.org"
    assert change == Change("unpeopled", "", "house", "house", rule, ("unknown.example.org",))
    assert "counted without persons" in str(change)
    with duckdb.connect(str(counted(tmp_path / "store") / "findings.duckdb")) as con:
        marked = con.execute("SELECT DISTINCT host, app FROM hosts_unknown WHERE app IS NOT NULL")
        assert marked.fetchall() == [("unknown.example.org", "house")]
        assert con.execute("SELECT * FROM apps WHERE app = 'house'").fetchall() == []


def test_relabelling_takes_seconds(company: Settings, tmp_path: Path) -> None:
    scan([tmp_path / "logs"], tmp_path / "store", company, load_rules())
    own = rules_of(tmp_path / "own", id="house", name="House", domains='"miro.com"')
    rules = load_rules([own])
    began = time.monotonic()
    reclassify(tmp_path / "store", rules)
    assert time.monotonic() - began < 10


def test_reclassify_needs_a_store(run: Run, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no store; scan logs into it first"):
        reclassify(tmp_path / "none", load_rules())
    done = run("reclassify", "--store", tmp_path / "none", ok=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
