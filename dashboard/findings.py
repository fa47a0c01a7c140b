"""Holds the published file open for reading, always the newest one, without ever locking it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

Rows = list[dict[str, Any]]
"""What a question returns: one mapping a row, NULL as None, dates as ``date``."""

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Store:
    """One published version of the findings: the folder and the identity of the file in it."""

    folder: str
    inode: int
    mtime_ns: int

    @property
    def file(self) -> Path:
        """The database file."""
        return Path(self.folder) / "findings.duckdb"


_hubs: dict[Store, duckdb.DuckDBPyConnection] = {}


def find(folder: str | Path) -> Store | None:
    """Return the version that is published in a folder now, None where there is none."""
    try:
        seen = (Path(folder) / "findings.duckdb").stat()
    except OSError:
        return None
    return Store(str(folder), seen.st_ino, seen.st_mtime_ns)


def rows(store: Store, sql: str, **values: object) -> Rows:
    """Run one read-only query with bound values; tables stand in schema ``f``.

    Raises ``duckdb.Error`` when the file cannot be read.
    """
    cursor = _hub(store).cursor()
    try:
        cursor.execute(sql, values or None)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        cursor.close()


def _hub(store: Store) -> duckdb.DuckDBPyConnection:
    with _lock:
        if store not in _hubs:
            _hubs.clear()  # open cursors keep the old file alive until they are done
            _hubs[store] = _attach(store)
        return _hubs[store]


def _attach(store: Store) -> duckdb.DuckDBPyConnection:
    # Connecting to the path itself would return the old instance after a new file was published
    # over the old name, and would lock the agent out; an attached file does neither.
    hub = duckdb.connect(
        config={
            "threads": 2,
            "memory_limit": "512MB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    quoted = str(store.file).replace("'", "''")
    hub.execute(f"ATTACH '{quoted}' AS f (READ_ONLY)")
    hub.execute("SET enable_external_access = false")
    hub.execute("SET lock_configuration = true")
    return hub
