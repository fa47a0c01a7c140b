"""One log line to one event, as SQL: a format and its lines become a relation that DuckDB runs.

The relation has one row a line: ``line_no``, ``outcome`` (null for an event, ``other`` for a line
that rightly is none, else the reason for a reject) and the fields of ``agent.model.FIELDS``. Times
are UTC. Hosts, clients and users are cells as written; ``clean_host`` and ``clean_address`` are for
the distinct ones only, so no Python runs per line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agent.cuts import NOTHING, Layer, cut_of, pair_start, text
from agent.errors import Problem
from agent.model import FIELDS, Field, Format
from agent.transforms import TRANSFORM, TYPE, any_of, like_any
from agent.transforms import Reading as Reading  # noqa: PLC0414 - callers say parse.Reading

LONGEST = 65_536
"""Bytes; a longer line is rejected: no log device writes one."""
OTHER = "other"
"""The outcome of a line that rightly is no event: a comment, an answer, another kind of record."""
_BATCH = 16_384
"""Rows of an Arrow batch: DuckDB reads batches in parallel."""

_STAMP = (
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|[A-Z][a-z]{2} {1,2}\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?)"
)
_HOST = r"(?:[A-Za-z_][\w.:-]*|\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:.]+|\[[\w.:-]+\])"
_PRI = r"(?:\d+ )?<\d{1,3}>(?:1 )?"
_TAG = rf"(?:(?:{_HOST} )?[\w./()-]+(?:\[\d+\])?: |{_HOST} \S+ \S+ \S+ (?:-|\[[^\]]*\]) |{_HOST} |)"
_SYSLOG = rf"^(?:(?:{_PRI})?{_STAMP}:?[ \t]+{_TAG}|{_PRI})"
"""BSD (RFC 3164) and RFC 5424 headers, as relays write them before a device's own line."""


def lines_table(clean: bytes | bytearray, first_line: int) -> pa.Table:
    """Return ``(line_no BIGINT, line VARCHAR)`` for clean UTF-8; each line ends in one blank.

    The blank stands where the line end was: the lines are the text's own bytes, not copies, and a
    bytearray is used up.
    """
    own = clean if isinstance(clean, bytearray) else bytearray(clean)
    data = np.frombuffer(own, np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    data[ends - 1] = ord(" ")
    offsets = np.concatenate([np.zeros(1, np.int64), ends.astype(np.int64)])
    lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    numbers = pa.array(np.arange(first_line, first_line + len(ends), dtype=np.int64))
    table = pa.table({"line_no": numbers, "line": lines})
    return pa.Table.from_batches(table.to_batches(max_chunksize=_BATCH), table.schema)


_HEAD = 64
"""Lines that tell which keys are worth a proof that no line has them."""


def absent_pairs(log_format: Format, table: pa.Table) -> frozenset[str]:
    """Return the starts of pairs, as ``Reading.absent`` has them, that no line of a table holds.

    One look for all keys that a device never writes is quicker than one for each in every query.
    """
    if log_format.cut != "keyvalue":
        return frozenset()
    head = "".join(f"\n{line}" for line in table["line"].slice(0, _HEAD).to_pylist())
    start = re.compile(rf"[\s>{re.escape(log_format.delimiter)}]([^\s=>]+)=")
    names = sorted({*cells_of(log_format)} - {*start.findall(head)})
    if _hold(table, log_format.delimiter, names):
        names = [name for name in names if not _hold(table, log_format.delimiter, [name])]
    return frozenset(pair_start(log_format.delimiter, name) for name in names)


def _hold(table: pa.Table, delimiter: str, names: list[str]) -> bool:
    """Tell whether a line holds one of some keys: inside, at its start or behind a prefix."""
    keys = "|".join(map(re.escape, names))
    # Two looks: RE2 is quick where a match starts with one certain letter or at a certain place.
    inside, first = f"{re.escape(delimiter)}(?:{keys})=", f"{_SYSLOG}? *(?:{keys})="
    return bool(names) and any(
        pc.any(pc.match_substring_regex(table["line"], pattern)).as_py()
        for pattern in (inside, first.replace("^", r"\A", 1))
    )


def cells_of(log_format: Format) -> list[str]:
    """Return the names of the cells that the shapes of a format use."""
    return [
        cell
        for shape in log_format.shapes
        for cell in (*(cell for field in shape.fields for cell in field.sources), *shape.when)
        if cell != _SYSLOG_CELL
    ]


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
    log_format: Format, clean: bytes | bytearray, columns: tuple[str, ...]
) -> Iterator[tuple[bytes | bytearray, tuple[str, ...]]]:
    """Split text at each line that renames the columns; yield each part with its columns."""
    if not log_format.header or log_format.header == "first":
        yield clean, columns
        return
    mark = log_format.header.encode()
    start = 0
    while start < len(clean):
        if clean.startswith(mark, start):
            end = clean.find(b"\n", start) + 1
            columns = header_columns(log_format, clean[start:end].decode())
        found = clean.find(b"\n" + mark, start)
        stop = found + 1 if found >= 0 else len(clean)
        yield clean[start:stop], columns
        start = stop


