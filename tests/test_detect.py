"""Which format a file is in: each is recognised by its own lines, and doubt is an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from agent import detect, formats, parse
from agent.model import Format

LOGS = Path(__file__).parent / "formats"
KNOWN = formats.load_formats()


@pytest.fixture(scope="module")
def attempt() -> Iterator[detect.Try]:
    """Count what a format makes of some lines."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")

        def count(candidate: Format, text: bytes) -> detect.Tally:
            counts = [0, 0, 0, 0]
            for part, columns in parse.sections(
                candidate, text, parse.first_columns(candidate, text)
            ):
                prefixed = parse.looks_prefixed(text)
                reading = parse.Reading("UTC", date(2026, 1, 31), prefixed, columns)
                con.register(
                    "head", parse.lines_table(part, 1, candidate, columns, prefixed=prefixed)
                )
                row = con.execute(
                    "SELECT count(*) FILTER (outcome IS NULL), "
                    "count(*) FILTER (outcome IS NULL AND host IS NOT NULL), "
                    "count(*) FILTER (outcome = 'other'), count(*) FILTER (outcome <> 'other') "
                    f"FROM ({parse.events_sql(candidate, reading, 'head')})"
                ).fetchall()[0]
                counts = [a + b for a, b in zip(counts, row, strict=True)]
            events, named, others, rejects = counts
            return detect.Tally(events, named, others, rejects)

        yield count


def lines_of(name: str) -> bytes:
    samples = [sample for sample in KNOWN[name].samples if isinstance(sample.event, dict)]
    parts = [
        f"{sample.header}\n{sample.line}\n" if sample.header else f"{sample.line}\n"
        for sample in samples
    ]
    return "".join(parts).encode()


@pytest.mark.parametrize("name", KNOWN)
def test_a_log_of_oddities_is_still_recognised(attempt: detect.Try, name: str) -> None:
    """Rejects and comments among the lines hide no format."""
    answer = detect.detect((LOGS / f"{name}.log").read_bytes(), KNOWN, attempt)
    assert answer.format is KNOWN[name], answer.reason


@pytest.mark.parametrize("name", KNOWN)
def test_each_single_sample_is_recognised(attempt: detect.Try, name: str) -> None:
    """One line is enough to tell."""
    for sample in KNOWN[name].samples:
        if isinstance(sample.event, dict) and "host" in sample.event:
            head = f"{sample.header}\n{sample.line}\n" if sample.header else f"{sample.line}\n"
            answer = detect.detect(head.encode(), KNOWN, attempt)
            assert answer.format is KNOWN[name], (sample.line, answer.reason)


@pytest.mark.parametrize("text", [b"", b"\n\n", b"  \n"])
def test_an_empty_file_holds_no_line_yet(attempt: detect.Try, text: bytes) -> None:
    """Nothing is no format, and no fault."""
    answer = detect.detect(text, KNOWN, attempt)
    assert answer.format is None
    assert "no line yet" in answer.reason


def test_what_is_no_log_is_said_so(attempt: detect.Try) -> None:
    """A letter is in no format."""
    answer = detect.detect(b"Dear all,\nhere is the export.\nBest\n" * 9, KNOWN, attempt)
    assert answer.format is None
    assert "no format" in answer.reason


def test_a_few_lines_in_a_crowd_are_named_as_the_nearest(attempt: detect.Try) -> None:
    """A file that is mostly something else is skipped, and the reader told what was near."""
    answer = detect.detect(b"rubbish\n" * 9 + lines_of("bind_query"), KNOWN, attempt)
    assert answer.format is None
    assert "bind_query" in answer.reason


def test_the_usual_format_of_a_source_is_tried_alone(attempt: detect.Try) -> None:
    """Files of one source seldom change."""
    tried: list[str] = []

    def noted(candidate: Format, text: bytes) -> detect.Tally:
        tried.append(candidate.name)
        return attempt(candidate, text)

    head = lines_of("squid_native")
    answer = detect.detect(head, KNOWN, noted, first="squid_native")
    assert answer.format is KNOWN["squid_native"]
    assert tried == ["squid_native"]


def test_a_vendors_other_formats_are_offered_for_what_is_rejected(attempt: detect.Try) -> None:
    """One file may hold pairs and CEF; neither reads the other's lines as anything."""
    head = lines_of("fortigate") * 3 + lines_of("fortigate_cef")
    answer = detect.detect(head, KNOWN, attempt)
    assert answer.format is KNOWN["fortigate"]
    assert KNOWN["fortigate_cef"] in answer.also
    assert not any(one.header for one in answer.also)
    assert attempt(KNOWN["fortigate"], lines_of("fortigate_cef")).others == 0


