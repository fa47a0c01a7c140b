"""Reading lines: one answer for any zone, prefix or damage, never a host that was not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import formats, parse
from agent.model import FIELDS, Field, Format, Sample
from agent.transforms import TRANSFORM

KNOWN = formats.load_formats()
SAMPLES = [
    (name, number)
    for name, log_format in KNOWN.items()
    for number, sample in enumerate(log_format.samples)
    if isinstance(sample.event, dict) and "host" in sample.event
]
Read = Callable[..., list[dict[str, Any]]]
FUZZ = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    """``read(format, line, …)`` gives a row for each line: the outcome and the fields."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")

        def rows(log_format: Format, *lines: str, header: str = "", **how: Any) -> list[Any]:  # noqa: ANN401 - as Reading has it
            text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
            columns = parse.first_columns(log_format, f"{header}\n".encode()) if header else ()
            reading = parse.Reading(
                dated=date(2026, 1, 31), prefixed=parse.looks_prefixed(text), columns=columns
            )
            reading = replace(reading, **how)
            table = parse.lines_table(
                text, 1, log_format, reading.columns, prefixed=reading.prefixed
            )
            con.register("given_lines", table)
            sql = parse.events_sql(log_format, reading, "given_lines")
            found = con.execute(f"{sql} ORDER BY line_no").fetchall()
            return [dict(zip(("line", "outcome", *FIELDS), row, strict=True)) for row in found]

        yield rows


