"""Says what is wrong with a store and its sources in plain words, each with its cure.

Nothing is written, and a running scan is not disturbed: the logs are judged by what was published.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from agent import people, sql, store
from agent.errors import StoreError

STALE: Final = timedelta(days=3)
"""A weekend is two days; logs or findings that are older have missed a working day."""
ROOM: Final = 1 << 30
"""Bytes on the disk below which a scan may fail; findings are written anew beside the old ones."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing to look at."""

    check: str
    """What was looked at: ``key``, ``version``, ``silent_source`` and others."""
    subject: str
    """The source, department or file that it is about."""
    says: str
    cure: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.says} {self.cure}"


def examine(folder: Path, now: datetime) -> list[Complaint]:
    """Return everything that is worth a look, the store first, then its sources."""
    if not (folder / "work.duckdb").exists():
        scan = "Scan logs into it: sundial scan PATH --store " + str(folder)
        return [Complaint("store", str(folder), "holds no store.", scan)]
    found = [*_key(folder), *_work(folder), *_open_to_others(folder), *_disk(folder)]
    return [*found, *_published(folder, now)]


def _key(folder: Path) -> Iterator[Complaint]:
    path = folder / "pseudonym.key"
    if not path.exists():
        cure = "Restore it from a backup; without it nobody in the store is recognised again."
        yield Complaint("key", str(path), "is lost.", cure)
        return
    try:
        people.load_key(folder)
    except StoreError as error:
        for problem in error.problems:
            says, _, cure = problem.message.partition(". ")
            yield Complaint("key", problem.where, f"{says}.", cure)


def _work(folder: Path) -> Iterator[Complaint]:
    """Compare version and key of the star, unless a scan has it open."""
    path = folder / "work.duckdb"
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as con:
            kept = dict(con.execute("SELECT key, value FROM setting").fetchall())
    except duckdb.Error as error:
        if "Could not set lock" not in str(error):
            says = f"cannot be read: {str(error).partition(chr(10))[0].rstrip('.')}."
            cure = "Restore it from a backup, or scan into a new folder."
            yield Complaint("store", str(path), says, cure)
        return
    if kept.get("schema") not in {store.SCHEMA, *store.OLDER}:
        says = f"has version {kept.get('schema')}, and this Sundial writes {store.SCHEMA}."
        yield Complaint("version", str(path), says, "Scan into a new folder.")
    if (folder / "pseudonym.key").exists() and not list(_key(folder)):
        mark = people.Pseudonyms(people.load_key(folder)).spelling("sundial")
        if kept.get("key") not in {None, mark}:
            says = "was written under another pseudonym.key."
            yield Complaint("key", str(path), says, "Restore that key, or scan into a new folder.")


def _open_to_others(folder: Path) -> Iterator[Complaint]:
    path = folder / "work.duckdb"
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        says = f"holds pseudonyms and is open to others (mode {mode:04o})."
        yield Complaint("permissions", str(path), says, "Run chmod 600 on it.")
    if not os.access(folder, os.W_OK):
        says, cure = "cannot be written.", "Give its owner the right to write, or scan as owner."
        yield Complaint("permissions", str(folder), says, cure)


def _disk(folder: Path) -> Iterator[Complaint]:
    free = shutil.disk_usage(folder).free
    needed = ROOM + sum(file.stat().st_size for file in folder.glob("findings.duckdb"))
    if free < needed:
        says = f"{free / 1e9:.1f} GB are left on its disk, and a scan may need {needed / 1e9:.1f}."
        yield Complaint("disk", str(folder), says, "Make room.")


def _published(folder: Path, now: datetime) -> Iterator[Complaint]:
    path = folder / "findings.duckdb"
    if not path.exists():
        yield Complaint("store", str(path), "was never published.", "Scan again.")
        return
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as con:
            meta = dict(con.execute("SELECT key, value FROM meta").fetchall())
            if meta.get("schema_version") != store.SCHEMA:
                says = "was published by another version of Sundial."
                yield Complaint("version", str(path), says, "Scan again; it is written anew.")
                return
            yield from _age(path, meta, now)
            yield from _newest(con, now)
            for name, told in _CHECKS.items():
                for row in con.execute(sql.sections("doctor.sql")[name]).fetchall():
                    yield told(row)
    except duckdb.Error as error:
        says = f"cannot be read: {str(error).partition(chr(10))[0].rstrip('.')}."
        yield Complaint("store", str(path), says, "Scan again; it is written anew.")


