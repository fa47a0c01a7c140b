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
                con.register("head", parse.lines_table(part, 1))
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
