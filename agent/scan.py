"""The whole flow on one page: log files in, findings out, one stage a line."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from agent import adoption, catalogue, detect, files, formats, parse, people, rollup, store
from agent.errors import LogError, Problem, RulesError, SundialError
from agent.model import FIELDS, Format
from agent.settings import Settings, SourceSetting
from agent.version import VERSION

Progress = Callable[["Report"], None]
"""Called a few times a second while a scan goes on."""

_SAMPLE = 160
"""Characters of a rejected line that are kept, every letter and digit masked."""


@dataclass(slots=True)
class Report:
    """What a scan has done so far; the same object grows until the scan ends."""

    stage: str = "reading"
    file: str = ""
    files: int = 0
    unchanged: int = 0
    skipped: int = 0
    lines: int = 0
    events: int = 0
    rejects: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a scan knows before it opens a log."""

    formats: Mapping[str, Format]
    catalogue: catalogue.Catalogue
    thresholds: adoption.Thresholds


def load_rules() -> Rules:
    """Load formats, catalogue and thresholds; raise RulesError with the problems of all three."""
    problems: list[Problem] = []
    loaded: list[Any] = []
    for load in (formats.load_formats, catalogue.load_catalogue, adoption.load_thresholds):
        try:
            loaded.append(load())
        except RulesError as error:
            problems.extend(error.problems)
    if problems:
        raise RulesError(problems)
    return Rules(*loaded)


def scan(
    paths: Sequence[Path],
    folder: Path,
    settings: Settings,
    *,
    forced: str | None = None,
    progress: Progress = lambda _: None,
) -> Report:
    """Read logs into the store in ``folder`` and publish what they show.

    Raises RulesError, StoreError, or LogError for a directory that cannot be used; a log that
    cannot be read is a problem in the report, and the rest goes on.
    """
    started, report, rules = time.monotonic(), Report(), load_rules()
    if forced is not None and forced not in rules.formats:
        raise RulesError(_no_such_format(forced, rules.formats))
    directory, subnets = _people(settings, report)
    key = people.Pseudonyms(people.load_key(folder))
    with closing(store.Store(folder)) as kept, tempfile.TemporaryDirectory() as spill:
        kept.belongs_to(key.spelling("sundial"))
        logs = list(files.find(paths, report.problems))
        report.bytes_total = sum(log.size for log in logs)
        reader = _Reader(kept, rules, settings, forced, report, progress, started)
        reader.open(connect(spill), directory, subnets, key)
        for log in logs:
            reader.read(log)
        reader.flush()
        report.stage = "publishing"
        progress(report)
        with kept.transaction() as con:
            people.place(con, directory, subnets, key)
        kept.publish(lambda con: _derive(con, rules))
    report.seconds = time.monotonic() - started
    return report


