"""One log line to one event, as SQL: a format and its lines become a relation that DuckDB runs.

The relation has one row a line: ``line_no``, ``outcome`` (null for an event, ``other`` for a line
that rightly is none, else the reason for a reject) and the fields of ``agent.model.FIELDS``. Times
are UTC. Hosts, clients and users are cells as written; ``clean_host`` and ``clean_address`` are for
the distinct ones only, so no Python runs per line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from agent.cuts import Cut, cut_of, text
from agent.model import FIELDS, Field, Format, Shape

LONGEST = 65_536
"""Bytes; a longer line is rejected: no log device writes one."""
OTHER = "other"
"""The outcome of a line that rightly is no event: a comment, an answer, another kind of record."""
_BATCH = 61_440
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


@dataclass(frozen=True, slots=True)
class Reading:
    """How one file is read beside its format."""

    timezone: str = "UTC"
    """Zone of times that state none."""
    dated: date = date(2000, 1, 1)
    """The day the file was closed; gives the year to times that state none."""
    prefixed: bool = False
    """True where a relay's syslog prefix stands before each line."""
    columns: tuple[str, ...] = ()
    """Names that a header line gave; empty for a format without one."""


def lines_table(clean: bytes, first_line: int) -> pa.Table:
    """Return ``(line_no BIGINT, line VARCHAR)`` for clean UTF-8; each line ends in one blank.

    The blank stands where the line end was: the lines are the block's own bytes, not copies.
    """
    data = np.frombuffer(bytearray(clean), np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    data[ends - 1] = ord(" ")
    offsets = np.concatenate([np.zeros(1, np.int64), ends.astype(np.int64)])
    lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    numbers = pa.array(np.arange(first_line, first_line + len(ends), dtype=np.int64))
    table = pa.table({"line_no": numbers, "line": lines})
    return pa.Table.from_batches(table.to_batches(max_chunksize=_BATCH), table.schema)


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
    log_format: Format, clean: bytes, columns: tuple[str, ...]
) -> Iterator[tuple[bytes, tuple[str, ...]]]:
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


def looks_prefixed(head: bytes) -> bool:
    """Tell whether a syslog prefix stands before some of the first lines.

    >>> looks_prefixed(b"<134>Nov  2 10:00:00 gw squid[7]: 1762077600.123 5 192.0.2.1\\n")
    True
    """
    pattern = re.compile(_SYSLOG)
    lines = head.decode("utf-8", "replace").split("\n")[:50]
    return any(pattern.match(line) for line in lines)


def events_sql(log_format: Format, reading: Reading, relation: str = "lines") -> str:
    """Return the SELECT that turns a relation of lines into events.

    One step a layer: the line, its parts, its cells, its shape, its fields; each is computed once
    and only for the columns that a later layer asks for.
    """
    query = _Query(log_format, reading)
    fields = ", ".join(f"{query.field(name)} AS {name}" for name in FIELDS)
    shape = query.shape()
    # The layers fill while the fields are compiled: their SQL is taken last.
    return f"""
WITH trimmed AS (SELECT line_no, {query.line()} FROM {relation}),
cut AS (SELECT line_no, line{query.parts.sql} FROM trimmed),
cells AS (SELECT *{query.cells.sql} FROM cut),
shaped AS (SELECT line_no, {shape} AS shape{query.values.sql} FROM cells),
fields AS (SELECT line_no, shape, {fields} FROM shaped)
SELECT line_no, CASE WHEN shape = {_OTHER} THEN '{OTHER}'
    WHEN shape = {_ENDLESS} THEN 'line longer than {LONGEST} bytes'
    WHEN shape = {_NONE} THEN 'not a line of this format'
    WHEN ts IS NULL THEN 'time not understood'
    WHEN host IS NULL AND dest_ip IS NULL THEN 'names no destination' END AS outcome,
    {", ".join(FIELDS)} FROM fields"""


_NONE, _OTHER, _ENDLESS = 0, -1, -2


