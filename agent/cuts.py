"""How a line falls apart into named cells: one small class of SQL text per cut kind.

A cut works in two layers, so that nothing is computed twice: it puts expressions over ``line`` into
a ``Layer`` (the split line, one JSON look-up, what follows a key) and hands out each cell as an
expression over that layer's columns. Lines are never read as CSV: a quote that is left open spoils
its own line only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from agent.model import Format, Pivot, Shape

_HIDDEN = "chr(31)"
"""Stands for a delimiter inside quotes while the line is split."""
_TAB = "\t"
Places = Mapping[str, Sequence[tuple[int, bool]]]
"""Key to where its pair may stand among the pairs of a line, and whether its value is quoted."""
_NAME = re.compile(r"\(\?P<(\w+)>")


class Layer:
    """Columns of one step of the query, each expression once."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._columns: dict[str, str] = {}

    def column(self, expression: str) -> str:
        """Return the name of the column that holds an expression; add it where it is new."""
        return self._columns.setdefault(expression, f"{self._prefix}{len(self._columns) + 1}")

    @property
    def sql(self) -> str:
        """The columns as they stand in a SELECT list, led by a comma where there are any."""
        return "".join(f", {expression} AS {name}" for expression, name in self._columns.items())


class Cut(Protocol):
    """SQL text that cuts a line of one shape."""

    def complete(self, parts: Layer) -> str:
        """Return the condition that a line has this cut's structure."""

    def cell(self, name: str, parts: Layer) -> str:
        """Return the expression of one cell; ``NULL`` where the shape has none of that name."""


def cut_of(
    log_format: Format,
    shape: Shape,
    columns: Sequence[str],
    cells: Sequence[str],
    places: Places = MappingProxyType({}),
) -> Cut:
    """Return the cut of one shape; ``cells`` are the names that all shapes of the format use.

    ``places`` tell where to look for the keys of ``key=value`` pairs.
    """
    match log_format.cut:
        case "blanks" | "delimited" | "w3c":
            return _Listed(log_format, shape, columns)
        case "json":
            return _Json(log_format, cells)
        case "regex":
            return _Matched(shape, cells)
        case "cef":
            return _Cef()
        case "leef":
            return _Leef()
        case _:
            return _Keyed(log_format.delimiter, places)