def first_columns(log_format: Format, head: bytes) -> tuple[str, ...]:
    """Return the columns in force at the start of a file, from its first bytes."""
    if log_format.header == "first":
        lines = head.decode("utf-8", "replace").split("\n")
        return header_columns(log_format, next((line for line in lines if line.strip()), ""))
    if log_format.header and (at := head.find(log_format.header.encode())) >= 0:
        return header_columns(log_format, head[at:].decode("utf-8", "replace").partition("\n")[0])
    return ()


def without_prefix(line: str) -> str:
    """Return a line without the syslog prefix that a relay set before it.

    >>> without_prefix("<134>Jan  1 09:00:00 gw squid[7]: 1767258000.123 845")
    '1767258000.123 845'
    """
    return re.sub(_SYSLOG, "", line, count=1).lstrip(" ")


def looks_prefixed(head: bytes) -> bool:
    r"""Tell whether a syslog prefix stands before some of the first lines.

    >>> looks_prefixed(b"<134>Nov  2 10:00:00 gw squid[7]: 1762077600.123 5 192.0.2.1\\n")
    True
    """
    pattern = re.compile(_SYSLOG)
    lines = head.decode("utf-8", "replace").split("\n")[:50]
    return any(pattern.match(line) for line in lines)


def events_sql(log_format: Format, reading: Reading, relation: str = "lines") -> str:
    """Return the SELECT that turns a relation of lines into events.

    One step a layer: the line, its parts, its cells, its shape and values, its fields; each is
    computed once and only where a later layer asks for it. A line that is no event has no fields.
    """
    query = _Query(log_format, reading)
    fields = ", ".join(f"{query.field(name)} AS {name}" for name in FIELDS)
    told = ", ".join(f"{query.told(name)} AS {name}" for name in FIELDS)
    shape = query.shape()
    # The layers fill while fields and shape are compiled, so their SQL is taken last. An address
    # is looked for again, instead of by its column, so that only a line without a host pays for it.
    return f"""
WITH trimmed AS (SELECT line_no, {query.line()} FROM {relation}),
cut AS (SELECT *{query.parts.sql} FROM trimmed),
cells AS (SELECT *{query.cells.sql} FROM cut),
shaped AS (SELECT line_no, {shape} AS shape{query.values.sql} FROM cells),
fields AS (SELECT *, {fields} FROM shaped),
told AS (SELECT * REPLACE ({told}) FROM fields)
SELECT line_no, CASE WHEN {query.other()} THEN '{OTHER}'
    WHEN shape = {_ENDLESS} THEN 'line longer than {LONGEST} bytes'
    WHEN shape = {_FOREIGN} THEN 'not a line of this format'
    WHEN ts IS NULL THEN 'time not understood'
    WHEN host IS NULL AND coalesce({query.field("dest_ip")}, '') = ''
    THEN 'names no destination' END AS outcome,
    {", ".join(FIELDS)} FROM told"""


_FOREIGN, _TALK, _ENDLESS = 0, -1, -2
"""What stands for the number of a shape where a line has none."""
_SYSLOG_CELL = "syslog"
"""A cell of every cut: the time in the prefix that a relay set before the line."""


