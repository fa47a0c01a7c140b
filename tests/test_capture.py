"""Captures: every link, every protocol, every way to cut a message, and packets written to harm.

Packets are written by scapy, or byte for byte by ``tests.wires``; the reader knows neither.
"""

from __future__ import annotations

import bz2
import gzip
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from ctypes.util import find_library
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.config import conf
from scapy.contrib.mpls import MPLS
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw

from agent import capture, first_words, quic, sniff
from agent.capture import Capture, Part
from agent.errors import LogError, RulesError
from agent.model import FIELDS
from agent.resolvers import load_resolvers
from agent.streams import LONGEST, Streams
from tests import wires
from tests.conftest import Run

WHEN = 1_767_603_600.25
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
PC, SERVER, RESOLVER = "192.0.2.10", "198.51.100.7", "192.0.2.53"
PC6, SERVER6 = "2001:db8::10", "2001:db8:ffff::7"


def read(data: bytes, start: int = 0, block: int = capture.BLOCK) -> list[Part]:
    return list(Capture(block).read([data], start))


def rows(data: bytes, **how: int) -> list[dict[str, Any]]:
    return [row for part in read(data, **how) for row in part.events.to_pylist()]


def hosts(data: bytes, **how: int) -> list[str]:
    return [row["host"] for row in rows(data, **how) if row["outcome"] is None]


def outcomes(data: bytes) -> Counter[str]:
    return Counter(row["outcome"] for row in rows(data) if row["outcome"] is not None)


def file_of(*packets: Packet | bytes, link: int = 1, **how: Any) -> bytes:  # noqa: ANN401
    frames = [(WHEN + number, bytes(packet)) for number, packet in enumerate(packets)]
    return wires.pcap(frames, link=link, **how)


def in_pieces(cut: Callable[..., list[Packet]], packet: Packet, size: int) -> list[Packet]:
    return list(cut(packet, size))


def ask(name: str, **kind: Any) -> Packet:  # noqa: ANN401
    return UDP(sport=40_000, dport=53) / DNS(rd=1, qd=DNSQR(qname=name, **kind))


def segments(
    data: bytes,
    cuts: Iterable[int] = (),
    *,
    port: int = 443,
    start: int = 1000,
    sport: int = 50_000,
) -> list[Packet]:
    places = [0, *cuts, len(data)]
    return [
        ETHER
        / IP(src=PC, dst=SERVER)
        / TCP(sport=sport, dport=port, seq=(start + begin) % (1 << 32), flags="PA")
        / Raw(data[begin:end])
        for begin, end in pairwise(places)
    ]


def hello(host: str | None = "app.example.com", *more: bytes, padding: int = 0) -> bytes:
    return wires.records(wires.client_hello(host, *more, padding=padding))


def initial_packets(*datagrams: bytes, sport: int = 51_000) -> list[Packet]:
    there = ETHER / IP(src=PC, dst=SERVER) / UDP(sport=sport, dport=443)
    return [there / Raw(datagram) for datagram in datagrams]


# ---- links and headers

