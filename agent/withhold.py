"""Keeps the use of personal apps by department, never by person.

A category may say ``personal = true``. Who uses its apps is nobody's business at work, so a log's
lines on them are kept as those on unknown hosts are: by department, with a sketch that counts
people and names none. What an earlier scan kept by person is folded up the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

import duckdb
import pyarrow as pa

from agent import sql
from agent.model import Match


def by_department(
    con: duckdb.DuckDBPyConnection,
    personal: AbstractSet[str],
    match: Callable[[str], Match],
    fold: Callable[[str], str | None],
) -> None:
    """Move rows of ``usage`` on hosts of ``personal`` apps to ``unknown_usage``, marked as such.

    Runs inside the transaction of the caller, once everybody is in their department.
    """
    if not personal:
        return
    met = con.execute("SELECT host_id, host FROM host WHERE app = ANY(?)", [list(personal)])
    hosts = pa.Table.from_pylist(
        [{"host_id": number, "fold": fold(host) or host} for number, host in met.fetchall()],
        pa.schema([("host_id", pa.int32()), ("fold", pa.string())]),
    )
    with sql.lent(con, {"given_host": hosts}):
        con.execute(sql.script("withhold.sql"))
    unclaimed = con.execute(
        "SELECT DISTINCT host FROM unknown_usage ANTI JOIN claimed USING (host)"
    ).fetchall()
    found = ((name, match(name.removeprefix("*."))) for (name,) in unclaimed)
    rows = [
        {"host": name, "app": one.app, "rule": one.rule}
        for name, one in found
        if one.app in personal
    ]
    names = [(name, pa.string()) for name in ("host", "app", "rule")]
    with sql.lent(con, {"given_claim": pa.Table.from_pylist(rows, pa.schema(names))}):
        con.execute("INSERT INTO claimed SELECT host, app, rule FROM given_claim")
