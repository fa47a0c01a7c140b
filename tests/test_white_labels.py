"""Customers' own names: what answers say a host leads to, from the log to the finding."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from agent import capture, questions
from agent.catalogue import Catalogue, load_catalogue
from agent.model import Match
from agent.white_labels import MOST_OF_DOMAIN, WhiteLabels
from tests import servers, wires
from tests.conftest import Require, Run, counted

HOST = "community.example.net"
TARGET = "acme.lithium.com"


@cache
def book() -> Catalogue:
    return load_catalogue()


def labels(*internal: str) -> WhiteLabels:
    return WhiteLabels(book().match, book().stands_for, book().domain, internal=internal)


def told(store: Path, query: str) -> list[tuple[Any, ...]]:
    findings = counted(store) / "findings.duckdb"
    with duckdb.connect(str(findings), read_only=True) as con:
        return con.execute(query).fetchall()


# What a pair means.


@pytest.mark.parametrize(
    ("host", "target", "app", "signal"),
    [
        (HOST, TARGET, "khoros", "app"),
        ("status.example.net", "x1.stspg-customer.com", "statuspage", "app"),
        ("www.example.net", "target.substack-custom-domains.com", "substack", "app"),
        ("links.example.net", "acme.sendgrid.net", "sendgrid", "tracker"),
        ("go.example.net", "cname.bitly.com", "bitly", "tracker"),
        ("lyncdiscover.example.net", "webdir.online.lync.com", "microsoft_teams", "api"),
        ("cdn.example.net", TARGET, "khoros", "cdn"),
    ],
)
def test_an_unknown_host_is_what_it_leads_to(host: str, target: str, app: str, signal: str) -> None:
    match = book().stands_for(host, target)
    assert (match.app, match.signal) == (app, signal)
    assert match.tenant == (host if signal == "app" else None)
    assert (match.rule or "").endswith(" (by CNAME)")


@pytest.mark.parametrize("host", ["www.slack.com", "acme.slack.com", "help.salesforce.com"])
def test_a_known_host_stays_what_it_is(host: str) -> None:
    """Nobody's answer gives a name of the catalogue to somebody else."""
    assert book().stands_for(host, TARGET) == book().match(host)
    heard = labels()
    assert not heard.hear(host, TARGET)
    assert heard.match(host) == book().match(host)


@pytest.mark.parametrize(
    "target",
    [
        "d111.cloudfront.net",
        "acme.azureedge.net",
        "www.linkedin.com.cdn.cloudflare.net",
        "slack.com.edgekey.net",
        "acme.s3.amazonaws.com",
        "ghs.googlehosted.com",
        "acme.github.io",
        "lithium.com.example.org",
        "notlithium.com",
        "",
    ],
)
def test_shared_infrastructure_gives_no_app(target: str) -> None:
    assert book().stands_for(HOST, target) == Match(HOST)
    assert not labels().hear(HOST, target)


def test_a_site_of_its_own_is_nobodys_app() -> None:
    assert book().stands_for("www.example.net", "acme.wordpress.com").app is None
    assert book().stands_for("shop.example.net", "proxy-ssl.webflow.com").signal == "cdn"


def test_a_target_seen_by_itself_is_no_use() -> None:
    targets = [host for app in book().apps.values() for host in app.white_label]
    assert len(targets) > 10
    for target in targets:
        assert book().match(target).signal == "cdn", target
        assert book().stands_for(HOST, f"x.{target}").signal == "app", target


def test_a_host_of_the_companys_own_stays_on_premises() -> None:
    heard = labels("example.net")
    assert not heard.hear(HOST, TARGET)
    assert heard.hear("community.example.org", TARGET)


def test_the_hosts_of_one_domain_are_limited() -> None:
    """Who answers for a domain can make names without end; others keep their room."""
    heard = labels()
    kept = [heard.hear(f"name-{n}.hostile.com", TARGET) for n in range(2 * MOST_OF_DOMAIN)]
    assert kept == [True] * MOST_OF_DOMAIN + [False] * MOST_OF_DOMAIN
    assert heard.hear(HOST, TARGET)
    assert heard.hear(HOST, "acme.zendesk.com"), "a host that moves is no further host"
    assert heard.match(HOST).app == "zendesk"