class _Query:
    """The SQL of one format for one file, layer by layer."""

    def __init__(self, log_format: Format, reading: Reading) -> None:
        self._format = log_format
        self._reading = reading
        self._prefixed = reading.prefixed and not log_format.prefix
        self.parts, self.cells, self.values = Layer("p"), Layer("c"), Layer("v")
        used = [
            cell
            for shape in log_format.shapes
            for cell in (*(cell for field in shape.fields for cell in field.sources), *shape.when)
        ]
        self._cuts = [
            cut_of(log_format, shape, reading.columns or shape.columns, used)
            for shape in log_format.shapes
        ]

    def line(self) -> str:
        """Return the columns of the first layer: the line as the cut wants it, and its prefix."""
        cut = self._format.cut
        # The blank at the end of a line does no harm where cells stand between blanks.
        line = "line" if cut in {"blanks", "json"} else "line[:-2]"
        if not self._prefixed:
            return f"' ' || line AS line" if self._led else f"{line} AS line"
        prefix = f"regexp_extract(line, {text(_SYSLOG)})"
        rest = f"ltrim(substr({line}, length({prefix}) + 1))"
        return f"{prefix} AS prefix, {self._lead} || {rest} AS line"

    def shape(self) -> str:
        """Return the number of the shape that a line has, or why it has none."""
        shapes = range(1, len(self._cuts) + 1)
        which = " ".join(f"WHEN {self._applies(number)} THEN {number}" for number in shapes)
        structured = [
            f"({cut.complete(self.parts)})"
            for cut, shape in zip(self._cuts, self._format.shapes, strict=True)
            if shape.when
        ]
        others = [_like_any("line", self._format.other)] if self._format.other else []
        other = " OR ".join([*structured, *others]) or "false"
        return (
            f"CASE WHEN strlen(line) > {LONGEST} THEN {_ENDLESS} WHEN {self._talk()} THEN {_OTHER} "
            f"WHEN {self._starts()} THEN CASE {which} WHEN {other} THEN {_OTHER} ELSE {_NONE} END "
            f"WHEN {others[0] if others else 'false'} THEN {_OTHER} ELSE {_NONE} END"
        )
# Transforms: the closed list that formats may name. Each gets the SQL of the cell.


def _as_text(value: str, _: Field, __: Reading) -> str:
    return value


def _url(value: str, _: Field, __: Reading) -> str:
    """Return the authority of a URL, or the start of one that has no scheme."""
    after = f"string_split({value}, '/')"
    return f"string_split(CASE WHEN contains({value}, '://') THEN {after}[3] ELSE {after}[1] END, '?')[1]"


def _utc(naive: str, reading: Reading) -> str:
    if reading.timezone == "UTC":
        return naive
    return f"timezone('UTC', timezone({text(reading.timezone)}, {naive}))"


def _time(value: str, field: Field, reading: Reading) -> str:
    """Read a written time; a zone it states wins, a year it lacks comes from the file's day."""
    zoned = [form for form in field.formats if "%z" in form]
    naive = [form for form in field.formats if "%z" not in form and "%Y" in form]
    yearless = [form for form in field.formats if "%Y" not in form]
    tries = []
    if zoned:
        tries.append(f"timezone('UTC', try_strptime({value}, {_forms(zoned)}))")
    if naive:
        tries.append(_utc(f"try_strptime({value}, {_forms(naive)})", reading))
    if yearless:
        forms = _forms([f"%Y {form}" for form in yearless])
        this, last = (
            f"try_strptime('{reading.dated.year - back} ' || {value}, {forms})" for back in (0, 1)
        )
        limit = f"(DATE '{reading.dated.isoformat()}' + 2)"
        tries.append(_utc(f"CASE WHEN {this} > {limit} THEN {last} ELSE coalesce({this}, {last}) END", reading))
    return tries[0] if len(tries) == 1 else f"coalesce({', '.join(tries)})"


def _forms(forms: list[str]) -> str:
    return text(forms[0]) if len(forms) == 1 else f"[{', '.join(text(form) for form in forms)}]"