QUESTION = ask("app.example.com")
LINKS: dict[str, tuple[int, Packet | bytes]] = {
    "ethernet": (1, ETHER / IP(src=PC) / QUESTION),
    "vlan": (1, ETHER / Dot1Q(vlan=7) / IP(src=PC) / QUESTION),
    "qinq": (1, ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP(src=PC) / QUESTION),
    "three vlans": (1, ETHER / Dot1Q() / Dot1Q() / Dot1Q() / IP(src=PC) / QUESTION),
    "mpls": (1, ETHER / MPLS(label=16, s=0) / MPLS(label=17, s=1) / IP(src=PC) / QUESTION),
    "ethernet over mpls": (
        1,
        Ether(src=ETHER.src, dst=ETHER.dst, type=0x8847)
        / MPLS(label=16, s=1)
        / Raw(bytes(4) + bytes(ETHER / IP(src=PC) / QUESTION)),
    ),
    "pppoe": (1, ETHER / PPPoE() / PPP() / IP(src=PC) / QUESTION),
    "pppoe in vlan": (1, ETHER / Dot1Q() / PPPoE() / PPP() / IP(src=PC) / QUESTION),
    "snap": (1, Dot3() / LLC() / SNAP() / IP(src=PC) / QUESTION),
    "ipv4 with options": (1, ETHER / IP(src=PC, options=b"\x07\x07\x04\0\0\0\0\0") / QUESTION),
    "gre": (1, ETHER / IP() / GRE() / IP(src=PC) / QUESTION),
    "ip in ip": (1, ETHER / IP(proto=4) / IP(src=PC) / QUESTION),
    "raw": (101, IP(src=PC) / QUESTION),
    "raw, older": (12, IP(src=PC) / QUESTION),
    "ipv4": (228, IP(src=PC) / QUESTION),
    "linux cooked": (113, CookedLinux(proto=0x0800) / IP(src=PC) / QUESTION),
    "linux cooked 2": (276, CookedLinuxV2(proto=0x0800) / IP(src=PC) / QUESTION),
    "cooked vlan": (113, CookedLinux(proto=0x8100) / Dot1Q() / IP(src=PC) / QUESTION),
    "bsd null": (0, b"\x02\0\0\0" + bytes(IP(src=PC) / QUESTION)),
    "bsd null, big": (0, b"\0\0\0\x02" + bytes(IP(src=PC) / QUESTION)),
    "bsd loop": (108, b"\0\0\0\x02" + bytes(IP(src=PC) / QUESTION)),
    "ppp": (9, b"\xff\x03\0\x21" + bytes(IP(src=PC) / QUESTION)),
    "ppp, compressed": (9, b"\x21" + bytes(IP(src=PC) / QUESTION)),
    "nflog": (
        239,
        b"\x02\0\0\x05\x08\0\x01\0abcd\x05\0\x0a\0x\0\0\0"
        + struct.pack("<HH", 4 + len(bytes(IP(src=PC) / QUESTION)), 9)
        + bytes(IP(src=PC) / QUESTION),
    ),
}
SIX: dict[str, tuple[int, Packet | bytes]] = {
    "ipv6": (1, ETHER / IPv6(src=PC6) / QUESTION),
    "raw ipv6": (101, IPv6(src=PC6) / QUESTION),
    "ipv6 link": (229, IPv6(src=PC6) / QUESTION),
    "bsd null ipv6": (0, b"\x1e\0\0\0" + bytes(IPv6(src=PC6) / QUESTION)),
    "hop by hop": (1, ETHER / IPv6(src=PC6) / IPv6ExtHdrHopByHop() / QUESTION),
    "three headers": (
        1,
        ETHER
        / IPv6(src=PC6)
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrRouting()
        / IPv6ExtHdrDestOpt()
        / QUESTION,
    ),
    "whole fragment": (1, ETHER / IPv6(src=PC6) / IPv6ExtHdrFragment() / QUESTION),
    "6in4": (1, ETHER / IP() / IPv6(src=PC6) / QUESTION),
}


@pytest.mark.parametrize("kind", [*LINKS, *SIX])
def test_every_link_and_header_leads_to_the_name(kind: str) -> None:
    link, packet = {**LINKS, **SIX}[kind]
    (row,) = rows(file_of(packet, link=link))
    assert (row["host"], row["outcome"]) == ("app.example.com", None)
    assert row["client"] == (PC if kind in LINKS else PC6)


def test_an_event_has_number_time_and_both_ends() -> None:
    data = file_of(ETHER / IP() / UDP(), *segments(hello()))
    (row,) = rows(data)
    assert (row["line_no"], row["client"], row["dest_ip"]) == (2, PC, SERVER)
    assert row["ts"].isoformat() == "2026-01-05T09:00:01.250000"
    assert list(row) == ["line_no", "outcome", *FIELDS]


def test_a_link_that_nobody_knows_is_counted() -> None:
    assert outcomes(file_of(Raw(b"x" * 60), link=147)) == {"link type 147 is not read": 1}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap_of_every_byte_order_and_clock(order: str, *, nano: bool) -> None:
    (row,) = rows(file_of(ETHER / IP(src=PC) / QUESTION, order=order, nano=nano))
    assert (row["host"], str(row["ts"])) == ("app.example.com", "2026-01-05 09:00:00.250000")


def test_pcapng_of_several_sections_interfaces_and_clocks() -> None:
    ether, raw = bytes(ETHER / IP(src=PC) / QUESTION), bytes(IP(src=PC) / QUESTION)
    nano = struct.pack("<HHBxxx", 9, 1, 9) + bytes(4)
    binary = struct.pack(">HHBxxx", 9, 1, 0x80 | 20)
    shifted = struct.pack(">HHq", 14, 8, 1000)
    micros = int(WHEN * 1_000_000)
    data = b"".join(
        [
            wires.section("<"),
            wires.interface(1, "<"),
            wires.interface(101, "<", nano),
            wires.enhanced(micros, ether, 0, "<"),
            wires.block(4, b"names of hosts", "<"),
            wires.enhanced(micros * 1000, raw, 1, "<"),
            wires.section(">"),
            wires.interface(101, ">", binary + shifted + bytes(4)),
            wires.enhanced(int((WHEN - 1000) * (1 << 20)), raw, 0, ">"),
            wires.block(2, struct.pack(">HHIIII", 0, 0, 0, 1 << 20, len(raw), len(raw)) + raw, ">"),
        ]
    )
    found = rows(data)
    assert [row["host"] for row in found] == ["app.example.com"] * 4
    assert [str(row["ts"]) for row in found[:3]] == ["2026-01-05 09:00:00.250000"] * 3
    assert str(found[3]["ts"]) == "1970-01-01 00:16:41"


