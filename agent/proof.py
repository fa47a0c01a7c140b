"""Proves formats on their own samples: what is read of each line is what its author expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime

import duckdb

from agent import parse
from agent.errors import Problem
from agent.model import UNNAMED, Format


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
            kind = "event" if outcome is None else "reject"
            kind = parse.OTHER if outcome == parse.OTHER else kind
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
    for name in log_format.names:
        if log_format.gives(name) and name not in shown and name != "ts":
            yield Problem(where, "is in no sample; add one whose event has it.", f"fields.{name}")


Sampled = tuple[str | None, dict[str, object]]
"""The outcome of a sample, and the fields of its event that are not null."""


def read_samples(con: duckdb.DuckDBPyConnection, log_format: Format) -> list[Sampled]:
    """Return what comes out of each sample of a format, in order.

    Times are ISO 8601 in UTC; a line without a year is read in January 2026.
    """
    alike: dict[tuple[str, bool, int], list[int]] = {}
    for number, sample in enumerate(log_format.samples):
        prefixed = parse.looks_prefixed(f"{sample.line}\n".encode())
        # Without a header each sample is a log of its own, whose cells tell what its columns are.
        own = number if log_format.header == UNNAMED else 0
        alike.setdefault((sample.header, prefixed, own), []).append(number)
    found: dict[int, Sampled] = {}
    for (header, prefixed, _), numbers in alike.items():
        told = (f"{log_format.samples[number].line}\n".encode() for number in numbers)
        lines = b"".join(
            parse.records(log_format, line).partition(b"\n")[0] + b"\n" for line in told
        )
        columns = parse.first_columns(log_format, f"{header}\n".encode()) if header else ()
        ((part, columns),) = parse.sections(log_format, lines, columns)
        reading = parse.Reading(dated=date(2026, 1, 31), prefixed=prefixed, columns=columns)
        table = parse.lines_table(part, 2, log_format, columns, prefixed=prefixed)
        con.register("samples", table)
        sql = parse.events_sql(log_format, reading, "samples")
        for row in con.execute(f"{sql} ORDER BY line_no").fetchall():
            found[numbers[row[0] - 2]] = (
                row[1],
                _shown(dict(zip(log_format.names, row[2:], strict=True))),
            )
        con.unregister("samples")
    return [found[number] for number in range(len(log_format.samples))]


def _shown(event: dict[str, object]) -> dict[str, object]:
    """Return an event as people write it: cleaned, its time as text, nothing that is null."""
    for name in ("ts", "until"):
        if isinstance(stamp := event.get(name), datetime):
            precision = "milliseconds" if stamp.microsecond % 1000 == 0 else "microseconds"
            precision = precision if stamp.microsecond else "seconds"
            event[name] = f"{stamp.isoformat(timespec=precision)}Z"
    if isinstance(host := event.get("host"), str):
        event["host"] = parse.clean_host(host)
    if isinstance(client := event["client"], str):
        event["client"] = parse.clean_address(client) or client
    return {name: value for name, value in event.items() if value is not None}