def utc(*parts: int) -> datetime:
    """A time as DuckDB hands it out: UTC, and not aware of it."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def sample_of(name: str, number: int) -> Sample:
    return KNOWN[name].samples[number]


def squid(url: str = "app.example.com:443", start: str = "1767258000.123") -> str:
    return f"{start}    845 192.0.2.10 TCP_TUNNEL/200 6295 CONNECT {url} asmith HIER_DIRECT/- -"


@pytest.mark.parametrize(("name", "number"), SAMPLES)
def test_damage_gives_a_reject_or_nothing_but_never_a_wrong_host(
    read: Read, name: str, number: int
) -> None:
    """A line cut anywhere, short of a cell or with one doubled names the same host or none."""
    sample = sample_of(name, number)
    assert isinstance(sample.event, dict)
    line, host = sample.line, sample.event["host"]
    blank = "\t" if "\t" in line else "," if KNOWN[name].cut == "delimited" else " "
    cells = line.split(blank)
    damaged = [line[:at] for at in range(0, len(line), 7)]
    damaged += [blank.join(cells[:at] + cells[at + 1 :]) for at in range(len(cells))]
    damaged += [line.replace(blank, ";"), f"{line}{blank}and{blank}more", f"x{blank}{line}"]
    for row in read(KNOWN[name], *damaged, header=sample.header):
        found = parse.clean_host(row["host"])
        if row["outcome"] is None and found is not None:
            # What is left of a host that was cut off in the middle is still its beginning; a single
            # word that took its place is no name of the Internet.
            assert str(host).startswith(found) or "." not in found, row


@pytest.mark.parametrize("name", KNOWN)
def test_endless_and_binary_lines_are_rejects(read: Read, name: str) -> None:
    """A line of 70 kB, control characters and NUL stop nobody."""
    sample = KNOWN[name].samples[0]
    endless = sample.line + "x" * 70_000
    rows = read(KNOWN[name], endless, "\x01\x02\x00\x7f", "", " ", header=sample.header)
    assert "longer" in rows[0]["outcome"]
    assert rows[1]["outcome"] is not None
    assert rows[2]["outcome"] == parse.OTHER


def test_an_unclosed_quote_spoils_its_own_line_only(read: Read) -> None:
    """The lines before and after an open quote are read."""
    good = sample_of("umbrella_dns", 0).line
    rows = read(KNOWN["umbrella_dns"], good, good.replace('AD Users"', "AD Users", 1), good)
    assert [row["outcome"] is None for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    "prefix",
    [
        "<134>Jan  1 09:00:00 gw squid[7]: ",
        "<134>Jan 31 09:00:00 192.0.2.1 (squid-1)[7]: ",
        "Jan  1 2026 09:00:00 gw.example.net squid: ",
        "<134>1 2026-01-01T09:00:00.123+01:00 gw squid 7 - - ",
        '214 <134>1 2026-01-01T09:00:00Z gw squid 7 ID47 [a@1 b="c"] ',
        "2026-01-01T09:00:00,123Z gw squid[7]: ",
        "2026-01-01 09:00:00 gw ",
        "<13>",
    ],
)
def test_a_relays_prefix_changes_nothing(read: Read, prefix: str) -> None:
    """BSD and RFC 5424 headers, with and without priority, host and tag, are taken off."""
    bare, relayed = (read(KNOWN["squid_native"], lead + squid())[0] for lead in ("", prefix))
    assert relayed == bare
    assert bare["outcome"] is None


@pytest.mark.parametrize(
    ("written", "dated", "year"),
    [
        ("Dec 31 23:59:59", date(2026, 1, 1), 2025),
        ("Jan  1 00:00:01", date(2026, 1, 1), 2026),
        ("Jan  5 00:00:01", date(2025, 12, 31), 2025),
        ("Feb 29 12:00:00", date(2025, 1, 3), 2024),
    ],
)
def test_a_time_without_a_year_is_the_last_such_day(
    read: Read, written: str, dated: date, year: int
) -> None:
    """The day on which the file was closed tells the year."""
    line = f"{written} dnsmasq[1]: query[A] app.example.com from 192.0.2.10"
    found = read(KNOWN["dnsmasq"], line, dated=dated)[0]["ts"]
    assert found.year == year


def test_a_time_without_a_zone_is_the_sources(read: Read) -> None:
    """PAN-OS states no zone; Umbrella's is UTC whatever the source; a stated one wins."""
    berlin = {"timezone": "Europe/Berlin"}
    panos = read(KNOWN["panos"], sample_of("panos", 0).line, **berlin)[0]
    assert panos["ts"] == utc(2026, 1, 1, 8)
    umbrella = read(KNOWN["umbrella_dns"], sample_of("umbrella_dns", 0).line, **berlin)[0]
    assert umbrella["ts"] == utc(2026, 1, 1, 9)
    fortigate = read(KNOWN["fortigate"], sample_of("fortigate", 0).line, **berlin)[0]
    assert fortigate["ts"] == utc(2026, 1, 1, 9)


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (["12/01/2026", "13/01/2026"], utc(2026, 1, 12, 9)),
        (["01/12/2026", "01/13/2026"], utc(2026, 1, 12, 9)),
        (["05/01/2026", "06/01/2026"], utc(2026, 1, 5, 9)),
        (["01/05/2026", "01/06/2026"], utc(2026, 1, 5, 9)),
        (["5.1.2026", "6.1.2026"], utc(2026, 1, 5, 9)),
        (["2026-01-05", "2026-01-06"], utc(2026, 1, 5, 9)),
    ],
)
def test_day_and_month_stand_as_the_whole_file_has_them(
    read: Read, dates: list[str], first: datetime
) -> None:
    """Lines that allow one order only decide for the others; then the shorter span does."""
    rest = (
        "09:00:00 0E70 PACKET  0 UDP Rcv 192.0.2.10 5b47   Q [0001 D NOERROR] A (7)example(3)com(0)"
    )
    rows = read(KNOWN["windows_dns_debug"], *(f"{day} {rest}" for day in dates))
    assert rows[0]["ts"] == first


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1767258000", 0.0),
        ("1767258000.5", 0.5),
        ("1767258000500", 0.5),
        ("1767258000500000000", 0.5),
    ],
)
def test_epochs_are_told_apart_by_their_size(read: Read, written: str, seconds: float) -> None:
    """Seconds, milliseconds and nanoseconds since 1970."""
    found = read(KNOWN["squid_native"], squid(start=written))[0]["ts"]
    assert (found - utc(2026, 1, 1, 9)).total_seconds() == seconds


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://WWW.Example.com:8080/a?b=http://c.example.net/", "www.example.com"),
        ("http://user:word@www.example.com/", "www.example.com"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("www.example.com.:443", "www.example.com"),
        ("http://www.example.com?x", "www.example.com"),
        ("192.0.2.7:443", "192.0.2.7"),
        ("www.example.com/a?to=http://c.example.net/", "www.example.com"),
        ("www.example.com?to=http://c.example.net/", "www.example.com"),
        ("www.example.com/to/http://c.example.net/", "www.example.com"),
        ("http://www.example.com/to/http://c.example.net/", "www.example.com"),
    ],
)
def test_a_url_gives_its_host(read: Read, url: str, host: str) -> None:
    """Scheme, user, port, path and query are not part of a host."""
    assert parse.clean_host(read(KNOWN["squid_native"], squid(url))[0]["host"]) == host


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ('req="GET http://www.example.com/a b HTTP/1.1"', "host", "www.example.com"),
        ('req="CONNECT www.example.com:443 HTTP/1.1"', "host", "www.example.com:443"),
        ('req="GET /a HTTP/1.1"', "host", None),
        ('req="GET HTTP/1.1"', "host", None),
        ('req="GET /a/b?to=http://www.example.com/ HTTP/1.1"', "host", None),
        ("src=192.0.2.1:53000:X0", "client", "192.0.2.1"),
        ("src=192.0.2.1:53000", "client", "192.0.2.1"),
        ("src=[2001:db8::1]:53000", "client", "2001:db8::1"),
        ("src=2001:db8::1", "client", "2001:db8::1"),
        ('who="LDAP://dc1 OU=Sales,DC=example/Anna Smith"', "user", "Anna Smith"),
        ("who=asmith", "user", "asmith"),
        ('what="GET http://www.example.com/"', "method", "GET"),
        ("dept=Sales%20%26%20B%C3%BCro", "department", "Sales & Büro"),
        ("dept=50%", "department", "50%"),
        ("dept=a%FFb", "department", "a%FFb"),
        ("agent=- other=x", "user_agent", "x"),
    ],
)
def test_a_transform_takes_what_a_cell_says(
    read: Read, written: str, field: str, value: str | None
) -> None:
    """What each device wraps around a value goes; where there is none, nothing is made up."""
    ways = {
        "ts": ("t", "epoch"),
        "dest_ip": ("to", "text"),
        "host": ("req", "request"),
        "client": ("src", "before_colon"),
        "user": ("who", "after_path"),
        "method": ("what", "first_word"),
        "department": ("dept", "percent"),
    }
    fields = [Field(name, (cell,), False, transform) for name, (cell, transform) in ways.items()]
    fields += [Field("user_agent", (cell,), False, "text") for cell in ("agent", "other")]
    shape = replace(KNOWN["fortigate"].shapes[0], when=(), fields=tuple(fields))
    pairs = replace(KNOWN["fortigate"], starts=(), shapes=(shape,))
    row = read(pairs, f"t=1767258000 to=203.0.113.7 {written}")[0]
    assert row["outcome"] is None
    assert row[field] == value


