"""Pairs that are found for a whole text at once are those that one finds line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import pairs, parse
from agent.spans import Text, joined

KEYS = ("a", "src", "shost", "requestMethodOfClient")
"""Short, one within another's end, and longer than a word of the machine."""
SIGNS = st.sampled_from(
    [
        *KEYS,
        *(f"{key}=" for key in KEYS),
        *' \t|=",;^<>\\',
        "  ",
        '="',
        '" ',
        "<13>",
        "xsrc=",
        "é",
        "v",
        "10.1.2.3",
        *("[", "]", '"]', "[v "),
    ]
)
LINE = st.lists(SIGNS, max_size=14).map("".join)
FUZZ = settings(max_examples=100, deadline=None)


def found(lines: Sequence[str], cut: str, delimiter: str = " ") -> list[dict[str, str]]:
    """What the kernel finds, as a reader would write it down."""
    text = Text("".join(f"{line}\n" for line in lines).encode())
    columns = pairs.columns(text, cut, delimiter, KEYS)
    for column in columns:
        column.validate(full=True)
    values = zip(*(column.to_pylist() for column in columns), strict=True)
    return [dict(zip(KEYS, row, strict=True)) for row in values]


def quoted_parts(line: str) -> list[tuple[int, int]]:
    """Where quoted values open and close."""
    parts: list[tuple[int, int]] = []
    opened: int | None = None
    for place, sign in enumerate(line):
        if sign != '"':
            continue
        if opened is not None:
            parts.append((opened, place))
            opened = None
        elif place and line[place - 1] == "=":
            opened = place
    return parts


def trimmed(value: str, signs: str = ' "') -> str:
    """A value without up to four blanks and quotes at each side."""
    return re.sub(f"[{signs}]{{0,4}}$", "", re.sub(f"^[{signs}]{{0,4}}", "", value))


def between(line: str, delimiter: str, key: str) -> str:
    """The value of the first pair of a key between delimiters."""
    parts, first = quoted_parts(line), line.find("=")
    whole = re.sub("^<[^>]{1,3}>", "", line[: max(first, 0)]).rpartition(delimiter)[2]
    inside = whole.rpartition("[")[2].rpartition(" ")[2] if "[" in whole else None
    for match in re.finditer(f"{key}=", line):
        lead = line[: match.start()]
        bare = re.sub(" {0,4}$", "", lead) if delimiter != " " else lead
        begins = bare == "" or bare.endswith(delimiter) or bool(re.fullmatch("<[^>]{1,3}>", bare))
        begins = begins or (match.end() - 1 == first and inside == key)
        if not begins or any(opens < match.end() - 1 < closes for opens, closes in parts):
            continue
        stops = [place.start() for place in re.finditer(re.escape(delimiter), line)]
        stops = [at for at in stops if not any(opens < at < closes for opens, closes in parts)]
        end = next((at for at in stops if at >= match.end()), len(line))
        value = line[match.end() : end]
        closed = end == len(line) and re.fullmatch('(.*")] *', value)
        return trimmed(closed[1] if closed else value)
    return ""


def spaced(line: str, key: str) -> str:
    """The value of the first pair of a key that ends where the next key stands."""
    pattern = rf"[ |\t]{key}=(.*?)(?: [\w.\[\]-]+=|$)"
    match = re.search(pattern, line, re.ASCII)
    return trimmed(match[1], " ") if match else ""


def stated(line: str, key: str) -> str:
    """The value of a key in a LEEF line, as its own header says where values end."""
    header = r"[^|]*(?:\|[^|]*){4}\|"
    body = re.match(rf"{header}(?:[^|=]*[|])?(.*)$", line)
    if body is None:
        return ""
    mark = re.match(rf"{header}([^|=\w]|0?x(?:00)?[0-7][0-9A-Fa-f])[|]", line, re.ASCII)
    rest, sign = body[1].replace("#011", "\t   "), ""
    if mark is not None:
        sign = mark[1] if len(mark[1]) == 1 else chr(int(mark[1].rpartition("x")[2], 16))
        # What a relay made of a tab ends a value like one, and like a blank.
        rest = rest if sign in "\t " else body[1]
    else:
        sign = next((sign for sign in "\t|" if sign in rest), "")
    if not sign:
        return spaced(f" {rest}", key)
    pair = re.search(rf"(?:^|{re.escape(sign)}) {{0,4}}{key}=([^{re.escape(sign)}]*)", rest)
    return trimmed(pair[1]) if pair else ""


def test_colons_may_stand_for_equals_signs() -> None:
    """Before a blank or a quote; any other colon is part of a value, and so is an equals sign."""
    key, other = KEYS[:2]
    line = f'<13>{key}: http://a:80/?b=c, {other}:"1, 2", x: y'
    text = Text(f"{line}\n".encode())
    values = pairs.columns(text, "keyvalue", ",", [key, other], colons=True)
    assert [value.to_pylist() for value in values] == [["http://a:80/?b=c"], ["1, 2"]]