def test_a_packet_without_a_time_or_interface_is_no_event() -> None:
    raw = bytes(IP(src=PC) / QUESTION)
    simple = wires.block(3, struct.pack("<I", len(raw)) + raw)
    data = wires.section() + wires.interface(101) + simple + wires.enhanced(1, raw, 9)
    assert outcomes(data) == {"time not understood": 1, "link type -1 is not read": 1}


# ---- DNS


def test_only_questions_count_and_only_for_names() -> None:
    there = ETHER / IP(src=PC, dst=RESOLVER)
    answer = DNS(qr=1, qd=DNSQR(qname="answer.example.com"))
    data = file_of(
        there / ask("App.Example.COM"),
        there / ask("10.2.0.192.in-addr.arpa", qtype="PTR"),
        there / ask("1.0.0.0.ip6.arpa", qtype="PTR"),
        there / ask("."),
        there / UDP(sport=53, dport=40_000) / answer,
        there / UDP(sport=40_000, dport=53) / answer,
        there / UDP(sport=40_000, dport=53) / DNS(opcode=5, qd=DNSQR(qname="update.example.com")),
        there / UDP(sport=5353, dport=5353) / DNS(qd=DNSQR(qname="printer.local")),
        there / UDP(sport=5355, dport=5355) / DNS(qd=DNSQR(qname="desk7")),
        there / ask("https.example.com", qtype=65),
    )
    assert hosts(data) == ["app.example.com", "https.example.com"]
    assert not outcomes(data)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([0, 1, 16])), max_size=40)
)
@settings(deadline=None)
def test_a_question_has_the_bytes_of_the_answer_that_comes_next(
    said: list[tuple[int, bool, int]],
) -> None:
    """A talk is two ports and a number; it may be asked again, answered twice, late or never."""
    frames, now, talks = [], WHEN, defaultdict[int, list[tuple[bool, float, int, int]]](list)
    for place, (talk, is_answer, later) in enumerate(said, 1):
        now += later
        port = 40_000 + talk % 2
        body = DNS(id=talk // 2, qr=is_answer, qd=DNSQR(qname="app.example.com"))
        packet = IP(src=PC, dst=RESOLVER) / UDP(sport=port, dport=53) / body / Raw(bytes(place))
        if is_answer:
            packet = IP(src=RESOLVER, dst=PC) / UDP(sport=53, dport=port) / body / Raw(bytes(place))
        frames.append((now, bytes(ETHER / packet)))
        talks[talk].append((is_answer, now, len(frames[-1][1]), place))
    expected = {}
    for one in talks.values():
        for (is_answer, when, sent, place), (then, after, got, _) in pairwise(
            [*one, (False, 0.0, 0, 0)]
        ):
            if not is_answer:
                expected[place] = (sent, got if then and after - when <= 15 else None)
    data = wires.pcap(frames)
    for block in (capture.BLOCK, 300):
        found = {
            row["line_no"]: (row["bytes_out"], row["bytes_in"]) for row in rows(data, block=block)
        }
        assert found == expected


def test_a_name_that_is_none_is_a_reject_and_no_host() -> None:
    body = b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x07a.b\xff\0\x1bc\x07example\x03com\0\0\1\0\1"
    data = file_of(ETHER / IP() / UDP(dport=53) / Raw(body), ETHER / IP() / QUESTION)
    assert hosts(data) == ["app.example.com"]
    assert outcomes(data) == {"not a name": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 11,
        wires.query("app.example.com")[:-6],
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\xc0\x0c\0\1\0\1",
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x3f" * 600,
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x01a" * 200 + b"\0\0\1\0\1",
    ],
)
def test_what_is_no_query_gives_no_name(body: bytes) -> None:
    assert (
        hosts(file_of(ETHER / IP() / UDP(sport=1, dport=53, len=8 + len(body)) / Raw(body))) == []
    )


def test_dns_over_tcp_however_it_is_cut() -> None:
    names = [f"app{number}.example.com" for number in range(5)]
    stream = b"".join(
        struct.pack("!H", len(message)) + message for message in map(wires.query, names)
    )
    for cuts in ([], [1], [2, 3, 40], range(1, len(stream))):
        packets = segments(stream, cuts, port=53)
        assert hosts(file_of(*packets)) == names
        assert hosts(file_of(packets[0], *reversed(packets[1:]))) == names


# ---- TLS and HTTP


@pytest.mark.parametrize("size", [1, 7, 100, 16_000])
def test_a_hello_over_several_records_and_segments(size: int) -> None:
    data = wires.records(wires.client_hello("app.example.com", padding=1500), size)
    for cuts in ([], [3], [5, 6], [1400], [200, 900, 1300]):
        packets = segments(data, cuts)
        assert hosts(file_of(*packets)) == ["app.example.com"]
        assert hosts(file_of(*reversed(packets))) == ["app.example.com"]