@FUZZ
@given(st.binary(min_size=1))
def test_escaped_bytes_become_their_digits(value: bytes) -> None:
    r"""A digit behind an escape is itself: ``\0012`` is the byte 1 and a 2."""
    written = "".join(
        f"\\{chr(one)}" if chr(one) in '"\\' else chr(one) if 32 <= one < 127 else f"\\{one:03o}"
        for one in value
    )
    made = TRANSFORM["octal"]("$written", Field("mac", ("id",), False, "octal"), parse.Reading())
    found = duckdb.execute(f"SELECT {made}", {"written": written}).fetchall()
    assert found == [(value.hex(),)]


def test_a_record_of_several_parts_is_read_once_for_each() -> None:
    one = replace(KNOWN["squid_native"], record="lease ", part=" *has ")
    text = b"# top\nlease 1\n has a\n  x\nhas b\nlease 2\n b has c\n"
    lines = [b"# top", b"lease 1  has a   x", b"lease 1 has b", b"lease 2  b has c"]
    assert parse.records(one, text).splitlines() == lines
    flood = b"lease " + b"x" * 1000 + b"\n" + b"has y\n" * 1000
    assert len(parse.records(one, flood)) < 2 * len(flood)


def test_columns_may_change_in_mid_file() -> None:
    """Each part of a file has the columns of the header before it."""
    text = b"#Fields: date time\n1\n#Fields: time date\n2\n3\n"
    parts = list(parse.sections(KNOWN["w3c_extended"], text, ("old",)))
    assert [names for _, names in parts] == [("date", "time"), ("time", "date")]
    assert b"".join(part for part, _ in parts) == text
    headless = list(parse.sections(KNOWN["w3c_extended"], b"4\n" + text, ("old",)))
    assert headless[0] == (b"4\n", ("old",))


def test_non_events_carry_nothing(read: Read) -> None:
    """What is grouped without a WHERE cannot leak the cells of a rejected line."""
    rows = read(KNOWN["squid_native"], "half a line", sample_of("squid_native", 2).line)
    assert all(row[field] is None for row in rows for field in FIELDS)


PIECES = st.sampled_from([*"\"'\\ \t,=|{}[]:#@/%<>-\x00\x1f", "  ", "CEF:0|", "query: ", "é", "🙂"])


@FUZZ
@given(st.lists(st.one_of(st.text(max_size=20), PIECES), max_size=12), st.data())
def test_no_text_breaks_any_format(read: Read, pieces: list[str], data: st.DataObject) -> None:
    """Whatever stands in a line, it is read or it has a reason."""
    name = data.draw(st.sampled_from(sorted(KNOWN)))
    sample = data.draw(st.sampled_from(KNOWN[name].samples))
    noise = "".join(pieces).replace("\n", " ").replace("\r", " ")
    at = data.draw(st.integers(0, len(sample.line)))
    lines = [noise, sample.line[:at] + noise, sample.line[:at] + noise + sample.line[at:]]
    rows = read(KNOWN[name], *lines, header=sample.header, prefixed=data.draw(st.booleans()))
    assert [row["line"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["outcome"] is not None or row["ts"] is not None


@FUZZ
@given(st.text(max_size=80))
def test_cleaning_twice_changes_nothing(raw: str) -> None:
    """A clean host and a clean address are clean."""
    for clean in (parse.clean_host, parse.clean_address):
        once = clean(raw)
        assert once is None or clean(once) == once
