"""The only writer: keeps work.duckdb, merges batches exactly once, publishes findings whole.

A batch and the ledger rows of its files go in together in one transaction, so a scan that is
killed at any moment either has a stretch of a log or will read it again. What readers open is a
second file, written anew, checkpointed and swapped in.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from agent.errors import Problem, StoreError
from agent.sql import THREADS, lent, script, sections

SCHEMA = "5"
"""Version of the star; a store of another version is refused, never half read."""
_NEW_IN_5 = """
ALTER TABLE log_file ADD COLUMN beginnings BLOB DEFAULT '';
"""
_NEW_IN_4 = """
ALTER TABLE presence ADD COLUMN tunnels BIGINT;
ALTER TABLE presence ADD COLUMN bare BIGINT;
ALTER TABLE presence ADD COLUMN agents UBIGINT;
"""
_NEW_IN_3 = """
ALTER TABLE presence ADD COLUMN unnamed BIGINT;
ALTER TABLE presence ADD COLUMN hours INTEGER;
"""
OLDER = {
    "2": _NEW_IN_3 + _NEW_IN_4 + _NEW_IN_5,
    "3": _NEW_IN_4 + _NEW_IN_5,
    "4": _NEW_IN_5,
}
"""Older versions that become this one, and how."""


_Octets = bytes  # a ledger has a column "bytes"
_NEVER = datetime(1970, 1, 1)  # noqa: DTZ001 - DuckDB keeps times in UTC and without a zone


@dataclass(slots=True)
class Ledger:
    """What is known of one log file; the row of table ``log_file``."""

    file_id: int
    source: str | None
    path: str
    format: str | None
    head_length: int
    head_digest: str
    consumed: int = 0
    tail_digest: str = ""
    also: list[str] = field(default_factory=list)
    """Names of formats that read what ``format`` rejects."""
    layout: list[str] = field(default_factory=list)
    """Names of the columns in force at ``consumed``, where a header gave them."""
    size: int = 0
    modified: datetime = _NEVER
    lines: int = 0
    events: int = 0
    rejects: int = 0
    bytes: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    has_user: bool = False
    has_bytes: bool = False
    has_client: bool = False
    status: str = "open"
    note: str | None = None
    scanned_at: datetime = _NEVER
    seconds: float = 0.0
    tail_lines: int = 0
    tail_events: int = 0
    tail_rejects: int = 0
    """What an unfinished last line gave; part of the sums above until the file has grown."""
    beginnings: _Octets = b""
    """Of each line of the head: 4 bytes that tell the head up to there; empty where not known."""

    @property
    def firm(self) -> bool:
        """Whether nothing of the file is provisional."""
        return self.consumed > 0 and not self.tail_lines


@dataclass(frozen=True, slots=True)
class Reject:
    """Some lines of one file that were left out, for one reason."""

    file_id: int
    reason: str
    lines: int
    first_line: int
    sample: str
    tail_of: int | None = None


class Facts(Protocol):
    """The Arrow tables that a batch brings, as ``agent.rollup.Batch`` makes them."""

    @property
    def usage(self) -> pa.Table:
        """Use of catalogued hosts, by day, host, actor and source."""

    @property
    def unknown(self) -> pa.Table:
        """Use of all other hosts, by day, fold and department."""

    @property
    def presence(self) -> pa.Table:
        """Requests of each actor by day and source."""

    @property
    def source_day(self) -> pa.Table:
        """Events of each source by day."""

    @property
    def hosts(self) -> pa.Table:
        """What the catalogue says of each host."""

    @property
    def actors(self) -> pa.Table:
        """Who was met, by key."""

    @property
    def said(self) -> pa.Table:
        """Which departments the logs themselves name, by actor, each with its first day."""

    @property
    def sightings(self) -> pa.Table:
        """Which users were seen at which addresses, by day."""

    @property
    def evidence(self) -> pa.Table:
        """Where each file names each catalogued host."""

    def heard(self) -> pa.Table:
        """Which hosts lead to a name of the catalogue, and where and when that was seen."""


class Store:
    """The folder of a store, opened for writing; nobody else may have it open."""

    def __init__(self, folder: Path, *, memory: str = "700MB") -> None:
        """Open or make the store. Raises StoreError with the cure where that cannot be."""
        self.folder = folder
        self.path = folder / "work.duckdb"
        self.spill = folder / ".spill-lines"
        """Where reading may put what does not fit in memory; emptied before and after."""
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory,
            "threads": THREADS,
            "temp_directory": str(folder / ".spill"),
        }
        with _explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with _explained(self.path):
            self._config = config
            self.con = duckdb.connect(str(self.path), config=config)
        try:
            self._prepare()
        except BaseException:
            self.con.close()
            raise

    def _prepare(self) -> None:
        """Clear away what a killed scan left, and make the tables of a new store."""
        with _explained(self.path):
            self.path.chmod(0o600)
            self._clear()
            run(self.con, "SET TimeZone = 'UTC'")
            if not self._tables():
                with self.transaction() as con:
                    run(con, script("schema.sql"))
                    run(con, "INSERT INTO setting VALUES ('schema', ?)", [SCHEMA])
            found = self.setting("schema") if "setting" in self._tables() else None
            if found in OLDER:
                with self.transaction() as con:
                    run(con, OLDER[found])
                    run(con, "UPDATE setting SET value = ? WHERE key = 'schema'", [SCHEMA])
                found = SCHEMA
        if found != SCHEMA:
            other = "was made by another version of Sundial; scan into a new folder."
            raise StoreError(Problem(str(self.folder), other))
        # A store of an earlier Sundial.
        late = {"claimed", "claim", "past_cell", "vault", "sighting", "white_label", "past_unknown"}
        if not late <= self._tables():
            with self.transaction() as con:
                run(con, script("schema.sql"))

    def _tables(self) -> set[str]:
        return {
            name
            for (name,) in self.con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }

    def _clear(self) -> None:
        for pattern in (".findings-*.duckdb*", ".rewritten-*.duckdb*"):
            for left in self.folder.glob(pattern):
                left.unlink()
        shutil.rmtree(self.spill, ignore_errors=True)

    def close(self) -> None:
        """Let go of the store."""
        self.con.close()
        shutil.rmtree(self.spill, ignore_errors=True)

    def setting(self, key: str) -> str | None:
        """Return what was set for this store."""
        found = self.con.execute("SELECT value FROM setting WHERE key = ?", [key]).fetchall()
        return str(found[0][0]) if found else None

    def set(self, key: str, value: str) -> None:
        """Set something for this store."""
        if self.setting(key) != value:
            with self.transaction() as con:
                run(con, "INSERT OR REPLACE INTO setting VALUES (?, ?)", [key, value])

    def belongs_to(self, fingerprint: str) -> None:
        """Refuse a key under which nobody in the store would be recognised."""
        if self.setting("key") not in {None, fingerprint}:
            other = (
                "was written under another pseudonym.key; restore that key, or use a new folder."
            )
            if (self.folder / "pseudonym.key.new").exists():
                other = "is half-way to a new key; run 'sundial privacy rotate-key' again."
            raise StoreError(Problem(str(self.folder), other))
        self.set("key", fingerprint)

    def ledger(self) -> list[Ledger]:
        """Return what is known of every file that was read, in any order."""
        names = ", ".join(item.name for item in fields(Ledger))
        rows = self.con.sql(
            f"SELECT {names} FROM log_file LEFT JOIN source USING (source_id)"
        ).fetchall()
        return [Ledger(*row) for row in rows]

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Do all of a block or nothing."""
        with _explained(self.folder / "work.duckdb"):
            run(self.con, "BEGIN")
            try:
                yield self.con
                run(self.con, "COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # a commit that failed has been rolled back
                    run(self.con, "ROLLBACK")
                raise

    def merge(self, batch: Facts, ledgers: Sequence[Ledger], rejects: Sequence[Reject]) -> None:
        """Add a batch together with the ledger rows of its files, all or nothing.

        A file whose stored ``consumed`` differs from what the batch was read from would be counted
        twice; callers take ``consumed`` from ``ledger()``, and this class has the only writer.
        """
        tables = {
            "new_usage": batch.usage,
            "new_unknown": batch.unknown,
            "new_presence": batch.presence,
            "new_source_day": batch.source_day,
            "new_host": batch.hosts,
            "new_actor": batch.actors,
            "new_stated": batch.said,
            "new_sighting": batch.sightings,
            "new_evidence": batch.evidence,
            "new_white_label": batch.heard,
            "new_file": _ledger_table(ledgers),
            "new_reject": _reject_table(rejects),
        }
        with lent(self.con, tables), self.transaction() as con:
            for sql in sections("store.sql").values():
                run(con, sql)

    def rewrite(self) -> None:
        """Write the store anew: a database keeps what was deleted in blocks that are free."""
        fresh = self.folder / ".rewritten-work.duckdb"
        quoted = str(fresh).replace("'", "''")
        with _explained(self.path):
            fresh.unlink(missing_ok=True)
            own = self.con.execute("SELECT current_database()").fetchall()[0][0]
            run(self.con, f"ATTACH '{quoted}' AS rewritten")
            try:
                fresh.chmod(0o600)
                run(self.con, f"COPY FROM DATABASE {own} TO rewritten")
                run(self.con, "CHECKPOINT rewritten")
            finally:
                run(self.con, "DETACH rewritten")
            self.con.close()
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            fresh.replace(self.path)
            self.con = duckdb.connect(str(self.path), config=self._config)

    def publish(self, derive: Callable[[duckdb.DuckDBPyConnection], None]) -> Path:
        """Write findings.duckdb anew with ``derive`` and swap it in; readers see old or new."""
        target = self.folder / "findings.duckdb"
        draft = self.folder / f".findings-{os.getpid()}.duckdb"
        with _explained(target):
            try:
                self._write(draft, derive)
                draft.chmod(0o644)
                draft.replace(target)
            finally:
                for left in self.folder.glob(f"{draft.name}*"):
                    left.unlink()
        return target

    def _write(self, draft: Path, derive: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        """Write a database that is complete on disk when this returns."""
        quoted = str(draft).replace("'", "''")
        # Freed blocks of a database keep what was in them, so what derive took back is not copied.
        run(self.con, f"ATTACH '{quoted}.full' AS findings")
        try:
            Path(f"{draft}.full").chmod(0o600)
            derive(self.con)
            run(self.con, f"ATTACH '{quoted}' AS published")
            try:
                run(self.con, "COPY FROM DATABASE findings TO published")
                run(self.con, "CHECKPOINT published")
            finally:
                run(self.con, "DETACH published")
        finally:
            run(self.con, "DETACH findings")
        with draft.open("rb") as file:
            os.fsync(file.fileno())


def existing(folder: Path) -> Store:
    """Open a store that is there. Raises StoreError where there is none."""
    if not (folder / "work.duckdb").exists():
        raise StoreError(Problem(str(folder), "holds no store; scan logs into it first."))
    return Store(folder)


def run(con: duckdb.DuckDBPyConnection, sql: str, values: object = None) -> None:
    """Execute statements to their end and let go of their result."""
    con.execute(sql, values).fetchall()


def next_id(ledgers: Sequence[Ledger]) -> int:
    """Return a file id that is not taken."""
    return max((row.file_id for row in ledgers), default=0) + 1


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what DuckDB or the system says of a store into one line with a cure."""
    try:
        yield
    except duckdb.Error as error:
        cure = _cure(error)
        if cure is None:
            raise
        raise StoreError(Problem(str(path), cure)) from error
    except OSError as error:
        cure = f"cannot be written: {error.strerror}. Choose a folder that you may write."
        raise StoreError(Problem(str(path), _FULL if error.errno in _NO_ROOM else cure)) from error


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL = "cannot be written: the disk is full. What was stored is safe; make room and scan again."


def _cure(error: duckdb.Error) -> str | None:
    """Return what is wrong and what to do; None for what is a mistake of ours."""
    text = str(error)
    if "Could not set lock" in text:
        return "is in use by another scan; wait for it to end."
    if any(os.strerror(number) in text for number in _NO_ROOM):
        return _FULL
    if isinstance(error, duckdb.OutOfMemoryException):
        return "needs more memory than there is; make room on the disk to spill, and scan again."
    if isinstance(error, duckdb.IOException | duckdb.SerializationException):
        first = text.partition("\n")[0].rstrip(".")
        return f"cannot be used: {first}. Restore it from a backup, or scan into a new folder."
    return None


def _ledger_table(rows: Sequence[Ledger]) -> pa.Table:
    return _table(Ledger, rows, {
        "file_id": pa.int32(), "also": _NAMES, "layout": _NAMES, "seconds": pa.float64(),
        "modified": _TIME, "first_seen": _TIME, "last_seen": _TIME, "scanned_at": _TIME,
        "has_user": pa.bool_(), "has_bytes": pa.bool_(), "has_client": pa.bool_(),
        "source": pa.string(), "path": pa.string(), "format": pa.string(),
        "head_digest": pa.string(), "tail_digest": pa.string(),
        "status": pa.string(), "note": pa.string(), "beginnings": pa.binary(),
    })  # fmt: skip


def _reject_table(rows: Sequence[Reject]) -> pa.Table:
    kinds = {"file_id": pa.int32(), "reason": pa.string(), "sample": pa.string()}
    return _table(Reject, rows, kinds | {"tail_of": pa.int32()})


_TIME, _NAMES = pa.timestamp("us"), pa.list_(pa.string())


def _table(
    kind: type[Ledger | Reject],
    rows: Sequence[Ledger | Reject],
    types: Mapping[str, pa.DataType],
) -> pa.Table:
    """Return rows as columns, in the order of their class; what is not said is a whole number."""
    return pa.table(
        {
            item.name: pa.array(
                [getattr(row, item.name) for row in rows], types.get(item.name, pa.int64())
            )
            for item in fields(kind)
        }
    )
