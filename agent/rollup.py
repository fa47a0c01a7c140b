"""Many events to few rows: what one batch of log lines says, as Arrow tables with natural keys.

A batch is a pure function of lines, rules and people. It knows no store and no ids, so the same
code can run in any process, and merging its tables is somebody else's business (``agent.store``).
DuckDB groups; Python sees each distinct host, client and user once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from agent.model import Match
from agent.sql import sections

ANONYMOUS = "anonymous"
"""The actor of events that name neither user nor client."""
FULL = 1_000_000
"""Cells that are held before they are resolved: bounds memory, whatever the size of a log."""
_REMEMBERED = 500_000
_SELDOM = ("department", "alias")
"""Fields of events that few formats have."""
_STEPS = 8
"""Names that an answer may lead over, each in a line of its own."""
_FEW = 16
_EACH = {"join": "LEFT JOIN", "ends": "AND event.ts < near.until"}
"""How events find who had their address, where none of them has more than a few to compare with."""
_SORTED = {"join": "ASOF LEFT JOIN", "ends": ""}
"""How they find it where an address had many in turn: sorting all events takes longer at first."""
_SQL = sections("rollup.sql")

_TABLES = """
CREATE OR REPLACE TABLE placed (
    day DATE, source VARCHAR, tail INTEGER, actor INTEGER, network INTEGER, thing INTEGER,
    requests BIGINT, blocked BIGINT, bytes_out BIGINT, bytes_in BIGINT,
    first_seen TIMESTAMP, last_seen TIMESTAMP, hours INTEGER,
    tunnels BIGINT, bare BIGINT, agents UBIGINT, address INTEGER,
    file INTEGER, first_line BIGINT, last_line BIGINT
);
CREATE OR REPLACE TABLE stated (actor INTEGER, department VARCHAR, first_day DATE);
"""
_MEANINGS = """
CREATE OR REPLACE TABLE names (raw VARCHAR, thing INTEGER, bare BOOLEAN);
CREATE OR REPLACE TABLE clients (raw VARCHAR, actor INTEGER, network INTEGER, place INTEGER);
CREATE OR REPLACE TABLE users (raw VARCHAR, actor INTEGER);
CREATE OR REPLACE TABLE holders (raw INTEGER, actor INTEGER);
"""
_AGENTS = """bit_or(1::UBIGINT << (hash(user_agent) % 64)::UBIGINT) FILTER (
    "user" IS NULL AND starts_with(user_agent, 'Mozilla/'))"""
"""A sketch of the browsers that name no user: one of 64 bits each. Programs of other kinds, of
which a single desk runs dozens, are left out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Partial facts of some stretches of log files; natural keys, no ids."""

    usage: pa.Table
    """day, host, actor, source, tail, requests, blocked, bytes_out, bytes_in, first/last_seen."""
    unknown: pa.Table
    """day, host (folded), department, source, tail, …, user and address bits in halves."""
    presence: pa.Table
    """day, actor, source, tail, requests, unnamed, hours (a bit for each hour of UTC), tunnels,
    bare, agents (a sketch of 64 bits)."""
    sightings: pa.Table
    """day, actor, address, hours: users and the addresses that they were seen at."""
    source_day: pa.Table
    """day, source, tail, events, unnamed, first_seen, last_seen."""
    hosts: pa.Table
    """host, app, signal, evidence, tenant, rule."""
    actors: pa.Table
    """key, is_user, alt_key, network."""
    said: pa.Table
    """actor, department, first_day: what the logs themselves say of a department."""
    evidence: pa.Table
    """file, host, first_line, last_line, requests: where a file names a host of the catalogue."""
    heard: pa.Table
    """host, target, source, first_seen, last_seen: hosts that lead to a name of the catalogue."""


@dataclass(slots=True)
class Counts:
    """How the lines of one stretch came out."""

    lines: int = 0
    events: int = 0
    others: int = 0
    rejects: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Reason to (lines, number of the first one)."""
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    has_user: bool = False
    has_client: bool = False
    has_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """How lines are read that are no event of their file's first format."""

    also: Sequence[tuple[Callable[[str], str], bool]]
    """What makes a SELECT over a relation of lines, each with whether it is also for lines that
    rightly are no event of the first format: another vendor's lines may look so."""
    wanted: Callable[[Counts], bool]
    """Whether it is worth while, by how the lines came out at first."""
    further: Callable[[], Sequence[tuple[Callable[[str], str], bool]]]
    """Asked once for more of these, all lines that are left standing in ``rejected``."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How raw text becomes keys: every function sees each distinct text once."""

    host: Callable[[str], str | None]
    """A host as written to its one spelling, None where it is no name."""
    bare: Callable[[str], bool]
    """Whether a host as written is an address."""
    match: Callable[[str], Match]
    fold: Callable[[str], str | None]
    made: Callable[[str], bool]
    """Whether a machine made a label of a host."""
    folds_alike: Callable[[str], bool]
    """Whether all names of one made label under a parent have the same fold."""
    user: Callable[[str], tuple[str, str | None]]
    """A user as written to its pseudonym, and that of the part before the ``@``."""
    client: Callable[[str], tuple[str, str | None]]
    """A client as written to its pseudonym, and its network where it is an address."""
    suffixes: Sequence[str] = ()
    """Endings of names that tell what a host is whose answer leads there."""
    hear: Callable[[str, str], bool] = lambda _, __: False
    """Take note that a host leads to such a name; tells whether that makes it known."""


