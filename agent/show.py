"""The events of one log file as they stand in it, clear names included, for eyes and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from agent import detect, files, parse, reading
from agent.errors import LogError, Problem
from agent.model import FIELDS, Format

Event = dict[str, Any]


def events(
    path: Path, known: Mapping[str, Format], forced: str | None, timezone: str
) -> Iterator[Event]:
    """Yield each event of one file as a dictionary, in the order of its lines; store nothing.

    Raises LogError when the file cannot be read, or its format is not known.
    """
    log = _one(path)
    with closing(reading.connect()) as con:
        con.execute("SET preserve_insertion_order = true")
        head = files.head(log)
        if not head:
            return
        if forced is None:
            found = reading.answer(con, log, head, known)
        else:
            found = detect.Answer(known[forced])
        plan = replace(reading.plan(log, head, found, timezone), open=forced is None)
        then = plan.reading
        for block in files.blocks(log):
            for table, now in reading.stretches(plan.format, block.text, block.first_line, then):
                plan = _read(con, table, replace(plan, reading=now), known)
                yield from _events(con)
                then = now
    if log.truncated:
        raise LogError(Problem(log.name, f"{log.truncated}; its complete lines were printed."))


def _one(path: Path) -> files.LogFile:
    problems: list[Problem] = []
    found = list(files.find([path], problems))
    if len(found) != 1:
        several = f"holds {len(found)} files; name one of them."
        raise LogError(problems or Problem(str(path), several))
    return found[0]


def _read(
    con: duckdb.DuckDBPyConnection, table: pa.Table, plan: reading.Plan, known: Mapping[str, Format]
) -> reading.Plan:
    """Put the events of some lines into table ``piece``; return the plan for the lines behind."""
    con.register("lines", table)
    con.execute(f"CREATE OR REPLACE TABLE piece AS {_named(plan.format, plan.reading, 'lines')}")
    if plan.open and _retried(con, plan):
        con.execute(f"CREATE OR REPLACE TABLE rejected AS {_LEFT.format(others=True)}")
        found = reading.further(con, "rejected", plan, known)
        if found != plan:
            _retried(con, found)
        return found
    return plan


_LEFT = f"""
SELECT lines.* FROM lines JOIN piece USING (line_no)
WHERE outcome <> '{parse.OTHER}' OR ({{others}} AND outcome = '{parse.OTHER}' AND host IS NULL)
"""
"""Lines that are no event so far and name no host, with or without those that rightly are none."""


def _retried(con: duckdb.DuckDBPyConnection, plan: reading.Plan) -> bool:
    """Show what one format makes no event of to the next; return whether lines are left."""
    for other in plan.also:
        left = f"({_LEFT.format(others=other.vendor != plan.format.vendor)})"
        con.execute(f"CREATE OR REPLACE TABLE more AS {_named(other, plan.bare, left)}")
        con.execute("DELETE FROM piece WHERE line_no IN (SELECT line_no FROM more WHERE taken)")
        con.execute("INSERT INTO piece SELECT * FROM more WHERE taken")
    return bool(con.execute(f"SELECT 1 FROM ({_LEFT.format(others=True)}) LIMIT 1").fetchall())


def _events(con: duckdb.DuckDBPyConnection) -> Iterator[Event]:
    """Yield the events of table ``piece``."""
    names = ("line", *FIELDS, "counted", "format")
    named = f"outcome IS NULL OR (outcome = '{parse.OTHER}' AND host IS NOT NULL)"
    found = con.sql(f"SELECT {_COLUMNS} FROM piece WHERE {named} ORDER BY line_no")
    for batch in found.to_arrow_reader():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _plain(dict(zip(names, row, strict=True)))


_COLUMNS = ", ".join(("line_no", *(f'"{name}"' for name in FIELDS), "outcome IS NULL", "format"))


def _named(log_format: Format, then: parse.Reading, relation: str) -> str:
    return (
        f"SELECT *, '{log_format.name}' AS format, "
        f"outcome IS NULL OR outcome = '{parse.OTHER}' AS taken "
        f"FROM ({parse.events_sql(log_format, then, relation)})"
    )


def _plain(row: Event) -> Event:
    row["ts"] = f"{row['ts'].isoformat()}+00:00" if row["ts"] else None
    row["host"] = parse.clean_host(row["host"])
    row["client"] = parse.clean_address(row["client"]) or row["client"]
    return row
