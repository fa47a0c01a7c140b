"""How a line falls apart into named cells: one small class of SQL text per cut kind.

A cut works in two layers, so that nothing is computed twice: it puts expressions over ``line`` into
a ``Layer`` (the split line, one JSON look-up, the groups of a pattern) and hands out each cell as
an expression over that layer's columns. Lines are never read as CSV: a quote that is left open
spoils its own line only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from agent.model import HEADER_CELLS, Format, Pivot, Shape

_NAME = re.compile(r"\(\?P<(\w+)>")


class Parts(Protocol):
    """Where an expression is computed once that a cut asks for again and again."""

    def column(self, expression: str, sure: str = "") -> str:
        """Return what stands for the expression, or for the one that does where the cut fits."""


class Layer:
    """Columns of one step of the query, each expression once."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._columns: dict[str, str] = {}
        self._shapes: dict[str, set[int]] = {}

    def column(self, expression: str, shape: int = 1) -> str:
        """Return the name of the column that holds an expression; add it where it is new.

        What only shapes behind the first one ask for is computed for their lines alone, in a layer
        that knows the shape of each line.
        """
        self._shapes.setdefault(expression, set()).add(shape)
        return self._columns.setdefault(expression, f"{self._prefix}{len(self._columns) + 1}")

    def known(self, expression: str) -> str | None:
        """Return the name of the column that holds an expression, None where there is none."""
        return self._columns.get(expression)

    @property
    def sql(self) -> str:
        """The columns as they stand in a SELECT list, led by a comma where there are any."""
        return "".join(f", {self._made(made)} AS {name}" for made, name in self._columns.items())

    def _made(self, expression: str) -> str:
        shapes = sorted(self._shapes[expression])
        if 1 in shapes or expression.isidentifier():
            return expression
        return f"CASE WHEN {of_shapes(shapes)} THEN {expression} END"


class Shared:
    """A layer from before the shape is known, as one shape sees it.

    The first shape adds columns to it; another takes those that are there, and else what ``other``
    makes of an expression.
    """

    def __init__(self, layer: Layer, other: Callable[[str], str], *, first: bool) -> None:
        self._layer, self._first, self._other = layer, first, other

    def column(self, expression: str, sure: str = "") -> str:
        """Return what stands for the expression; where the cut is known to fit, ``sure`` does."""
        if self._first:
            return self._layer.column(expression)
        return self._layer.known(expression) or self._other(sure or expression)


def of_shapes(shapes: Iterable[int]) -> str:
    """Return the condition that a line has one of some shapes."""
    return " OR ".join(f"shape = {number}" for number in shapes)


class Cut(Protocol):
    """SQL text that cuts a line of one shape."""

    def complete(self, parts: Parts) -> str:
        """Return the condition that a line has this cut's structure."""

    def cell(self, name: str, parts: Parts) -> str:
        """Return the expression of one cell; ``NULL`` where the shape has none of that name."""


def cut_of(
    log_format: Format,
    shape: Shape,
    columns: Sequence[str],
    cells: Sequence[str],
    *,
    stripped: bool = False,
) -> Cut:
    """Return the cut of one shape; ``cells`` are the names that all shapes of the format use.

    ``stripped`` tells that a relay's prefix was taken off and stands in column ``prefix``.
    """
    match log_format.cut:
        case "blanks" | "delimited" | "w3c":
            kind = _Numbered if counted(log_format) else _Listed
            return kind(log_format, shape, columns)
        case "json":
            return _Json(log_format, cells)
        case "regex":
            return _Matched(shape, cells)
        case "found":
            return _Found(log_format.find, stripped=stripped)
        case "keyvalue":
            return _Keyed(log_format, stripped=stripped)
        case _:
            return _Headed(log_format)


def counted(log_format: Format) -> bool:
    """Tell whether lines come cut, each cell known by its number (``agent.cells``)."""
    split = log_format.cut in {"blanks", "w3c", "delimited"}
    turned = any(shape.tail or shape.pivots for shape in log_format.shapes)
    return split and not turned and len(log_format.delimiter.encode()) == 1


