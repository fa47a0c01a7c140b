"""One log file as a format sees it: finds which format that is, and hands out the lines to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from agent import detect, files, parse
from agent.errors import LogError, Problem
from agent.model import Clean, Format
from agent.sql import THREADS

_SHORT = 8192
"""Bytes; longer lines do not help to tell a format."""

Retry = Callable[[str], str]
"""Makes the SELECT that turns lines of a relation into events."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one file is read."""

    format: Format
    also: tuple[Format, ...]
    """Formats to try, in order, on the lines that ``format`` rejects."""
    reading: parse.Reading
    """How its first line is read; later ones may have other columns."""
    prefixed: bool = False
    """Whether a relay's prefix may stand before lines of ``also``."""
    open: bool = True
    """Whether formats may be added for what all of these reject; not where one was named."""

    @property
    def bare(self) -> parse.Reading:
        """How lines of ``also`` are read: each by itself, whatever columns the file has."""
        return replace(self.reading, columns=(), prefixed=self.prefixed)

    def retries(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Retry, bool]]:
        """Return what each of ``also`` makes of lines, and whether it is of another vendor."""
        return [
            (partial(_again, con, one, self.bare), one.vendor != self.format.vendor)
            for one in self.also
        ]


def connect(spill: Path | None = None, memory: str = "600MB") -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB for cutting and grouping lines."""
    con = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory,
            "threads": THREADS,
            "preserve_insertion_order": False,
            # Nothing here is kept, so nothing needs to be put in order on the way: by itself DuckDB
            # does that with each 16 MB, and takes six times as long to add rows.
            "checkpoint_threshold": "1TB",
            # Without a folder nothing is spilled: what was read stays in memory.
            "temp_directory": "" if spill is None else str(spill),
        }
    )
    con.execute("SET TimeZone = 'UTC'")
    return con


def answer(
    con: duckdb.DuckDBPyConnection,
    log: files.LogFile,
    head: bytes,
    known: Mapping[str, Format],
    usual: str | None = None,
) -> detect.Answer:
    """Return the format that the first lines of a file fit; try ``usual`` first.

    Raises LogError with the reason where none fits.
    """
    head = files.telling(log, head)
    found = detect.detect(head, known, _attempt(con, _reading(log, head)), usual)
    if found.format is None:
        raise LogError(Problem(log.name, f"{found.reason}."))
    return found


def plan(log: files.LogFile, head: bytes, found: detect.Answer, timezone: str) -> Plan:
    """Return how to read a file of a known format from its start."""
    if found.format is None:
        raise LogError(Problem(log.name, f"{found.reason}."))
    head = files.telling(log, head)
    columns = parse.first_columns(found.format, head)
    reading = replace(_reading(log, head), timezone=timezone, columns=columns)
    return Plan(found.format, found.also, reading, reading.prefixed)


def further(
    con: duckdb.DuckDBPyConnection, rejected: str, plan: Plan, known: Mapping[str, Format]
) -> Plan:
    """Return a plan that also reads lines of a relation which all formats of the plan reject.

    Another device may begin to write into a file at any time. The same plan where no format that is
    known reads any of some lines, spread over all of them.
    """
    found = con.execute(
        f"SELECT line FROM {rejected} WHERE strlen(line) < {_SHORT} "
        f"ORDER BY hash(line_no), line_no LIMIT {detect.LINES}"
    ).fetchall()
    text = "".join(f"{line.rstrip()}\n" for (line,) in found).encode()
    more = detect.others(text, known, _attempt(con, plan.reading))
    mine = {plan.format.name, *(one.name for one in plan.also)}
    also = (*plan.also, *(one for one in more if one.name not in mine))
    prefixed = plan.prefixed or (bool(more) and parse.looks_prefixed(text))
    return replace(plan, also=also, prefixed=prefixed)


def opened(
    log: files.LogFile, head: bytes, found: detect.Answer, timezone: str, *, named: bool
) -> Plan:
    """Return how to read a file from its start; no other format than a named one is tried."""
    return replace(plan(log, head, found, timezone), open=not named)


def pieces(
    con: duckdb.DuckDBPyConnection,
    log: files.LogFile,
    start: Plan,
    known: Mapping[str, Format],
    size: int = files.BLOCK,
) -> Iterator[tuple[files.Block, int]]:
    """Read a file stretch by stretch into table ``piece`` of a database, one row a line.

    The table has ``line_no``, ``outcome``, the fields of an event and the ``format`` that read the
    line; ``lines`` are the lines themselves. Yields each block with the number of these lines.
    """
    now, first_line = start, 1
    for block in files.blocks(log, size=size):
        for table, then in stretches(now.format, block.text, first_line, now.reading):
            now = _piece(con, table, replace(now, reading=then), known)
            first_line += len(table)
            yield block, len(table)


def _piece(
    con: duckdb.DuckDBPyConnection, table: pa.Table, now: Plan, known: Mapping[str, Format]
) -> Plan:
    con.register("lines", table)
    events = parse.events_sql(now.format, now.reading)
    con.execute(f"CREATE OR REPLACE TABLE piece AS {_named(now.format, events)}")
    if now.open and _retried(con, now):
        con.execute(f"CREATE OR REPLACE TABLE rejected AS {_LEFT.format(others=True)}")
        found = further(con, "rejected", now, known)
        if found != now:
            _retried(con, found)
        return found
    return now


_LEFT = f"""
SELECT lines.line_no, lines.line FROM lines JOIN piece USING (line_no)
WHERE outcome <> '{parse.OTHER}' OR ({{others}} AND outcome = '{parse.OTHER}' AND host IS NULL)
"""
"""Lines that are no event so far and name no host, with or without those that rightly are none."""


def _retried(con: duckdb.DuckDBPyConnection, now: Plan) -> bool:
    """Show what one format makes no event of to the next; return whether lines are left."""
    for other in now.also:
        left = f"({_LEFT.format(others=other.vendor != now.format.vendor)})"
        events = _again(con, other, now.bare, left)
        con.execute(f"CREATE OR REPLACE TABLE more AS {_named(other, events)}")
        con.execute("DELETE FROM piece WHERE line_no IN (SELECT line_no FROM more WHERE taken)")
        con.execute("INSERT INTO piece SELECT * FROM more WHERE taken")
    return bool(con.execute(f"SELECT 1 FROM ({_LEFT.format(others=True)}) LIMIT 1").fetchall())


def _again(
    con: duckdb.DuckDBPyConnection, log_format: Format, then: parse.Reading, relation: str
) -> str:
    """Return the SELECT that turns lines of a relation into events of another format."""
    lines = con.sql(f"SELECT line_no, line FROM {relation}").to_arrow_table()
    relined, columns = parse.relined(lines, log_format, prefixed=then.prefixed)
    con.register("relined", relined)
    return parse.events_sql(log_format, replace(then, columns=columns), "relined")


def _named(log_format: Format, events: str) -> str:
    return (
        f"SELECT *, '{log_format.name}' AS format, "
        f"outcome IS NULL OR outcome = '{parse.OTHER}' AS taken "
        f"FROM ({events})"
    )


def _reading(log: files.LogFile, head: bytes) -> parse.Reading:
    return parse.Reading(dated=log.dated, prefixed=parse.looks_prefixed(head))


def attempt(con: duckdb.DuckDBPyConnection, head: bytes) -> detect.Try:
    """Return what counts how a format takes lines of a text that has no file."""
    return _attempt(con, parse.Reading(prefixed=parse.looks_prefixed(head)))


def _attempt(con: duckdb.DuckDBPyConnection, reading: parse.Reading) -> detect.Try:
    """Return what counts how a format takes some lines."""

    def attempt(candidate: Format, text: bytes) -> detect.Tally:
        text = bytes(parse.records(candidate, text))
        counts, line, named = [0, 0, 0, 0], 1, set[int]()
        start = replace(
            reading,
            prefixed=parse.looks_prefixed(text),
            columns=parse.first_columns(candidate, text),
        )
        for table, then in stretches(candidate, text, line, start):
            con.register("tried", table)
            found = con.execute(
                # A line that repeats a host is no event to count, but shows the format as well.
                "SELECT count(*) FILTER (outcome IS NULL OR shown), count(*) FILTER (shown), "
                f"count(*) FILTER (outcome = '{parse.OTHER}' AND NOT shown), "
                f"count(*) FILTER (outcome <> '{parse.OTHER}'), list(line_no) FILTER (shown) "
                f"FROM (SELECT line_no, outcome, {candidate.proof} IS NOT NULL "
                f"AND coalesce(outcome, '') IN ('', '{parse.OTHER}') AS shown "
                f"FROM ({parse.events_sql(candidate, then, 'tried')}))"
            ).fetchall()[0]
            counts = [a + b for a, b in zip(counts, found[:-1], strict=True)]
            named |= set(found[-1] or ())
        events, shown, others, rejects = counts
        return detect.Tally(events, shown, others, rejects, frozenset(named))

    return attempt


def numbered(
    blocks: Iterator[files.Block], plan: Plan, first_line: int = 1
) -> Iterator[tuple[files.Block, list[tuple[pa.Table, parse.Reading]]]]:
    """Yield each block with its lines as tables, and how each table is read."""
    then = plan.reading
    for block in blocks:
        tables = list(stretches(plan.format, block.text, first_line, then))
        first_line += sum(len(table) for table, _ in tables)
        then = tables[-1][1]
        yield block, tables


def stretches(
    log_format: Format, text: Clean, first_line: int, reading: parse.Reading
) -> Iterator[tuple[pa.Table, parse.Reading]]:
    """Yield tables of numbered lines, each with how it is read: columns may change in between."""
    for part, columns in parse.sections(log_format, text, reading.columns):
        table = parse.lines_table(part, first_line, log_format, columns, prefixed=reading.prefixed)
        yield table, replace(reading, columns=columns)
        first_line += len(table)