class Rollup:
    """Gathers the events of many log files until they are taken as one batch."""

    def __init__(  # noqa: PLR0913 - what is known of people comes in three tables
        self,
        con: duckdb.DuckDBPyConnection,
        naming: Naming,
        stays: pa.Table,
        networks: pa.Table,
        timezone: str = "UTC",
        *,
        holdings: pa.Table | None = None,
    ) -> None:
        """Prepare tables in ``con``; ``timezone`` is where the company's days begin.

        ``holdings`` say who had an address when, as ``identity.timeline`` gives them: an event that
        names no user is theirs.
        """
        self._con = con
        self._naming = naming
        self._day = "CAST(ts AS DATE)"
        if timezone != "UTC":
            zone = timezone.replace("'", "''")
            self._day = f"CAST(timezone('{zone}', timezone('UTC', ts)) AS DATE)"
        self._holdings = _Holdings(con, holdings) if holdings else None
        self._numbers = _Numbers(naming, self._holdings)
        self._heard: dict[tuple[str, str, str], tuple[datetime, datetime]] = {}
        endings = _table(suffix=(pa.string(), list(naming.suffixes)))
        con.register("endings", endings)
        run(con, "CREATE OR REPLACE TABLE ending AS SELECT suffix FROM endings")
        con.unregister("endings")
        con.register("stays", stays)
        con.register("networks", networks)
        run(con, _TABLES)
        run(con, _MEANINGS)
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether it is time to take what was gathered."""
        return self.held >= FULL

    def add(  # noqa: PLR0913 - what lines are, whose, and how to read what is left
        self,
        events: str,
        source: str,
        tail: int | None = None,
        retry: Retry | None = None,
        *,
        file: int | None = None,
        tells: Collection[str] = (),
    ) -> Counts:
        """Group the events of a SELECT over ``lines``; return how the lines came out.

        ``file`` is the one whose lines these are; ``tail`` marks the file whose unfinished last
        line this is. ``retry`` says how lines that the SELECT makes no event of are tried again.
        ``tells`` names those fields of ``department`` and ``alias`` that the lines may have.
        """
        counts = self._gather(events, tells)
        if retry is not None and retry.wanted(counts):
            tells = _SELDOM if self._retry(events, retry) else tells
            counts = self._gather("FROM event", _SELDOM)
        if "alias" in tells and tail is None:
            self._hear(source)
        self._learn("names", "host", self._numbers.names)
        self._learn("clients", "client", self._numbers.clients)
        self._learn("users", "user", self._numbers.users)
        if self._holdings:
            self._learn("holders", "holder", self._numbers.holders)
        placed = run(self._con, _SQL["place"], {"source": source, "tail": tail, "file": file})
        self.held += placed
        if "department" in tells and tail is None:
            # Half a word at the end of a file names no department.
            run(self._con, _SQL["stated"])
        return counts

    def _gather(self, events: str, tells: Collection[str]) -> Counts:
        """Group events by what they are and who is behind them, into table ``piece``."""
        given = {
            name: f"max({name})" if name in tells else "CAST(NULL AS VARCHAR)" for name in _SELDOM
        }
        holder = "CAST(NULL AS INTEGER)"
        if self._holdings:
            # Who had an address is a matter of seconds, so it is asked before anything is grouped.
            run(self._con, f"CREATE OR REPLACE TEMP TABLE told AS {events}")
            self._learn("clients", "client", self._numbers.clients, "told")
            events, holder = self._near(), "holder"
        given |= {"day": self._day, "events": events, "holder": holder, "agents": _AGENTS}
        run(self._con, _SQL["gather"].format(**given))
        counts = Counts()
        for outcome, lines, first, start, end, user, client, size in self._con.sql(
            _SQL["outcomes"]
        ).fetchall():
            counts.lines += lines
            if outcome is None:
                counts.events = lines
                counts.first_seen, counts.last_seen = start, end
                counts.has_user, counts.has_client, counts.has_bytes = user, client, size
            elif outcome == "other":
                counts.others = lines
            else:
                counts.rejects[outcome] = (lines, first)
        return counts

    def _near(self) -> str:
        """Return the SELECT that adds to the events in ``told`` who had their address."""
        run(self._con, _SQL["near"])
        rows = self._con.sql(_SQL["nearest"]).fetchall()[0][0]
        join = _EACH if rows <= _FEW else _SORTED
        return _SQL["held"].format(**join)

    def _retry(self, events: str, retry: Retry) -> bool:
        """Put each line into ``event`` as the first SELECT reads it that makes something of it."""
        run(self._con, f"CREATE OR REPLACE TEMP TABLE event AS {events}")
        self._left(retry.also)
        return bool(self._left(retry.further()) or retry.also)

    def _left(self, also: Sequence[tuple[Callable[[str], str], bool]]) -> int:
        """Try SELECTs in turn; leave in ``rejected`` what is no event and names no host."""
        for other, foreign in also:
            run(self._con, _SQL["rejected"].format(others=foreign))
            run(self._con, _SQL["retry"].format(events=other("rejected")))
        run(self._con, _SQL["rejected"].format(others=True))
        return len(also)

    def before(self, day: date) -> tuple[int, int]:
        """Return how many events of the lines added last are before a day, and the first's line."""
        asked = "SELECT sum(requests)::BIGINT, min(first_line) FROM piece"
        found = self._con.execute(f"{asked} WHERE outcome IS NULL AND day < ?", [day]).fetchall()
        events, first = found[0]
        return events or 0, first or 0

    def take(self) -> Batch:
        """Return what was gathered, and start afresh."""
        for name, table in self._numbers.tables().items():
            self._con.register(name, table)
        run(self._con, _SQL["departments"])
        tables = {
            name: self._con.sql(_SQL[name]).to_arrow_table()
            for name in Batch.__annotations__
            if name != "heard"
        }
        tables["heard"] = self._take_heard()
        run(self._con, "DROP TABLE numbered")
        run(self._con, _TABLES)
        self.held = 0
        if self._numbers.learned > _REMEMBERED:
            # A flood of names must not fill memory; what is still in use is soon learned again.
            self._numbers = _Numbers(self._naming, self._holdings)
            run(self._con, _MEANINGS)
        return Batch(**tables)

    def _hear(self, source: str) -> None:
        """Take up which hosts lead to a name of the catalogue, also over several names."""
        run(self._con, _SQL["answer"])
        steps = 0
        while run(self._con, _SQL["lead"].format(step=steps)) and steps < _STEPS:
            steps += 1
        found = self._con.sql("SELECT host, target, first_seen, last_seen FROM lead ORDER BY host")
        for raw, name, first, last in found.fetchall():
            host, target = self._naming.host(raw), self._naming.host(name)
            if host is None or target is None or self._naming.made(host.partition(".")[0]):
                continue
            if self._naming.hear(host, target):
                key = host, target, source
                before = self._heard.get(key, (first, last))
                self._heard[key] = min(first, before[0]), max(last, before[1])
                self._numbers.name(host)
        self._rename()

    def _rename(self) -> None:
        """Give the lines of this batch that were read before the meaning of what was heard since.

        Lines that share their name with others, as names made by machines do, stay as they are.
        """
        fresh = self._numbers.take_fresh()
        if fresh.num_rows:
            self._con.register("fresh", fresh)
            run(self._con, _SQL["rename"])
            self._con.unregister("fresh")

    def _take_heard(self) -> pa.Table:
        """Return which hosts lead to which name, where and when that was seen."""
        rows = [(*key, *seen) for key, seen in self._heard.items()]
        self._heard = {}
        kinds = dict.fromkeys(("host", "target", "source"), pa.string())
        kinds |= dict.fromkeys(("first_seen", "last_seen"), pa.timestamp("us"))
        return _table(**{
            name: (kind, [row[place] for row in rows])
            for place, (name, kind) in enumerate(kinds.items())
        })  # fmt: skip

    def _learn(
        self,
        table: str,
        column: str,
        number: Callable[[Sequence[Any]], pa.Table],
        met: str = "piece",
    ) -> None:
        """Give numbers to the texts of a column of table ``met`` that were not met before."""
        new = self._con.sql(_SQL["new"].format(table=table, column=column, met=met))
        new = new.to_arrow_table()
        if new.num_rows:
            self._con.register("learned", number(new.column("raw").to_pylist()))
            run(self._con, f"INSERT INTO {table} SELECT * FROM learned")


