"""The only writer: keeps work.duckdb, merges batches exactly once, publishes findings whole.

A batch and the ledger rows of its files go in together in one transaction, so a scan that is
killed at any moment either has a stretch of a log or will read it again. What readers open is a
second file, written anew, checkpointed and swapped in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa

from agent.errors import Problem, StoreError

SCHEMA = "1"
"""Version of the star; a store of another version is refused, never half read."""


@dataclass(slots=True)
class Ledger:
    """What is known of one log file; the row of table ``log_file``."""

    file_id: int
    source: str
    path: str
    format: str | None
    head_length: int
    head_digest: str
    consumed: int = 0
    tail_digest: str = ""
    layout: list[str] = field(default_factory=list)
    size: int = 0
    modified: datetime = datetime.min
    lines: int = 0
    events: int = 0
    rejects: int = 0
    bytes: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    has_user: bool = False
    has_bytes: bool = False
    has_client: bool = False
    status: str = "read"
    note: str | None = None
    scanned_at: datetime = datetime.min
    seconds: float = 0.0
    tail_lines: int = 0
    tail_events: int = 0
    tail_rejects: int = 0
    """What an unfinished last line gave; part of the sums above until the file has grown."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Some lines of one file that could not be read, for one reason."""

    file_id: int
    reason: str
    lines: int
    first_line: int
    sample: str
    tail_of: int | None = None


class Facts:
    """Names of the Arrow tables that a batch brings, as ``agent.rollup.Batch`` makes them."""

    usage: pa.Table
    unknown: pa.Table
    presence: pa.Table
    source_day: pa.Table
    hosts: pa.Table
    actors: pa.Table


class Store:
    """The folder of a store, opened for writing; nobody else may have it open."""

    def __init__(self, folder: Path, *, memory: str = "700MB", threads: int = 2) -> None:
        """Open or make the store. Raises StoreError with the cure where that cannot be."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(".findings-*.duckdb*"):
                left.unlink()
        except OSError as error:
            raise StoreError(Problem(str(folder), f"cannot be used: {error.strerror}.")) from error
        path = folder / "work.duckdb"
        with _explained(path):
            self.con = duckdb.connect(
                str(path),
                config={
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "memory_limit": memory,
                    "threads": threads,
                    "temp_directory": str(folder / ".spill"),
                },
            )
            run(self.con, "SET TimeZone = 'UTC'")
            path.chmod(0o600)
            run(self.con, (files("agent") / "schema.sql").read_text(encoding="utf-8"))
        self._settle("schema", SCHEMA, "was made by another version of Sundial; scan into a new folder.")

    def close(self) -> None:
        """Let go of the store."""
        self.con.close()

    def _settle(self, key: str, value: str, otherwise: str) -> None:
        """Set a value once; refuse the store where it is another one."""
        found = self.con.execute("SELECT value FROM setting WHERE key = ?", [key]).fetchall()
        if not found:
            run(self.con, "INSERT INTO setting VALUES (?, ?)", [key, value])
        elif found[0][0] != value:
            self.close()
            raise StoreError(Problem(str(self.folder), otherwise))

    def belongs_to(self, fingerprint: str) -> None:
        """Refuse a key under which nobody in the store would be recognised."""
        self._settle(
            "key",
            fingerprint,
            "was written under another pseudonym.key; restore that key, or scan into a new folder.",
        )

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
                run(self.con, "ROLLBACK")
                raise

    def merge(self, batch: Facts, ledgers: Sequence[Ledger], rejects: Sequence[Reject]) -> None:
        """Add a batch together with the ledger rows of its files, all or nothing.

        A file whose stored ``consumed`` differs from what the batch was read from would be counted
        twice; callers take ``consumed`` from ``ledger()``, and this class has the only writer.
        """
        sections = _sections("store.sql")
        tables = {
            "new_usage": batch.usage,
            "new_unknown": batch.unknown,
            "new_presence": batch.presence,
            "new_source_day": batch.source_day,
            "new_host": batch.hosts,
            "new_actor": batch.actors,
            "new_file": _ledger_table(ledgers),
            "new_reject": _reject_table(rejects),
        }
        with self._registered(tables), self.transaction() as con:
            for sql in sections.values():
                run(con, sql)

    @contextmanager
    def _registered(self, tables: Mapping[str, pa.Table]) -> Iterator[None]:
        for name, table in tables.items():
            self.con.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                self.con.unregister(name)

    def publish(self, derive: Callable[[duckdb.DuckDBPyConnection], None]) -> Path:
        """Write findings.duckdb anew with ``derive`` and swap it in; readers see old or new."""
        target = self.folder / "findings.duckdb"
        draft = self.folder / f".findings-{os.getpid()}.duckdb"
        with _explained(target):
            draft.unlink(missing_ok=True)
            run(self.con, f"ATTACH '{str(draft).replace(chr(39), chr(39) * 2)}' AS findings")
            try:
                derive(self.con)
                run(self.con, "CHECKPOINT findings")
            finally:
                run(self.con, "DETACH findings")
            draft.chmod(0o644)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(target)
        return target


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
        first = str(error).partition("\n")[0]
        if "lock" in first:
            cure = "is in use by another scan; wait for it to end."
        elif "space" in first or "No space left" in str(error):
            cure = "cannot be written: the disk is full. What was stored before is safe; make room and scan again."
        elif isinstance(error, duckdb.OutOfMemoryException):
            cure = "ran out of memory or room to spill; scan with a larger --memory or make room on the disk."
        elif isinstance(error, duckdb.IOException | duckdb.SerializationException):
            cure = f"cannot be read or written: {first}."
        else:
            raise
        raise StoreError(Problem(str(path), cure)) from error
    except OSError as error:
        raise StoreError(Problem(str(path), f"cannot be written: {error.strerror}.")) from error


def _ledger_table(rows: Sequence[Ledger]) -> pa.Table:
    names = [item.name for item in fields(Ledger)]
    columns = list(zip(*(_plain(row) for row in rows), strict=True)) or [()] * len(names)
    types: dict[str, pa.DataType] = {
        "file_id": pa.int32(), "layout": pa.list_(pa.string()), "seconds": pa.float64(),
        **dict.fromkeys(("modified", "first_seen", "last_seen", "scanned_at"), pa.timestamp("us")),
        **dict.fromkeys(("has_user", "has_bytes", "has_client"), pa.bool_()),
        **dict.fromkeys(("source", "path", "format", "head_digest", "tail_digest", "status", "note"), pa.string()),
    }  # fmt: skip
    return pa.table(
        [pa.array(list(column), types.get(name, pa.int64())) for name, column in zip(names, columns, strict=True)],
        names=names,
    )


def _plain(row: Ledger) -> tuple[object, ...]:
    return astuple(replace(row, layout=list(row.layout)))


def _reject_table(rows: Sequence[Reject]) -> pa.Table:
    types = (pa.int32(), pa.string(), pa.int64(), pa.int64(), pa.string(), pa.int32())
    columns = list(zip(*(astuple(row) for row in rows), strict=True)) or [()] * len(types)
    return pa.table(
        [pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)],
        names=[item.name for item in fields(Reject)],
    )


def _sections(name: str) -> dict[str, str]:
    text = (files("agent") / name).read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in text.split("-- section: ")[1:])
    return {title.strip(): sql for title, _, sql in parts}