def test_a_hello_that_wraps_the_sequence_and_comes_twice() -> None:
    packets = segments(hello(padding=2000), [1000, 1500], start=(1 << 32) - 700)
    assert hosts(file_of(packets[0], packets[2], packets[0], packets[1], packets[2])) == [
        "app.example.com"
    ]
    once = segments(hello())
    assert hosts(file_of(*once, *once)) == ["app.example.com"]


def test_the_place_of_a_block_border_does_not_matter() -> None:
    packets: list[Packet] = []
    for number in range(30):
        data = hello(f"app{number}.example.com", padding=900)
        packets += segments(data, [300, 700], sport=50_000 + number)
        packets.append(ETHER / IP(src=PC) / ask(f"name{number}.example.com"))
    data = file_of(*packets)
    whole = [(row["line_no"], row["host"]) for row in rows(data)]
    assert len(whole) == 60
    for block in (200, 500, 4000):
        assert [(row["line_no"], row["host"]) for row in rows(data, block=block)] == whole


def test_a_hello_that_scapy_writes() -> None:
    tls = pytest.importorskip("scapy.layers.tls.all")
    name = tls.ServerName(servername=b"app.example.com")
    message = tls.TLSClientHello(ext=[tls.TLS_Ext_ServerName(servernames=[name])])
    assert hosts(file_of(*segments(bytes(tls.TLS(msg=[message]))))) == ["app.example.com"]


def test_a_hello_whose_rest_was_never_captured_says_what_it_can() -> None:
    data = wires.records(wires.client_hello("app.example.com", wires.extension(21, bytes(3000))))
    first, _ = segments(data, [1400])
    assert hosts(file_of(first)) == ["app.example.com"]
    hidden = segments(hello(padding=3000), [1400])[0]
    assert outcomes(file_of(hidden)) == {"the capture has only the beginning of it": 1}


def test_a_packet_cut_short_by_the_capture_is_counted() -> None:
    data = file_of(*segments(hello(padding=1200)), snap=96)
    assert hosts(data) == []
    assert outcomes(data) == {"cut short when it was captured": 1}


def test_http_names_its_host() -> None:
    head = "GET /private?q=secret HTTP/1.1\r\nAccept: */*\r\nhost:  WWW.example.com:8080 \r\n\r\n"
    proxied = "GET http://user:pw@site.example.org/a HTTP/1.1\r\nHost: other.example\r\n\r\n"
    tunnel = "CONNECT app.example.com:443 HTTP/1.1\r\n\r\n"
    old = "GET / HTTP/1.0\r\n\r\n"
    both = "POST /a HTTP/1.1\r\nHost: one.example\r\nContent-Length: 4\r\n\r\nbody"
    both += "GET /b HTTP/1.1\r\nHost: two.example\r\n\r\n"
    found = []
    for number, text in enumerate((head, proxied, tunnel, old, both)):
        found += segments(text.encode(), port=8080, sport=50_000 + number)
    assert [(row["host"], row["method"]) for row in rows(file_of(*found)) if row["host"]] == [
        ("www.example.com:8080", "GET"),
        ("user:pw@site.example.org", "GET"),
        ("app.example.com:443", "CONNECT"),
        ("one.example", "POST"),
        ("two.example", "GET"),
    ]
    assert "secret" not in str(rows(file_of(*found)))


def test_a_tunnel_is_greeted_inside() -> None:
    tunnel = b"CONNECT app.example.com:443 HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
    packets = segments(tunnel, [4, 30], port=3128)
    packets += segments(hello("app.example.com"), [90], port=3128, start=1000 + len(tunnel))
    assert hosts(file_of(*packets)) == ["app.example.com:443", "app.example.com"]


def test_what_only_looks_like_a_message_is_none() -> None:
    for data in (
        b"GET to the chopper",
        b"GETTING",
        b"\x16\x03\x01\xff\xff\x01" + bytes(90),
        b"\x16\x03\x01\0\x20\x01\xff\xff\xff" + bytes(60),
        b"G",
        b"\x16",
    ):
        assert hosts(file_of(*segments(data))) == []


def test_bytes_are_those_of_the_whole_connection_on_its_first_event() -> None:
    request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
    answer = ETHER / IP(src=SERVER, dst=PC) / TCP(sport=80, dport=50_000) / Raw(bytes(900))
    other = ETHER / IP(src=SERVER, dst=PC) / TCP(sport=80, dport=50_001) / Raw(bytes(900))
    begin = segments(b"", port=80)
    asked = [*segments(request, port=80), *segments(request, port=80, start=2000)]
    packets = [*begin, asked[0], *[answer] * 40, asked[1], *[other] * 3, *[answer] * 40]
    sent = sum(map(len, [*begin, *asked]))
    for block in (capture.BLOCK, 20_000):
        found = [
            (row["bytes_out"], row["bytes_in"]) for row in rows(file_of(*packets), block=block)
        ]
        assert sorted(found, key=str) == [(None, None), (sent, 80 * len(answer))][::-1]