def test_a_vendors_formats_are_enough_together(attempt: detect.Try) -> None:
    """No single format reads half of the lines, but its vendor's do."""
    mixed = [lines_of(name) for name in ("panos", "panos_json", "panos_cef")]
    answer = detect.detect(b"".join(mixed), KNOWN, attempt)
    assert answer.format is not None
    assert answer.format.vendor == KNOWN["panos"].vendor
    assert len(answer.also) >= 2


SPECIFIC = [name for name, known in KNOWN.items() if not known.generic]


@pytest.mark.parametrize("name", SPECIFIC)
def test_a_generic_layout_takes_no_devices_log(attempt: detect.Try, name: str) -> None:
    """Also where most lines are rightly no event to the device's own format."""
    samples = KNOWN[name].samples
    lines = [f"{one.header}\n{one.line}" if one.header else one.line for one in samples]
    others = [one.line for one in samples if one.event == "other"] * 20
    answer = detect.detect("\n".join([*lines, *others, ""]).encode(), KNOWN, attempt)
    assert answer.format is not None, answer.reason
    assert not answer.format.generic


def test_a_generic_layout_is_tried_after_all_others(attempt: detect.Try) -> None:
    """It costs nothing where a device's own format fits."""
    tried: list[str] = []

    def noted(candidate: Format, text: bytes) -> detect.Tally:
        tried.append(candidate.name)
        return attempt(candidate, text)

    detect.detect(lines_of("zeek_json") + lines_of("generic_json"), KNOWN, noted)
    assert not any(KNOWN[one].generic for one in tried)
    tried.clear()
    detect.detect(lines_of("generic_json"), KNOWN, noted)
    kinds = [KNOWN[one].generic for one in tried]
    assert any(kinds)
    assert kinds == sorted(kinds)


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        (
            b"Event Time;Source IP;Domain Name\n2026-01-01 09:00:00;192.0.2.1;a.example.com\n",
            "generic_csv_semicolon",
        ),
        (b"time,client,fqdn\n1767258000,192.0.2.1,a.example.com\n", "generic_csv"),
        (
            b"Date\tTime\tc-ip\tcs-host\n2026-01-01\t09:00:00\t192.0.2.1\ta.example.com\n",
            "generic_tsv",
        ),
        (b'{"ts":1767258000,"clientIp":"192.0.2.1","queryName":"a.example.com"}\n', "generic_json"),
        (
            b"CEF:0|New|Thing|1|1|x|1|rt=1767258000000 src=192.0.2.1 dhost=a.example.com\n",
            "generic_cef",
        ),
        (b"ts=1767258000 Src-Ip=192.0.2.1 dst_host=a.example.com act=ok\n", "generic_kv"),
        (b"ts=1767258000, clientIP=192.0.2.1, QName=a.example.com\n", "generic_kv_comma"),
        (b"time=1767258000\tsource_ip=192.0.2.1\tsni=a.example.com\n", "generic_kv_tab"),
        (
            b'{"_source":{"ts":1767258000,"Client-IP":"192.0.2.1","dns":{"qname":"a.example.com"}}}\n',
            "generic_json",
        ),
        (b"1767258000 192.0.2.1 GET http://a.example.com/ new thing\n", "generic_request"),
        (b"2026-01-01 09:00:00 from 192.0.2.1: new thing a.example.com. A\n", "generic_question"),
        (b"LEEF:1.0|New|Thing|1|1|src=192.0.2.1\turl=https://a.example.com/\n", "generic_leef"),
    ],
)
def test_a_device_nobody_knows_is_read_by_its_names(
    attempt: detect.Try, text: bytes, layout: str
) -> None:
    """Each generic layout names hosts of a log that it was not written for."""
    answer = detect.detect(text, KNOWN, attempt)
    assert answer.format is not None, answer.reason
    assert answer.format.name == layout
    assert attempt(answer.format, text).named == 1


def test_few_records_of_a_device_nobody_knows_need_name_a_host(attempt: detect.Try) -> None:
    """Most of what a firewall writes is of its own affairs."""
    affair = b'time=1767258000 devname=fw1 logid=1 msg="interface up" level=notice\n'
    asked = b'time=1767258001 srcip=192.0.2.1 hostname="a.example.com" url="/" app=web\n'
    answer = detect.detect(affair * 30 + asked * 2, KNOWN, attempt)
    assert answer.format is not None, answer.reason
    assert answer.format.name == "generic_kv"
    assert detect.detect(affair * 60 + asked * 2, KNOWN, attempt).format is None


