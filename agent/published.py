"""Reads what was published, for those who ask on the command line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from agent.errors import Problem, StoreError


def unknown_queue(folder: Path, most: int) -> list[dict[str, Any]]:
    """Return the first rows of the published ``unknown_queue``.

    Raises StoreError where nothing is published.
    """
    published = folder / "findings.duckdb"
    if not published.exists():
        raise StoreError(Problem(str(folder), "holds no findings; scan logs into it first."))
    with closing(duckdb.connect(str(published), read_only=True)) as con:
        found = con.execute("SELECT * FROM unknown_queue ORDER BY rowid LIMIT ?", [most])
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def confidence(folder: Path, app: str) -> list[dict[str, Any]] | None:
    """Return the rows of the published ``finding_confidence`` on an app, the surest first.

    None where nothing that tells it is published.
    """
    published = folder / "findings.duckdb"
    if not published.is_file():
        return None
    try:
        with closing(duckdb.connect(str(published), read_only=True)) as con:
            found = con.execute(
                "SELECT department, round(confidence, 3) AS confidence, rule_kind, days_from,"
                " kinds_agree, sources FROM finding_confidence WHERE app = ?"
                " ORDER BY finding_confidence.confidence DESC, lower(department)",
                [app],
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error:  # findings of an earlier Sundial
        return None