class _Query:
    """The SQL of one format for one file, layer by layer."""

    def __init__(self, log_format: Format, reading: Reading) -> None:
        self._format = log_format
        self._reading = reading
        self._shapes = log_format.shapes
        self._prefixed = reading.prefixed and not log_format.prefix and log_format.cut != "json"
        self.parts, self.cells, self.values = Layer("p"), Layer("c"), Layer("v")
        used = cells_of(log_format)
        self._cuts = [
            cut_of(log_format, shape, reading.columns or shape.columns, used, reading.absent)
            for shape in self._shapes
        ]

    def line(self) -> str:
        """Return the columns of the first layer: the line as its cut wants it, and its prefix."""
        cut = self._format.cut
        # The blank at the end of a line does no harm where cells stand between blanks.
        between = cut in {"blanks", "json"} or (cut == "keyvalue" and self._format.delimiter == " ")
        end = "" if between else "-2"
        if not self._prefixed:
            return "line AS line" if between else "line[:-2] AS line"
        prefix = f"regexp_extract(line, {text(_SYSLOG)})"
        # One slice: to count letters and to copy a line twice costs more than the prefix.
        rest = f"line[length({prefix}) + 1:{end}]"
        return f"{prefix} AS prefix, ltrim({rest}) AS line"

    def shape(self) -> str:
        """Return the number of the shape that a line has, or why it has none."""
        which = " ".join(
            f"WHEN {self._applies(number)} THEN {number}" for number in self._numbers()
        )
        selective = [
            self._complete(number) for number in self._numbers() if self._shapes[number - 1].when
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
            return f"CASE WHEN shape > 0 THEN {ways[1]} END"
        cases = " ".join(f"WHEN {number} THEN {way}" for number, way in ways.items())
        return f"CASE shape {cases} END"

    def told(self, name: str) -> str:
        """Return a field of the last layer; a text that says nothing is null there."""
        given = any(self._ways(number, name) != "NULL" for number in self._numbers())
        return self._told(name) if given and name not in TYPE else name

    def _numbers(self) -> range:
        return range(1, len(self._shapes) + 1)

    def _talk(self) -> str:
        """Return the condition for a line that is about the log: blank, a comment, the header."""
        # A line of blanks only is empty by now where a prefix was looked for.
        blank = "strlen(line) < 2"
        if self._format.header == "first":
            return f"{blank} OR line_no = 1"
        if self._format.header.startswith("#"):
            return f"{blank} OR starts_with(line, '#')"
        return blank

    def _applies(self, number: int) -> str:
        """Return the condition under which a line has a shape."""
        conditions = [self._complete(number)]
        for cell, values in self._shapes[number - 1].when.items():
            lettered = any(letter.isalpha() for value in values for letter in value)
            column = self._cell(number, cell, lowered=lettered)
            conditions.append(f"({self._any_of(column, values)})")
        return f"({' AND '.join(conditions)})"

    def _complete(self, number: int) -> str:
        """Return the column that tells whether a line has the structure of a shape's cut."""
        return self.cells.column(self._cuts[number - 1].complete(self.parts))

    def _cell(self, number: int, name: str, *, lowered: bool = False) -> str:
        """Return the column that holds one cell of a shape."""
        if name == _SYSLOG_CELL:
            found = f"regexp_extract(prefix, {text(_STAMP)})" if self._prefixed else "NULL"
        else:
            found = self._cuts[number - 1].cell(name, self.parts)
        if found in {"NULL", NOTHING}:
            return found
        return self.cells.column(f"lower({found})" if lowered else found)

    def _ways(self, number: int, name: str) -> str:
        """Return all the ways in which one shape fills a field, the first that does winning."""
        fields = [field for field in self._shapes[number - 1].fields if field.name == name]
        ways = [way for field in fields if (way := self._way(number, field)) != "NULL"]
        if len(ways) > 1:
            tried = [way if name in TYPE else f"nullif({way}, '')" for way in ways]
            return f"coalesce({', '.join(tried)})"
        return "".join(ways) or "NULL"

    def _way(self, number: int, field: Field) -> str:
        """Return one way: the cells it takes, as one value, and what is made of that."""
        if field.transform == "day":
            return TRANSFORM["day"]("", field, self._reading)
        cells = [self._cell(number, source) for source in field.sources]
        if field.join:
            if "NULL" in cells:
                return "NULL"
            value = " || ' ' || ".join(cells)
        else:
            cells = [cell for cell in cells if cell not in {"NULL", NOTHING}] or cells[:1]
            if not cells or cells == ["NULL"]:
                return "NULL"
            value = f"coalesce({', '.join(map(self._told, cells))})" if len(cells) > 1 else cells[0]
            if field.transform == "verdict":
                value = f"lower({self._told(value) if len(cells) == 1 else value})"
        return TRANSFORM[field.transform](self.values.column(value), field, self._reading)

    def _told(self, cell: str) -> str:
        """Return a cell, null where it says nothing."""
        # Not IN: DuckDB makes a join of a longer list.
        words = " ".join(f"WHEN {text(word)} THEN NULL" for word in self._format.empty)
        return f"CASE {cell} {words} ELSE {cell} END"

    def _any_of(self, cell: str, patterns: tuple[str, ...]) -> str:
        if cell == "NULL":
            return "false"
        if patterns == ("*",):
            return f"{self._told(cell)} IS NOT NULL"
        barred = tuple(pattern[1:] for pattern in patterns if pattern.startswith("!"))
        wanted = tuple(pattern for pattern in patterns if not pattern.startswith("!"))
        tests = [f"NOT {any_of(cell, barred)}"] if barred else []
        return " AND ".join([*tests, *([any_of(cell, wanted)] if wanted else [])])


"""Types of the fields that are no text."""


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


def check_samples(con: duckdb.DuckDBPyConnection, formats: Iterable[Format]) -> list[Problem]:
    """Run every sample of the formats and return what comes out differently.

    Also a field that no sample of its format fills is a problem: it proves nothing.
    """
    return [
        problem
        for log_format in formats
        for problem in (*_wrong_samples(con, log_format), *_idle_fields(log_format))
    ]


def _wrong_samples(con: duckdb.DuckDBPyConnection, log_format: Format) -> Iterator[Problem]:
    where = f"rules/formats/{log_format.name}.toml"
    for number, (outcome, event) in enumerate(read_samples(con, log_format), 1):
        key, expected = f"sample[{number}]", log_format.samples[number - 1].event
        if isinstance(expected, str):
            kind = "event" if outcome is None else OTHER if outcome == OTHER else "reject"
            if kind != expected:
                yield Problem(where, f'gives {kind} ({outcome or event}), not "{expected}".', key)
        elif outcome is not None:
            yield Problem(where, f"gives no event: {outcome}.", key)
        else:
            for name in dict.fromkeys([*expected, *event]):
                want, got = expected.get(name), event.get(name)
                # A line without a year has no time to state; that it was read is enough.
                if want != got and not (name == "ts" and want is None):
                    yield Problem(where, f"is {got!r}, not {want!r}.", f"{key}.event.{name}")


def _idle_fields(log_format: Format) -> Iterator[Problem]:
    shown = {
        name
        for sample in log_format.samples
        if isinstance(sample.event, dict)
        for name in sample.event
    }
    where = f"rules/formats/{log_format.name}.toml"
    for name in FIELDS:
        if log_format.gives(name) and name not in shown and name != "ts":
            yield Problem(where, "is in no sample; add one whose event has it.", f"fields.{name}")


Sampled = tuple[str | None, dict[str, object]]
"""The outcome of a sample, and the fields of its event that are not null."""


def read_samples(con: duckdb.DuckDBPyConnection, log_format: Format) -> list[Sampled]:
    """Return what comes out of each sample of a format, in order.

    Times are ISO 8601 in UTC; a line without a year is read in January 2026.
    """
    alike: dict[tuple[str, bool], list[int]] = {}
    for number, sample in enumerate(log_format.samples):
        prefixed = looks_prefixed(f"{sample.line}\n".encode())
        alike.setdefault((sample.header, prefixed), []).append(number)
    found: dict[int, Sampled] = {}
    for (header, prefixed), numbers in alike.items():
        columns = first_columns(log_format, f"{header}\n".encode()) if header else ()
        reading = Reading(dated=date(2026, 1, 31), prefixed=prefixed, columns=columns)
        lines = [log_format.samples[number].line for number in numbers]
        table = lines_table("".join(f"{line}\n" for line in lines).encode(), 2)
        con.register("samples", table)
        sql = events_sql(log_format, reading, "samples")
        for row in con.execute(f"{sql} ORDER BY line_no").fetchall():
            found[numbers[row[0] - 2]] = (row[1], _shown(dict(zip(FIELDS, row[2:], strict=True))))
        con.unregister("samples")
    return [found[number] for number in range(len(log_format.samples))]


def _shown(event: dict[str, object]) -> dict[str, object]:
    """Return an event as people write it: cleaned, its time as text, nothing that is null."""
    if isinstance(stamp := event["ts"], datetime):
        precision = "milliseconds" if stamp.microsecond % 1000 == 0 else "microseconds"
        event["ts"] = f"{stamp.isoformat(timespec=precision if stamp.microsecond else 'seconds')}Z"
    event["host"] = clean_host(event["host"]) if isinstance(event["host"], str) else None
    if isinstance(client := event["client"], str):
        event["client"] = clean_address(client) or client
    return {name: value for name, value in event.items() if value is not None}