# From the log to the finding.

CHAIN = f"""\
Jan  5 09:00:00 dnsmasq[311]: query[A] {HOST} from 192.0.2.10
Jan  5 09:00:00 dnsmasq[311]: forwarded {HOST} to 192.0.2.53
Jan  5 09:00:00 dnsmasq[311]: reply {HOST} is <CNAME>
Jan  5 09:00:00 dnsmasq[311]: reply pool.example.net is <CNAME>
Jan  5 09:00:00 dnsmasq[311]: reply {TARGET} is <CNAME>
Jan  5 09:00:00 dnsmasq[311]: reply d123.cloudfront.net is 203.0.113.9
Jan  5 09:00:01 dnsmasq[311]: query[A] shop.example.net from 192.0.2.10
Jan  5 09:00:01 dnsmasq[311]: reply shop.example.net is <CNAME>
Jan  5 09:00:01 dnsmasq[311]: reply d9.cloudfront.net is 203.0.113.9
"""
PROXY = (
    f"1767603600.123 845 192.0.2.11 TCP_TUNNEL/200 6295 CONNECT {HOST}:443 asmith "
    "HIER_DIRECT/203.0.113.7 -\n"
)
USE = "SELECT host, app, signal, tenant FROM hosts"
UNKNOWN = "SELECT DISTINCT host, app FROM hosts_unknown ORDER BY 1"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.mark.parametrize("names", [("a.log", "b.log"), ("b.log", "a.log")])
def test_a_chain_over_lines_names_the_host_in_every_log(
    names: Sequence[str], logs: Path, tmp_path: Path, run: Run
) -> None:
    """Also in lines that were read before the answer was."""
    for name, text in zip(names, (CHAIN, PROXY), strict=True):
        (logs / name).write_text(text)
    store = tmp_path / "store"
    run("scan", logs, "--store", store)
    assert told(store, USE) == [(HOST, "khoros", "app", HOST)]
    assert told(store, UNKNOWN) == [("shop.example.net", None)]
    assert told(store, "SELECT sum(requests) FROM usage_daily WHERE app = 'khoros'") == [(2,)]
    found = told(store, "SELECT host, target, source FROM white_labels ORDER BY 1")
    assert found == [
        (HOST, TARGET, "dnsmasq"),
        ("pool.example.net", TARGET, "dnsmasq"),
    ]


def test_what_was_read_before_is_marked_and_what_comes_is_named(
    logs: Path, tmp_path: Path, run: Run
) -> None:
    store = tmp_path / "store"
    (logs / "a.log").write_text(PROXY)
    run("scan", logs, "--store", store)
    assert told(store, UNKNOWN) == [(HOST, None)]
    (logs / "b.log").write_text(CHAIN)
    said = run("scan", logs, "--store", store).stderr
    assert f"new: khoros in {HOST}" in said
    assert (HOST, "khoros") in told(store, UNKNOWN)
    (logs / "c.log").write_text(PROXY.replace("asmith", "bwagner"))
    run("scan", logs, "--store", store)
    assert told(store, "SELECT sum(requests) FROM usage_daily WHERE app = 'khoros'") == [(2,)]


def test_reclassify_gives_history_what_the_target_is_now(
    logs: Path, tmp_path: Path, run: Run
) -> None:
    store = tmp_path / "store"
    (logs / "a.log").write_text(CHAIN)
    run("scan", logs, "--store", store)
    own = ("--name", "Acme Forum", "--category", "forum_qa", "--store", store)
    run("catalogue", "add", TARGET, *own)
    (row,) = run("reclassify", "--store", store, "--json").rows
    assert (row["before"], row["after"], row["hosts"]) == ("khoros", "acme_forum", [HOST])
    assert told(store, USE) == [(HOST, "acme_forum", "app", HOST)]
    run("catalogue", "add", HOST, "--name", "Our own", "--category", "forum_qa", "--store", store)
    run("reclassify", "--store", store)
    assert told(store, "SELECT app, rule FROM hosts") == [("our_own", f"forum_qa/our_own: {HOST}")]


