"""Takes log files into the store: which file is which, what is new in it, what its lines say."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa

from agent import capture, detect, files, parse, reading, rollup, store
from agent.errors import LogError, Problem
from agent.model import Format
from agent.settings import Settings, SourceSetting

SECONDS = 30.0
"""What a scan that is killed has to read again, at most."""
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
    notes: list[Problem] = field(default_factory=list)
    """What is worth saying and nothing to mend."""
    progress: Callable[[Report], None] = lambda _: None
    """Called a few times a second."""

    def tell(self, stage: str, file: str = "") -> None:
        """Tell what goes on now."""
        self.stage, self.file = stage, file
        self.progress(self)


class Intake:
    """Reads one log file after the other and flushes what they say into the store."""

    def __init__(  # noqa: PLR0913 - where from, how, where to: each by its name
        self,
        con: duckdb.DuckDBPyConnection,
        *,
        rolled: rollup.Rollup,
        kept: store.Store,
        known: Mapping[str, Format],
        settings: Settings,
        report: Report,
    ) -> None:
        """Cut lines in ``con`` as ``known`` formats say, group in ``rolled``, keep in ``kept``."""
        self._con, self._rollup, self._store, self._known = con, rolled, kept, known
        self._settings, self._report = settings, report
        self._ledger = kept.ledger()
        self._present: set[str] = set()
        self._changed: dict[int, store.Ledger] = {}
        self._rejects: list[store.Reject] = []
        closed = kept.setting("past_until")
        self._closed = date.fromisoformat(closed) if closed else date.min
        """Weeks before this day are kept as counts, to which nothing is added."""
        self._late: Counter[int] = Counter()
        """How many events of such weeks each file holds."""
        self._usual: dict[str, str] = {}
        self._left = 0
        """Lines of a file that no format makes an event of."""
        self._in_vain: dict[str | None, tuple[int, float]] = {}
        """How many such lines a source had, and their share of a stretch, when no further format
        was found for them."""
        self._done = 0
        self._began = self._flushed = time.monotonic()

    def read_all(self, logs: Sequence[files.LogFile]) -> None:
        """Read what is new in some files; a problem with one is reported and not raised."""
        self._present = {log.name for log in logs}
        self._report.bytes_total = sum(log.size for log in logs)
        for log in logs:
            self._report.tell("reading", log.name)
            try:
                self._read(log)
            except LogError as error:
                self._report.problems.extend(error.problems)
                self._report.skipped += 1
            self._done += log.size
            self._report.bytes_done = self._done
            self._report.files += 1
        self._flush()
        if late := self._late.total():
            in_files = "1 file" if len(self._late) == 1 else f"{len(self._late)} files"
            said = (
                f"{late:,} events of {in_files} are of weeks before {self._closed}, kept as counts "
                "only; they were not added. To count them, scan all logs into a new folder."
            )
            self._report.problems.append(Problem(str(self._store.folder), said))

    def _read(self, log: files.LogFile) -> None:
        head = files.head(log)
        if not head:
            self._report.notes.append(Problem(log.name, "is empty."))
            return
        row = self._recognise(log, head)
        if row is None:
            self._report.unchanged += 1
            return
        before = (row.consumed, row.tail_lines, row.status)
        _forget_tail(row)
        setting = next((s for s in self._settings.sources if files.matches(log, s.match)), None)
        if files.holds_packets(head):
            row.format, row.also = capture.FORMAT, []
            row.source = setting.name if setting else log.folder or row.format
            self._packets(log, row)
            self._finish(row, log, before)
            return
        try:
            plan = self._plan(log, head, row, setting)
        except LogError as error:
            row.source = setting.name if setting else log.folder or None
            self._note(row, log, "skipped", error.problems[0].message)
            raise
        row.format, row.also = plan.format.name, [other.name for other in plan.also]
        row.source = setting.name if setting else log.folder or row.format
        lines, news = row.lines, self._usual.get(row.source) != row.format
        self._usual[row.source] = row.format
        self._lines(log, row, plan)
        if plan.format.generic and plan.open and news and row.lines > lines:
            said = (
                f"is read as {row.format}: a guess; 'sundial parse' shows what comes of its lines."
            )
            self._report.notes.append(Problem(log.name, said))
        self._finish(row, log, before)

    def _finish(self, row: store.Ledger, log: files.LogFile, before: tuple[int, int, str]) -> None:
        """Note how a file came out that was read to its end."""
        status, note = self._outcome(log, row)
        if row.firm and before == (row.consumed, 0, status) and row.path in self._present:
            self._report.unchanged += 1  # a copy of a file that is still there
        else:
            self._note(row, log, status, note)

    def _recognise(self, log: files.LogFile, head: bytes) -> store.Ledger | None:
        """Return the ledger row to go on with, an old or a new one; None where nothing is new.

        A file is what it holds: a log that was renamed, packed, copied or has grown is itself.
        """
        start = files.identity(head)
        digests = files.digests(start, {row.head_length for row in self._ledger})
        same = [row for row in self._ledger if digests.get(row.head_length) == row.head_digest]
        stamp = (log.size, _naive(log.modified))
        if any((row.size, row.modified) == stamp and row.status in _ENDED for row in same):
            return None
        shorter = False
        for row in sorted(same, key=lambda row: -row.consumed):
            found = files.tail_digest(log, row.consumed) if row.consumed else ""
            if found == row.tail_digest:
                if row.file_id in self._changed and not row.firm:
                    self._flush()  # what is provisional is replaced in the store, not in a batch
                return _known_by(row, start)
            # Only what was compared to its end can be called the beginning of a longer log.
            shorter = shorter or (not found and row.head_length == len(start))
        if shorter or self._begins_another(log, head, start):
            return None
        number = store.next_id(self._ledger)
        return _known_by(store.Ledger(number, None, log.name, None, 0, ""), start)

    def _begins_another(self, log: files.LogFile, head: bytes, start: bytes) -> bool:
        """Tell whether all lines of a file are the first lines of a log that was read."""
        # Nobody can say whether the unfinished line behind them begins the next one: where the
        # file is broken off it is not read, and behind so many lines that no header has it does.
        unfinished = len(head) > len(start) and not log.truncated
        if not files.is_whole(head) or (unfinished and start.count(b"\n") < _NO_HEADER):
            return False
        place, told = files.beginning(start)
        return any(
            row.consumed >= len(start) and row.beginnings[place] == told for row in self._ledger
        )

    def _plan(
        self,
        log: files.LogFile,
        head: bytes,
        row: store.Ledger,
        setting: SourceSetting | None,
    ) -> reading.Plan:
        """Return how to read a file: as asked, else as it was read before, else as it looks."""
        zone = (setting.timezone if setting else None) or self._settings.days
        forced = self._settings.format or (setting.format if setting else None)
        if forced is None and row.consumed and {row.format, *row.also} <= self._known.keys():
            also = tuple(self._known[name] for name in row.also)
            found = detect.Answer(self._known[row.format or ""], also=also)
        elif forced is not None:
            found = detect.Answer(self._known[forced])
        else:
            usual = self._usual.get(setting.name if setting else log.folder)
            found = reading.answer(self._con, log, head, self._known, usual)
        plan = replace(reading.plan(log, head, found, zone), open=forced is None)
        if setting and setting.ahead:
            plan = replace(plan, reading=replace(plan.reading, ahead=setting.ahead))
        if row.consumed and row.layout and row.format == plan.format.name:
            return replace(plan, reading=replace(plan.reading, columns=tuple(row.layout)))
        return plan

    def _lines(self, log: files.LogFile, row: store.Ledger, plan: reading.Plan) -> None:
        before, began, then = row.seconds, time.monotonic(), plan.reading
        self._left = 0
        blocks = files.blocks(log, row.consumed, files.BLOCK)
        # Numbering lines is the reader's work too: meanwhile the database groups the last ones.
        for block, stretches in files.ahead(reading.numbered(blocks, plan, row.lines + 1)):
            tail = None if block.terminated else row.file_id
            for table, now in stretches:
                plan = self._count(row, table, replace(plan, reading=now), tail)
                then = now
            if block.terminated:
                row.consumed, row.tail_digest = block.end, files.digest(block.trail)
                row.layout = list(then.columns)
            row.bytes, row.seconds = block.end, before + time.monotonic() - began
            self._tell(log)
            if self._rollup.full or time.monotonic() - self._flushed > SECONDS:
                self._note(row, log, "open", None)
                self._flush()

    def _packets(self, log: files.LogFile, row: store.Ledger) -> None:
        """Read what is new in a capture, whose lines are its packets."""
        before, began = row.seconds, time.monotonic()
        reader = capture.Capture(trail=files.TAIL)
        hidden = 0
        for part in files.ahead(reader.read(files.raw(log), row.consumed)):
            self._con.register("lines", part.events)
            counts = self._rollup.add(
                "SELECT * FROM lines", row.source or "", file=row.file_id, tells=["alias"]
            )
            counts.lines = part.packets
            for reason in [
                reason for reason in counts.rejects if reason.startswith(capture.HIDDEN)
            ]:
                times, first = counts.rejects.pop(reason)
                self._rejects.append(store.Reject(row.file_id, reason, times, first, ""))
                hidden += times
            self._tally(row, counts, None, lambda _: "")
            row.consumed, row.tail_digest = part.end, files.digest(part.trail)
            row.bytes, row.seconds = part.end, before + time.monotonic() - began
            # Not stored before its end: until then connections are open whose events are to come.
            self._tell(log)
        log.truncated = log.truncated or reader.trouble
        if hidden:
            said = f"hides the names of {hidden:,} conversations; Data health tells by whom."
            self._report.notes.append(Problem(log.name, said))

    def _tell(self, log: files.LogFile) -> None:
        """Tell how far a file was read."""
        self._report.bytes_done = self._done + min(log.position, log.size)
        self._report.seconds = time.monotonic() - self._began
        self._report.tell("reading", log.name)

    def _count(
        self, row: store.Ledger, table: pa.Table, plan: reading.Plan, tail: int | None
    ) -> reading.Plan:
        """Roll some lines up; add how they came out to the ledger row and the report.

        Return the plan for the lines behind them: another device may have begun to write.
        """
        self._con.register("lines", table)
        events = parse.events_sql(plan.format, plan.reading)
        formats = (plan.format, *plan.also)
        tells = [name for name in ("department", "alias") if any(f.tells(name) for f in formats)]

        def further() -> Sequence[tuple[reading.Retry, bool]]:
            nonlocal plan
            if tail is None and plan.open:
                plan = self._further(row, plan, len(table))
            return plan.retries(self._con)

        def wanted(counts: rollup.Counts) -> bool:
            left = sum(lines for lines, _ in counts.rejects.values())
            if plan.also and left:
                return True
            left += counts.others
            foreign = any(one.vendor != plan.format.vendor for one in plan.also)
            return bool(left) and (
                foreign or (tail is None and self._due(row.source, left, counts.lines))
            )

        also = plan.retries(self._con)
        retry = rollup.Retry(also, wanted, further) if plan.open else None
        counts = self._rollup.add(
            events, row.source or "", tail, retry, file=row.file_id, tells=tells
        )
        self._tally(
            row,
            counts,
            tail,
            lambda number: _masked(table["line"][number - table["line_no"][0].as_py()].as_py()),
        )
        return plan

    def _tally(
        self,
        row: store.Ledger,
        counts: rollup.Counts,
        tail: int | None,
        sample: Callable[[int], str],
    ) -> None:
        """Add how some lines came out; ``sample`` shows what stands in one of them."""
        rejects = sum(lines for lines, _ in counts.rejects.values())
        row.lines += counts.lines
        row.events += counts.events
        row.rejects += rejects
        if tail is None:
            _witness(row, counts)
        else:
            row.tail_lines, row.tail_events, row.tail_rejects = counts.lines, counts.events, rejects
        self._report.lines += counts.lines
        self._report.events += counts.events
        self._report.rejects += rejects
        for reason, (lines, first) in counts.rejects.items():
            shown = sample(first)
            self._rejects.append(store.Reject(row.file_id, reason, lines, first, shown, tail))
        # Days begin elsewhere than in UTC.
        if counts.first_seen and counts.first_seen.date() <= self._closed:
            late, first = self._rollup.before(self._closed)
            if late:
                reason = f"of a week before {self._closed}, kept as counts only"
                self._rejects.append(store.Reject(row.file_id, reason, late, first, "", tail))
                self._late[row.file_id] += late

    def _further(self, row: store.Ledger, plan: reading.Plan, lines: int) -> reading.Plan:
        """Return a plan by which lines that are rejected so far may be read.

        What was looked at in vain is not looked at again until there is much more of it.
        """
        left = self._con.sql("SELECT count(*) FROM rejected").fetchall()[0][0]
        due = self._due(row.source, left, lines)
        self._left += left
        if not left or not due:
            return plan
        found = reading.further(self._con, "rejected", plan, self._known)
        if (found.also, found.prefixed) == (plan.also, plan.prefixed):
            self._in_vain[row.source] = (self._left, left / lines)
        row.also = [other.name for other in found.also]
        return found

    def _due(self, source: str | None, left: int, lines: int) -> bool:
        """Tell whether so many lines that no format reads are worth a look for a further one."""
        before, share = self._in_vain.get(source, (0, 0.0))
        return left / lines > 1.5 * share or self._left + left >= 4 * before

    def _outcome(self, log: files.LogFile, row: store.Ledger) -> tuple[str, str | None]:
        """Return status and note of a file that was read; report what went wrong."""
        units = "packets" if row.format == capture.FORMAT else "lines"
        if row.rejects and not row.events and units == "lines":
            note = f"none of its {row.lines:,} lines could be read as {row.format}"
            cure = "see 'sundial parse', or name another format with --format"
            # All is provisional: the next scan may know better.
            row.consumed, row.tail_digest, row.layout = 0, "", []
            status = "skipped"
        elif log.truncated:
            note = f"{log.truncated} after {row.lines:,} {units}"
            cure = f"those are stored, {log.rest}"
            status = "truncated"
        else:
            return "read", None if row.events else "holds no event"
        self._report.problems.append(Problem(log.name, f"{note}; {cure}."))
        return status, note

    def _note(self, row: store.Ledger, log: files.LogFile, status: str, note: str | None) -> None:
        row.path, row.status, row.note = log.name, status, note
        row.size, row.modified = log.size, _naive(log.modified)
        row.scanned_at = _naive(datetime.now(UTC))
        if all(row is not known for known in self._ledger):
            self._ledger.append(row)
        self._changed[row.file_id] = row

    def _flush(self) -> None:
        """Put everything that was gathered into the store, all or nothing."""
        if self._changed:
            self._store.merge(self._rollup.take(), list(self._changed.values()), self._rejects)
            self._changed, self._rejects = {}, []
        self._flushed = time.monotonic()


_ENDED = {"read", "truncated"}
"""States of a file that is not looked into again until it changes."""


_NO_HEADER = 16
"""Lines; what a log of the same kind begins with is shorter."""


def _known_by(row: store.Ledger, start: bytes) -> store.Ledger:
    """Return a row by which a file that begins so will be known again."""
    row.head_length, row.head_digest = len(start), files.digest(start)
    row.beginnings = files.beginnings(start)
    return row


def _forget_tail(row: store.Ledger) -> None:
    """Take back what is provisional: it is read again now."""
    if not row.consumed:
        row.lines = row.events = row.rejects = 0
        row.first_seen = row.last_seen = None
    else:
        row.lines -= row.tail_lines
        row.events -= row.tail_events
        row.rejects -= row.tail_rejects
    row.tail_lines = row.tail_events = row.tail_rejects = 0


def _witness(row: store.Ledger, counts: rollup.Counts) -> None:
    """Add what some lines show of their file."""
    row.has_user |= counts.has_user
    row.has_client |= counts.has_client
    row.has_bytes |= counts.has_bytes
    row.first_seen = min(filter(None, (row.first_seen, counts.first_seen)), default=None)
    row.last_seen = max(filter(None, (row.last_seen, counts.last_seen)), default=None)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _masked(line: str) -> str:
    r"""Return the shape of a line: letters and digits are personal, their places are not.

    >>> _masked("10.1.2.3 asmith /a?b=c é\u202e")
    '99.9.9.9 xxxxxx /x?x=x x?'
    """
    shape = (
        "9" if c.isdigit() else "x" if c.isalpha() else c if " " <= c < "\x7f" else "?"
        for c in line[:_SAMPLE].rstrip()
    )
    return "".join(shape)