def test_a_connection_that_is_long_silent_is_handed_out() -> None:
    packets = [
        (
            WHEN + 100 * number,
            bytes(segments(hello(f"app{number}.example.com"), sport=number + 1)[0]),
        )
        for number in range(20)
    ]
    data = wires.pcap(packets)
    parts = Capture(300).read(data[at : at + 200] for at in range(0, len(data), 200))
    found = [
        (row["host"], number)
        for number, part in enumerate(parts)
        for row in part.events.to_pylist()
    ]
    assert [host for host, _ in found] == [f"app{number}.example.com" for number in range(20)]
    assert found[0][1] < found[-1][1] / 2, "the first one came long before the end of the file"


# ---- QUIC


def test_the_greeting_of_google_s_own_quic() -> None:
    values = {b"PAD\0": bytes(5), b"SNI\0": b"app.example.com", b"VER\0": b"Q050"}
    ends, table = 0, b""
    for tag, value in values.items():
        ends += len(value)
        table += tag + struct.pack("<I", ends)
    message = b"CHLO" + struct.pack("<HH", 3, 0) + table + b"".join(values.values())
    said = first_words.google_hello(message)
    assert said is not None
    assert (said.host, said.whole) == ("app.example.com", True)
    part = first_words.google_hello(message[:-8])
    assert part is None or not part.whole or part.host == "app.example.com"
    cut = first_words.google_hello(message[:44])
    assert cut is not None
    assert not cut.whole


@pytest.mark.parametrize("version", [1, 0x6B3343CF])
def test_quic_with_frames_out_of_order_and_over_packets(version: int) -> None:
    message = wires.client_hello("app.example.com", padding=1500)
    cuts = [0, 300, 700, 1200, len(message)]
    frames = [wires.crypto(at, message[at:end]) for at, end in pairwise(cuts)]
    first = wires.initial(b"\x01" + frames[2] + frames[0], version=version)
    second = wires.initial(frames[3] + b"\0\0" + frames[1], version=version, number=1)
    assert hosts(file_of(*initial_packets(first, second))) == ["app.example.com"]
    assert hosts(file_of(*initial_packets(second, first))) == ["app.example.com"]
    assert hosts(file_of(*initial_packets(first, first, second, second))) == ["app.example.com"]
    assert hosts(file_of(*initial_packets(first))) == []


def test_quic_two_packets_in_one_datagram_and_another_key_after_retry() -> None:
    message = wires.client_hello("app.example.com", padding=400)
    whole = wires.initial(wires.crypto(0, message))
    again = wires.initial(wires.crypto(0, message), b"other-id")
    half = wires.initial(wires.crypto(0, message[:300]))
    rest = wires.initial(wires.crypto(300, message[300:]), number=1)
    assert hosts(file_of(*initial_packets(half + rest))) == ["app.example.com"]
    assert hosts(file_of(*initial_packets(half, again))) == ["app.example.com"]
    broken = bytearray(whole)
    broken[600] ^= 1
    assert hosts(file_of(*initial_packets(bytes(broken)))) == []


def test_the_keys_are_those_of_the_rfcs() -> None:
    """RFC 9001 appendix A.1 and RFC 9369 appendix A.1."""
    identity = bytes.fromhex("8394c8f03e515708")
    one, two = quic._derived(1, identity), quic._derived(quic.TWO, identity)
    assert f"{one.iv:024x}" == "fa044b2f42a3fd3b46fb255c"
    assert one.header.hex() == "9f50449e04a0e810283a1e9933adedd2"
    assert f"{two.iv:024x}" == "91f73e2351d8fa91660e909f"
    assert two.header.hex() == "45b95e15235d6f45a6b19cbcb0294ba9"


# ---- fragments


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 0, 2, 1, 1)])
@pytest.mark.parametrize("six", [False, True])
def test_fragments_in_any_order(order: Sequence[int], *, six: bool) -> None:
    name = ".".join(["a" * 60] * 3) + ".example.com"
    if six:
        pieces = in_pieces(fragment6, IPv6(src=PC6) / IPv6ExtHdrFragment(id=7) / ask(name), 136)
    else:
        pieces = in_pieces(fragment, IP(src=PC, id=7) / ask(name), 96)
    assert len(pieces) >= 3
    chosen = [pieces[number] for number in order] + list(pieces[3:])
    (row,) = rows(file_of(*(ETHER / piece for piece in chosen)))
    assert (row["host"], row["client"]) == (name, PC6 if six else PC)
    missing, last = {*range(len(pieces))}, 0
    for number, piece in enumerate([*order, *range(3, len(pieces))], 1):
        last = number if missing == {piece} else last
        missing -= {piece}
    assert row["line_no"] == last


def test_fragments_of_a_datagram_that_cannot_be_are_dropped() -> None:
    huge = ETHER / IP(src=PC, id=9, frag=8189, flags=0) / Raw(bytes(1400))
    assert rows(file_of(huge, huge)) == []