def test_explain_tells_where_the_answer_was_seen(logs: Path, tmp_path: Path, run: Run) -> None:
    store = tmp_path / "store"
    (logs / "a.log").write_text(CHAIN)
    run("scan", logs, "--store", store, "--timezone", "UTC")
    ((day,),) = told(store, "SELECT last_seen FROM white_labels WHERE host LIKE 'community%'")
    said = run("explain", HOST, "--store", counted(store)).stdout
    assert f"by CNAME it is {TARGET}, seen in dnsmasq on {day}" in said
    first, second = run(
        "explain", HOST, "shop.example.net", "--store", counted(store)
    ).stdout.split("\n")[:2]
    assert "Khoros Communities" in first
    assert "not in the catalogue" in second
    (row,) = run("explain", HOST, "--json", "--store", tmp_path / "none").rows
    assert row["app"] is None


def test_a_flood_of_names_that_lead_to_an_app_is_bounded(
    logs: Path, tmp_path: Path, run: Run
) -> None:
    """Machine-made names are not listened to, and readable ones only up to the limit."""
    lines = []
    for number in range(3000):
        made = f"{number * 7919:x}z{number:x}.hostile.com"
        letters = "".join(chr(97 + int(digit)) for digit in str(number))
        for host in (made, f"ab-{letters}.hostile.com"):
            lines += [
                f"Jan  5 09:00:00 dnsmasq[9]: query[A] {host} from 192.0.2.10",
                f"Jan  5 09:00:00 dnsmasq[9]: reply {host} is <CNAME>",
                f"Jan  5 09:00:00 dnsmasq[9]: reply {TARGET} is 203.0.113.9",
            ]
    (logs / "a.log").write_text("\n".join(lines) + "\n")
    store = tmp_path / "store"
    run("scan", logs, "--store", store)
    assert told(store, "SELECT count(*) FROM white_labels") == [(MOST_OF_DOMAIN,)]
    assert told(store, "SELECT count(*) FROM white_labels WHERE host NOT LIKE 'ab-%'") == [(0,)]


# What real servers write and send.


def test_answers_of_a_real_dnsmasq(logs: Path, tmp_path: Path, run: Run, require: Require) -> None:
    """One forwards to another: the log of the first, and what it sends, show the same target."""
    program = require("dnsmasq")
    store = tmp_path / "store"
    with ExitStack() as stack:
        above = stack.enter_context(servers.dnsmasq(program, extra=False, cname=(HOST, TARGET)))
        upstream = f"127.0.0.1#{above.address[1]}"
        server = stack.enter_context(servers.dnsmasq(program, extra=True, upstream=upstream))
        sent = servers.answer(server.address, servers.Ask("127.0.0.2", HOST, "A"))
        (logs / "dns.log").write_bytes((server.folder / "dnsmasq.log").read_bytes())
    run("scan", logs, "--store", store)
    assert told(store, USE) == [(HOST, "khoros", "app", HOST)]
    answered = ETHER / IP(src="192.0.2.53", dst="192.0.2.10") / UDP(sport=53, dport=4000)
    (row,) = events(answered / Raw(sent))
    assert (row["host"], row["alias"], row["outcome"]) == (HOST, TARGET, "other")


