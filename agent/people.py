"""Says who stands behind an event: places actors as persons in departments, under pseudonyms.

What a directory and an address plan say becomes rows of the star and small tables that a scan
joins to events. Clear names stay in this process.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import duckdb
import pyarrow as pa

from agent import sql
from agent.devices import Devices, read_devices
from agent.directory import ALWAYS, FOREVER, Directory, Person, Stay, read_directory
from agent.pseudonyms import (
    DRAFT,
    Pseudonyms,
    adopt_key,
    canonical,
    destroy_key,
    draft_key,
    load_key,
)
from agent.subnets import Subnet, Subnets, holds_ranges, network_of, read_subnets

__all__ = [
    "ALWAYS",
    "DRAFT",
    "FOREVER",
    "MANY",
    "Devices",
    "Directory",
    "Move",
    "Person",
    "Pseudonyms",
    "Stay",
    "Subnets",
    "adopt_key",
    "canonical",
    "destroy_key",
    "draft_key",
    "forget",
    "holds_ranges",
    "load_key",
    "names_table",
    "network_of",
    "networks_table",
    "place",
    "read_devices",
    "read_directory",
    "read_subnets",
    "replace_people",
    "rotate",
    "stored_names",
    "stored_subnets",
]

_NOWHERE: Final = "(unknown)"
MANY: Final = 4
"""People at one address at once from which it is shared, and no conflict any more."""
BROWSERS: Final = 24
"""Bits of a day's sketch from which an address is shared: about thirty browsers that name no user.
Every app on a desk that is a web page within brings one, and so does each of their updates."""
_STAY: Final = {"department": pa.string(), "valid_from": pa.date32(), "valid_to": pa.date32()}
_ALIASES: Final = pa.schema({"person": pa.int64(), "alias_key": pa.string()})
_STAYS: Final = pa.schema({"person": pa.int64(), **_STAY})
_UNITS: Final = pa.schema({"department": pa.string(), "parent": pa.string()})
_NAMES: Final = pa.schema({"alias_key": pa.string(), **_STAY, "person": pa.string()})
_SUBNETS: Final = pa.schema(
    {
        "network": pa.string(),
        "department": pa.string(),
        "site": pa.string(),
        "shared": pa.bool_(),
        "people": pa.int32(),
    }
)
_NETWORKS: Final = pa.schema(
    {"network": pa.string(), "department": pa.string(), "shared": pa.bool_()}
)


def names_table(directory: Directory, pseudonyms: Pseudonyms) -> pa.Table:
    """Return who is where: alias_key, department, valid_from, valid_to (half-open), person.

    Days on which somebody belongs nowhere are (unknown), so that no address places a guest.
    An alias key is what ``Pseudonyms.user`` gives; a user is looked up by the key, then alt_key.
    ``person`` is the one alias key by which somebody of many spellings is counted once.
    """
    rows = [
        (alias_key, *stay, keys[0])
        for person, keys in _keyed(directory, pseudonyms)
        for alias_key in keys
        for stay in (*person.stays, *_gaps(person.stays))
    ]
    return _table(rows, _NAMES)


def _gaps(stays: Sequence[Stay]) -> list[Stay]:
    """Return the days before, between and after the stays of one person, as stays nowhere."""
    ends = [ALWAYS, *(stay.valid_to for stay in stays)]
    begins = [*(stay.valid_from for stay in stays), FOREVER]
    gaps = zip(ends, begins, strict=True)
    return [Stay(_NOWHERE, end, begin) for end, begin in gaps if end < begin]


def networks_table(subnets: Subnets) -> pa.Table:
    """Return network, department (or null) and shared of each range.

    ``network_of`` with the same subnets gives the network to look up.
    """
    return _table([(row.network, row.department, row.shared) for row in subnets.rows], _NETWORKS)


def place(
    con: duckdb.DuckDBPyConnection,
    directory: Directory | None,
    subnets: Subnets | None,
    pseudonyms: Pseudonyms,
    many: int = MANY,
) -> None:
    """Rewrite all that a directory and an address plan say, and who is where, in the star.

    Runs inside the transaction of the caller. ``many`` people at one address at once share it.
    None leaves what an earlier directory or list of subnets said; membership is rebuilt for every
    actor in any case. A person keeps the id under which any of their spellings was stored.
    """
    if directory is not None:
        people = _keyed(directory, pseudonyms)
        aliases = [(number, key) for number, (_, keys) in enumerate(people) for key in keys]
        stays = [
            (number, *stay) for number, (person, _) in enumerate(people) for stay in person.stays
        ]
        also = [
            (number, *stay) for number, (person, _) in enumerate(people) for stay in person.also
        ]
        _run(
            con,
            "directory",
            incoming_alias=_table(aliases, _ALIASES),
            incoming_stay=_table(stays, _STAYS),
            incoming_also=_table(also, _STAYS),
            incoming_unit=_table(sorted(directory.above.items()), _UNITS),
        )
    if subnets is None:
        subnets = stored_subnets(con)
    else:
        rows = [
            (row.network, row.department, row.site, row.shared, row.people) for row in subnets.rows
        ]
        _run(con, "subnets", incoming_subnet=_table(rows, _SUBNETS))
    con.execute("SET VARIABLE many = $many", {"many": many})
    con.execute("SET VARIABLE browsers = $browsers", {"browsers": BROWSERS})
    _run(con, "crowd")
    _run(con, "membership", seen_network=_seen_networks(con, subnets))


@dataclass(frozen=True, slots=True)
class Move:
    """Some users or addresses whose days count for another department than before."""

    old: str
    new: str
    actors: int
    first_day: date
    last_day: date

    def __str__(self) -> str:
        """Say it in one sentence."""
        who = "1 user or address" if self.actors == 1 else f"{self.actors} users or addresses"
        return f"{self.old} -> {self.new}: {who}, {self.first_day} to {self.last_day}."


def replace_people(
    con: duckdb.DuckDBPyConnection,
    directory: Directory | None,
    subnets: Subnets | None,
    pseudonyms: Pseudonyms,
    many: int = MANY,
) -> list[Move]:
    """Place everybody anew as ``place`` does, and return what moved."""
    con.execute("CREATE OR REPLACE TEMP TABLE earlier AS FROM membership")
    place(con, directory, subnets, pseudonyms, many)
    moves = con.execute(sql.sections("people.sql")["moved"]).fetchall()
    con.execute("DROP TABLE earlier")
    return [Move(*move) for move in moves]


_OF_PERSON: Final = {
    "vault": (
        "pseudonym IN (FROM gone_key)"
        " OR pseudonym IN (SELECT key FROM actor WHERE actor_id IN (FROM gone_actor))"
    ),
    "usage": "actor_id IN (FROM gone_actor)",
    "presence": "actor_id IN (FROM gone_actor)",
    "sighting": "actor_id IN (FROM gone_actor)",
    "stated_department": "actor_id IN (FROM gone_actor)",
    "membership": "actor_id IN (FROM gone_actor)",
    "actor": "actor_id IN (FROM gone_actor)",
    "claim": (
        "user_key IN (FROM gone_key) OR mac IN (FROM gone_device) OR hostname IN (FROM gone_device)"
    ),
    "device": "device_key IN (FROM gone_device)",
    "alias": "person_id IN (FROM gone_person)",
    "person_department": "person_id IN (FROM gone_person)",
    "person_also": "person_id IN (FROM gone_person)",
    "person": "person_id IN (FROM gone_person)",
}
"""What a store holds of a person, and how it is found."""


def forget(con: duckdb.DuckDBPyConnection, pseudonyms: Pseudonyms, login: str) -> dict[str, int]:
    """Remove all rows of the person behind a login, under any spelling; return how many by table.

    Runs inside the transaction of the caller. What was counted without persons stays: nobody can
    be told in it.
    """
    key, alt_key = pseudonyms.user(login)
    _run(con, "forgotten", given_key=pa.table({"key": [key], "alt_key": [alt_key or ""]}))
    gone = {
        table: int(con.execute(f"DELETE FROM {table} WHERE {found}").fetchall()[0][0])
        for table, found in _OF_PERSON.items()
    }
    for name in ("name", "person", "key", "actor", "device"):
        con.execute(f"DROP TABLE gone_{name}")
    return gone


_SAID_AGAIN: Final = ("membership", "stated_department", "crowd")
"""Tables that the actor into whom another is joined has rows of their own in."""


def rotate(
    con: duckdb.DuckDBPyConnection, old: Pseudonyms, new: Pseudonyms, directory: Directory | None
) -> tuple[int, int]:
    """Put every pseudonym of a store under another secret; return those kept and those cut off.

    Who is in the directory keeps their rows: old and new key of a spelling are known here, and
    nowhere else. All other pseudonyms are replaced by such as no secret makes: their rows still
    count, but whoever is behind them is somebody new from now on. So are addresses, and leases and
    log-ons are dropped, to be read again from their files, and a vault is emptied. Runs in a
    transaction of the caller.
    """
    spellings = {} if directory is None else {
        old.spelling(spelling): new.spelling(spelling)
        for person in directory.people
        for spelling in person.spellings
    }  # fmt: skip
    held = {key for (key,) in con.execute(sql.sections("people.sql")["held_keys"]).fetchall()}
    lost = Pseudonyms(secrets.token_bytes(32))
    made = {
        # What marks a kind of key at its end stays.
        key: spellings.get(key) or lost.spelling(key) + "\\" * key.endswith("\\")
        for key in held
    }
    keys = pa.table(
        {
            "old_key": list(made),
            "new_key": list(made.values()),
            "carried": [key in spellings for key in made],
        }
    )
    with sql.lent(con, {"given_key": keys}):
        con.execute(sql.sections("people.sql")["bare"])
        named = "SELECT table_name FROM duckdb_columns() WHERE column_name = 'actor_id'"
        for (table,) in con.execute(f"{named} AND database_name = current_database()").fetchall():
            if table in _SAID_AGAIN:
                con.execute(f"DELETE FROM {table} WHERE actor_id IN (SELECT actor_id FROM joined)")
            elif table != "actor":
                con.execute(
                    f"UPDATE {table} SET actor_id = into_id FROM joined"
                    f" WHERE joined.actor_id = {table}.actor_id"
                )
        con.execute(sql.sections("people.sql")["rotated"])
    kept = len(held & spellings.keys())
    return kept, len(held) - kept


def stored_subnets(con: duckdb.DuckDBPyConnection) -> Subnets:
    """Return the address ranges that an earlier scan stored; none give an empty list."""
    found = con.execute("SELECT network, department, site, shared, people FROM subnet").fetchall()
    return Subnets("subnet", tuple(Subnet(*row) for row in found))


def stored_names(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what ``names_table`` gave for the directory that an earlier scan stored."""
    return con.sql(sql.sections("people.sql")["stored_names"]).to_arrow_table()


def _keyed(directory: Directory, pseudonyms: Pseudonyms) -> list[tuple[Person, list[str]]]:
    """Order the people by their keys, so that one directory always gives the same ids."""
    keyed = (
        (person, sorted(map(pseudonyms.spelling, person.spellings))) for person in directory.people
    )
    return sorted(keyed, key=lambda pair: pair[1])


def _seen_networks(con: duckdb.DuckDBPyConnection, subnets: Subnets) -> pa.Table:
    """Look up each distinct network of the actors once."""
    found = con.execute("SELECT DISTINCT network FROM actor WHERE network IS NOT NULL").fetchall()
    rows = [
        (network, row.department, row.shared)
        for (network,) in found
        if (row := subnets.covering(network)) is not None
    ]
    return _table(rows, _NETWORKS)


def _table(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, kind.type) for column, kind in zip(columns, schema, strict=True)],
        schema=schema,
    )


def _run(con: duckdb.DuckDBPyConnection, section: str, **tables: pa.Table) -> None:
    with sql.lent(con, tables):
        con.execute(sql.sections("people.sql")[section])