def text(value: str) -> str:
    """Return a SQL text literal.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


class _Listed:
    """Cells counted from the left, from the right, or from a word that is always there."""

    def __init__(self, log_format: Format, shape: Shape, columns: Sequence[str]) -> None:
        self._quoted = log_format.quoted
        self._delimiter = " " if log_format.cut != "delimited" else log_format.delimiter
        self._tabs = log_format.cut == "w3c"
        self._shape = shape
        # Where names alone tell what a cell is, a line that lacks one may be shifted.
        named = log_format.generic or (log_format.header == "first" and not shape.minimum)
        self._least = max(shape.minimum, 1, len(columns) if named else 0)
        self._numbers: dict[str, int] = {}
        for number, name in enumerate(columns, 1):
            self._numbers.setdefault(name, number)
        for number, name in enumerate(reversed(shape.tail), 1):
            self._numbers.setdefault(name, -number)
        self._pivots = {
            name: (pivot, offset) for pivot in shape.pivots for name, offset in _offsets(pivot)
        }

    def _whole(self, parts: Layer) -> str:
        line = _protected(self._delimiter) if self._quoted else "line"
        split = f"string_split({line}, {text(self._delimiter)})"
        if self._delimiter == " ":
            # Runs of blanks are padding; most lines have none, and a look is cheap.
            filtered = f"list_filter({split}, lambda part: part <> '')"
            padded = "contains(line, '  ') OR starts_with(line, ' ') OR suffix(line, ' ')"
            split = f"CASE WHEN {padded} THEN {filtered} ELSE {split} END"
        if self._tabs:
            tabs = f"string_split({_protected(_TAB)}, chr(9))"
            split = f"CASE WHEN contains(line, chr(9)) THEN {tabs} ELSE {split} END"
        return parts.column(split)

    def _here(self, pivot: Pivot, parts: Layer) -> str:
        whole = self._whole(parts)
        found = [f"list_position({whole}, {text(token)})" for token in pivot.tokens]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def complete(self, parts: Layer) -> str:
        conditions = [f"len({self._whole(parts)}) >= {self._least}"]
        conditions += [
            f"coalesce({self._here(pivot, parts)}, 0) > {len(pivot.left)}"
            for pivot in self._shape.pivots
        ]
        if self._quoted:
            # Most lines have no quote, and a look costs a third of a split.
            conditions.append("(NOT contains(line, '\"') OR len(string_split(line, '\"')) % 2 = 1)")
        return " AND ".join(conditions)

    def cell(self, name: str, parts: Layer) -> str:
        whole = self._whole(parts)
        if name in self._numbers:
            value = f"{whole}[{self._numbers[name]}]"
        elif name in self._pivots:
            pivot, offset = self._pivots[name]
            value = f"{whole}[{self._here(pivot, parts)} + {offset}]"
            if offset < 0:
                value = f"{whole}[greatest({self._here(pivot, parts)} - {-offset}, 0)]"
        else:
            return "NULL"
        if not self._quoted:
            return value
        shown = f"replace({value}, {_HIDDEN}, {text(self._delimiter)})"
        value = f"CASE WHEN contains({value}, {_HIDDEN}) THEN {shown} ELSE {value} END"
        return f"ltrim({value})" if self._numbers.get(name) == 1 else value


def _offsets(pivot: Pivot) -> list[tuple[str, int]]:
    left = [(name, number - len(pivot.left)) for number, name in enumerate(pivot.left)]
    right = [(name, number) for number, name in enumerate(pivot.right, 1)]
    return [*left, *([(pivot.cell, 0)] if pivot.cell else []), *right]


def _protected(delimiter: str) -> str:
    """Return the line with its quotes resolved and delimiters inside them hidden.

    ``""`` is a quote inside a cell or an empty cell: it can go in both cases. Between blanks, where
    an empty cell would vanish with its quotes, it becomes the dash that stands for nothing.
    """
    plain = "replace(line, '\\\"', '')"
    plain = (
        f"replace({plain}, '\"\"', '')" if delimiter == "," else f"replace({plain}, ' \"\"', ' -')"
    )
    hidden = f"replace(part, {text(delimiter)}, {_HIDDEN})"
    parts = (
        f"list_transform(string_split({plain}, '\"'), "
        f"lambda part, n: CASE WHEN n % 2 = 0 THEN {hidden} ELSE part END)"
    )
    joined = f"array_to_string({parts}, '')"
    if delimiter == ",":
        # Some exports set a blank behind the comma; those inside quotes are hidden by now.
        joined = f"replace({joined}, ', ', ',')"
    return f"CASE WHEN contains(line, '\"') THEN {joined} ELSE line END"


class _Json:
    """Cells named by path (``dns.rrname``, ``answers[0].rdata``) in one JSON object a line."""

    def __init__(self, log_format: Format, cells: Sequence[str]) -> None:
        self._wrapped = log_format.wrapped
        self._places = {name: number for number, name in enumerate(dict.fromkeys(cells), 1)}

    def _whole(self, parts: Layer) -> str:
        paths = ", ".join(text(_path(name)) for name in self._places)
        start = "CASE WHEN starts_with(line, '{') THEN line ELSE substr(line, instr(line, '{')) END"
        if self._wrapped:
            keys = [path.rpartition(".")[2] for path in self._wrapped]
            marks = [text(f'{key}"') for key in dict.fromkeys(keys)]
            held = " OR ".join(f"contains(line, {mark})" for mark in marks)
            inner = ", ".join(
                f"try(json_extract_string({start}, {text(_path(path))}))" for path in self._wrapped
            )
            start = f"CASE WHEN {held} THEN coalesce({inner}, {start}) ELSE {start} END"
        return parts.column(f"try(json_extract_string({start}, [{paths}]))")

    def complete(self, parts: Layer) -> str:
        return f"{self._whole(parts)} IS NOT NULL"

    def cell(self, name: str, parts: Layer) -> str:
        return f"{self._whole(parts)}[{self._places[name]}]"


def _path(name: str) -> str:
    """Return the JSON path of a cell name.

    >>> _path("dns.queries[0].rrname"), _path('$."id.orig_h"')
    ('$.dns.queries[0].rrname', '$."id.orig_h"')
    """
    return name if name.startswith("$") else f"$.{name}"


class _Keyed:
    """Cells written ``key=value`` or ``key="a value"`` between delimiters.

    A device writes its keys in few orders, so each is looked for where it stood in other lines;
    where it stands elsewhere, or its value holds a delimiter, the whole line is searched.
    """

    def __init__(self, delimiter: str, places: Places) -> None:
        self._delimiter = delimiter
        self._sign = {" ": " ", _TAB: "\\t"}.get(delimiter, re.escape(delimiter))
        """The delimiter in a regular expression."""
        self._places = places

    def complete(self, parts: Layer) -> str:  # noqa: ARG002 - as the protocol has it
        # LEEF holds pairs as well, but says itself what it is.
        return "contains(line, '=') AND NOT contains(line, 'LEEF:')"

    def cell(self, name: str, parts: Layer) -> str:
        pairs = parts.column(f"string_split(line, {text(self._delimiter)})")
        places = self._places.get(name)
        here = " ".join(
            _pair(f"{pairs}[{place}]", name, quoted=quoted) for place, quoted in places or ()
        )
        # A look for plain text takes a quarter of a search, and one look for all the keys that were
        # not met takes hardly more.
        unmet = places is not None and not places
        somewhere = parts.column(self._unmet()) if unmet else f"contains(line, {text(f'{name}=')})"
        return f"CASE {here} WHEN {somewhere} THEN {self._searched(name)} ELSE '' END"

    def _unmet(self) -> str:
        """Return the condition that a line has one of the keys that stood nowhere."""
        names = [re.escape(name) for name, places in self._places.items() if not places]
        keys = f"(?:{'|'.join(names)})="
        inside, first = text(f"{self._sign}{keys}"), text(f"^(?:<\\d{{1,3}}>)?{keys}")
        return f"regexp_matches(line, {inside}) OR regexp_matches(line, {first})"

    def _searched(self, name: str) -> str:
        # One look for the whole pair takes half as long as one for its value: RE2 has to run twice.
        # A relay's header ends in a blank, but its priority, <13>, does not.
        key = re.escape(name)
        value = rf"\"[^\"]*\"|[^{self._sign}]*"
        inside, start = text(f"{self._sign}{key}=(?:{value})"), text(f"^{key}=(?:{value})")
        behind = f"^<\\d{{1,3}}>{key}="
        return (
            f"trim(CASE WHEN starts_with(line, {text(f'{name}=')}) "
            f"THEN regexp_extract(line, {start})[{len(name) + 2}:] "
            f"WHEN starts_with(line, '<') AND regexp_matches(line, {text(behind)}) "
            f"THEN regexp_extract(line, {text(f'{behind}({value})')}, 1) "
            f"ELSE regexp_extract(line, {inside})[{len(name) + 3}:] END, '\"')"
        )


def _pair(pair: str, name: str, *, quoted: bool) -> str:
    """Return the case that a part of a line is the whole pair of a key, and what is its value."""
    start, quote = f"starts_with({pair}, {text(f'{name}=')})", text(f'{name}="')
    if not quoted:
        return f"WHEN {start} AND NOT starts_with({pair}, {quote}) THEN {pair}[{len(name) + 2}:]"
    whole = f"suffix({pair}, '\"') AND strlen({pair}) > {len(name) + 2}"
    return f"WHEN starts_with({pair}, {quote}) AND {whole} THEN {pair}[{len(name) + 3}:-2]"


class _Cef:
    """Cells of ArcSight's Common Event Format: seven header parts, then ``key=value`` pairs."""

    _HEADER = (
        "cef", "device_vendor", "device_product", "device_version", "signature", "name", "severity",
    )  # fmt: skip

    def _whole(self, parts: Layer) -> str:
        return parts.column("string_split(line, '|')")

    def complete(self, parts: Layer) -> str:
        return f"len({self._whole(parts)}) >= 8"

    def cell(self, name: str, parts: Layer) -> str:
        if name in self._HEADER:
            return f"{self._whole(parts)}[{self._HEADER.index(name) + 1}]"
        pattern = rf"[ |]{re.escape(name)}=(.*?)(?: [\w.\[\]-]+=|\s*$)"
        value = parts.column(f"trim(regexp_extract(line, {text(pattern)}, 1))")
        plain = rf"replace(replace({value}, '\=', '='), '\\', '\')"
        return f"CASE WHEN contains({value}, '\\') THEN {plain} ELSE {value} END"


