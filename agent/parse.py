"""One log line to one event, as SQL: a format and its lines become a relation that DuckDB runs.

The relation has one row a line: ``line_no``, ``outcome`` (null for an event, ``other`` for a line
that rightly is none, else the reason for a reject) and the fields of ``agent.model.FIELDS``. Times
are UTC. Hosts, clients and users are cells as written; ``clean_host`` and ``clean_address`` are for
the distinct ones only, so no Python runs per line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np
import pyarrow as pa

from agent import looks
from agent.cuts import (
    CELLS,
    HEADED,
    Layer,
    Parts,
    Shared,
    asked,
    cell_column,
    counted,
    cut_of,
    header_column,
    of_shapes,
    pair_column,
    text,
)
from agent.model import (
    CLAIMS,
    HEADER_CELLS,
    LINE_CELL,
    NEXT_CELL,
    SYSLOG_CELL,
    UNNAMED,
    Clean,
    Field,
    Format,
)
from agent.spans import Places, Text, joined, pieces
from agent.sql import THREADS
from agent.transforms import TRANSFORM, TYPE, any_of, in_order, like_any, order
from agent.transforms import Reading as Reading  # noqa: PLC0414 - callers say parse.Reading
from agent.wording import named, told

LONGEST = 65_536
"""Bytes; a longer line is rejected: no log device writes one."""
_GUESSED = 65_536
"""Bytes of a text that show what its columns are where no header names them."""
_ROWS = 400
"""Lines of these, at most."""
OTHER = "other"
"""The outcome of a line that rightly is no event: a comment, an answer, another kind of record."""

_STAMP = (
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:[Zz]|[+-]\d\d:?\d\d)?"
    r"|[A-Z][a-z]{2} {1,2}\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?)"
)
_HOST = r"(?:[A-Za-z_][\w.:-]*|\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:.]+|\[[\w.:-]+\])"
_PRI = r"(?:\d+ )?<\d{1,3}>(?:1 )? *"
_DATA = r'\[[^\] ="]*(?: [^\]]*)?\]'
_TAG = rf"(?:(?:{_HOST} )?[\w./()-]+(?:\[\d+\])?: |{_HOST} \S+ \S+ \S+ (?:-|{_DATA}) |{_HOST} |)"
SYSLOG = rf"^(?:(?:{_PRI})?{_STAMP}:?[ \t]+{_TAG}|{_PRI})"
"""BSD (RFC 3164) and RFC 5424 headers, as relays write them before a device's own line. What is
done for each line of a log does ``agent.relays`` instead, which knows no pattern."""


def lines_table(
    clean: Clean,
    first_line: int,
    log_format: Format | None = None,
    columns: Sequence[str] = (),
    *,
    prefixed: bool = False,
) -> pa.Table:
    """Return ``(line_no BIGINT, line VARCHAR)`` for clean UTF-8, without line ends.

    The lines are views of the text's own bytes, not copies. For a format there may be more columns:
    ``prefix`` that a relay has set and ``body`` behind it, where ``prefixed`` tells that there may
    be such; a column for the values of each of its keys, ``k1`` and on; whether it is ``headed``
    and parts of that header, as ``head_name``; the number of ``cells`` between its delimiters and
    those that it asks for, as ``n7``. ``columns`` are those of ``Reading``.
    """
    log_format = log_format and told(log_format, columns)
    parts = list(pieces(clean))
    lines = sum(len(part.starts) for part in parts)
    numbers = np.arange(first_line, first_line + lines, dtype=np.int64)
    return _table(parts, numbers, log_format, columns, prefixed=prefixed)


def relined(
    lines: pa.Table, log_format: Format, *, prefixed: bool
) -> tuple[pa.Table, tuple[str, ...]]:
    """Return lines of any table as ``lines_table`` has them for another format, and its columns."""
    numbers, whole = lines["line_no"].to_numpy(), joined(lines["line"])
    columns = named(log_format, whole) if log_format.spoken else ()
    own = told(log_format, columns)
    return _table(list(pieces(whole)), numbers, own, columns, prefixed=prefixed), columns


def _table(
    parts: Sequence[Text],
    numbers: Places,
    log_format: Format | None,
    named: Sequence[str],
    *,
    prefixed: bool,
) -> pa.Table:
    def batch(piece: Text, own: Places) -> pa.RecordBatch:
        # Not pa.array: it imports pandas, which takes longer than many a scan.
        kept = [None, pa.py_buffer(np.ascontiguousarray(own))]
        columns = {
            "line_no": pa.Array.from_buffers(pa.int64(), len(own), kept),
            "line": piece.column(piece.starts, piece.ends),
        }
        if log_format is not None:
            columns |= _cut(piece, log_format, named, prefixed=prefixed)
        return pa.record_batch(columns)

    edges = np.cumsum([len(part.starts) for part in parts])
    own = np.split(numbers, edges[:-1])
    return pa.Table.from_batches(_workers().map(batch, parts, own))


@cache
def _workers() -> ThreadPoolExecutor:
    """Return threads for work outside of Python, where one piece does not wait for another.

    They stay: each new thread may get memory of its own, of which the next knows nothing.
    """
    return ThreadPoolExecutor(THREADS)


def _cut(
    text: Text, log_format: Format, named: Sequence[str], *, prefixed: bool
) -> dict[str, pa.Array]:
    """Return the further columns of a relation of lines that one format asks for."""
    columns = {}
    # What is compiled takes a quarter of a second to begin, and logs of JSON do not need it.
    if _strips(log_format, prefixed=prefixed):
        from agent import relays  # noqa: PLC0415

        body = relays.behind(text)
        columns["prefix"] = text.column(text.starts, body.starts)
        columns["body"], text = text.column(body.starts, text.ends), body
    cut = log_format.cut
    if log_format.keys or cut in HEADER_CELLS:
        from agent import pairs  # noqa: PLC0415

        bars = None
        if cut in HEADER_CELLS:
            names = HEADER_CELLS[cut]
            bars = pairs.bars(text, len(names))
            columns[HEADED], parts = pairs.header(text, bars, names, log_format.cells)
            columns |= {header_column(name): part for name, part in parts.items()}
        keys, loose, colons = log_format.keys, log_format.loose, log_format.colons
        values = pairs.columns(
            text, cut, log_format.delimiter, keys, loose=loose, colons=colons, found=bars
        )
        columns |= {pair_column(number): value for number, value in enumerate(values)}
    if counted(log_format):
        from agent import cells  # noqa: PLC0415

        numbers, quotes, mark = asked(log_format, named), log_format.quoted, log_format.delimiter
        columns[CELLS], found = cells.columns(text, mark, numbers, quotes=quotes, tabs=cut == "w3c")
        columns |= {cell_column(number): cell for number, cell in zip(numbers, found, strict=True)}
    return columns


def header_columns(log_format: Format, line: str) -> tuple[str, ...]:
    """Return the column names that a header line states, cut as the lines below it are."""
    stated = line.strip("\r\n")
    if log_format.header != "first":
        stated = stated[len(log_format.header) :]
    if "\t" in stated.strip():
        return tuple(name.strip() for name in stated.strip().split("\t"))
    if log_format.cut == "w3c":
        return tuple(stated.split())
    return tuple(name.strip(' "') for name in stated.split(log_format.delimiter))


def sections(
    log_format: Format, clean: Clean, columns: tuple[str, ...]
) -> Iterator[tuple[Clean, tuple[str, ...]]]:
    """Split text at each line that changes the columns; yield each part with its columns."""
    if log_format.spoken:
        yield clean, named(log_format, clean, columns)
        return
    if log_format.header == UNNAMED:
        yield clean, columns or first_columns(log_format, bytes(clean[:_GUESSED]))
        return
    if not log_format.header or log_format.header == "first":
        yield clean, columns
        return
    start = 0
    for at in _headers(log_format.header.encode(), clean):
        end = clean.find(b"\n", at) + 1 or len(clean)
        stated = header_columns(log_format, clean[at:end].decode())
        # A device states its columns again whenever it starts; mostly they are the same.
        if stated != columns:
            if at > start:
                yield clean[start:at], columns
            start, columns = at, stated
    yield clean[start:] if start else clean, columns


def _headers(mark: bytes, clean: Clean) -> Iterator[int]:
    """Yield where lines begin that begin with a mark."""
    at = 0 if clean[: len(mark)] == mark else clean.find(b"\n" + mark) + 1
    while clean[at : at + len(mark)] == mark:
        yield at
        at = clean.find(b"\n" + mark, at) + 1 or len(clean)


def first_columns(log_format: Format, head: bytes) -> tuple[str, ...]:
    """Return the columns in force at the start of a file, from its first bytes."""
    if log_format.spoken:
        return named(log_format, head)
    if log_format.header == UNNAMED:
        return _looked_at(log_format, head)
    if log_format.header == "first":
        lines = head.decode("utf-8", "replace").split("\n")
        return header_columns(log_format, next((line for line in lines if line.strip()), ""))
    if log_format.header and (at := head.find(log_format.header.encode())) >= 0:
        return header_columns(log_format, head[at:].decode("utf-8", "replace").partition("\n")[0])
    return ()


def _looked_at(log_format: Format, head: bytes) -> tuple[str, ...]:
    """Return names for columns that have none, by what their cells look like."""
    text = head.decode("utf-8", "replace").split("\n")[:_ROWS]
    lines = [line for line in text if line.strip() and not line.startswith("#")]
    if looks_prefixed(head) and not log_format.prefix:
        lines = [without_prefix(line) for line in lines]
    words = looks.columns([looks.row(line, log_format.delimiter) for line in lines])
    return tuple(
        log_format.words[word][0] if word in log_format.words else f"{number}"
        for number, word in enumerate(words, 1)
    )


def without_prefix(line: str) -> str:
    """Return a line without the syslog prefix that a relay set before it.

    >>> without_prefix("<134>Jan  1 09:00:00 gw squid[7]: 1767258000.123 845")
    '1767258000.123 845'
    """
    return re.sub(SYSLOG, "", line, count=1, flags=re.ASCII).lstrip(" ")


def looks_prefixed(head: bytes) -> bool:
    r"""Tell whether a syslog prefix stands before some of the first lines.

    >>> looks_prefixed(b"<134>Nov  2 10:00:00 gw squid[7]: 1762077600.123 5 192.0.2.1\\n")
    True
    """
    pattern = re.compile(SYSLOG, re.ASCII)
    lines = head.decode("utf-8", "replace").split("\n")[:50]
    return any(pattern.match(line) for line in lines)


def records(log_format: Format, clean: bytes) -> bytes:
    """Return text with each record in one line, or each part of one, if a format has such."""
    if not log_format.record:
        return clean
    start = log_format.record.encode()
    if log_format.part:
        whole = re.split(rb"(?m)^(?=" + start + rb")", clean)
        clean = b"".join(_parted(record, log_format.part.encode()) for record in whole)
    return re.sub(rb"\n(?!" + start + rb"|\Z)", b" ", clean)


def _parted(record: bytes, part: bytes) -> bytes:
    """Return a record once for each of its parts, behind what stands before the first."""
    before, *parts = re.split(rb"(?m)^(?=" + part + rb")", record)
    if len(before) * len(parts) > LONGEST:
        before = b""  # No server writes so much; by itself no part is read, and each is counted.
    return b"".join(before + one for one in parts) or record


def events_sql(log_format: Format, reading: Reading, relation: str = "lines") -> str:
    """Return the SELECT that turns a relation of lines into events.

    One step a layer: the line, its parts, its cells, its shape, further parts and cells that only
    some shapes have, its values, what is made of them, its fields; each is computed once and only
    where a later layer asks for it. A line that is no event has no fields.
    """
    query, names = _Query(log_format, reading), log_format.names
    # First of all: what tells a shape is there for its fields as well.
    shape = query.shape()
    fields = ", ".join(f"{query.field(name)} AS {name}" for name in names)
    told = ", ".join(f"{query.told(name)} AS {name}" for name in names)
    given = ", ".join(_early(reading.ahead) if name == "ts" else name for name in names)
    # What looks at all lines before it reads one would cut them all again each time.
    kept = "MATERIALIZED" if query.looks_around else ""
    # Above a join DuckDB plans for seconds what it writes into itself again and again.
    joined = "MATERIALIZED" if query.looks_ahead else ""
    # The layers fill while fields and shape are compiled, so their SQL is taken last. An address
    # is looked for again, instead of by its column, so that only a line without a host pays for it.
    return f"""