def connect(spill: str | None = None, memory: str = "600MB") -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB for cutting and grouping lines."""
    con = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory,
            "threads": 2,
            "preserve_insertion_order": False,
            **({} if spill is None else {"temp_directory": spill}),
        }
    )
    rollup.run(con, "SET TimeZone = 'UTC'")
    return con


def _people(
    settings: Settings, report: Report
) -> tuple[people.Directory | None, people.Subnets | None]:
    directory = subnets = None
    if settings.people is not None:
        directory = people.read_directory(settings.people, settings.people_columns or None)
        report.problems.extend(directory.problems)
    if settings.subnets is not None:
        subnets = people.read_subnets(settings.subnets)
        report.problems.extend(subnets.problems)
    return directory, subnets


def _derive(con: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    adoption.derive(
        con,
        rules.thresholds,
        meta={
            "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "catalogue_version": rules.catalogue.version,
            "sundial_version": VERSION,
            "schema_version": store.SCHEMA,
        },
        apps=rules.catalogue.apps.values(),
        categories=rules.catalogue.categories.values(),
        format_kinds={name: one.kind for name, one in rules.formats.items()},
    )


class _Reader:
    """Reads one log file after the other and flushes what they say into the store."""

    def __init__(
        self,
        kept: store.Store,
        rules: Rules,
        settings: Settings,
        forced: str | None,
        report: Report,
        progress: Progress,
        started: float,
    ) -> None:
        self._store, self._rules, self._settings, self._forced = kept, rules, settings, forced
        self._report, self._progress, self._started = report, progress, started
        self._known = kept.ledger()
        self._rejects: list[store.Reject] = []
        self._changed: dict[int, store.Ledger] = {}
        self._usual: dict[str, str] = {}
        self._done = 0

    def open(
        self,
        con: duckdb.DuckDBPyConnection,
        directory: people.Directory | None,
        subnets: people.Subnets | None,
        key: people.Pseudonyms,
    ) -> None:
        """Prepare the roll-up with what is known of people, now or from an earlier scan."""
        self._con = con
        known = self._store.con
        if subnets is None:
            subnets = people.stored_subnets(known)
        names = people.names_table(directory, key) if directory else people.stored_names(known)

        def client(raw: str) -> tuple[str, str | None]:
            address = parse.clean_address(raw)
            if address is None:
                return key.address(raw.strip().lower()), None
            return key.address(address), people.network_of(address, subnets)

        naming = rollup.Naming(
            parse.clean_host,
            self._rules.catalogue.match,
            self._rules.catalogue.fold,
            key.user,
            client,
        )
        networks = people.networks_table(subnets)
        self._rollup = rollup.Rollup(con, naming, names, networks, self._settings.timezone)

    def read(self, log: files.LogFile) -> None:
        """Read what is new in one file; a problem with it is reported and not raised."""
        self._report.file = log.name
        self._progress(self._report)
        try:
            self._read(log)
        except LogError as error:
            self._report.problems.extend(error.problems)
            self._report.skipped += 1
        self._done += log.size
        self._report.bytes_done = self._done
        self._report.files += 1

    def _read(self, log: files.LogFile) -> None:
        head = files.head(log)
        row = self._recognise(log, head)
        if row is None:
            self._report.unchanged += 1
            return
        source = self._source(log)
        try:
            log_format = self._format(log, head, row, source)
        except LogError as error:
            self._note(row, log, "skipped", error.problems[0].message)
            raise
        row.format = log_format.name
        row.source = source.name if source else _folder(log) or log_format.name
        self._usual[row.source] = log_format.name
        zone = (source.timezone if source else None) or self._settings.timezone
        columns = tuple(row.layout) or parse.first_columns(log_format, head)
        reading = parse.Reading(zone, log.dated, parse.looks_prefixed(head), columns)
        self._blocks(log, row, log_format, reading)
        status, note = "read", None
        if log.truncated:
            status, note = "truncated", f"{log.truncated} after {row.lines} lines"
            message = f"{note}; those are stored, the rest will be read when the file is complete."
            self._report.problems.append(Problem(log.name, message))
        elif not row.events:
            note = "holds no event"
            if row.rejects:
                message = f"none of its {row.lines} lines could be read as {log_format.name}; see 'sundial parse'."
                self._report.problems.append(Problem(log.name, message))
        self._note(row, log, status, note)

    def _blocks(
        self, log: files.LogFile, row: store.Ledger, log_format: Format, reading: parse.Reading
    ) -> None:
        before, began = row.seconds, time.monotonic()
        first = row.lines - row.tail_lines + 1
        self._untail(row)
        for block in files.ahead(files.blocks(log, row.consumed, first)):
            tail = None if block.terminated else row.file_id
            line = block.first_line
            for text, columns in parse.sections(log_format, block.text, reading.columns):
                reading = replace(reading, columns=columns)
                table = parse.lines_table(text, line)
                self._con.register("lines", table)
                counts = self._rollup.add(parse.events_sql(log_format, reading), row.source, tail)
                self._count(row, counts, table, tail)
                line += counts.lines
            if block.terminated:
                row.consumed, row.tail_digest = block.end, files.digest(block.trail)
            row.layout, row.bytes = list(reading.columns), block.end
            row.seconds = before + time.monotonic() - began
            self._report.bytes_done = self._done + min(log.position, log.size)
            self._report.seconds = time.monotonic() - self._started
            self._progress(self._report)
            if self._rollup.full:
                self._note(row, log, "open", None)
                self.flush()

    def _untail(self, row: store.Ledger) -> None:
        """Forget what an unfinished last line counted; it is read again now."""
        row.lines -= row.tail_lines
        row.events -= row.tail_events
        row.rejects -= row.tail_rejects
        row.tail_lines = row.tail_events = row.tail_rejects = 0

    def _count(
        self, row: store.Ledger, counts: rollup.Counts, table: Any, tail: int | None
    ) -> None:
        rejected = sum(lines for lines, _ in counts.rejects.values())
        row.lines += counts.lines
        row.events += counts.events
        row.rejects += rejected
        if tail is not None:
            row.tail_lines, row.tail_events, row.tail_rejects = counts.lines, counts.events, rejected
        row.has_user |= counts.has_user
        row.has_client |= counts.has_client
        row.has_bytes |= counts.has_bytes
        row.first_seen = min(filter(None, (row.first_seen, counts.first_seen)), default=None)
        row.last_seen = max(filter(None, (row.last_seen, counts.last_seen)), default=None)
        start = table.column("line_no")[0].as_py() if len(table) else 0
        for reason, (lines, first) in counts.rejects.items():
            sample = _masked(table.column("line")[first - start].as_py())
            self._rejects.append(store.Reject(row.file_id, reason, lines, first, sample, tail))
        self._report.lines += counts.lines
        self._report.events += counts.events
        self._report.rejects += rejected

    def flush(self) -> None:
        """Put everything that was gathered into the store, all or nothing."""
        if self._changed:
            batch = self._rollup.take()
            self._store.merge(batch, list(self._changed.values()), self._rejects)
            self._changed, self._rejects = {}, []

    def _note(self, row: store.Ledger, log: files.LogFile, status: str, note: str | None) -> None:
        row.path, row.status, row.note = log.name, status, note
        row.size, row.modified = log.size, log.modified.replace(tzinfo=None)
        row.scanned_at = datetime.now(UTC).replace(tzinfo=None)
        if row not in self._known:
            self._known.append(row)
        self._changed[row.file_id] = row

    def _recognise(self, log: files.LogFile, head: bytes) -> store.Ledger | None:
        """Return the ledger row to go on with, new or known; None where nothing is new."""
        if not head:
            raise LogError(Problem(log.name, "is empty; it is left out."))
        modified = log.modified.replace(tzinfo=None)
        digests = {length: files.digest(head[:length]) for length in {r.head_length for r in self._known}}
        same = [r for r in self._known if r.head_length <= len(head) and digests[r.head_length] == r.head_digest]
        for row in sorted(same, key=lambda row: -row.consumed):
            if row.format is not None and (row.size, row.modified, row.path) == (log.size, modified, log.name):
                return None
            found = files.tail_digest(log, row.consumed) if row.consumed else row.tail_digest
            if row.consumed and not found and not log.truncated:
                return None
            if log.truncated and not found:
                message = f"{log.truncated} and holds nothing that was not read before."
                self._report.problems.append(Problem(log.name, message))
                return None
            if found == row.tail_digest:
                row.head_length, row.head_digest = len(head), files.digest(head)
                return row
        return store.Ledger(
            file_id=store.next_id(self._known),
            source="",
            path=log.name,
            format=None,
            head_length=len(head),
            head_digest=files.digest(head),
        )

    def _source(self, log: files.LogFile) -> SourceSetting | None:
        return next((s for s in self._settings.sources if files.matches(log, s.match)), None)

    def _format(
        self, log: files.LogFile, head: bytes, row: store.Ledger, source: SourceSetting | None
    ) -> Format:
        known = self._rules.formats
        forced = self._forced or (source.format if source else None)
        if forced is not None:
            if forced not in known:
                raise RulesError(_no_such_format(forced, known))
            return known[forced]
        if row.format in known and row.consumed:
            return known[row.format or ""]
        usual = self._usual.get(source.name if source else _folder(log))
        return pick(self._con, log, head, known, usual)


def pick(
    con: duckdb.DuckDBPyConnection,
    log: files.LogFile,
    head: bytes,
    known: Mapping[str, Format],
    usual: str | None = None,
) -> Format:
    """Return the format that a file's first lines fit. Raises LogError with the reason if none."""

    def attempt(candidate: Format, text: bytes) -> detect.Tally:
        return tally(con, candidate, text, log)

    answer = detect.detect(head, known, attempt, usual)
    if answer.format is None:
        raise LogError(Problem(log.name, f"{answer.reason}."))
    return answer.format