class _Leef:
    """Cells of IBM's Log Event Extended Format, 1.0 and 2.0: five header parts, then pairs.

    Pairs stand between tabs; version 2.0 may name another delimiter, as a letter or in hex, in a
    sixth header part. Some devices go on with ``|``; relays write a tab as ``#011``, or as a blank.
    """

    _NAMES = ("leef", "device_vendor", "device_product", "device_version", "signature")
    _HEADER = r"LEEF:[^|]*(?:\|[^|]*){4}\|"

    def _whole(self, parts: Layer) -> str:
        return parts.column("string_split(line, '|')")

    def _pairs(self, parts: Layer) -> str:
        """Return the column of all pairs, each led by a tab where they have a delimiter."""
        after = text(self._HEADER + r"(?:[^|=]*[|])?(.*)$")
        body = parts.column(f"regexp_extract(line, {after}, 1)")
        stated = text(self._HEADER + r"([^|=\w]|0?x(?:00)?[0-7][0-9A-Fa-f])[|]")
        mark = parts.column(f"regexp_extract(line, {stated}, 1)")
        code = f"chr(CAST('0x' || split_part({mark}, 'x', 2) AS INTEGER))"
        return parts.column(
            f"chr(9) || CASE WHEN strlen({mark}) > 1 THEN replace({body}, {code}, chr(9)) "
            f"WHEN {mark} <> '' THEN replace({body}, {mark}, chr(9)) "
            f"WHEN contains({body}, '#011') THEN replace({body}, '#011', chr(9)) "
            f"WHEN contains({body}, chr(9)) THEN {body} ELSE replace({body}, '|', chr(9)) END"
        )

    def complete(self, parts: Layer) -> str:
        return f"contains(line, 'LEEF:') AND len({self._whole(parts)}) >= 6"

    def cell(self, name: str, parts: Layer) -> str:
        if name in self._NAMES:
            return f"{self._whole(parts)}[{self._NAMES.index(name) + 1}]"
        pairs, key = self._pairs(parts), re.escape(name)
        between = text(rf"\t *{key}=([^\t]*)")
        blanks = text(rf"[\t ]{key}=(.*?)(?: +[\w.\[\]-]+=|\s*$)")
        value = parts.column(
            f"CASE WHEN contains({pairs}[2:], chr(9)) THEN regexp_extract({pairs}, {between}, 1) "
            f"ELSE regexp_extract({pairs}, {blanks}, 1) END"
        )
        return f"trim({value}, ' \"')"


class _Matched:
    """Cells that are the named groups of a regular expression (RE2)."""

    def __init__(self, shape: Shape, cells: Sequence[str]) -> None:
        # Each group costs time, also one that nobody asks for.
        self._names = [name for name in _NAME.findall(shape.pattern) if name in cells]
        self._pattern = _NAME.sub(
            lambda found: "(" if found[1] in self._names else "(?:", shape.pattern
        )

    def _whole(self, parts: Layer) -> str:
        names = ", ".join(text(name) for name in self._names)
        # To find groups takes ten times as long as to see that there is nothing to find.
        matches = f"regexp_matches(line, {text(self._pattern)})"
        groups = f"regexp_extract(line, {text(self._pattern)}, [{names}])"
        return parts.column(f"CASE WHEN {matches} THEN {groups} END")

    def complete(self, parts: Layer) -> str:
        return f"{self._whole(parts)} IS NOT NULL"

    def cell(self, name: str, parts: Layer) -> str:
        return f"{self._whole(parts)}.{name}" if name in self._names else "NULL"
