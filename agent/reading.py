"""One log file as a format sees it: finds which format that is, and hands out the lines to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from agent import detect, files, parse
from agent.errors import LogError, Problem
from agent.model import Format
from agent.sql import THREADS


@dataclass(frozen=True, slots=True)
class Plan:
    """How one file is read."""

    format: Format
    also: tuple[Format, ...]
    """Formats to try, in order, on the lines that ``format`` rejects."""
    reading: parse.Reading
    """How its first line is read; later ones may have other columns."""


def connect(spill: Path | None = None, memory: str = "600MB") -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB for cutting and grouping lines."""
    con = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory,
            "threads": THREADS,
            "preserve_insertion_order": False,
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
    found = detect.detect(head, known, _attempt(con, _reading(log, head)), usual)
    if found.format is None:
        raise LogError(Problem(log.name, f"{found.reason}."))
    return found


def plan(log: files.LogFile, head: bytes, found: detect.Answer, timezone: str) -> Plan:
    """Return how to read a file of a known format from its start."""
    if found.format is None:
        raise LogError(Problem(log.name, f"{found.reason}."))
    columns = parse.first_columns(found.format, head)
    reading = replace(_reading(log, head), timezone=timezone, columns=columns)
    return Plan(found.format, found.also, reading)


def _reading(log: files.LogFile, head: bytes) -> parse.Reading:
    return parse.Reading(dated=log.dated, prefixed=parse.looks_prefixed(head))


def _attempt(con: duckdb.DuckDBPyConnection, reading: parse.Reading) -> detect.Try:
    """Return what counts how a format takes some lines."""

    def attempt(candidate: Format, text: bytes) -> detect.Tally:
        counts, line = [0, 0, 0, 0], 1
        start = replace(
            reading,
            prefixed=parse.looks_prefixed(text),
            columns=parse.first_columns(candidate, text),
        )
        for table, then in stretches(candidate, text, line, start):
            con.register("lines", table)
            found = con.execute(
                # A line that repeats a host is no event to count, but shows the format as well.
                "SELECT count(*) FILTER (outcome IS NULL OR shown), count(*) FILTER (shown), "
                f"count(*) FILTER (outcome = '{parse.OTHER}' AND NOT shown), "
                f"count(*) FILTER (outcome <> '{parse.OTHER}') "
                f"FROM (SELECT outcome, host IS NOT NULL AND coalesce(outcome, '') IN "
                f"('', '{parse.OTHER}') AS shown FROM ({parse.events_sql(candidate, then)}))"
            ).fetchall()[0]
            counts = [a + b for a, b in zip(counts, found, strict=True)]
        return detect.Tally(*counts)

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
    log_format: Format, text: bytes | bytearray, first_line: int, reading: parse.Reading
) -> Iterator[tuple[pa.Table, parse.Reading]]:
    """Yield tables of numbered lines, each with how it is read: columns may change in between."""
    for part, columns in parse.sections(log_format, text, reading.columns):
        table = parse.lines_table(part, first_line)
        places = parse.places_of(log_format, table, prefixed=reading.prefixed)
        yield table, replace(reading, columns=columns, places=places)
        first_line += len(table)
