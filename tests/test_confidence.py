"""How sure a finding is: each kind of evidence for itself, and the lines that stand behind it."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from agent.confidence import KINDS, load_confidence
from agent.errors import RulesError
from tests.conftest import Run, counted
from tests.test_identity import Day, day

__all__ = ["day"]

ODDS = load_confidence()
FOUND = "SELECT department, rule_kind, days_from, kinds_agree, confidence FROM finding_confidence"


def squid(host: str, *days: int, user: str = "ann", client: str = "10.1.0.1") -> str:
    """Lines of a proxy, one for each day of March 2026, at nine."""
    return "".join(
        f"{1772442000 + 86400 * (number - 2)}.000 90 {client} TCP_TUNNEL/200 500 CONNECT "
        f"{host}:443 {user} HIER_DIRECT/192.0.2.1 -\n"
        for number in days
    )


def bind(host: str, *days: int, client: str = "10.1.0.1") -> str:
    """Lines of a resolver, one for each day of March 2026, at nine."""
    return "".join(
        f"{number:02}-Mar-2026 09:00:00.000 queries: info: client @0x7f {client}#5353 ({host}): "
        f"query: {host} IN A + (192.0.2.53)\n"
        for number in days
    )


SOURCES = '[source.web]\nmatch = "web*"\n[source.dns]\nmatch = "query*"\n'


def found(day: Day) -> list[tuple[object, ...]]:
    """What was found, with the confidence rounded."""
    rows = day.asked(f"{FOUND} ORDER BY ALL")
    return [(*row, round(float(str(sure)), 6)) for *row, sure in rows]


def chance(rule: str, days: int, *, agree: bool) -> float:
    return round(ODDS.chance(rule, days, agree=agree), 6)


@pytest.mark.parametrize(
    ("host", "rule"),
    [("slack.com", "exact"), ("acme.slack.com", "suffix"), ("chat.acme.example", "alias")],
)
def test_the_rule_decides_where_to_begin(day: Day, host: str, rule: str) -> None:
    (day.folder / "store").mkdir()
    day.write("store/rules/aliases.csv", "host,target\nchat.acme.example,acme.slack.com\n")
    day.write("logs/web.log", squid(host, 2))
    day.scan(SOURCES)
    assert found(day) == [("Marketing", rule, 1, False, chance(rule, 1, agree=False))]


def test_an_entry_of_your_own_is_told_apart(day: Day) -> None:
    entry = (
        '[slack]\nname = "Slack"\nvendor = "Salesforce"\nhomepage = "https://slack.com"\n'
        'audience = "business"\ndomains = ["slack.com"]\n'
    )
    (day.folder / "store/rules").mkdir(parents=True)
    day.write("store/rules/apps/team_messaging.toml", entry)
    day.write("logs/web.log", squid("slack.com", 2))
    day.scan(SOURCES)
    assert found(day) == [("Marketing", "own", 1, False, chance("own", 1, agree=False))]


def test_days_and_agreement_add_up(day: Day) -> None:
    """DNS of an address counts for the user whom the proxy saw there."""
    day.write("logs/web.log", squid("slack.com", 2, 3, 4, 5, 6))
    day.write("logs/query.log", bind("slack.com", 2, 3))
    day.scan(SOURCES)
    assert found(day) == [("Marketing", "exact", 5, True, chance("exact", 5, agree=True))]
    assert day.asked("SELECT sources FROM finding_confidence") == [(["dns", "web"],)]


def test_explain_tells_how_sure_the_store_is_of_an_app(day: Day, run: Run) -> None:
    """As the app's page does; where no store tells of the app, as before."""
    before = run("explain", "acme.slack.com", "--store", day.folder / "store").stdout
    day.write("logs/web.log", squid("slack.com", 2, 3, 4, 5, 6))
    day.write("logs/web-2.log", squid("acme.slack.com", 2, user="bob", client="10.1.0.2"))
    day.write("logs/query.log", bind("slack.com", 2, 3))
    day.scan(SOURCES)
    store = ("--store", counted(day.folder / "store"))
    (row,) = run("explain", "acme.slack.com", *store, "--json").rows
    assert row["confidence"] == [
        {"department": place, "confidence": round(chance(rule, days, agree=agree), 3)}
        | {"rule_kind": rule, "days_from": days, "kinds_agree": agree, "sources": sources}
        for place, rule, days, agree, sources in (
            ("Marketing", "exact", 5, True, ["dns", "web"]),
            ("Sales", "suffix", 1, False, ["web"]),
        )
    ]
    said = run("explain", "acme.slack.com", *store).stdout
    lines = [line for line in said.splitlines() if line.startswith("  confidence")]
    agreed = "DNS and another log agree, 5 days or more (dns, web)"
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        f"0.93 that Marketing uses Slack: rule exact, {agreed}",
        "0.50 that Sales uses Slack: rule suffix, one kind of log, 1 day (web)",
    ]
    assert [line for line in said.splitlines() if line not in lines] == before.splitlines()
    for host, rows in (("asana.com", []), ("nobody.example", None)):
        (row,) = run("explain", host, *store, "--json").rows
        assert row.get("confidence") == rows