def test_answers_of_a_real_bind(require: Require) -> None:
    """An answer of BIND's own zone, over UDP and over TCP, with its compressed names."""
    zone = (
        f"@ 60 SOA ns host 1 1 1 1 1\n@ 60 NS ns\nns 60 A 127.0.0.1\ncommunity 60 CNAME {TARGET}.\n"
    )
    with servers.bind(require("named"), zone=("example.net", zone)) as server:
        sent = servers.answer(server.address, servers.Ask("127.0.0.2", HOST, "A"))
        with closing(socket.create_connection(server.address, timeout=10)) as tcp:
            question = wires.query(HOST)
            tcp.sendall(struct.pack("!H", len(question)) + question)
            streamed = tcp.recv(4096)
    there = ETHER / IP(src="192.0.2.53", dst="192.0.2.10")
    found = events(
        there / UDP(sport=53, dport=4000) / Raw(sent),
        there / TCP(sport=53, dport=4000, flags="PA") / Raw(streamed),
    )
    assert [(row["host"], row["alias"]) for row in found] == [(HOST, TARGET)] * 2


# Captures.


ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
"""With addresses, lest scapy asks the network for some."""


def events(*packets: Packet) -> list[dict[str, Any]]:
    data = wires.pcap([(1_767_603_600 + at, bytes(one)) for at, one in enumerate(packets)])
    return [row for part in capture.Capture().read([data]) for row in part.events.to_pylist()]


def reply(*records: DNSRR, asked: str = HOST, kind: str = "A", code: int = 0) -> Packet:
    message = DNS(qr=1, ra=1, qd=DNSQR(qname=asked, qtype=kind), an=list(records), rcode=code)
    there = ETHER / IP(src="192.0.2.53", dst="192.0.2.10")
    return there / UDP(sport=53, dport=40_000) / message


def cname(owner: str, target: str) -> DNSRR:
    return DNSRR(rrname=owner, type="CNAME", rdata=target)


def test_a_capture_follows_the_chain_from_what_was_asked() -> None:
    chain = cname(HOST, "Pool.example.net"), cname("pool.example.net", TARGET)
    address = DNSRR(rrname=TARGET, type="A", rdata="203.0.113.9")
    stray = cname("www.bank.example.org", "evil.slack.com")
    rows = events(
        reply(*chain, address),
        reply(stray, *chain),
        reply(stray),
        reply(address),
        reply(*chain, code=3),
        reply(*chain, kind="MX"),
        reply(cname(HOST, HOST)),
        reply(cname(HOST, "b.example.org"), cname("b.example.org", HOST)),
    )
    assert {row["outcome"] for row in rows} == {"other"}
    assert {row["client"] for row in rows} == {"192.0.2.10"}
    led = [(row["host"], row["alias"]) for row in rows]
    both = (HOST, f"pool.example.net {TARGET}")
    assert led[:2] == [both, both]
    assert all(alias == "b.example.org" for _, alias in led[2:])


def test_an_answer_in_a_capture_names_the_host(logs: Path, tmp_path: Path, run: Run) -> None:
    there = ETHER / IP(src="192.0.2.10", dst="192.0.2.53")
    ask = there / UDP(sport=40_000, dport=53) / Raw(wires.query(HOST, 0))
    frames = [(1_767_603_600, bytes(ask)), (1_767_603_601, bytes(reply(cname(HOST, TARGET))))]
    (logs / "a.pcap").write_bytes(wires.pcap(frames))
    shown = run("parse", logs / "a.pcap").rows
    assert [(row["counted"], row["alias"]) for row in shown] == [(True, None), (False, TARGET)]
    run("scan", logs, "--store", tmp_path / "store")
    assert told(tmp_path / "store", USE) == [(HOST, "khoros", "app", HOST)]
    assert told(tmp_path / "store", "SELECT sum(requests) FROM usage_daily") == [(1,)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 40))
def test_no_answer_harms_the_reader(tail: bytes, cut: int) -> None:
    """Pointers in circles, names without end, lengths that lie."""
    head = wires.query(HOST)
    message = head[:2] + b"\x81\x80\0\1\0\x09\0\0\0\0" + head[12:] + b"\xc0\x0c\0\5\0\1\0\0\0\1"
    message = (message + tail)[: len(message) + len(tail) - cut]
    data = np.frombuffer(message + bytes(300), np.uint8)
    found = questions.answered(data, np.array([0]), np.array([len(message)]))
    assert all(alias.isprintable() for alias in found[2])
