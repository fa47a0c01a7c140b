"""Reads the SQL that lies beside the modules, and lends Arrow tables to it while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources

import duckdb
import pyarrow as pa

THREADS = min(8, os.cpu_count() or 2)
"""Cores that a database may use; each wants memory of its own, and a scan keeps to a budget."""


@cache
def script(name: str) -> str:
    """Return the text of one of our SQL files."""
    return resources.files("agent").joinpath(name).read_text(encoding="utf-8")


@cache
def sections(name: str) -> Mapping[str, str]:
    """Return the parts of one of our SQL files by the title that ``-- section:`` gives each."""
    parts = (part.partition("\n") for part in script(name).split("-- section: ")[1:])
    return {title.strip(): sql for title, _, sql in parts}


@contextmanager
def lent(con: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> Iterator[None]:
    """Let statements of a block name these tables, and none after it."""
    for name, table in tables.items():
        con.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            con.unregister(name)
