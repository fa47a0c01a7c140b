"""Rules of one's own: written by a command, over the shipped ones, and safe from an upgrade."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from agent.catalogue import load_catalogue
from agent.cli import register
from agent.own_rules import folders
from agent.telling import csv_lines
from tests.conftest import Run
from tests.test_scan import LOG

ADD = (
    "catalogue",
    "add",
    "Ledgerly.Example.net",
    "--name",
    "Ledgerly",
    "--category",
    "project_task",
)


def test_an_added_app_is_known_from_the_next_scan_on(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "access.log").write_bytes(
        LOG.replace(b"miro.com", b"app.ledgerly.example.net")
    )
    run("scan", tmp_path / "logs", "--store", store)
    run(*ADD, "--store", store)
    (row,) = run("explain", "app.ledgerly.example.net", "--json", "--store", store).rows
    assert (row["app"], row["rule"]) == ("ledgerly", "project_task/ledgerly: ledgerly.example.net")
    (change,) = run("reclassify", "--store", store, "--json").rows
    assert (change["kind"], change["after"]) == ("unpeopled", "ledgerly")
    run("scan", tmp_path / "logs", "--store", tmp_path / "new", "--rules", store / "rules")
    (again,) = run("catalogue", "--text", "ledgerly", "--json", "--store", store).rows
    assert again["hosts"] == {"app": ["ledgerly.example.net"]}


def test_local_rules_are_over_ours_and_survive_an_upgrade(run: Run, tmp_path: Path) -> None:
    """The release after may know the app too, by the same id, the same host or both."""
    run(*ADD, "--store", tmp_path)
    own = folders(tmp_path, None)
    assert own == [tmp_path / "rules"]
    entry = (tmp_path / "rules/apps/project_task.toml").read_text(encoding="utf-8")
    upgrade = tmp_path / "upgrade" / "apps"
    upgrade.mkdir(parents=True)
    for name in ("ledgerly", "ledger_by_us"):
        text = entry.replace("[ledgerly]", f"[{name}]").replace("Ledgerly", "Theirs")
        (upgrade / "wiki_knowledge.toml").write_text(text, encoding="utf-8")
        book = load_catalogue(extra=[upgrade.parent, *own])
        match = book.match("app.ledgerly.example.net")
        assert match.app == "ledgerly"
        assert book.apps["ledgerly"].name == "Ledgerly"
    assert (tmp_path / "rules/apps/project_task.toml").read_text(encoding="utf-8") == entry


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--category", "project_tas"], 'is no category. Did you mean "project_task"?'),
        (
            ["--name", "Slack"],
            '"slack" is Slack of the catalogue. Give another --id, or --id slack',
        ),
        (["--homepage", "http://x.example"], "must begin with https://"),
        (["--audience", "all"], '"all" is none of'),
    ],
)
def test_what_would_be_no_entry_is_refused_and_nothing_is_written(
    words: list[str], told: str, run: Run, tmp_path: Path
) -> None:
    done = run(*ADD, *words, "--store", tmp_path, ok=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(tmp_path.rglob("*.toml"))


def test_an_entry_joins_others_and_spares_comments(run: Run, tmp_path: Path) -> None:
    run(*ADD, "--store", tmp_path)
    file = tmp_path / "rules" / "apps" / "project_task.toml"
    second = ("catalogue", "add", "b.example", "--name", "Board", "--category", "project_task")
    run(*second, "--store", tmp_path)
    assert file.read_text(encoding="utf-8").index("[board]") == 0
    file.write_text("# ours\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    run(*second[:2], "c.example", "--name", "C", "--category", "project_task", "--store", tmp_path)
    assert file.read_text(encoding="utf-8").startswith("# ours\n[board]")
    assert run(*second, "--store", tmp_path, ok=False).returncode == 2


def test_a_taken_host_is_told(run: Run, tmp_path: Path) -> None:
    words = ("miro.com", "--name", "Boards", "--category", "whiteboard_visual")
    told = run("catalogue", "add", *words, "--store", tmp_path).stderr
    assert "miro.com was Miro's; your entry has it now." in told


def test_check_lays_own_entries_out_anew(run: Run, tmp_path: Path) -> None:
    run(*ADD, "--store", tmp_path)
    file = tmp_path / "rules" / "apps" / "project_task.toml"
    good = file.read_text(encoding="utf-8")
    head, _, domains = good.rpartition("\n\n")[2].rpartition("domains")
    file.write_text(head.replace("[ledgerly]\n", f"[ledgerly]\ndomains{domains}"), encoding="utf-8")
    told = run("check", "--fix", "--rules", tmp_path / "rules").stderr
    assert told == f"{file}: laid out anew.\n"
    assert file.read_text(encoding="utf-8") == good
    assert run("check", "--fix", "--rules", tmp_path / "rules").stderr == ""


# Listing.


def test_the_list_can_be_narrowed(run: Run) -> None:
    rows = run("catalogue", "--category", "Team messaging", "--signal", "webhook", "--json").rows
    assert {"slack", "microsoft_teams"} <= {row["app"] for row in rows}
    for row in rows:
        assert isinstance(row["categories"], list)
        assert isinstance(row["hosts"], dict)
        assert "team_messaging" in row["categories"]
        assert "webhook" in row["hosts"]
    lines = run("catalogue", "--text", "yammer").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["viva_engage"]


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--category", "chat"], "is no category"), (["--signal", "cnd"], 'Did you mean "cdn"?')],
)
def test_a_wrong_filter_is_told(words: list[str], told: str, run: Run) -> None:
    done = run("catalogue", *words, ok=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_counts_add_up(run: Run) -> None:
    rows = run("catalogue", "--count", "--json").rows
    numbers = [int(str(row["apps"])) for row in rows]
    assert numbers[-1] == sum(numbers[:-1]) == len(load_catalogue().apps)


def test_the_csv_is_the_list_and_no_cell_is_a_formula(run: Run) -> None:
    text = run("catalogue", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(load_catalogue().apps)
    assert [row for row in rows if any(cell[:1] in set("=+-@\t\r") for cell in row.values())] == []
    (_, line) = csv_lines([{"name": "=cmd|calc", "hosts": {"app": ["x.example"]}}])
    assert line == "'=cmd|calc,x.example=app"


def test_commands_of_the_catalogue_explain_themselves(run: Run) -> None:
    for command in register.registered_commands:
        told = run("catalogue", str(command.name), "--help").stdout
        assert f"Example: sundial catalogue {command.name}" in " ".join(told.split())
