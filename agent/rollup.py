"""Many events to few rows: what one batch of log lines says, as Arrow tables with natural keys.

A batch is a pure function of lines, rules and people. It knows no store and no ids, so the same
code can run in any process, and merging its tables is somebody else's business (``agent.store``).
DuckDB groups; Python sees each distinct host, client and user once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files

import duckdb
import pyarrow as pa

from agent.model import Match

FULL = 1_500_000
"""Cells that are held before they are resolved: bounds memory, whatever the size of a log."""
_REMEMBERED = 500_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Partial facts of some stretches of log files; natural keys, no ids."""

    usage: pa.Table
    """day, host, actor, source, tail, requests, blocked, bytes_out, bytes_in, first/last_seen."""
    unknown: pa.Table
    """day, host (folded), department, source, tail, …, user_bits and address_bits (text of UHUGEINT)."""
    presence: pa.Table
    """day, actor, source, tail, requests."""
    source_day: pa.Table
    """day, source, tail, events, unnamed, first_seen, last_seen."""
    hosts: pa.Table
    """host, app, signal, evidence, tenant, rule."""
    actors: pa.Table
    """key, is_user, alt_key, network."""


@dataclass(slots=True)
class Counts:
    """How the lines of one stretch came out."""

    lines: int = 0
    events: int = 0
    rejects: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Reason to (lines, number of the first one)."""
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    has_user: bool = False
    has_client: bool = False
    has_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """How raw text becomes keys: every function sees each distinct text once."""

    host: Callable[[str], str | None]
    """A host as written to its one spelling, None where it is no name."""
    match: Callable[[str], Match]
    fold: Callable[[str], str | None]
    user: Callable[[str], tuple[str, str | None]]
    """A user as written to its pseudonym, and that of the part before the ``@``."""
    client: Callable[[str], tuple[str, str | None] | None]
    """A client as written to its pseudonym and network; None where it is no address."""


class Rollup:
    """Gathers the events of many log files until they are taken as one batch."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        naming: Naming,
        stays: pa.Table,
        networks: pa.Table,
        timezone: str = "UTC",
    ) -> None:
        """Prepare tables in ``con``; ``timezone`` is where the company's days begin."""
        self._con = con
        self._naming = naming
        self._day = "CAST(ts AS DATE)"
        if timezone != "UTC":
            zone = timezone.replace("'", "''")
            self._day = f"CAST(timezone('{zone}', timezone('UTC', ts)) AS DATE)"
        self._names: dict[str, tuple[str | None, ...]] = {}
        self._clients: dict[str, tuple[str | None, str | None]] = {}
        self._users: dict[str, tuple[str, str | None]] = {}
        con.register("stays", stays)
        con.register("networks", networks)
        con.execute(
            'CREATE OR REPLACE TABLE cell (day DATE, host VARCHAR, client VARCHAR, "user" VARCHAR, '
            "requests BIGINT, blocked BIGINT, bytes_out BIGINT, bytes_in BIGINT, "
            "first_seen TIMESTAMP, last_seen TIMESTAMP, source VARCHAR, tail INTEGER)"
        )
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether it is time to take what was gathered."""
        return self.held >= FULL

    def add(self, events: str, source: str, tail: int | None = None) -> Counts:
        """Group the events of a SELECT into cells; return how its lines came out.

        ``tail`` marks the file whose unfinished last line this is.
        """
        sections = _sections()
        run(self._con, sections["gather"].format(day=self._day, events=events))
        counts = Counts()
        for outcome, lines, first, start, end, user, client, size in self._con.sql(
            sections["outcomes"]
        ).fetchall():
            counts.lines += lines
            if outcome is None:
                counts.events += lines
                counts.first_seen, counts.last_seen = start, end
                counts.has_user, counts.has_client, counts.has_bytes = user, client, size
            elif outcome != "other":
                counts.rejects[outcome] = (lines, first)
        kept = self._con.execute(sections["keep"], {"source": source, "tail": tail}).fetchall()
        self.held += int(kept[0][0])
        return counts

    def take(self) -> Batch:
        """Resolve and return what was gathered, and start afresh."""
        self._name()
        run(self._con, _sections()["resolve"])
        tables = {
            name: self._table(_sections()[name])
            for name in ("usage", "unknown", "presence", "source_day", "hosts", "actors")
        }
        run(self._con, "DROP TABLE placed")
        run(self._con, "DELETE FROM cell")
        self.held = 0
        return Batch(**tables)

    def _table(self, sql: str) -> pa.Table:
        """Return a result as Arrow; a 128-bit number travels as text, Arrow has no such type."""
        if "user_bits" in sql:
            bits = "user_bits::VARCHAR AS user_bits, address_bits::VARCHAR AS address_bits"
            sql = f"SELECT * REPLACE ({bits}) FROM ({sql.strip().rstrip(';')})"
        return self._con.sql(sql).to_arrow_table()

    def _distinct(self, column: str) -> list[str]:
        rows = self._con.sql(
            f'SELECT DISTINCT "{column}" AS raw FROM cell WHERE "{column}" IS NOT NULL'
        ).to_arrow_table()
        raw: list[str] = rows.column("raw").to_pylist()
        return raw

    def _name(self) -> None:
        """Register what each distinct host, client and user is."""
        naming = self._naming
        hosts, clients, users = (self._distinct(column) for column in ("host", "client", "user"))
        for remembered in (self._names, self._clients, self._users):
            if len(remembered) > _REMEMBERED:
                remembered.clear()
        names, known_clients, known_users = self._names, self._clients, self._users
        for raw in hosts:
            if raw not in names:
                names[raw] = _named(raw, naming)
        for raw in clients:
            if raw not in known_clients:
                known_clients[raw] = naming.client(raw) or (None, None)
        for raw in users:
            if raw not in known_users:
                known_users[raw] = naming.user(raw)
        columns = ("host", "app", "signal", "evidence", "tenant", "rule", "folded")
        self._register("names", columns, hosts, names)
        self._register("clients", ("key", "network"), clients, known_clients)
        self._register("users", ("key", "alt_key"), users, known_users)

    def _register(
        self,
        name: str,
        columns: Sequence[str],
        raw: Sequence[str],
        values: dict[str, tuple[str | None, ...]] | dict[str, tuple[str | None, str | None]] | dict[str, tuple[str, str | None]],
    ) -> None:
        rows = [values[text] for text in raw]
        arrays = [pa.array([row[n] for row in rows], pa.string()) for n in range(len(columns))]
        table = pa.table([pa.array(raw, pa.string()), *arrays], names=["raw", *columns])
        self._con.register(name, table)


def _named(raw: str, naming: Naming) -> tuple[str | None, ...]:
    host = naming.host(raw)
    if host is None:
        return (None,) * 7
    match = naming.match(host)
    if match.app is None or match.signal is None:
        return (host, None, None, None, None, None, naming.fold(host))
    return (
        host,
        match.app,
        match.signal.value,
        match.signal.evidence.value,
        match.tenant,
        match.rule,
        None,
    )


def run(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Execute statements to their end and let go of their result."""
    con.execute(sql).fetchall()


def _sections() -> dict[str, str]:
    """Return the statements of rollup.sql by the name above each."""
    if not _SECTIONS:
        text = (files("agent") / "rollup.sql").read_text(encoding="utf-8")
        for part in text.split("-- section: ")[1:]:
            name, _, sql = part.partition("\n")
            _SECTIONS[name.strip()] = sql
    return _SECTIONS


_SECTIONS: dict[str, str] = {}