def asked(log_format: Format, columns: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of the cells of such a line that are asked for, in order.

    ``columns`` are those that a header gave.
    """
    used = set(log_format.cells)
    cuts = (_Numbered(log_format, shape, columns or shape.columns) for shape in log_format.shapes)
    return tuple(sorted({number for cut in cuts for number in cut.numbers(used)}))


CELLS = "cells"
"""The column that tells how many cells a line has."""


def cell_column(number: int) -> str:
    """Return the name of the column that holds the n-th cell, from 1 on."""
    return f"n{number}"


def text(value: str) -> str:
    """Return a SQL text literal.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def _least(log_format: Format, shape: Shape, columns: Sequence[str]) -> int:
    """Return how many cells a line of a shape has at least."""
    # Where names alone tell what a cell is, a line that lacks one may be shifted.
    named = log_format.generic or (log_format.header == "first" and not shape.minimum)
    return max(shape.minimum, 1, len(columns) if named else 0)


def _numbers(columns: Sequence[str]) -> dict[str, int]:
    """Return the number of each column, from 1 on; of two of one name the first counts."""
    return {name: number for number, name in reversed([*enumerate(columns, 1)])}


class _Numbered:
    """Cells counted from the left: columns of the relation (``agent.cells``)."""

    def __init__(self, log_format: Format, shape: Shape, columns: Sequence[str]) -> None:
        self._least = _least(log_format, shape, columns)
        self._numbers = _numbers(columns)

    def numbers(self, cells: Collection[str]) -> Iterator[int]:
        """Yield the numbers of some cells."""
        return (number for name, number in self._numbers.items() if name in cells)

    def complete(self, parts: Parts) -> str:  # noqa: ARG002 - as the protocol has it
        return f"{CELLS} >= {self._least}"

    def cell(self, name: str, parts: Parts) -> str:  # noqa: ARG002 - as the protocol has it
        if name not in self._numbers:
            return "NULL"
        number = self._numbers[name]
        value = cell_column(number)
        return value if number <= self._least else f"CASE WHEN {CELLS} >= {number} THEN {value} END"


class _Listed:
    """Cells counted from the left, from the right, or from a word that is always there."""

    def __init__(self, log_format: Format, shape: Shape, columns: Sequence[str]) -> None:
        self._delimiter = log_format.delimiter
        self._shape = shape
        self._least = _least(log_format, shape, columns)
        self._numbers = _numbers(columns)
        for number, name in enumerate(reversed(shape.tail), 1):
            self._numbers.setdefault(name, -number)
        self._pivots = {
            name: (pivot, offset) for pivot in shape.pivots for name, offset in _offsets(pivot)
        }

    def _whole(self, parts: Parts) -> str:
        split = f"string_split(line, {text(self._delimiter)})"
        if self._delimiter == " ":
            # Runs of blanks are padding; most lines have none, and a look is cheap.
            filtered = f"list_filter({split}, lambda part: part <> '')"
            padded = "contains(line, '  ') OR starts_with(line, ' ') OR suffix(line, ' ')"
            split = f"CASE WHEN {padded} THEN {filtered} ELSE {split} END"
        return parts.column(split)

    def _here(self, pivot: Pivot, parts: Parts) -> str:
        whole = self._whole(parts)
        found = [f"list_position({whole}, {text(token)})" for token in pivot.tokens]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def complete(self, parts: Parts) -> str:
        conditions = [f"len({self._whole(parts)}) >= {self._least}"]
        conditions += [
            f"coalesce({self._here(pivot, parts)}, 0) > {len(pivot.left)}"
            for pivot in self._shape.pivots
        ]
        return " AND ".join(conditions)

    def cell(self, name: str, parts: Parts) -> str:
        whole = self._whole(parts)
        if name in self._numbers:
            return f"{whole}[{self._numbers[name]}]"
        if name not in self._pivots:
            return "NULL"
        pivot, offset = self._pivots[name]
        if offset < 0:
            return f"{whole}[greatest({self._here(pivot, parts)} - {-offset}, 0)]"
        return f"{whole}[{self._here(pivot, parts)} + {offset}]"


def _offsets(pivot: Pivot) -> list[tuple[str, int]]:
    left = [(name, number - len(pivot.left)) for number, name in enumerate(pivot.left)]
    right = [(name, number) for number, name in enumerate(pivot.right, 1)]
    return [*left, *([(pivot.cell, 0)] if pivot.cell else []), *right]


class _Json:
    """Cells named by path (``dns.rrname``, ``answers[0].rdata``) in one JSON object a line."""

    def __init__(self, log_format: Format, cells: Sequence[str]) -> None:
        self._wrapped, self._generic = log_format.wrapped, log_format.generic
        self._places = {name: number for number, name in enumerate(dict.fromkeys(cells), 1)}

    def _whole(self, parts: Parts) -> str:
        paths = ", ".join(text(_path(name)) for name in self._places)
        start = "CASE WHEN starts_with(line, '{') THEN line ELSE substr(line, instr(line, '{')) END"
        if self._wrapped:
            keys = [path.rpartition(".")[2] for path in self._wrapped]
            marks = [text(f'{key}"') for key in dict.fromkeys(keys)]
            held = " OR ".join(f"contains(line, {mark})" for mark in marks)
            inner = ", ".join(text(_path(path)) for path in self._wrapped)
            found = f"try(json_extract_string({start}, [{inner}]))"
            inside = f"list_filter({found}, lambda one: starts_with(ltrim(one), '{{'))[1]"
            start = f"CASE WHEN {held} THEN coalesce({inside}, {start}) ELSE {start} END"
        return parts.column(f"try(json_extract_string({start}, [{paths}]))")

    def complete(self, parts: Parts) -> str:
        return f"{self._whole(parts)} IS NOT NULL"

    def cell(self, name: str, parts: Parts) -> str:
        found = f"{self._whole(parts)}[{self._places[name]}]"
        if not self._generic:
            return found
        # What is a word in one line may be an object in another, or a list of words.
        odd = f"starts_with({found}, '{{') OR starts_with({found}, '[\"')"
        return f"CASE WHEN NOT ({odd}) THEN {found} END"


def _path(name: str) -> str:
    """Return the JSON path of a cell name.

    >>> _path("dns.queries[0].rrname"), _path('$."id.orig_h"')
    ('$.dns.queries[0].rrname', '$."id.orig_h"')
    """
    return name if name.startswith("$") else f"$.{name}"


class _Keyed:
    """Cells that are values of ``key=value`` pairs: columns of the relation (``agent.pairs``).

    What stands beside the pairs is found by a pattern.
    """

    def __init__(self, log_format: Format, *, stripped: bool = False) -> None:
        self._sign = ":" if log_format.colons else "="
        self._generic = log_format.generic
        self._columns = {key: pair_column(number) for number, key in enumerate(log_format.keys)}
        self._beside = _Found(log_format.find, stripped=stripped)
        self._whole = bool(log_format.find and log_format.starts)

    def complete(self, parts: Parts) -> str:
        if self._whole:
            # All may stand beside pairs that are not there; lines are told by what they must hold.
            return self._beside.complete(parts)
        paired = f"contains(line, '{self._sign}')"
        # LEEF holds pairs as well, but says itself what it is; so does JSON, to a guess.
        if self._sign == "=":
            return f"{paired} AND NOT contains(line, 'LEEF:')"
        return f"{paired} AND NOT contains(line, '{{\"')" if self._generic else paired

    def cell(self, name: str, parts: Parts) -> str:
        return self._columns.get(name) or self._beside.cell(name, parts)


def pair_column(number: int) -> str:
    """Return the name of the column that holds the values of a format's n-th key, from 0 on."""
    return f"k{number + 1}"


HEADED = "headed"
"""The column that tells whether a line has all parts of its header: 1, or 0."""


def header_column(name: str) -> str:
    """Return the name of the column that holds a part of the header."""
    return f"head_{name}"


class _Headed(_Keyed):
    """Header parts between ``|``, then pairs: ArcSight's Common Event Format, and IBM's LEEF.

    Both are columns of the relation (``agent.pairs``).
    """

    def __init__(self, log_format: Format) -> None:
        super().__init__(log_format)
        self._cut, self._names = log_format.cut, HEADER_CELLS[log_format.cut]

    def complete(self, parts: Parts) -> str:  # noqa: ARG002 - as the protocol has it
        parted = f"{HEADED} > 0"
        return parted if self._cut == "cef" else f"contains(line, 'LEEF:') AND {parted}"

    def cell(self, name: str, parts: Parts) -> str:
        if name in self._names:
            return header_column(name)
        value = super().cell(name, parts)
        if self._cut == "leef":
            return value
        plain = rf"replace(replace({value}, '\=', '='), '\\', '\')"
        return f"CASE WHEN contains({value}, '\\') THEN {plain} ELSE {value} END"


_GROUPS = 4
"""So many groups does RE2 find as quickly as it sees that a one-pass pattern matches."""


class _Matched:
    """Cells that are the named groups of a regular expression (RE2)."""

    def __init__(self, shape: Shape, cells: Sequence[str]) -> None:
        self._of = shape.pattern
        # Each group costs time, also one that nobody asks for.
        names = [name for name in _NAME.findall(shape.pattern) if name in cells]
        step = _GROUPS if shape.onepass else max(1, len(names))
        self._steps = [names[start : start + step] for start in range(0, len(names), step)]
        self._place = {name: at for at, step in enumerate(self._steps, 1) for name in step}
        self._matches = f"regexp_matches(line, {text(self._pattern(()))})"

    def _pattern(self, names: Collection[str]) -> str:
        return _NAME.sub(lambda found: "(" if found[1] in names else "(?:", self._of)

    def _whole(self, parts: Parts) -> str:
        found = [
            f"regexp_extract(line, {text(self._pattern(names))}, [{', '.join(map(text, names))}])"
            for names in self._steps
        ]
        groups = f"row({', '.join(found)})"
        # To find more groups takes ten times as long as to see that there is nothing to find.
        return parts.column(f"CASE WHEN {self._matches} THEN {groups} END", groups)

    def complete(self, parts: Parts) -> str:
        whole = self._whole(parts)
        # Where no column holds the groups, a look is enough.
        return f"{whole} IS NOT NULL" if whole.isidentifier() else self._matches

    def cell(self, name: str, parts: Parts) -> str:
        if name not in self._place:
            return "NULL"
        return f"{self._whole(parts)}[{self._place[name]}].{name}"


class _Found:
    """Cells that are looked for each by itself, wherever in the line they stand.

    What looks like a relay's prefix may be the device's own words: it is searched last.
    """

    def __init__(self, patterns: Mapping[str, str], *, stripped: bool) -> None:
        self._patterns, self._stripped = patterns, stripped

    def complete(self, parts: Parts) -> str:  # noqa: ARG002 - as the protocol has it
        return "true"

    def cell(self, name: str, parts: Parts) -> str:
        pattern = text(self._patterns[name])
        found = parts.column(f"regexp_extract(line, {pattern}, 1)")
        if not self._stripped:
            return found
        return f"CASE WHEN {found} = '' THEN regexp_extract(prefix, {pattern}, 1) ELSE {found} END"