WITH trimmed AS {joined} (
    SELECT {query.line()} FROM {query.lines(relation)}),
cut AS (SELECT *{query.parts.sql} FROM trimmed),
cells AS (SELECT *{query.cells.sql} FROM cut),
formed AS (SELECT *, {shape} AS shape FROM cells),
late AS (SELECT *{query.late.sql} FROM formed),
picked AS (SELECT *{query.picked.sql} FROM late),
shaped AS {kept} (SELECT line_no, shape{query.values.sql} FROM picked),
weighed AS (SELECT *{query.orders.sql} FROM shaped),
made AS (SELECT *{query.made.sql} FROM weighed),
fields AS (SELECT *, {fields} FROM made),
told AS (SELECT * REPLACE ({told}) FROM fields)
SELECT line_no, CASE WHEN {query.other()} THEN '{OTHER}'
    WHEN shape = {_ENDLESS} THEN 'line longer than {LONGEST} bytes'
    WHEN shape = {_FOREIGN} THEN 'not a line of this format'
    {_CLAIM if log_format.kind in CLAIMS else _event(query)} END AS outcome,
    {given} FROM told"""


_CLAIM = """WHEN coalesce(ts, until) IS NULL THEN 'time not understood'
    WHEN client IS NULL THEN 'names no address'
    WHEN coalesce(mac, hostname, "user") IS NULL AND NOT coalesce(ends, false)
    THEN 'names nobody'"""


def _event(query: _Query) -> str:
    return f"""WHEN ts IS NULL THEN 'time not understood'
    WHEN host IS NULL AND coalesce({query.field("dest_ip")}, '') = '' THEN 'names no destination'"""


def _early(seconds: int) -> str:
    """Return the time of an event as the clock of a source should have told it."""
    return f"ts - to_seconds({seconds}) AS ts" if seconds else "ts"


def _prefixed(log_format: Format, *, prefixed: bool) -> bool:
    """Tell whether a relay's prefix may stand before lines of a format."""
    return prefixed and not log_format.prefix and log_format.cut != "json"