def tally(
    con: duckdb.DuckDBPyConnection, candidate: Format, text: bytes, log: files.LogFile
) -> detect.Tally:
    """Count what a format makes of some lines."""
    counts = [0, 0, 0, 0]
    prefixed, line = parse.looks_prefixed(text), 1
    for part, columns in parse.sections(candidate, text, parse.first_columns(candidate, text)):
        reading = parse.Reading("UTC", log.dated, prefixed, columns)
        con.register("lines", parse.lines_table(part, line))
        found = con.sql(
            "SELECT count(*) FILTER (outcome IS NULL), "
            "count(*) FILTER (outcome IS NULL AND host IS NOT NULL), "
            f"count(*) FILTER (outcome = '{parse.OTHER}'), "
            f"count(*) FILTER (outcome <> '{parse.OTHER}') "
            f"FROM ({parse.events_sql(candidate, reading)})"
        ).fetchall()[0]
        counts = [a + b for a, b in zip(counts, found, strict=True)]
        line += part.count(b"\n")
    return detect.Tally(*counts)


def parse_file(path: Path, forced: str | None, timezone: str) -> Iterator[dict[str, Any]]:
    """Yield each event of one file as a dictionary, clear names included; store nothing.

    Raises LogError when the file cannot be read or its format is not known.
    """
    known, problems = formats.load_formats(), list[Problem]()
    if forced is not None and forced not in known:
        raise RulesError(_no_such_format(forced, known))
    log = next(iter(files.find([path], problems)), None)
    if log is None:
        raise LogError(problems or Problem(str(path), "holds no log file."))
    con = connect()
    rollup.run(con, "SET preserve_insertion_order = true")
    head = files.head(log)
    log_format = known[forced] if forced else pick(con, log, head, known)
    columns = parse.first_columns(log_format, head)
    reading = parse.Reading(timezone, log.dated, parse.looks_prefixed(head), columns)
    for block in files.blocks(log):
        line = block.first_line
        for text, columns in parse.sections(log_format, block.text, reading.columns):
            reading = replace(reading, columns=columns)
            con.register("lines", parse.lines_table(text, line))
            sql = f"SELECT * EXCLUDE (outcome) FROM ({parse.events_sql(log_format, reading)}) WHERE outcome IS NULL ORDER BY line_no"
            for batch in con.sql(sql).to_arrow_reader():
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield _event(dict(zip(("line", *FIELDS), row, strict=True)), log_format)
            line += text.count(b"\n")
    if log.truncated:
        raise LogError(Problem(log.name, f"{log.truncated}; its complete lines were printed."))