# ---- what is not visible


def test_what_is_encrypted_whole_is_counted_with_the_resolver() -> None:
    def to(server: str, port: int, data: bytes, sport: int) -> Packet:
        there = ETHER / IP(src=PC, dst=server)
        return there / TCP(sport=sport, dport=port, seq=5, flags="PA") / Raw(data)

    udp = ETHER / IP(src=PC, dst="94.140.14.14") / UDP(sport=9, dport=853) / Raw(bytes(50))
    covered = hello("cloudflare-ech.com", wires.extension(0xFE0D, bytes(200)))
    grease = hello("www.example.com", wires.extension(0xFE0D, bytes(200)))
    data = file_of(
        to("8.8.8.8", 853, hello(None), 1),
        to("8.8.8.8", 853, b"\x17\x03\x03\0\x05hello", 1),
        to("203.0.113.9", 853, hello("abc123.dns.nextdns.io"), 2),
        to("203.0.113.9", 853, b"\x17\x03\x03\0\x05hello", 3),
        udp,
        udp,
        to("203.0.113.9", 443, hello("chrome.cloudflare-dns.com"), 4),
        to("9.9.9.9", 443, hello(None), 5),
        *initial_packets(wires.initial(wires.crypto(0, wires.client_hello("dns.google")))),
        to(SERVER, 443, covered, 6),
        to(SERVER, 443, grease, 7),
    )
    assert outcomes(data) == {
        "not visible: DNS over TLS, Google": 1,
        "not visible: DNS over TLS, NextDNS": 1,
        "not visible: DNS over TLS, a resolver of no known name": 1,
        "not visible: DNS over QUIC, AdGuard": 1,
        "not visible: DNS over HTTPS, Cloudflare": 1,
        "not visible: DNS over HTTPS, Quad9": 1,
        "not visible: DNS over HTTPS, Google": 1,
        "not visible: Encrypted ClientHello, Cloudflare": 1,
    }
    assert "cloudflare-ech.com" not in hosts(data)
    assert "www.example.com" in hosts(data), "GREASE looks like ECH, and there the name is true"


def test_every_resolver_names_a_source_and_no_host_is_the_end_of_another() -> None:
    known = load_resolvers()
    assert len(known.hosts) > 20
    assert len(known.addresses) > 50
    nested = [host for host in known.hosts if known.by_host(host.partition(".")[2])]
    assert {known.by_host(host.partition(".")[2]) == known.hosts[host] for host in nested} <= {True}


# ---- damage and harm


def everything() -> bytes:
    """Return a capture with each protocol in it."""
    quic_message = wires.client_hello("quic.example.com")
    return file_of(
        *(packet for link, packet in {**LINKS, **SIX}.values() if link == 1),
        *segments(hello(padding=900), [400, 800]),
        *segments(b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n", [9], port=80),
        *segments(b"\0\x21" + wires.query("tcp.example.com"), [1, 9], port=53),
        *initial_packets(wires.initial(wires.crypto(0, quic_message))),
        *(
            ETHER / piece
            for piece in in_pieces(fragment, IP(id=3) / ask("b" * 60 + ".example.com"), 48)
        ),
    )


def test_a_capture_that_breaks_off_keeps_what_was_read() -> None:
    data = everything()
    whole = [(row["line_no"], row["host"]) for row in rows(data)]
    for end in random.Random(1).sample(range(24, len(data)), 60):
        reader = Capture()
        found = [
            (row["line_no"], row["host"])
            for part in reader.read([data[:end]])
            for row in part.events.to_pylist()
            if row["outcome"] is None
        ]
        assert reader.trouble is None or reader.trouble.startswith("ends in the middle of packet")
        assert set(found) <= {*whole, (33, "app.example.com")} or len(found) <= len(whole)


def test_bytes_that_are_no_packet_end_the_reading() -> None:
    good = file_of(ETHER / IP(src=PC) / QUESTION)
    reader = Capture()
    parts = list(reader.read([good + b"\xff" * 64]))
    assert sum(part.events.num_rows for part in parts) == 1
    assert reader.trouble == "holds bytes that are no packet behind packet 1"
    for damaged in (wires.section() + b"\x06\0\0\0\x07\0\0\0" + bytes(40), wires.section()[:11]):
        broken = Capture()
        assert [part.events.num_rows for part in broken.read([damaged])] in ([0], [])
        assert broken.trouble


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(24, 20_000), st.integers(0, 255)), max_size=40),
    st.integers(100, 20_000),
)
def test_no_damage_harms_the_reader(damage: list[tuple[int, int]], block: int) -> None:
    data = bytearray(EVERYTHING)
    for place, value in damage:
        data[24 + place % (len(data) - 24)] = value
    for part in Capture(block).read([bytes(data)]):
        assert part.events.schema == capture.SCHEMA