def _strips(log_format: Format, *, prefixed: bool) -> bool:
    """Tell whether a prefix is taken off: pairs between blanks are found behind it as well."""
    found = log_format.cut == "keyvalue" and log_format.delimiter == " "
    return _prefixed(log_format, prefixed=prefixed) and not found


_FOREIGN, _TALK, _ENDLESS = 0, -1, -2
"""What stands for the number of a shape where a line has none."""


class _Query:
    """The SQL of one format for one file, layer by layer."""

    def __init__(self, log_format: Format, reading: Reading) -> None:
        log_format = told(log_format, reading.columns)
        self._format = log_format
        self._reading = reading
        self._shapes = log_format.shapes
        self._prefixed = _prefixed(log_format, prefixed=reading.prefixed)
        self._stripped = _strips(log_format, prefixed=reading.prefixed)
        self._prefix = "prefix" if self._stripped else "line"
        self.parts, self.cells = Layer("p"), Layer("c")
        self.late, self.picked = Layer("q"), Layer("w")
        self.values, self.orders, self.made = Layer("v"), Layer("o"), Layer("m")
        self._marks = dict.fromkeys(_marks(log_format))
        used = log_format.cells
        self._cuts = [
            cut_of(
                log_format,
                shape,
                reading.columns or shape.columns,
                used,
                stripped=self._stripped,
            )
            for shape in self._shapes
        ]

    @property
    def looks_around(self) -> bool:
        """Whether a field of one line depends on others."""
        return any(field.transform == "ordered" for shape in self._shapes for field in shape.fields)

    @property
    def looks_ahead(self) -> bool:
        """Whether a field of one line is in the line behind it."""
        return bool(self._marks)

    def line(self) -> str:
        """Return the columns of the first layer: the line as its cut wants it."""
        return "* EXCLUDE (line, body), body AS line" if self._stripped else "*"

    def lines(self, relation: str) -> str:
        """Return the relation of lines, with the line behind where a field takes it.

        It is looked up for the few lines only that hold what the shape asks for.
        """
        if not self._marks:
            return relation
        marked = " OR ".join(f"contains(line, {text(mark)})" for mark in self._marks)
        asks = f"SELECT line_no + 1 AS line_no FROM {relation} WHERE {marked}"
        behind = (
            f"SELECT line_no - 1 AS line_no, line AS {NEXT_CELL} "
            f"FROM {relation} SEMI JOIN ({asks}) USING (line_no)"
        )
        return f"{relation} LEFT JOIN ({behind}) USING (line_no)"

    def shape(self) -> str:
        """Return the number of the shape that a line has, or why it has none."""
        which = " ".join(
            f"WHEN {self._applies(number)} THEN {number}" for number in self._numbers()
        )
        # Any text can be searched: a line that names nobody is not thereby of another kind.
        selective = [
            self._complete(number)
            for number in self._numbers()
            if self._shapes[number - 1].when and self._format.cut != "found"
        ]
        other = like_any("line", self._format.other)
        spoken = " OR ".join([*dict.fromkeys(selective), other])
        starts = " OR ".join(f"contains(line, {text(part)})" for part in self._format.starts)
        shaped = f"CASE {which} WHEN {spoken} THEN {_TALK} ELSE {_FOREIGN} END"
        if starts:
            away = f"WHEN NOT ({starts}) THEN CASE WHEN {other} THEN {_TALK} ELSE {_FOREIGN} END"
        else:
            away = ""
        return (
            f"CASE WHEN strlen(line) > {LONGEST} THEN {_ENDLESS} "
            f"WHEN {self._talk()} THEN {_TALK} {away} ELSE {shaped} END"
        )

    def other(self) -> str:
        """Return the condition that a line rightly is no event, though it may name a host."""
        repeats = [n for n in self._numbers() if self._shapes[n - 1].repeats]
        return " OR ".join(f"shape = {number}" for number in (_TALK, *repeats))

    def field(self, name: str) -> str:
        """Return the expression of one field; null where a line's shape does not give it."""
        ways = {number: self._ways(number, name) for number in self._numbers()}
        if set(ways.values()) == {"NULL"}:
            return f"CAST(NULL AS {TYPE.get(name, 'VARCHAR')})"
        if len(set(ways.values())) == 1:
            # Made outside of CASE, where DuckDB computes what is said twice only once; but an
            # address is mostly not asked for.
            made = ways[1] if name == "dest_ip" else self.made.column(ways[1])
            return f"CASE WHEN shape > 0 THEN {made} END"
        alike: dict[str, list[int]] = {}
        for number, way in ways.items():
            alike.setdefault(way, []).append(number)
        cases = " ".join(
            f"WHEN {of_shapes(shapes)} THEN {way}" for way, shapes in alike.items() if way != "NULL"
        )
        return f"CASE {cases} END"

    def told(self, name: str) -> str:
        """Return a field of the last layer; a text that says nothing is null there."""
        given = any(self._ways(number, name) != "NULL" for number in self._numbers())
        return self._told(name) if given and name not in TYPE else name

    def _numbers(self) -> range:
        return range(1, len(self._shapes) + 1)

    def _talk(self) -> str:
        """Return the condition for a line that is about the log: blank, a comment, the header."""
        blank = "line = ''"
        if self._format.header == "first":
            return f"{blank} OR line_no = 1"
        if self._format.header.startswith("#"):
            return f"{blank} OR starts_with(line, '#')"
        return blank

    def _applies(self, number: int) -> str:
        """Return the condition under which a line has a shape."""
        conditions = [self._complete(number)]
        for one in self._shapes[number - 1].when:
            lettered = any(letter.isalpha() for value in one.values for letter in value)
            column = self._either(number, one.cells, lowered=lettered)
            conditions.append(f"({self._any_of(column, one.values)})")
        return f"({' AND '.join(conditions)})"

    def _complete(self, number: int) -> str:
        """Return what tells whether a line has the structure of a shape's cut."""
        parts, cells = self._asked(number)
        return cells.column(self._cuts[number - 1].complete(parts))

    def _asked(self, number: int) -> tuple[Parts, Parts]:
        """Return where parts and cells are that tell whether a line has a shape.

        Those of the first shape are columns. CASE looks at a later condition only where no earlier
        one holds, and most lines have the first shape, so there they stand in the condition itself.
        Those of a generic format are the same long expressions again and again.
        """
        first = number == 1 or self._format.generic
        parts = Shared(self.parts, "({})".format, first=number == 1)
        return parts, Shared(self.cells, "({})".format, first=first)

    def _picked(self, number: int) -> tuple[Parts, Parts]:
        """Return where parts and cells are that fields of a shape take."""
        late, picked = (partial(one.column, shape=number) for one in (self.late, self.picked))
        first = number == 1
        return Shared(self.parts, late, first=first), Shared(self.cells, picked, first=first)

    def _cell(self, number: int, name: str, *, lowered: bool = False) -> str:
        """Return the column that holds one cell of a shape."""
        parts, cells = self._picked(number)
        found = self._found(number, name, parts)
        if found == "NULL":
            return found
        return cells.column(f"lower({found})" if lowered else found)

    def _found(self, number: int, name: str, parts: Parts) -> str:
        """Return the expression of one cell of a shape."""
        if name == SYSLOG_CELL:
            return self._relayed(self._prefix) if self._prefixed else "NULL"
        if name in {NEXT_CELL, LINE_CELL}:
            return name
        return self._cuts[number - 1].cell(name, parts)

    def _either(self, number: int, cells: Sequence[str], *, lowered: bool) -> str:
        """Return what holds the first of some cells that says something.

        Of a generic format it is empty where none does: what must not be there is not.
        """
        parts, own = self._asked(number)
        found = [self._found(number, cell, parts) for cell in cells]
        if len(cells) == 1 and not self._format.generic:
            (first,) = found
        else:
            told = [self._told(one) for one in found if one != "NULL"]
            first = f"coalesce({', '.join([*told, text('')])})"
        if first == "NULL":
            return first
        return own.column(f"lower({first})" if lowered else first)

    def _relayed(self, column: str) -> str:
        """Return the time in the prefix, which is a column or starts the line that is one."""
        prefix = column if self._stripped else f"regexp_extract({column}, {text(SYSLOG)})"
        return f"regexp_extract({prefix}, {text(_STAMP)})"

    def _ways(self, number: int, name: str) -> str:
        """Return all the ways in which one shape fills a field, the first that does winning."""
        fields = [field for field in self._shapes[number - 1].fields if field.name == name]
        # A dash in one cell must not keep the next from being tried.
        tell = [name not in TYPE and field is not fields[-1] for field in fields]
        tries = (
            self._way(number, field, late=at > 0, tell=tell[at]) for at, field in enumerate(fields)
        )
        ways = [way for way in tries if way != "NULL"]
        if len(ways) > 1:
            first, *others = (way if name in TYPE else f"nullif({way}, '')" for way in ways)
            rest = ", ".join(others)
            if name == "ts" and self._format.generic:
                # What is said twice is computed for each line, but inside of CASE: here it is said
                # in a dozen ways how a time may be written, and most lines need but the first.
                rest = f"CASE WHEN shape > 0 THEN coalesce({rest}) END"
            return f"coalesce({first}, {rest})"
        return "".join(ways) or "NULL"

    def _way(self, number: int, field: Field, *, late: bool, tell: bool) -> str:
        """Return one way: the cells it takes, as one value, and what is made of that.

        ``tell`` makes a single cell null where it says nothing, as several always are.
        The time in a prefix is looked for last of all where it is but the last resort: it is dear.
        """
        if field.sources == (SYSLOG_CELL,) and late and self._prefixed:
            header = self.values.column(self._prefix, number)
            return TRANSFORM[field.transform](self._relayed(header), field, self._reading)
        if field.transform == "day":
            return TRANSFORM["day"]("", field, self._reading)
        lowered = field.transform == "verdict"
        cells = [self._cell(number, source, lowered=lowered) for source in field.sources]
        if field.join:
            if "NULL" in cells:
                return "NULL"
            value = " || ' ' || ".join(cells)
        else:
            cells = [cell for cell in cells if cell != "NULL"]
            if not cells:
                return "NULL"
            told = [self._told(cell, lowered=lowered) for cell in cells]
            value = f"coalesce({', '.join(told)})" if len(told) > 1 else cells[0]
            if (lowered or tell) and len(cells) == 1:
                value = told[0]
        column = self.values.column(value, number)
        made = TRANSFORM[field.transform](column, field, self._reading)
        if field.transform == "ordered":
            best = self.orders.column(order(column, field))
            made = f"coalesce({in_order(column, best, field, self._reading)}, {made})"
        # Too dear to be made again wherever it is named.
        return self.made.column(made, number) if field.name == "alias" else made

    def _told(self, cell: str, *, lowered: bool = False) -> str:
        """Return a cell, null where it says nothing."""
        empty = dict.fromkeys(word.lower() if lowered else word for word in self._format.empty)
        # Not IN: DuckDB makes a join of a longer list. Most values are longer than all of them.
        longest = max(len(word.encode()) for word in empty)
        words = " ".join(f"WHEN {cell} = {text(word)} THEN NULL" for word in empty)
        return f"CASE WHEN strlen({cell}) > {longest} THEN {cell} {words} ELSE {cell} END"

    def _any_of(self, cell: str, patterns: tuple[str, ...]) -> str:
        barred = tuple(pattern[1:] for pattern in patterns if pattern.startswith("!"))
        wanted = tuple(pattern for pattern in patterns if not pattern.startswith("!"))
        if cell == "NULL":
            return "false" if wanted else "true"
        if patterns == ("*",):
            # Named once: of a shape behind the first a cell is all that it takes to find it.
            words = ", ".join(text(word) for word in dict.fromkeys(self._format.empty))
            return f"list_position([{words}], coalesce({cell}, '')) IS NULL"
        # What is not there at all is no value that must not be there.
        tests = [f"coalesce(NOT {any_of(cell, barred)}, true)"] if barred else []
        return " AND ".join([*tests, *([any_of(cell, wanted)] if wanted else [])])