@pytest.mark.parametrize("delimiter", [" ", "\t", "|", ","])
@FUZZ
@given(st.lists(LINE, min_size=1, max_size=4))
def test_pairs_between_delimiters(delimiter: str, lines: list[str]) -> None:
    expected = [{key: between(line, delimiter, key) for key in KEYS} for line in lines]
    assert found(lines, "keyvalue", delimiter) == expected


@FUZZ
@given(st.lists(LINE, min_size=1, max_size=4))
def test_pairs_between_blanks(lines: list[str]) -> None:
    expected = [{key: spaced(line, key) for key in KEYS} for line in lines]
    assert found(lines, "cef") == expected


MARKS = st.sampled_from(["", "|", "^|", "x5E|", "0x09|", "0x007c|", "x2|", "xFF|", "cat|", ";|"])


@FUZZ
@given(st.lists(st.tuples(MARKS, LINE, st.booleans()), min_size=1, max_size=4))
def test_pairs_between_what_a_line_states(drawn: list[tuple[str, str, bool]]) -> None:
    lines = [f"LEEF:2.0|V|P|1|7|{mark}{line}{'#011a=9' * more}" for mark, line, more in drawn]
    expected = [{key: stated(line, key) for key in KEYS} for line in lines]
    assert found(lines, "leef") == expected


def test_a_value_of_a_browser_does_not_speak_for_another_key() -> None:
    """Who writes a user agent must not choose the host that a line names."""
    line = 'agent="x shost=evil.example src=6.6.6.6" src=192.0.2.1 shost=app.example.com'
    assert found([line], "keyvalue")[0]["shost"] == "app.example.com"


def test_a_loose_value_goes_on_until_the_next_key() -> None:
    """Not every device sets quotes around a value of several words; what is quoted ends there."""
    lines = ["src=1 Anna  Smith a=2", 'src="Anna Smith" said a="b" shost', "said src= so a=", "so"]
    text = Text("".join(f"{line}\n" for line in lines).encode())
    columns = pairs.columns(text, "keyvalue", " ", ["src", "a"], loose=["*"])
    assert columns[0].to_pylist() == ["1 Anna  Smith", "Anna Smith", "so", ""]
    assert columns[1].to_pylist() == ["2", "b", "", ""]


def test_what_else_stands_between_loose_values_is_part_of_none() -> None:
    """Nobody is called ``asmith",``."""
    text = Text(b'src="1", a=2; shost="x, y"; dst=3,\nsrc=, a=;\n')
    columns = pairs.columns(text, "keyvalue", " ", ["src", "a", "shost", "dst"], loose=["*"])
    assert [column.to_pylist() for column in columns] == [
        ["1", ""], ["2", ""], ["x, y", ""], ["3", ""],
    ]  # fmt: skip


PLAIN = st.lists(
    st.sampled_from(
        [*KEYS, *(f"{key}=" for key in KEYS), *"=,é ", "  ", "other=", "v", "10.1.2.3"]
    ),
    max_size=14,
).map("".join)


@FUZZ
@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_only_keys_that_are_known_end_a_loose_value(lines: list[str]) -> None:
    text = Text("".join(f"{line}\n" for line in lines).encode())
    asked, known = KEYS[1:3], "|".join(KEYS)
    columns = pairs.columns(text, "keyvalue", " ", asked, loose=KEYS)
    for key, column in zip(asked, columns, strict=True):
        values = [re.search(f"(?:^| ){key}=(.*?)(?: (?:{known})=|$)", line) for line in lines]
        assert column.to_pylist() == [trimmed(found[1]) if found else "" for found in values]


def test_lines_of_a_column_are_read_as_those_of_a_text() -> None:
    """Lines that another format rejected come out of the database, some of them empty."""
    lines = ["src=1 a=2", "", "a=ä src=", 'a="b c" shost=x']
    table = pa.table({"line": pa.chunked_array([lines[:1], lines[1:]])})
    text = Text(joined(table["line"].slice(1)))
    assert text.column(text.starts, text.ends).to_pylist() == lines[1:]
    columns = pairs.columns(text, "keyvalue", " ", KEYS)
    assert [column.to_pylist() for column in columns[:2]] == [["", "ä", "b c"], ["", "", ""]]
    empty = Text(joined(table["line"].slice(0, 0)))
    columns = pairs.columns(empty, "leef", "", KEYS)
    assert [len(column) for column in columns] == [0] * len(KEYS)


def test_pieces_are_the_whole_text() -> None:
    """However long a line is, it is in one piece; the numbers go on."""
    lines = ["a" * size for size in (5, 700_000, 0, 600_000, 3_000_000, 1)]
    clean = "".join(f"{line}\n" for line in lines).encode()
    for text in (clean, clean * 2, b""):
        table = parse.lines_table(text, 7)
        assert table["line"].to_pylist() == lines * (len(text) // len(clean))
        assert table["line_no"].to_pylist() == list(range(7, 7 + len(table)))
