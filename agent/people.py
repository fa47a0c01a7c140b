"""Says who stands behind an event: places actors as persons in departments, under pseudonyms.

What a directory and an address plan say becomes rows of the star and small tables that a scan
joins to events. Clear names stay in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb
import pyarrow as pa

from agent import sql
from agent.directory import Directory, Person, read_directory
from agent.pseudonyms import Pseudonyms, destroy_key, load_key
from agent.subnets import Subnet, Subnets, network_of, read_subnets

__all__ = [
    "Directory",
    "Pseudonyms",
    "Subnets",
    "destroy_key",
    "forget",
    "load_key",
    "names_table",
    "network_of",
    "networks_table",
    "place",
    "read_directory",
    "read_subnets",
    "stored_names",
    "stored_subnets",
]

_STAY: Final = {"department": pa.string(), "valid_from": pa.date32(), "valid_to": pa.date32()}
_ALIASES: Final = pa.schema({"person": pa.int64(), "alias_key": pa.string()})
_STAYS: Final = pa.schema({"person": pa.int64(), **_STAY})
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

    An alias key is what ``Pseudonyms.user`` gives; a user is looked up by the key, then alt_key.
    ``person`` is the one alias key by which somebody of many spellings is counted once.
    """
    rows = [
        (alias_key, *stay, keys[0])
        for person, keys in _keyed(directory, pseudonyms)
        for alias_key in keys
        for stay in person.stays
    ]
    return _table(rows, _NAMES)


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
) -> None:
    """Rewrite person, alias, person_department, subnet and membership of the star.

    Runs inside the transaction of the caller. None leaves what an earlier directory or list of
    subnets said; membership is rebuilt for every actor in any case. A person keeps the id under
    which any of their spellings was stored.
    """
    if directory is not None:
        people = _keyed(directory, pseudonyms)
        aliases = [(number, key) for number, (_, keys) in enumerate(people) for key in keys]
        stays = [
            (number, *stay) for number, (person, _) in enumerate(people) for stay in person.stays
        ]
        _run(
            con,
            "directory",
            incoming_alias=_table(aliases, _ALIASES),
            incoming_stay=_table(stays, _STAYS),
        )
    if subnets is None:
        subnets = stored_subnets(con)
    else:
        rows = [
            (row.network, row.department, row.site, row.shared, row.people) for row in subnets.rows
        ]
        _run(con, "subnets", incoming_subnet=_table(rows, _SUBNETS))
    _run(con, "membership", seen_network=_seen_networks(con, subnets))


_OF_ACTOR: Final = ("usage", "presence", "stated_department", "membership", "actor")
_OF_PERSON: Final = ("alias", "person_department", "person")


def forget(con: duckdb.DuckDBPyConnection, pseudonyms: Pseudonyms, login: str) -> dict[str, int]:
    """Remove all rows of the person behind a login, under any spelling; return how many by table.

    Runs inside the transaction of the caller. What was counted without persons stays: nobody can
    be told in it.
    """
    keys = pa.table({"key": [key for key in pseudonyms.user(login) if key]})
    _run(con, "forgotten", given_key=keys)
    gone = {}
    for tables, column in ((_OF_ACTOR, "actor_id"), (_OF_PERSON, "person_id")):
        held = f"gone_{column.removesuffix('_id')}"
        for table in tables:
            sql_text = f"DELETE FROM {table} WHERE {column} IN (SELECT {column} FROM {held})"
            gone[table] = int(con.execute(sql_text).fetchall()[0][0])
    con.execute("DROP TABLE gone_person; DROP TABLE gone_key; DROP TABLE gone_actor")
    return gone


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
