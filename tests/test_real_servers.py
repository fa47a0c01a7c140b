"""Squid, BIND and dnsmasq are driven for real, and what they logged is what Sundial reports."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import servers
from tests.conftest import Require, Run, counted
from tests.servers import Ask

ANN, BOB, EVE = "127.0.1.11", "127.0.1.12", "127.0.2.21"
"""Two desks of Marketing and one of Sales; see SUBNETS."""

PROXY_ASKS = (
    [Ask(ANN, "app.slack.com", "CONNECT", "ann")] * 5
    + [Ask(BOB, "app.slack.com", "CONNECT", "bob")] * 3
    + [Ask(BOB, "miro.com", "GET", "bob")] * 4
    + [Ask(EVE, "trello.com", "CONNECT", "eve")] * 2
    + [Ask(EVE, "intranet.example.com", "GET", "eve")] * 6
    + [Ask(EVE, "wetransfer.com", "GET", "eve"), Ask(EVE, "wetransfer.com", "CONNECT", "eve")]
)
REFUSED = "wetransfer.com"
PAGE = b"sundial " * 4096

DNS_ASKS = (
    [Ask(ANN, "app.slack.com", "A")] * 3
    + [Ask(ANN, "app.slack.com", "AAAA")] * 2
    # Resolvers that mix upper and lower case against spoofing (0x20) are common in the field.
    + [Ask(BOB, "MiRo.CoM", "HTTPS")] * 4
    + [Ask(EVE, "trello.com", "A")] * 2
    + [Ask(EVE, "_dmarc.example.com", "TXT")]
)

PEOPLE = """\
login,mail,department,from,to
ann,ann@example.com,Marketing,,
bob,bob@example.com,Marketing,,
eve,eve@example.com,Sales,,
"""
SUBNETS = """\
cidr,department,site,shared,people
127.0.1.0/24,Marketing,Berlin,no,2
127.0.2.0/24,Sales,Berlin,no,1
"""
CONFIG = """\
[people]
file = "people.csv"
[subnets]
file = "subnets.csv"
"""

Logs = Mapping[str, Path]
Row = dict[str, Any]


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_program_fails_in_ci_and_is_a_skip_elsewhere(
    ci: str, outcome: type[BaseException], require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either way the message names the Debian package that brings the program."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("tests.conftest.find_program", lambda _: None)
    with pytest.raises(outcome, match="named is missing: apt-get install bind9"):
        require("named")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the directory and the address plan of the three people."""
    folder = tmp_path_factory.mktemp("company")
    for name, text in ("people.csv", PEOPLE), ("subnets.csv", SUBNETS), ("sundial.toml", CONFIG):
        (folder / name).write_text(text)
    _stay_within_one_day()
    return folder


@pytest.fixture(scope="module")
def squid_logs(company: Path, require: Require) -> Logs:
    """Squid's own log of PROXY_ASKS, and of a health check that connects and asks nothing."""
    names = [ask.host for ask in PROXY_ASKS]
    with ExitStack() as stack:
        port = stack.enter_context(servers.origin(PAGE))
        squid = stack.enter_context(servers.squid(require("squid"), names, [REFUSED]))
        socket.create_connection(squid.address, timeout=5).close()
        for ask in PROXY_ASKS:
            status, body = servers.fetch(squid.address, ask, port)
            assert (status, body == PAGE) == ((403, False) if ask.host == REFUSED else (200, True))
        return _keep(squid.folder, company / "logs" / "squid", ["access.log"], len(PROXY_ASKS) + 1)


@pytest.fixture(scope="module", params=[None, "inside"], ids=["no view", "view"])
def bind_logs(request: pytest.FixtureRequest, company: Path, require: Require) -> Iterator[Logs]:
    """BIND's query logs of DNS_ASKS, which it refused, with and without a view."""
    with servers.bind(require("named"), request.param) as bind:
        assert {servers.query(bind.address, ask) for ask in DNS_ASKS} == {5}
        yield _keep(bind.folder, company / "bind", ["query.log", "iso.log"], len(DNS_ASKS))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "extra"])
def dnsmasq_logs(request: pytest.FixtureRequest, company: Path, require: Require) -> Iterator[Logs]:
    """The log of dnsmasq for DNS_ASKS, in both of its styles."""
    with servers.dnsmasq(require("dnsmasq"), extra=request.param) as dnsmasq:
        for ask in DNS_ASKS:
            servers.query(dnsmasq.address, ask)
        yield _keep(dnsmasq.folder, company / "dnsmasq", ["dnsmasq.log"], 2 * len(DNS_ASKS))


def test_squid_log_shows_who_asked_for_what(squid_logs: Logs, run_sundial: Run) -> None:
    """Every request, served or refused, is one event with its client, user and host.

    The health check names no host: ``error:transaction-end-before-headers`` stands for its URL.
    """
    events = [event for event in _parse(run_sundial, squid_logs["access.log"]) if event["host"]]
    assert _told(events, "client", "user", "host") == _asked(
        PROXY_ASKS, lambda ask: (ask.client, ask.user, ask.host)
    )


def test_squid_log_shows_what_was_refused_and_how_much_came(
    squid_logs: Logs, run_sundial: Run
) -> None:
    """A refused page is blocked; a served one brought at least the page; nobody knows bytes out."""
    for event in _parse(run_sundial, squid_logs["access.log"]):
        assert event["bytes_out"] is None, event
        assert event["blocked"] is (event["host"] == REFUSED), event
        if event["user"] and not event["blocked"]:
            assert event["bytes_in"] > len(PAGE), event


