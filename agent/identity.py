"""Who was behind an address at that second: claims of leases and log-ons, put on one timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from agent import sql

CLAIM: Final = pa.schema(
    {
        "kind": pa.string(),
        "source": pa.string(),
        "address": pa.string(),
        "ts": pa.timestamp("us"),
        "until": pa.timestamp("us"),
        "mac": pa.string(),
        "hostname": pa.string(),
        "user_key": pa.string(),
        "alt_key": pa.string(),
        "ends": pa.bool_(),
        "line": pa.int64(),
    }
)
"""A claim under pseudonyms: what is not said is empty, an end that is not told is null."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a claim is believed whose end nobody tells, and when an address is shared."""

    lease_hours: float = 24
    logon_hours: float = 8
    many: int = 4
    """People at one address at once from which it is shared, and no conflict any more."""
    days: str = "UTC"
    """Zone in which days are counted."""


def keep(con: duckdb.DuckDBPyConnection, claims: pa.Table, file: pa.Table) -> None:
    """Add the claims of one file (schema ``CLAIM``) and the row that says it was read."""
    with sql.lent(con, {"new_claim": claims, "new_claim_file": file}):
        con.execute(sql.sections("identity.sql")["keep"])


def own_devices(con: duckdb.DuckDBPyConnection, devices: pa.Table) -> None:
    """Replace the list of whose device is whose; a device of two owners is nobody's."""
    with sql.lent(con, {"new_device": devices}):
        con.execute(sql.sections("identity.sql")["devices"])


def any_claims(con: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether a lease or log-on was ever read."""
    return bool(con.execute("SELECT 1 FROM claim LIMIT 1").fetchall())


def timeline(con: duckdb.DuckDBPyConnection, terms: Terms) -> pa.Table:
    """Return address, since, until, user_key, alt_key of whoever had an address alone.

    Rows of one address do not overlap; until is exclusive. Conflicts and shared addresses are
    written down beside it.
    """
    values = {
        "lease_seconds": terms.lease_hours * 3600,
        "logon_seconds": terms.logon_hours * 3600,
        "many": terms.many,
        "days": terms.days,
    }
    for name, value in values.items():
        con.execute(f"SET VARIABLE {name} = $value", {"value": value})
    parts = sql.sections("identity.sql")
    con.execute(parts["intervals"])
    con.execute(parts["timeline"])
    found = con.sql(parts["holdings"]).to_arrow_table()
    con.execute("DROP TABLE timeline")
    return found
