"""Rules of one's own: written by a command, over the shipped ones, and safe from an upgrade."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb
import pytest

from agent.catalogue import load_catalogue
from agent.commands.rules import register
from agent.errors import RulesError
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


# Hosts of the company.


def test_a_host_under_ones_own_name_is_what_it_stands_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    pairs = "host,target\nCommunity.Example.com,acme.jiveon.com.\nimg.example.com,slack-edge.com\n"
    (tmp_path / "rules" / "aliases.csv").write_text(pairs + "x.example.com,unknown.example.org\n")
    book = load_catalogue(extra=[tmp_path / "rules"])
    match = book.match("community.example.com")
    assert (match.app, match.tenant, match.signal) == ("jive", "acme", "app")
    assert match.rule == "community_platform/jive: community.example.com for acme.jiveon.com"
    assert book.match("img.example.com").signal == "cdn"
    assert book.match("x.example.com").app is None
    assert book.match("example.com").app is None
    assert book.version != load_catalogue().version
    (row,) = run("explain", "community.example.com", "--json", "--store", tmp_path).rows
    assert str(row["why"]).startswith("community.example.com is its longest known suffix")


def test_a_pair_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "aliases.csv").write_text("host,target\ncommunity.example.com\n")
    with pytest.raises(RulesError) as caught:
        load_catalogue(extra=[tmp_path])
    (problem,) = caught.value.problems
    assert f"{tmp_path}/aliases.csv:2: must be a host, a comma" in str(problem)


def test_what_is_on_premises_is_compared_but_is_no_saas(run: Run, tmp_path: Path) -> None:
    """Its hosts are not unknown, and an app that is made of them says where it runs."""
    store = tmp_path / "store"
    (tmp_path / "logs").mkdir()
    log = LOG.replace(b"miro.com", b"wiki.corp.example.com").replace(
        b"unknown.example.org", b"crm.corp.example.com"
    )
    line = "1772438400.1 9 10.0.0.1 TCP_MISS/200 9 GET http://hr.corp.example.com/ n{} NONE/- -\n"
    crowd = "".join(map(line.format, range(20))).encode()
    (tmp_path / "logs" / "access.log").write_bytes(log + crowd)
    (tmp_path / "sundial.toml").write_text('internal = ["Corp.Example.com."]\n')
    wiki = ("wiki.corp.example.com", "--name", "Our wiki", "--category", "wiki_knowledge")
    run("catalogue", "add", *wiki, "--store", store)
    run("scan", tmp_path / "logs", "--config", tmp_path / "sundial.toml", "--store", store)
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        housed = dict(con.execute("SELECT app, on_premises FROM apps").fetchall())
        assert housed == {app: app == "our_wiki" for app in housed}
        assert "our_wiki" in housed
        told = con.execute(
            "SELECT DISTINCT on_premises FROM hosts_unknown WHERE host LIKE '%corp%'"
        )
        assert told.fetchall() == [(True,)]
        queue = con.execute("SELECT domain FROM unknown_queue").fetchall()
    assert not [domain for (domain,) in queue if "corp" in domain]
    assert run("reclassify", "--store", store).returncode == 0
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        assert dict(con.execute("SELECT app, on_premises FROM apps").fetchall()) == housed


@pytest.mark.parametrize("value", ['"corp.example.com"', "[1]", '["https://corp.example.com"]'])
def test_wrong_suffixes_are_told(value: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "sundial.toml").write_text(f"internal = {value}\n")
    (tmp_path / "a.log").write_bytes(LOG)
    words = ("--config", tmp_path / "sundial.toml", "--store", tmp_path / "store")
    done = run("scan", tmp_path / "a.log", *words, ok=False)
    assert done.returncode == 2
    assert "sundial.toml: internal: is not a list of your own suffixes" in done.stderr


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