@pytest.mark.parametrize("name", ["query.log", "iso.log"])
def test_bind_log_shows_who_asked_for_what(bind_logs: Logs, name: str, run_sundial: Run) -> None:
    """Each way BIND can print a query gives the same client and host, in lower case."""
    events = _parse(run_sundial, bind_logs[name])
    assert _told(events, "client", "host") == _dns_asked()
    assert {event["user"] for event in events} == {None}
    assert {event["bytes_in"] for event in events} == {None}


def test_dnsmasq_log_shows_each_question_once(dnsmasq_logs: Logs, run_sundial: Run) -> None:
    """Questions are events, the answers beside them are not."""
    events = _parse(run_sundial, dnsmasq_logs["dnsmasq.log"])
    assert _told(events, "client", "host") == _dns_asked()


@pytest.fixture(scope="module")
def findings(company: Path, squid_logs: Logs, require: Require, run_sundial: Run) -> Path:
    """What one scan publishes of a folder with the logs of all three servers."""
    logs = company / "logs"
    with servers.bind(require("named")) as bind:
        for ask in DNS_ASKS:
            servers.query(bind.address, ask)
        _keep(bind.folder, logs / "bind", ["query.log"], len(DNS_ASKS))
    with servers.dnsmasq(require("dnsmasq"), extra=True) as dnsmasq:
        for ask in DNS_ASKS:
            servers.query(dnsmasq.address, ask)
        _keep(dnsmasq.folder, logs / "dnsmasq", ["dnsmasq.log"], 2 * len(DNS_ASKS))
    assert squid_logs["access.log"].is_relative_to(logs)
    store = company / "store"
    run_sundial("scan", logs, "--config", company / "sundial.toml", "--store", store)
    return counted(store) / "findings.duckdb"


def test_scan_adds_up_requests_of_proxy_and_dns(findings: Path) -> None:
    """Requests by host are those asked of Squid once and of the two name servers each."""
    expected: Counter[str] = Counter()
    for ask in (*PROXY_ASKS, *DNS_ASKS, *DNS_ASKS):
        expected[ask.host.lower()] += 1
    known = {"app.slack.com", "miro.com", "trello.com", REFUSED}
    rows = _rows(findings, "SELECT host, sum(requests)::BIGINT AS n FROM hosts GROUP BY host")
    assert {host: n for host, n in rows if host in known} == {
        host: expected[host] for host in known
    }


def test_scan_fuses_a_proxy_user_with_the_desk_that_asked_by_dns(findings: Path) -> None:
    """Ann counts once in Slack, by name, though name servers saw only the address of her desk."""
    rows = _rows(
        findings,
        "SELECT app, department, max(people) AS people, sum(requests)::BIGINT AS n "
        "FROM usage_daily WHERE evidence = 'use' GROUP BY app, department",
    )
    found = {(app, department): (people, n) for app, department, people, n in rows}
    assert found["slack", "Marketing"] == (2, 8 + 2 * 5)
    assert found["miro", "Marketing"] == (1, 4 + 2 * 4)
    assert found["trello", "Sales"] == (1, 2 + 2 * 2)
    assert not [key for key in found if key[0] == "slack" and key[1] != "Marketing"]


def test_scan_counts_refused_requests_as_blocked(findings: Path) -> None:
    """Both refused requests are blocked, and no other one is."""
    rows = _rows(findings, "SELECT host, sum(blocked)::BIGINT AS n FROM hosts GROUP BY host")
    assert {host: n for host, n in rows if n} == {REFUSED: 2}


def test_scan_accounts_for_every_line(findings: Path) -> None:
    """Each log is read whole, under its own source; events with a host are what was asked."""
    logs = findings.parent.parent / "logs"
    written = {log.parent.name: log.read_bytes().count(b"\n") for log in logs.glob("*/*.log")}
    rows = _rows(findings, "SELECT source, status, lines FROM log_files")
    assert {source: (status, lines) for source, status, lines in rows} == {
        source: ("read", lines) for source, lines in written.items()
    }
    rows = _rows(findings, "SELECT source, sum(events)::BIGINT FROM log_files GROUP BY source")
    events = dict(rows)
    assert (events["bind"], events["dnsmasq"]) == (len(DNS_ASKS), len(DNS_ASKS))
    assert events["squid"] in {len(PROXY_ASKS), len(PROXY_ASKS) + 1}  # the health check may be one


def _parse(run_sundial: Run, log: Path) -> list[Row]:
    """The events of one log as ``sundial parse`` prints them; all of the last few minutes."""
    events = [json.loads(line) for line in run_sundial("parse", log).stdout.splitlines()]
    now = datetime.now(UTC)
    for event in events:
        assert abs(now - datetime.fromisoformat(event["ts"])) < timedelta(minutes=10), event
    return events


def _told(events: list[Row], *keys: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(event[key] for key in keys) for event in events)


def _asked(asks: list[Ask], key: Callable[[Ask], tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    return Counter(key(ask) for ask in asks)


def _dns_asked() -> Counter[tuple[Any, ...]]:
    return _asked(DNS_ASKS, lambda ask: (ask.client, ask.host.lower()))


def _keep(source: Path, target: Path, names: list[str], lines: int) -> Logs:
    """Copy logs out of a server's folder once they hold their lines."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        servers.wait_for_lines(source / name, lines)
        shutil.copy(source / name, target / name)
    return {name: target / name for name in names}


def _rows(findings: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(findings), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _stay_within_one_day() -> None:
    """Wait for midnight (UTC) when it is near, so that people of a day are people of one day."""
    left = 86400 - time.time() % 86400
    if left < 60:
        time.sleep(left + 1)