EVERYTHING = everything()
RAW_LINKS = [0, 1, 9, 12, 101, 108, 113, 228, 229, 239, 276]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from(RAW_LINKS))
def test_no_packet_harms_the_reader(packets: list[bytes], link: int) -> None:
    rows(file_of(*packets, link=link))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([443, 80, 53, 853]))
def test_no_payload_harms_the_reader(data: bytes, port: int) -> None:
    udp = ETHER / IP() / UDP(dport=port) / Raw(data)
    starts = [b"\x16\x03\x01\0\xff\x01", b"GET / HTTP/1.1\r\n", b"\xc0\0\0\0\1\x08", b"\0\x20"]
    rows(file_of(udp, *(segments(start + data, [2], port=port)[0] for start in starts)))
    rows(file_of(*(ETHER / IP() / UDP(dport=443) / Raw(start + data) for start in starts)))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_message_harms_those_who_read_it(data: bytes) -> None:
    for start in (b"", b"\x01\0\x01\0\x03\x03", b"CHLO\x02\0\0\0SNI\0"):
        first_words.hello(start + data)
        first_words.google_hello(start + data)
        first_words.hello_of_records(b"\x16\x03\x01\0\x40" + start + data)
    quic._crypto(data)


def test_a_flood_of_beginnings_stays_within_bounds() -> None:
    """Each connection begins a hello and never ends it; each fragment waits for another."""
    start = hello(padding=1300)[:1200]
    frames = []
    for number in range(12_000):
        client = 0x0A000000 + number
        frames.append(
            (WHEN, wires.ethernet(wires.ip4(client, 1, 6, wires.tcp(1, 443, number, start))))
        )
    data = wires.pcap(frames)
    del frames
    tracemalloc.start()
    reader = Capture()
    for part in reader.read(data[at : at + 65_536] for at in range(0, len(data), 65_536)):
        del part
        assert len(reader._streams) <= Streams.MOST
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6


def test_segments_behind_a_gap_are_not_hoarded() -> None:
    begin = segments(hello(padding=9000), [100])[0]
    far = [
        segments(bytes(1000), start=1000 + 200 + 900 * number)[0]
        for number in range(LONGEST // 500)
    ]
    reader = Capture()
    for _ in reader.read([file_of(begin, *far)]):
        pass
    assert len(reader._streams) == 0


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\nHost:" + b" " * 32_000,
        b"GET " + b"/" * 32_000,
        b"GET / HTTP/1.1\r\n" + b"Host" * 8_000,
        b"\x16\x03\x01\0\x01\x01" + b"\x16\x03\x01\0\x01\0" * 5_000,
    ],
)
def test_no_message_takes_long(stream: bytes) -> None:
    began = time.process_time()
    first_words.requests(stream)
    first_words.hello_of_records(stream)
    assert time.process_time() - began < 0.5


def test_small_segments_behind_a_gap_take_no_time() -> None:
    begin = wires.ethernet(wires.ip4(1, 2, 6, wires.tcp(1, 443, 0, hello(padding=9000)[:100])))
    tiny = [
        (WHEN, wires.ethernet(wires.ip4(1, 2, 6, wires.tcp(1, 443, 200 + 2 * number, b"x"))))
        for number in range(15_000)
    ]
    data = wires.pcap([(WHEN, begin), *tiny])
    began = time.process_time()
    rows(data)
    assert time.process_time() - began < 3


# ---- the house


