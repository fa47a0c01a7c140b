"""Events that a JSON document holds are read as if each had a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import elements
from tests.conftest import Run

FUZZ = settings(deadline=None)  # the first example compiles
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.lists(st.dictionaries(st.text(min_size=1), VALUE, min_size=1), min_size=1, max_size=5)


def held(text: bytes, cuts: Sequence[int] = ()) -> Iterator[Any]:
    """What stands in the lines of a document that comes in pieces."""
    edges = sorted({0, *(min(cut + 4096, len(text)) for cut in cuts), len(text)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    laid = b"".join(elements.lines(pieces))
    assert len(laid) == len(text)
    yield from (json.loads(line) for line in laid.split(b"\n") if line.strip())


def around(events: list[dict[str, Any]], form: int, indent: int | None) -> bytes:
    """Write events as portals, queues and interfaces do."""
    pad = {"note": "x" * 5000} if form % 2 else {}
    whole: Any = [*events, pad] if form % 2 else events
    if form // 2 == 1:
        whole = {"count": 1, "about": {"next": None}, "records": whole, "more": False}
    elif form // 2 == 2:
        whole = {"took": 1, "hits": {"total": {"value": 2}, "hits": whole}}
    return json.dumps(whole, indent=indent, ensure_ascii=False).encode()


@FUZZ
@given(
    events=EVENTS,
    cuts=st.lists(st.integers(0, 3000), max_size=3),
    form=st.integers(0, 5),
    indent=st.sampled_from([None, 0, 2]),
)
def test_each_event_of_a_document_is_a_line(
    events: list[dict[str, Any]], cuts: list[int], form: int, indent: int | None
) -> None:
    text = around(events, form, indent)
    assert [*held(text, cuts)][: len(events)] == events


@FUZZ
@given(events=EVENTS)
def test_indented_objects_one_behind_the_other_are_lines(events: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(event, indent=1) for event in events)
    assert [*held(text.encode())] == events


@FUZZ
@given(st.binary())
def test_any_other_text_stays_as_it_is(text: bytes) -> None:
    if elements.level(text) is None:
        assert b"".join(elements.lines([text])) == text


@FUZZ
@given(st.text(alphabet='{}[]",\\\n ab', max_size=60))
def test_a_broken_document_keeps_its_size_and_goes_on(noise: str) -> None:
    """One object a line, as most write an array: behind the damage events are read again."""
    rows = "".join(f'{{"b": {number}}},\n' for number in range(9000))
    text = f'[{{"a": 1}},\n{{{noise}\n{rows}{{"c": 3}}\n]'.encode()
    laid = b"".join(elements.lines([text[:70_000], text[70_000:]]))
    assert len(laid) == len(text)
    lines = [line.strip() for line in laid.split(b"\n")]
    assert lines[0] == b'{"a": 1}'
    assert lines.count(b'{"b": 8999}') == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 1, "answers": [{"b": 2}]}',
        '{"records": "none"}',
        '{"src": "192.0.2.1", "qname": "a.example.com", "data": [{"type": "A"}]}',
        '{"ts": 1, "about": {"results": [{"a": 1}]}}',
        "[1767258000] unbound[1:0] info: 192.0.2.1 a.example.com. A IN",
        "[]",
        "{}",
        "{",
    ],
)
def test_lines_of_objects_are_no_document(line: str) -> None:
    assert elements.level(f"{line}\n".encode() * 2) is None


def test_an_endless_event_hides_no_other(tmp_path: Path, run: Run) -> None:
    """What is behind it tells the format, also where the document has no line end."""
    first = {"ts": 1767258000, "src": "192.0.2.1", "qname": "a.example.com", "x": "y" * 2_000_000}
    log = tmp_path / "a.json"
    log.write_text(json.dumps([first, first | {"x": "y"}]), encoding="utf-8")
    assert [row["line"] for row in run("parse", log).rows] == [2]


def test_a_document_is_scanned_as_its_lines_are(tmp_path: Path, run: Run) -> None:
    rows = [
        {"ts": 1767258000 + n, "src": f"192.0.2.{n % 9}", "qname": f"w{n % 7}.slack.com"}
        for n in range(900)
    ]
    forms = {
        "lines": "".join(f"{json.dumps(row)}\n" for row in rows),
        "array": json.dumps(rows),
        "indented": json.dumps({"value": rows}, indent=4),
    }
    told = {}
    for name, text in forms.items():
        log = tmp_path / f"{name}.json"
        log.write_text(text, encoding="utf-8")
        told[name] = run("parse", log).stdout.replace(f"{name}.json", "")
        scanned = run("scan", log, "--store", tmp_path / name)
        assert "900 lines, 900 events, 0 rejects" in scanned.stderr
    assert told["array"] == told["indented"] == told["lines"]