def _age(path: Path, meta: dict[str, str], now: datetime) -> Iterator[Complaint]:
    published = datetime.fromisoformat(meta["published_at"])
    if now - published > STALE:
        says = f"was last written on {_day(published)}."
        yield Complaint("scan", str(path), says, "See whether the scan still runs.")


def _newest(con: duckdb.DuckDBPyConnection, now: datetime) -> Iterator[Complaint]:
    """Find out whether all sources have fallen silent, which none beside it can show."""
    last = con.execute(sql.sections("doctor.sql")["last"]).fetchall()[0][0]
    if last is not None and now - last.replace(tzinfo=UTC) > STALE:
        says = f"the newest line of any is of {_day(last)}."
        yield Complaint(
            "silent_source", "all sources", says, "See whether their exports still run."
        )


def _silent(row: Row) -> Complaint:
    cure = 'See whether its export still runs, or call it "retired"; whom only it saw is hidden.'
    return Complaint("silent_source", row[0], f"silent since {_day(row[1])}.", cure)


def _fewer(row: Row) -> Complaint:
    source, department, seen, expected = row
    share = f"at most {100 * seen / expected:.0f} %"
    says = f"saw {share} of the people of {department} whom it used to see, in the last seven days."
    return Complaint("fewer_people", source, says, "See whether all its devices still log.")


def _rejects(row: Row) -> Complaint:
    source, path, now, before = row
    says = f"{now:.0%} of the lines of {path} could not be read, {before:.0%} before."
    cure = f"See 'sundial lint' on that file; the format of {source} may have changed."
    return Complaint("rejects", source, says, cure)


def _files(row: Row) -> Complaint:
    status, count, path, note = row
    many = "1 file is" if count == 1 else f"{count} files are"
    says = f"{many} {status}, the first with this note: {note or 'none'}."
    return Complaint("files", path, says, "See 'sundial lint' on it, then scan again.")


def _clocks(row: Row) -> Complaint:
    says = f"its clock is {round(row[1] / 60)} minutes ahead of the files it writes."
    cure = "Set it, or the zone of the source in sundial.toml, and scan into a new store."
    return Complaint("clock", row[0], says, cure)


def _skew(row: Row) -> Complaint:
    source, beside, seconds = row
    side = "ahead of" if seconds > 0 else "behind"
    says = f"its clock is {abs(seconds):,} seconds {side} that of {beside}, by what both saw."
    return Complaint("clock", source, says, f'Set one of them, or "ahead" of {source}.')


def _floor(row: Row) -> Complaint:
    department, seen, headcount, last = row
    seen = "few" if seen is None else seen
    of = "" if headcount is None else f" of {headcount}"
    since = f", visible last in the week of {_day(last)}" if last else ""
    says = f"not visible: the logs saw {seen}{of} people in the last week{since}."
    return Complaint("coverage", department, says, "Collect the logs of its site or network.")


def _hidden(row: Row) -> Complaint:
    department, apps = row
    says = f"{', '.join(apps[:4])}{' and others' if len(apps) > 4 else ''} not visible there."
    cure = "A source that saw most of their people is silent; see whether its export still runs."
    return Complaint("coverage", department, says, cure)


def _unplaced(row: Row) -> Complaint:
    now, before = row
    known = "" if before is None else f", {before:.0%} in the weeks before"
    says = f"nobody it names made {now:.0%} of the requests of the last seven days{known}."
    return Complaint("directory", "directory", says, "Export it anew and scan with --people.")


_CHECKS: Final[dict[str, Callable[[Row], Complaint]]] = {
    "silent": _silent,
    "fewer": _fewer,
    "rejects": _rejects,
    "files": _files,
    "clocks": _clocks,
    "skew": _skew,
    "floor": _floor,
    "hidden": _hidden,
    "unplaced": _unplaced,
}
"""Section of doctor.sql to the words for each of its rows."""


def _day(moment: date) -> str:
    return f"{moment.day} {moment:%B %Y}"