def _iso(value: str, _: Field, reading: Reading) -> str:
    """Read ISO 8601, also with a comma before the fraction; without a zone it is local time."""
    dotted = f"replace({value}, ',', '.')"
    stated = f"timezone('UTC', try_cast({dotted} AS TIMESTAMPTZ))"
    if reading.timezone == "UTC":
        return stated
    bare = f"regexp_matches({value}, '\\d\\d:\\d\\d(:\\d\\d([.,]\\d+)?)?$')"
    return f"CASE WHEN {bare} THEN {_utc(f'try_cast({dotted} AS TIMESTAMP)', reading)} ELSE {stated} END"


def _epoch(value: str, _: Field, __: Reading) -> str:
    """Read seconds, milli-, micro- or nanoseconds since 1970, told apart by their size."""
    number = f"try_cast({value} AS DOUBLE)"
    scale = (
        f"CASE WHEN {number} < 1e11 THEN 1e6 WHEN {number} < 1e14 THEN 1e3 "
        f"WHEN {number} < 1e17 THEN 1e0 ELSE 1e-3 END"
    )
    return f"make_timestamp(try_cast(round({number} * {scale}) AS BIGINT))"


def _count(value: str, _: Field, __: Reading) -> str:
    number = f"try_cast({value} AS BIGINT)"
    return f"CASE WHEN {number} >= 0 THEN {number} END"


def _verdict(value: str, field: Field, __: Reading) -> str:
    otherwise = "NULL" if field.otherwise is None else str(field.otherwise).lower()
    return (
        f"CASE WHEN {value} IS NULL THEN NULL WHEN {_any_of(value, field.true)} THEN true "
        f"WHEN {_any_of(value, field.false)} THEN false ELSE {otherwise} END"
    )


def _labels(value: str, _: Field, __: Reading) -> str:
    """Read a DNS name written as counted labels: ``(3)www(7)example(3)com(0)``."""
    dotted = f"trim(regexp_replace({value}, '\\(\\d+\\)', '.', 'g'), '.')"
    return f"CASE WHEN contains({value}, '(') THEN {dotted} ELSE {value} END"


def _before_hash(value: str, _: Field, __: Reading) -> str:
    return f"string_split({value}, '#')[1]"


def _before_colon(value: str, _: Field, __: Reading) -> str:
    """Take the port off an address; an IPv6 address without brackets has none."""
    one = f"strlen({value}) - strlen(replace({value}, ':', '')) = 1"
    bracket = f"string_split(string_split({value}, '[')[2], ']')[1]"
    return (
        f"CASE WHEN starts_with({value}, '[') THEN {bracket} "
        f"WHEN {one} THEN string_split({value}, ':')[1] ELSE {value} END"
    )


def _after_slash(value: str, _: Field, __: Reading) -> str:
    return f"nullif(string_split({value}, '/')[2], '-')"


def _bracketed(value: str, _: Field, __: Reading) -> str:
    return f"trim({value}, '()[]<>{{}}:,;\"')"


def _mail(value: str, _: Field, __: Reading) -> str:
    """Take the mail address out of ``First Last (first.last@example.com)``, else the whole."""
    inner = f"regexp_extract({value}, '[(<]([^()<>@ ]+@[^()<>\\[\\] ]+)[)>]', 1)"
    return f"coalesce(nullif({inner}, ''), {value})"


def _first(value: str, _: Field, __: Reading) -> str:
    return f"nullif(trim(string_split({value}, ',')[1]), '')"


_TRANSFORM: dict[str, Callable[[str, Field, Reading], str]] = {
    "text": _as_text,
    "host": _as_text,
    "url": _url,
    "time": _time,
    "iso": _iso,
    "epoch": _epoch,
    "count": _count,
    "verdict": _verdict,
    "labels": _labels,
    "before_hash": _before_hash,
    "before_colon": _before_colon,
    "after_slash": _after_slash,
    "bracketed": _bracketed,
    "mail": _mail,
    "first": _first,
}


def clean_host(raw: str | None) -> str | None:
    """Return a host name as this project writes it: lower case, without port, user or end dot.

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
    return name.rstrip(".") or None if name != "-" else None


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
