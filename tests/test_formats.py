"""Formats as data: each proves itself and reads its log of oddities, or is refused with a cure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent import formats, parse, proof
from agent.errors import RulesError
from agent.model import FIELDS, Format

HERE = Path(__file__).parent
LOGS = HERE / "formats"
MUSEUM = HERE / "museum" / "formats"
KNOWN = formats.load_formats()
DOCUMENTED = [
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
HOME = re.compile(r"(^|\.)(example(\.(com|net|org))?|arpa)$")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database whose zone is UTC."""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def outcomes(con: duckdb.DuckDBPyConnection, log_format: Format, text: bytes) -> Iterator[Any]:
    """Each line as its event or the reason why it is none."""
    columns = parse.first_columns(log_format, text)
    prefixed, line = parse.looks_prefixed(text), 1
    for part, named in parse.sections(log_format, text, columns):
        reading = parse.Reading("UTC", date(2026, 1, 31), prefixed, named)
        con.register("part", parse.lines_table(part, line, log_format, named, prefixed=prefixed))
        sql = f"{parse.events_sql(log_format, reading, 'part')} ORDER BY line_no"
        for number, outcome, *values in con.execute(sql).fetchall():
            event = dict(zip(FIELDS, values, strict=True))
            if outcome is not None:
                told = {name: event[name] for name in ("host", "alias") if event[name]}
                repeated = told if outcome == parse.OTHER and event["host"] else {}
                assert repeated or outcome != parse.OTHER or set(event.values()) == {None}
                yield {"line": number, "outcome": outcome, **repeated}
                continue
            event["ts"] = event["ts"].isoformat()
            event["host"] = parse.clean_host(event["host"])
            event["client"] = parse.clean_address(event["client"]) or event["client"]
            told = {name: value for name, value in event.items() if value is not None}
            yield {"line": number, **told}
        line += bytes(part).count(b"\n")


@pytest.mark.parametrize("name", KNOWN)
def test_a_log_of_oddities_reads_as_blessed(
    con: duckdb.DuckDBPyConnection, name: str, *, bless: bool
) -> None:
    """Each format has one log that collects every oddity met, and what comes of each line."""
    text = (LOGS / f"{name}.log").read_bytes()
    found = "".join(f"{json.dumps(row)}\n" for row in outcomes(con, KNOWN[name], text))
    golden = LOGS / f"{name}.golden.jsonl"
    if bless:
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_all_samples_prove_their_formats(con: duckdb.DuckDBPyConnection) -> None:
    """Every sample gives its event, and every field is shown by a sample."""
    assert proof.check_samples(con, KNOWN.values()) == []


def test_every_log_belongs_to_a_format() -> None:
    """No log is left behind when a format is renamed."""
    assert {path.name.partition(".")[0] for path in LOGS.iterdir()} == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_samples_name_nobody(name: str) -> None:
    """Samples hold names and addresses that the RFCs keep for examples."""
    for sample in KNOWN[name].samples:
        if isinstance(sample.event, str):
            continue
        host = str(sample.event.get("host", "www.example.com"))
        assert HOME.search(host), host
        for key in ("client", "dest_ip"):
            # A machine that logs what it asks itself may be its own name only.
            named = key == "client" and HOME.search(str(sample.event.get(key, "")))
            if key in sample.event and not named:
                address = ipaddress.ip_address(str(sample.event[key]))
                assert any(address in network for network in DOCUMENTED), address


@pytest.mark.parametrize("name", KNOWN)
def test_a_format_cites_its_vendor(name: str) -> None:
    """Each format names the page that documents it."""
    assert re.match(r"https?://[^/]+/", KNOWN[name].url)


def test_broken_formats_are_refused_with_a_cure(*, bless: bool) -> None:
    """A museum of broken formats, one fault a file, and all messages in one golden."""
    with pytest.raises(RulesError) as refused:
        formats.load_formats([MUSEUM])
    found = "".join(f"{problem}\n" for problem in refused.value.problems)
    found = found.replace(str(MUSEUM), "museum")
    golden = MUSEUM / "messages.golden"
    if bless:
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")
    blamed = {problem.where.rpartition("/")[2] for problem in refused.value.problems}
    assert blamed == {path.name for path in MUSEUM.glob("*.toml")}


def test_a_local_format_replaces_the_shipped_one(tmp_path: Path) -> None:
    """An operator's folder wins, by name."""
    local = (MUSEUM.parents[2] / "rules/formats/squid_native.toml").read_text(encoding="utf-8")
    own = local.replace("Squid native access log", "Ours")
    (tmp_path / "squid_native.toml").write_text(own, encoding="utf-8")
    assert formats.load_formats([tmp_path])["squid_native"].title == "Ours"
    assert formats.load_formats()["squid_native"].title != "Ours"


def test_a_sample_that_lies_is_found_out(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A wrong value, a wrong outcome and a field that no sample shows are three problems."""
    good = (MUSEUM.parents[2] / "rules/formats/squid_native.toml").read_text(encoding="utf-8")
    bad = (
        good.partition("[[sample]]")[0]
        + """
[[sample]]
line = '1767258000.123 845 192.0.2.10 TCP_HIT/200 1 GET http://a.example.com/ - HIER_NONE/- -'
[sample.event]
ts = "2026-01-01T09:00:00.123Z"
client = "192.0.2.10"
host = "b.example.com"
method = "GET"
bytes_in = 1
blocked = false
[[sample]]
line = 'rubbish'
event = "other"
"""
    )
    (tmp_path / "bad.toml").write_text(bad, encoding="utf-8")
    problems = proof.check_samples(con, [formats.load_formats([tmp_path])["bad"]])
    assert [problem.key for problem in problems] == [
        "sample[1].event.host",
        "sample[2]",
        "fields.user",
        "fields.dest_ip",
    ]