def _event(row: dict[str, Any], log_format: Format) -> dict[str, Any]:
    row["ts"] = f"{row['ts'].isoformat()}+00:00"
    row["host"] = parse.clean_host(row["host"])
    row["client"] = parse.clean_address(row["client"]) or row["client"]
    return {**row, "format": log_format.name}


def _folder(log: files.LogFile) -> str:
    """Return the first folder of a file's name below the scanned folder: its source by default."""
    return log.name.partition("/")[0] if "/" in log.name else ""


def _masked(line: str) -> str:
    """Return the shape of a line: letters and digits are personal, their places are not.

    >>> _masked("10.1.2.3 asmith /a?b=c é\\u202e")
    '99.9.9.9 xxxxxx /x?x=x x?'
    """
    shape = (
        "9" if c.isdigit() else "x" if c.isalpha() else c if " " <= c < "\x7f" else "?"
        for c in line[:_SAMPLE].rstrip()
    )
    return "".join(shape)


def _no_such_format(name: str, known: Mapping[str, Format]) -> Problem:
    hint = formats.hint(name, known)
    return Problem("--format", f'"{name}" is no known format.{hint} \'sundial formats\' lists them.')


__all__ = ["Report", "Rules", "SundialError", "load_rules", "parse_file", "scan"]