class _Holdings:
    """Who had which address when, as table ``held`` of numbers, and what the numbers mean."""

    def __init__(self, con: duckdb.DuckDBPyConnection, holdings: pa.Table) -> None:
        con.register("holdings", holdings)
        run(con, _SQL["holdings"])
        con.unregister("holdings")
        self.places: dict[str, int] = dict(con.execute("FROM held_place").fetchall())
        """Key of an address to its number."""
        self.holders: dict[int, tuple[str, str | None]] = {
            number: (key, alt_key)
            for number, key, alt_key in con.execute("FROM held_by").fetchall()
        }
        """Number of a person to the keys of the user."""


class _Numbers:
    """Gives each distinct host, actor and network a number, and says what it is."""

    def __init__(self, naming: Naming, holdings: _Holdings | None = None) -> None:
        self._naming = naming
        self._held = holdings.places if holdings else {}
        self._holders = holdings.holders if holdings else {}
        self._known: dict[str, tuple[int, Match]] = {}
        self._folds: dict[str, int] = {}
        self._fresh: dict[str, int] = {}
        """Hosts that became known by what they lead to, until their lines are renamed."""
        self._floods: dict[str, int] = {}
        """Parents whose names of one made label all have one number."""
        self._places: dict[str, int] = {}
        self._actors: dict[str, tuple[int, bool, str | None]] = {ANONYMOUS: (0, False, None)}
        self.learned = 0

    def names(self, raw: Sequence[str]) -> pa.Table:
        """Return raw, thing, and whether it is an address, for hosts."""
        self.learned += len(raw)
        things = [self._thing(text) for text in raw]
        bare = [not thing and self._naming.bare(t) for t, thing in zip(raw, things, strict=True)]
        return _table(raw=(pa.string(), raw), thing=(pa.int32(), things), bare=(pa.bool_(), bare))

    def clients(self, raw: Sequence[str]) -> pa.Table:
        """Return raw, actor, network and number among the addresses that were held, for clients."""
        self.learned += len(raw)
        found = [self._naming.client(text) for text in raw]
        return _table(
            raw=(pa.string(), raw),
            actor=(pa.int32(), [self._actor(key) for key, _ in found]),
            network=(pa.int32(), [self._place(network) for _, network in found]),
            place=(pa.int32(), [self._held.get(key) for key, _ in found]),
        )

    def holders(self, raw: Sequence[int]) -> pa.Table:
        """Return raw and actor for people who had an address."""
        found = [self._holders[number] for number in raw]
        actors = [self._actor(key, alt_key, is_user=True) for key, alt_key in found]
        return _table(raw=(pa.int32(), raw), actor=(pa.int32(), actors))

    def users(self, raw: Sequence[str]) -> pa.Table:
        """Return raw and actor for users."""
        self.learned += len(raw)
        found = [self._naming.user(text) for text in raw]
        actors = [self._actor(key, alt_key, is_user=True) for key, alt_key in found]
        return _table(raw=(pa.string(), raw), actor=(pa.int32(), actors))

    def _thing(self, raw: str) -> int:
        """Return the number of a catalogued host, or of the fold of any other, below 0."""
        label, _, parent = raw.partition(".")
        if parent in self._floods and self._naming.made(label):
            return self._floods[parent]
        thing = self._look_up(raw)
        if thing < 0 and self._naming.made(label):
            name = parent.partition(":")[0]
            if name == self._naming.host(parent) and self._naming.folds_alike(name):
                self._floods[parent] = thing
        return thing

    def _look_up(self, raw: str) -> int:
        host = self._naming.host(raw)
        if host is None:
            return 0
        match = self._naming.match(host)
        if match.app is not None:
            return self._known.setdefault(host, (len(self._known) + 1, match))[0]
        folded = self._naming.fold(host)
        return 0 if folded is None else self._folds.setdefault(folded, -len(self._folds) - 1)

    def name(self, host: str) -> None:
        """Give a host that is known by now its number."""
        match = self._naming.match(host)
        if match.app is not None and host not in self._known:
            self._fresh[host] = len(self._known) + 1
            self._known[host] = (self._fresh[host], match)

    def take_fresh(self) -> pa.Table:
        """Return host and thing of those that got theirs since this was asked last."""
        fresh, self._fresh = self._fresh, {}
        things = (pa.int32(), list(fresh.values()))
        return _table(host=(pa.string(), list(fresh)), thing=things)

    def _actor(self, key: str, alt_key: str | None = None, *, is_user: bool = False) -> int:
        return self._actors.setdefault(key, (len(self._actors), is_user, alt_key))[0]

    def _place(self, network: str | None) -> int | None:
        return None if network is None else self._places.setdefault(network, len(self._places))

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables that rollup.sql joins: what each number means."""
        matches = [match for _, match in self._known.values()]
        actors = list(self._actors.values())
        return {
            "known": _table(
                thing=(pa.int32(), [number for number, _ in self._known.values()]),
                host=(pa.string(), list(self._known)),
                app=(pa.string(), [match.app for match in matches]),
                signal=(pa.string(), [match.signal for match in matches]),
                evidence=(pa.string(), [match.evidence for match in matches]),
                tenant=(pa.string(), [match.tenant for match in matches]),
                rule=(pa.string(), [match.rule for match in matches]),
            ),
            "folds": _table(
                thing=(pa.int32(), list(self._folds.values())),
                host=(pa.string(), list(self._folds)),
            ),
            "places": _table(
                place=(pa.int32(), list(self._places.values())),
                network=(pa.string(), list(self._places)),
            ),
            "actors": _table(
                actor=(pa.int32(), [number for number, _, _ in actors]),
                key=(pa.string(), list(self._actors)),
                is_user=(pa.bool_(), [is_user for _, is_user, _ in actors]),
                alt_key=(pa.string(), [alt_key for _, _, alt_key in actors]),
            ),
        }


def _table(**columns: tuple[pa.DataType, Sequence[object]]) -> pa.Table:
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


def run(con: duckdb.DuckDBPyConnection, sql: str, values: object = None) -> int:
    """Execute statements to their end, let go of their result; return how many rows came in."""
    rows = con.execute(sql, values).fetchall()
    return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0
