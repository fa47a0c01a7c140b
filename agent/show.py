"""The events of one log file as they stand in it, clear names included, for eyes and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from agent import capture, detect, files, parse, reading
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
        if files.holds_packets(head):
            yield from _packets(log)
            return
        if forced is None:
            found = reading.answer(con, log, head, known)
        else:
            found = detect.Answer(known[forced])
        plan = reading.opened(log, head, found, timezone, named=forced is not None)
        for _ in reading.pieces(con, log, plan, known):
            yield from _events(con)
    if log.truncated:
        raise LogError(Problem(log.name, f"{log.truncated}; its complete lines were printed."))


def _packets(log: files.LogFile) -> Iterator[Event]:
    """Yield the events of a capture; a line is a packet."""
    reader = capture.Capture()
    for part in reader.read(files.raw(log)):
        for row in part.events.to_pylist():
            counted = row["outcome"] is None
            if counted or row["outcome"] == parse.OTHER:
                row["line"] = row.pop("line_no")
                del row["outcome"]
                order = {name: row[name] for name in ("line", *FIELDS)}
                yield _plain({**order, "counted": counted, "format": capture.FORMAT})
    if trouble := log.truncated or reader.trouble:
        raise LogError(Problem(log.name, f"{trouble}; what stands before was printed."))


def _one(path: Path) -> files.LogFile:
    problems: list[Problem] = []
    found = list(files.find([path], problems))
    if len(found) != 1:
        several = f"holds {len(found)} files; name one of them."
        raise LogError(problems or Problem(str(path), several))
    return found[0]


def _events(con: duckdb.DuckDBPyConnection) -> Iterator[Event]:
    """Yield the events of table ``piece``."""
    names = ("line", *FIELDS, "counted", "format")
    named = f"outcome IS NULL OR (outcome = '{parse.OTHER}' AND host IS NOT NULL)"
    found = con.sql(f"SELECT {_COLUMNS} FROM piece WHERE {named} ORDER BY line_no")
    for batch in found.to_arrow_reader():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _plain(dict(zip(names, row, strict=True)))


_COLUMNS = ", ".join(("line_no", *(f'"{name}"' for name in FIELDS), "outcome IS NULL", "format"))


def _plain(row: Event) -> Event:
    row["ts"] = f"{row['ts'].isoformat()}+00:00" if row["ts"] else None
    row["host"] = parse.clean_host(row["host"])
    row["client"] = parse.clean_address(row["client"]) or row["client"]
    return row