def test_a_machines_own_name_is_no_destination(attempt: detect.Try) -> None:
    """Programs' logs name the machine that they run on."""
    text = b'{"time":"2026-01-01T09:00:00Z","host":"web1","hostname":"a.example.com","msg":"up"}\n'
    assert detect.detect(text * 9, KNOWN, attempt).format is None


LOUD = [
    '192.0.2.31 - - [01/Jan/2026:10:00:00 +0100] "GET /a HTTP/1.1" 200 5 "http://app.example.com/"',
    '2026-01-01 09:00:28 web1 nginx: 192.0.2.32 "POST /x HTTP/1.1" upstream: "http://127.0.0.1/x"',
    "Jan  1 09:00:29 web1 sshd[1]: Accepted publickey for asmith from 192.0.2.33 port 22 ssh2",
    "Jan  1 09:00:30 app1 client[1]: HTTP Request: GET https://app.example.com/a 200 OK",
    "Jan  1 09:00:31 mx1 spamd[1]: 192.0.2.34 sent a mail to A example.com address",
    "2026-01-01 09:00:32 db1 postgres: connection from 192.0.2.35, version 16.1 A",
    (
        "Jan  1 09:00:15 web1 kernel: [12.3] [UFW BLOCK] IN=eth0 OUT= MAC=00:00:5e:00:53:"
        "02 SRC=198.51.100.9 DST=192.0.2.80 LEN=40 PROTO=TCP SPT=40000 DPT=22"
    ),
    (
        "type=USER_LOGIN msg=audit(1767258016.123:99): pid=1 uid=0 auid=1000 ses=1 msg='o"
        'p=login acct="asmith" exe="/usr/sbin/sshd" hostname=pc7.example.net addr=192.0.2'
        ".23 terminal=ssh res=success'"
    ),
    (
        "Jan  1 09:00:17 mx1 postfix/smtp[9]: 4A1: to=<a@example.com>, relay=mx.example.c"
        "om[192.0.2.25]:25, delay=1, dsn=2.0.0, status=sent (250 ok)"
    ),
    (
        "Jan  1 09:00:18 web1 postfix/smtpd[9]: NOQUEUE: reject: RCPT from unknown[192.0."
        "2.26]: 554; from=<a@example.com> to=<b@example.org> proto=ESMTP helo=<mx.example"
        ".net>"
    ),
    (
        'I0101 09:00:19.123456       1 proxier.go:1] "Syncing" service="default/web" clie'
        'ntIP="192.0.2.27" endpoint="10.0.0.1:80"'
    ),
    (
        "Jan  1 09:00:20 web1 sshd[9]: pam_unix(sshd:auth): authentication failure; logna"
        "me= uid=0 euid=0 tty=ssh ruser= rhost=pc7.example.net user=asmith"
    ),
    (
        'Jan  1 09:00:21 app1 router[1]: at=info method=GET path="/" host=shop.example.co'
        'm request_id=1 fwd="192.0.2.28" status=200 bytes=13'
    ),
    (
        'time="2026-01-01T09:00:22Z" level=info msg="fetched" url="https://app.example.co'
        'm/a" status=200'
    ),
    'Jan  1 09:00:23 web1 app[1]: src=192.0.2.29 host=web1.example.net msg="accepted"',
    "Jan  1 09:00:24 web1 app[1]: src=192.0.2.30 rhost=pc7.example.net user=asmith",
    (
        '{"timestamp":"2026-01-01T09:00:25Z","source":"udp:514","host":"web1.example.net"'
        ',"msg":"up"}'
    ),
    (
        '{"timestamp":"2026-01-01T09:00:26Z","source":"/var/log/app.2026.01.01.log","host'
        '":"web1.example.net"}'
    ),
    (
        '{"time":"2026-01-01T09:00:27Z","user":"root","hostname":"web1.example.net","msg"'
        ':"logged in"}'
    ),
    '"2026-01-01 09:00:33","192.0.2.36","nas.example.com","daily","ok","1.5 GB"',
    "2026-01-01 09:00:34,192.0.2.37,mx.example.net,a@example.com,b@example.org,queued",
    "1767258035;192.0.2.38;02:00:5e:00:53:01;pc7.corp.example.com;3600",
]


@pytest.mark.parametrize("line", LOUD)
def test_a_loud_daemon_is_no_device_that_nobody_knows(attempt: detect.Try, line: str) -> None:
    """Pairs and objects that name a host, but nobody who went there, are left unread."""
    assert detect.detect(f"{line}\n".encode() * 9, KNOWN, attempt).format is None