def scanned(run_sundial: Run, *paths: Path | str, store: Path) -> dict[str, Any]:
    done = run_sundial("scan", *map(str, paths), "--store", str(store), "--json", ok=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def total(store: Path) -> dict[str, int]:
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        found = con.sql(
            "SELECT host, sum(requests) FROM usage JOIN host USING (host_id) GROUP BY 1"
        )
        return dict(found.fetchall())


def visits(count: int, host: str = "app.slack.com", begin: int = 0) -> list[tuple[float, bytes]]:
    return [
        (WHEN + number, bytes(ETHER / IP(src=PC) / ask(host)))
        for number in range(begin, begin + count)
    ]


def test_a_capture_is_stored_exactly_once(run_sundial: Run, tmp_path: Path) -> None:
    store, log = tmp_path / "store", tmp_path / "office.pcap"
    data = wires.pcap(visits(300))
    log.write_bytes(data[:-50])
    first = scanned(run_sundial, log, store=store)
    assert (first["lines"], first["events"]) == (299, 299)
    said = "ends in the middle of packet 300 after 299 packets; those are stored,"
    assert first["problems"] == [
        f"office.pcap: {said} the rest will be read when the file is complete."
    ]
    log.write_bytes(data + wires.pcap(visits(50, "miro.com"))[24:])
    second = scanned(run_sundial, log, store=store)
    assert (second["lines"], second["problems"]) == (51, [])
    (tmp_path / "copy.pcap.gz").write_bytes(gzip.compress(log.read_bytes()))
    (tmp_path / "other.cap").write_bytes(bz2.compress(log.read_bytes()))
    third = scanned(
        run_sundial, log, tmp_path / "copy.pcap.gz", tmp_path / "other.cap", store=store
    )
    assert (third["lines"], third["unchanged"]) == (0, 3)
    assert total(store) == {"app.slack.com": 300, "miro.com": 50}


def test_what_is_hidden_is_noted_and_no_problem(run_sundial: Run, tmp_path: Path) -> None:
    log, store = tmp_path / "dot.pcap", tmp_path / "store"
    there = ETHER / IP(src=PC, dst="8.8.8.8")
    log.write_bytes(file_of(there / TCP(dport=853, flags="PA") / Raw(hello(None))))
    report = scanned(run_sundial, log, store=store)
    assert report["problems"] == []
    assert report["notes"] == [
        "dot.pcap: hides the names of 1 conversations; Data health tells by whom."
    ]
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        kept = con.sql("SELECT reason, lines, first_line, sample FROM reject").fetchall()
    assert kept == [("not visible: DNS over TLS, Google", 1, 1, "")]


def test_parse_prints_a_capture_as_it_prints_a_log(run_sundial: Run, tmp_path: Path) -> None:
    (packet,) = segments(hello("WWW.example.com"))
    log, size = wires.write(tmp_path / "one.pcap", file_of(packet)), len(packet)
    done = run_sundial("parse", str(log))
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "line": 1, "ts": "2026-01-05T09:00:00.250000+00:00", "client": PC, "user": None,
            "host": "www.example.com", "dest_ip": SERVER, "method": None, "bytes_out": size,
            "bytes_in": None, "blocked": None, "user_agent": None, "department": None,
            "alias": None, "counted": True, "format": "capture",
        }
    ]  # fmt: skip


# ---- live


def may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except (AttributeError, OSError):
        return False
    return True


live = pytest.mark.skipif(not may_capture(), reason="capturing needs root or CAP_NET_RAW")
filtering = pytest.mark.skipif(
    find_library("pcap") is None and os.environ.get("CI") != "true",
    reason="a filter needs libpcap (Debian: apt-get install libpcap0.8)",
)


def speak(count: int, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        for number in range(count):
            there.sendto(wires.query("app.slack.com", number), ("127.0.0.1", port))


@live
@filtering
@pytest.mark.parametrize("end", ["count", "seconds", "signal"])
def test_a_live_capture_stores_what_passed(end: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    limit = {"count": ["--count", "5"], "seconds": ["--seconds", "3"], "signal": []}[end]
    command = [sys.executable, "-m", "agent.cli", "capture", "--interface", "lo"]
    command += ["--filter", "udp dst port 53", "--store", str(store), *limit]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        waiting = store / ".captured"
        wait_for(lambda: any(waiting.rglob("*.pcap")))
        (file,) = waiting.rglob("*.pcap")
        assert file.stat().st_mode & 0o077 == 0
        speak(5, 53)
        if end == "signal":
            wait_for(lambda: file.stat().st_size > 5 * 60)
            running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert said.startswith("lo: 5 packets captured.\n")
    assert total(store) == {"app.slack.com": 5}
    assert not any(waiting.rglob("*.pcap"))


def wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.05)


@live
@filtering
def test_what_a_killed_capture_left_is_stored_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "store" / ".captured" / "lo" / "20260105T090000.000000Z.pcap"
    left.parent.mkdir(parents=True)
    left.write_bytes(wires.pcap(visits(4))[:-10])
    command = [
        sys.executable,
        "-m",
        "agent.cli",
        "capture",
        "--interface",
        "lo",
        "--seconds",
        "0.1",
    ]
    subprocess.run(
        [*command, "--store", str(tmp_path / "store"), "--filter", "udp port 9"],
        check=False,
        capture_output=True,
    )
    assert total(tmp_path / "store") == {"app.slack.com": 3}
    assert not left.exists()


def test_a_capture_that_cannot_be_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RulesError, match=r'"nope" is no interface of this machine; there are .*lo'):
        sniff.record("nope", None, tmp_path, sniff.Limits(packets=1))

    def refused(**_: object) -> None:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr(conf, "L2listen", refused)
    with pytest.raises(LogError, match=r"^lo: capturing packets needs a right .* CAP_NET_RAW\.$"):
        sniff.record("lo", None, tmp_path, sniff.Limits(packets=1))


@live
@filtering
def test_a_filter_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"--filter: .*udp prt 53"):
        sniff.record("lo", "udp prt 53", tmp_path, sniff.Limits(packets=1))


@live
def test_a_filter_without_libpcap_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scapy.libs.winpcapy", None)
    monkeypatch.setattr(sniff, "find_library", lambda _: None)
    with pytest.raises(RulesError, match=r"^--filter: needs libpcap.*apt-get install libpcap0\.8"):
        sniff.record("lo", "udp port 53", tmp_path, sniff.Limits(packets=1))