def test_only_the_last_four_weeks_of_use_count(day: Day) -> None:
    day.write("logs/web.log", squid("slack.com", 2, 3, 31) + squid("example.com", 32, 60))
    day.scan(SOURCES)
    assert found(day) == [("Marketing", "exact", 1, False, chance("exact", 1, agree=False))]


def test_what_proves_no_use_has_evidence_and_no_confidence(day: Day) -> None:
    day.write(
        "logs/web.log",
        squid("example.com", 2, 2)
        + squid("connect.facebook.net", 2)
        + squid("example.com", 2)
        + squid("connect.facebook.net", 2),
    )
    day.scan(SOURCES)
    assert day.asked("FROM finding_confidence") == []
    told = "SELECT app, host, evidence, rule_kind, source, first_line, last_line"
    assert day.asked(f"{told} FROM finding_evidence") == [
        ("facebook", "connect.facebook.net", "embedded", "suffix", "web", 3, 5)
    ]


def test_evidence_follows_a_file_that_grows_and_keeps_to_three(day: Day) -> None:
    day.write("logs/web.log", squid("example.com", 2, 2) + squid("slack.com", 2))
    day.scan(SOURCES)
    (path,) = day.asked("SELECT path FROM finding_evidence")
    assert str(path[0]).endswith("web.log")
    with (day.folder / "logs/web.log").open("a") as log:
        log.write(squid("example.com", 3) + squid("slack.com", 3))
    for number in range(3, 8):
        day.write(f"logs/web-{number}.log", squid("slack.com", number))
    day.scan(SOURCES)
    told = day.asked("SELECT path, first_line, last_line FROM finding_evidence ORDER BY ALL")
    assert [(str(path)[-9:], first, last) for path, first, last in told] == [
        (f"web-{number}.log", 1, 1) for number in (5, 6, 7)
    ]
    for number in range(3, 8):
        (day.folder / f"logs/web-{number}.log").unlink()
    day.write("logs/web.log", (day.folder / "logs/web.log").read_text() + squid("slack.com", 9))
    day.scan(SOURCES)
    lines = "SELECT first_line, last_line FROM finding_evidence WHERE ends_with(path, 'web.log')"
    assert day.asked(lines) == [(3, 6)]


def test_shared_addresses_and_refused_requests_prove_nothing(day: Day) -> None:
    day.write("logs/web.log", squid("slack.com", 2).replace("TCP_TUNNEL/200", "TCP_DENIED/403"))
    day.scan(SOURCES)
    assert day.asked("FROM finding_confidence") == []


def test_what_is_called_sure_was_lived(demo_store: Path, demo_folder: Path) -> None:
    """Of the demo company all use has a confidence, and what is surest is true but for a few."""
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["adoption"]
    with duckdb.connect(str(demo_store / "findings.duckdb"), read_only=True) as con:
        found = con.execute("SELECT app, department, confidence FROM finding_confidence").fetchall()
        active = con.execute(
            "SELECT DISTINCT app, department FROM adoption_weekly"
            " WHERE active_people > 0 AND department <> '(unknown)'"
        ).fetchall()
        places = con.execute(
            "SELECT count(*), bool_and(first_line BETWEEN 1 AND last_line AND last_line <= lines)"
            " FROM finding_evidence JOIN log_files USING (source, path)"
        ).fetchall()
    assert {(app, place) for app, place, _ in found} >= set(active)
    sure = [(app, place) for app, place, chance in found if chance > 0.9]
    assert len(sure) > 20
    right = [any(truth[app][place]["regular"]) for app, place in sure]
    assert sum(right) / len(right) >= 0.95  # three people who look in once each are not a habit
    assert places[0][0] > 100
    assert places[0][1]


def test_more_evidence_never_makes_a_finding_less_sure() -> None:
    for rule in KINDS:
        chances = [ODDS.chance(rule, days, agree=False) for days in range(1, 29)]
        assert chances == sorted(chances)
        assert all(
            ODDS.chance(rule, days, agree=True) > ODDS.chance(rule, days, agree=False)
            for days in range(1, 29)
        )


def test_every_fault_of_the_odds_is_told(tmp_path: Path) -> None:
    file = tmp_path / "confidence.toml"
    file.write_text(
        "[rule]\nexact = 0\nsufix = 1\n[days]\ntwo = 2\n[agree]\nkinds = true\n[more]\n"
    )
    with pytest.raises(RulesError) as caught:
        load_confidence(file)
    told = [str(problem) for problem in caught.value.problems]
    for key in (
        "rule.exact",
        "rule.sufix",
        "rule.own",
        "days.two",
        "days.1",
        "agree.kinds",
        "more",
    ):
        assert any(f"{key}:" in line for line in told), (key, told)