def _marks(log_format: Format) -> Iterator[str]:
    """Yield the texts that lines hold of shapes which take the line behind."""
    for shape in log_format.shapes:
        if any(NEXT_CELL in field.sources for field in shape.fields):
            for one in shape.when:
                yield from (value for value in one.values if not set(value) & set("*!"))


_NO_NAME = re.compile(r"[^\w.:*-]")
"""What stands in no host name, nor in an address."""


def clean_host(raw: str | None) -> str | None:
    """Return a host name as this project writes it: lower case, without port, user or end dot.

    None for what is no name, such as several words.

    >>> clean_host("User@WWW.Example.COM.:443"), clean_host("[2001:db8::1]:443"), clean_host("-")
    ('www.example.com', '2001:db8::1', None)
    """
    name = (raw or "").strip().lower()
    if ":" in name or "/" in name or "@" in name or "?" in name or "#" in name:
        name = re.split(r"[/?#]", name, maxsplit=1)[0].rpartition("@")[2]
        if name.startswith("["):
            return name[1:].partition("]")[0] or None
        if name.count(":") == 1:
            name = name.partition(":")[0]
    name = name.rstrip(".")
    return None if name in {"", "-"} or _NO_NAME.search(name) else name


def clean_address(raw: str | None) -> str | None:
    """Return a client address in its one canonical spelling; None where it is no address.

    >>> clean_address("::ffff:192.0.2.1"), clean_address("2001:DB8:0::1%eth0"), clean_address("pc7")
    ('192.0.2.1', '2001:db8::1', None)
    """
    try:
        address = ipaddress.ip_address((raw or "").strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
