"""Says who stands behind an event: persons, departments and address ranges, under pseudonyms.

A directory and a list of subnets come as CSV in whatever dress the export gave them. Clear names
stay in this process: what reaches a table is an HMAC of the canonical spelling. No message quotes
a login or a mail address either, it names the line.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import hmac
import io
import ipaddress
import os
import re
import secrets
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from agent.errors import LogError, Problem, StoreError

ALWAYS: Final = date.min
"""The open beginning of an interval."""
FOREVER: Final = date.max
"""The open end of an interval."""

_DEPARTMENT: Final = ("department", "departmentname", "dept", "ou", "division")
_DIRECTORY_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "login": ("login", "samaccountname", "userprincipalname", "user", "username", "uid"),
    "mail": ("mail", "email", "emailaddress"),
    "department": _DEPARTMENT,
    "from": ("from", "start", "startdate", "hiredate", "validfrom"),
    "to": ("to", "end", "enddate", "leavedate", "validto"),
}
_SUBNET_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cidr": ("cidr", "subnet", "network", "prefix"),
    "department": _DEPARTMENT,
    "site": ("site", "location", "office"),
    "shared": ("shared", "nat"),
    "people": ("people", "headcount"),
}
_SHARED: Final = {
    **dict.fromkeys(("yes", "y", "true", "1", "x"), True),
    **dict.fromkeys(("", "no", "n", "false", "0", "-"), False),
}
_KEY_BYTES: Final = 32
_KEY_CHARACTERS: Final = 32
_MONTHS: Final = 12
_MAPPED_PREFIX: Final = 96
"""Bits of ::ffff:0:0/96, the range of IPv4 addresses written as IPv6."""

_ISO_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ][0-9].*)?")
_DOTTED_DATE: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: [0-9].*)?")
_SLASHED_DATE: Final = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})(?: [0-9].*)?")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Row = TypeVar("_Row")


# Pseudonyms


def load_key(folder: Path) -> bytes:
    """Return the secret in ``folder/pseudonym.key`` (32 random bytes), made on first use.

    Raises StoreError when the key cannot be read or made, is too short, or is open to others.
    """
    path = folder / "pseudonym.key"
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        text = f"cannot be used: {error.strerror}. Its owner must be able to read and write it."
        raise StoreError(Problem(str(path), text)) from error
    if len(key) < _KEY_BYTES:
        text = (
            f"has {len(key)} bytes and needs {_KEY_BYTES}. Restore it from a backup; "
            "under another key nobody is recognised."
        )
        raise StoreError(Problem(str(path), text))
    if os.name == "posix" and mode & 0o077:
        text = f"is open to others (mode {mode & 0o777:04o}). Run chmod 600 on it."
        raise StoreError(Problem(str(path), text))
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces the key of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def canonical(user: str) -> str:
    r"""Return the one spelling under which a user name is known.

    >>> canonical("ACME\\Alice"), canonical("acme/alice "), canonical("Alice@Acme.com")
    ('alice', 'alice', 'alice@acme.com')
    """
    if user.isascii():
        text = user.strip().lower()
    else:
        # NFKC undoes some of what casefold did, so one round is no fixed point.
        text = _compatible(_compatible(unicodedata.normalize("NFD", user))).strip()
    return text.replace("/", "\\").rpartition("\\")[2].strip() or text


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text.casefold())


def _local_part(spelling: str) -> str | None:
    local, at, _ = spelling.partition("@")
    return local.strip() or None if at else None


@dataclass(frozen=True)
class Pseudonyms:
    """Turns clear names and addresses into keys that only the holder of the secret can make."""

    key: bytes

    def __repr__(self) -> str:
        """Keep the secret out of tracebacks and logs."""
        return "Pseudonyms(...)"

    def user(self, text: str) -> tuple[str, str | None]:
        """Return the key of a user name, and of the part before its @ where it has one."""
        spelling = canonical(text)
        local = _local_part(spelling)
        return self.spelling(spelling), local and self.spelling(local)

    def spelling(self, canonical_user: str) -> str:
        """Return the key of a user name that is in its canonical spelling already."""
        return self._digest("user", canonical_user)

    def address(self, text: str) -> str:
        """Return the key of an address; all spellings of one address have the same key."""
        return self._digest("address", str(_address(text) or text.strip().casefold()))

    def _digest(self, kind: str, text: str) -> str:
        message = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, message, "sha256").hex()[:_KEY_CHARACTERS]


# The directory


class Stay(NamedTuple):
    """A department and the half-open interval of days on which somebody belongs to it."""

    department: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Person:
    """One human being: the spellings that mean nobody else, and the departments in order."""

    spellings: tuple[str, ...]
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """What a directory file says, and which of its rows were left out."""

    where: str
    columns: Mapping[str, str]
    """Role (login, mail, department, from, to) to the header that was taken for it."""
    people: tuple[Person, ...]
    problems: tuple[Problem, ...]


class _Entry(NamedTuple):
    line: int
    login: str
    mail: str
    stay: Stay


def read_directory(path: Path, columns: Mapping[str, str] | None = None) -> Directory:
    """Read a directory CSV with one row for each person and department.

    ``columns`` maps login, mail, department, from and to to headers of the file; what it leaves
    out is guessed. ``to`` is the last day in a department, and on the day of a move the new
    department counts. Rows that cannot be used are left out and named in ``problems``. Raises
    LogError when the file cannot be used at all or puts one person into two departments at once.
    """
    table = _read_table(path, _DIRECTORY_HEADERS, columns or {})
    table.require("department", "the department")
    table.require("login", "the login or mail", other="mail")
    table.stop_if_fatal()
    day_first = _day_first(table)
    entries = table.read(lambda line, cells: _entry(line, cells, day_first=day_first))
    people = _people(table, _once(table, entries))
    if not people:
        table.fail("no row names a person and a department, so nobody could be placed.")
    table.stop_if_fatal()
    return Directory(table.where, table.columns, people, table.in_order())


def _entry(line: int, cells: Mapping[str, str], *, day_first: bool) -> _Entry:
    login, mail, department = (cells.get(role, "") for role in ("login", "mail", "department"))
    if not login and not mail:
        raise _BadRowError("login", "neither login nor mail.")
    if not department:
        raise _BadRowError("department", "no department.")
    first = _date(cells, "from", ALWAYS, day_first=day_first)
    last = _date(cells, "to", FOREVER, day_first=day_first)
    if first > last:
        raise _BadRowError("from", f'"{first}" is after the end, "{last}".')
    end = last if last == FOREVER else last + timedelta(days=1)
    return _Entry(line, canonical(login), canonical(mail), Stay(department, first, end))


def _date(cells: Mapping[str, str], role: str, empty: date, *, day_first: bool) -> date:
    text = cells.get(role, "")
    if not text:
        return empty
    parts: Sequence[str] = ("0", "0", "0")
    if found := _ISO_DATE.fullmatch(text):
        parts = found.groups()
    elif found := _DOTTED_DATE.fullmatch(text):
        parts = found[3], found[2], found[1]
    elif found := _SLASHED_DATE.fullmatch(text):
        parts = (found[3], found[2], found[1]) if day_first else (found[3], found[1], found[2])
    try:
        return date(*map(int, parts))
    except ValueError:
        raise _BadRowError(role, f'"{text}" is no date. Write it as 2026-03-31.') from None


def _day_first(table: _Table) -> bool:
    """Decide over all dates of the file whether 03/04/2026 is in April."""
    lines: dict[str, int] = {}
    for line, cells in table.rows:
        for role in ("from", "to"):
            if found := _SLASHED_DATE.fullmatch(cells.get(role, "")):
                first, second = int(found[1]), int(found[2])
                if first == second or min(first, second) > _MONTHS:
                    continue
                order = "day" if first > _MONTHS else "month" if second > _MONTHS else "open"
                lines.setdefault(order, line)
    if "day" in lines and "month" in lines:
        table.fail(
            f"dates put the day first (line {lines['day']}) and the month first "
            f"(line {lines['month']}). Write them as 2026-03-31."
        )
    elif set(lines) == {"open"}:
        table.fail(
            "dates can be read day first and month first, and none of them decides it. "
            "Write them as 2026-03-31.",
            lines["open"],
        )
    table.stop_if_fatal()
    return "day" in lines


def _once(table: _Table, entries: Iterable[_Entry]) -> list[_Entry]:
    seen: dict[tuple[str, str, Stay], _Entry] = {}
    for entry in entries:
        earlier = seen.setdefault(entry[1:], entry)
        if earlier is not entry:
            table.leave_out(entry.line, None, f"says the same as line {earlier.line}.")
    return list(seen.values())


def _people(table: _Table, entries: Sequence[_Entry]) -> tuple[Person, ...]:
    """Join the rows of each person; a mail address that two logins claim identifies nobody."""
    claims: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in entries:
        if entry.login:
            claims[entry.login].setdefault(entry.login, entry.line)
            if entry.mail:
                claims[entry.mail].setdefault(entry.login, entry.line)
    disputed = {mail for mail, logins in claims.items() if len(logins) > 1}
    for mail in sorted(disputed):
        first, second, *_ = sorted(claims[mail].values())
        table.warn(
            second,
            "mail",
            f"line {first} gives this address to another login. It identifies neither of them.",
        )
    mine: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        if not entry.login and entry.mail in disputed:
            table.leave_out(entry.line, "mail", "more than one login claims this address.")
        else:
            mine[entry.login or next(iter(claims.get(entry.mail, ())), entry.mail)].append(entry)
    spellings = _spellings(mine, disputed)
    return tuple(
        Person(spellings[name], _stays(table, rows)) for name, rows in sorted(mine.items())
    )


def _spellings(
    people: Mapping[str, Sequence[_Entry]], disputed: set[str]
) -> dict[str, tuple[str, ...]]:
    """Give each person their login, mails and local parts, as far as those are theirs alone."""
    whole = {
        name: {name} | {entry.mail for entry in rows if entry.mail} - disputed
        for name, rows in people.items()
    }
    taken = disputed.union(*whole.values())
    owners: dict[str, set[str]] = defaultdict(set)
    for name, rows in people.items():
        for spelling in (name, *(entry.mail for entry in rows)):
            if local := _local_part(spelling):
                owners[local].add(name)
    for local, names in owners.items():
        if len(names) == 1 and local not in taken:
            whole[next(iter(names))].add(local)
    return {name: tuple(sorted(spellings)) for name, spellings in whole.items()}


def _stays(table: _Table, entries: Sequence[_Entry]) -> tuple[Stay, ...]:
    """Put the departments of one person in order; two at once are a fatal problem."""
    stays: list[Stay] = []
    line = 0
    for entry in sorted(entries, key=lambda entry: (*entry.stay[1:], entry.line)):
        stay = entry.stay
        last = stays[-1] if stays else None
        if last and last.department == stay.department and stay.valid_from <= last.valid_to:
            stays[-1] = last._replace(valid_to=max(last.valid_to, stay.valid_to))
        elif last and _moves_that_day(last, stay):
            stays[-1:] = [last._replace(valid_to=stay.valid_from), stay]
        elif last and stay.valid_from < last.valid_to:
            table.fail(
                f'lines {line} and {entry.line} put one person into "{last.department}" and '
                f'"{stay.department}" at once. End one before the other begins.',
                entry.line,
            )
        else:
            stays.append(stay)
        line = entry.line
    return tuple(stays)


def _moves_that_day(last: Stay, stay: Stay) -> bool:
    """Tell whether the old department ends on the very day on which the new one begins."""
    return (
        last.valid_to < FOREVER
        and stay.valid_from == last.valid_to - timedelta(days=1)
        and last.valid_from < stay.valid_from
    )


# Networks


@dataclass(frozen=True, slots=True)
class Subnet:
    """One address range and what the company says of it."""

    network: str
    """CIDR text without host bits."""
    department: str | None
    site: str | None
    shared: bool
    people: int | None


@dataclass(frozen=True)
class Subnets:
    """Address ranges; nested ones are allowed, and the longest prefix wins."""

    where: str
    rows: tuple[Subnet, ...]
    problems: tuple[Problem, ...] = ()

    @cached_property
    def _by_length(self) -> dict[int, list[tuple[int, dict[int, Subnet]]]]:
        found: dict[int, dict[int, dict[int, Subnet]]] = {4: {}, 6: {}}
        for row in self.rows:
            network = ipaddress.ip_network(row.network)
            bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            found[network.version].setdefault(network.prefixlen, {})[bits] = row
        return {version: sorted(rows.items(), reverse=True) for version, rows in found.items()}

    def covering(self, network: str) -> Subnet | None:
        """Return the narrowest range that holds an address or a whole network."""
        text, _, length = network.partition("/")
        address = _address(text)
        if address is None:
            return None
        return self.narrowest(address, int(length) if length else address.max_prefixlen)

    def network_of(self, address: str) -> str | None:
        """Return the CIDR text of the narrowest range that holds an address."""
        found = self.covering(address)
        return found.network if found else None

    def narrowest(self, address: _Address, length: int) -> Subnet | None:
        """Return the longest prefix, of ``length`` bits at most, that holds an address."""
        value = int(address)
        for prefix, rows in self._by_length[address.version]:
            if prefix <= length and (row := rows.get(value >> (address.max_prefixlen - prefix))):
                return row
        return None


def read_subnets(path: Path, columns: Mapping[str, str] | None = None) -> Subnets:
    """Read a CSV of address ranges: cidr, department, site, shared (yes or no), people.

    ``columns`` maps those names to headers of the file; what it leaves out is guessed. Rows that
    cannot be used are left out and named in ``problems``. Raises LogError when the file cannot be
    used at all or says two things of one range.
    """
    table = _read_table(path, _SUBNET_HEADERS, columns or {})
    table.require("cidr", "the address range")
    table.stop_if_fatal()
    lines: dict[str, int] = {}
    rows: dict[str, Subnet] = {}
    for line, row in table.read(lambda line, cells: (line, _subnet(cells))):
        earlier = rows.setdefault(row.network, row)
        if earlier is row:
            lines[row.network] = line
        elif earlier == row:
            table.leave_out(line, None, f"says the same as line {lines[row.network]}.")
        else:
            table.fail(
                f'lines {lines[row.network]} and {line} say two things of "{row.network}". '
                "Keep one of them.",
                line,
            )
    if not rows:
        table.fail("no row gives an address range.")
    table.stop_if_fatal()
    return Subnets(table.where, tuple(rows.values()), table.in_order())


def _subnet(cells: Mapping[str, str]) -> Subnet:
    people = cells.get("people", "")
    if people and not re.fullmatch("[0-9]{1,7}", people):
        raise _BadRowError("people", f'"{people}" is no number of people.')
    shared = _SHARED.get(cells.get("shared", "").casefold())
    if shared is None:
        raise _BadRowError("shared", f'"{cells["shared"]}" is neither yes nor no.')
    return Subnet(
        _network(cells["cidr"]),
        cells.get("department") or None,
        cells.get("site") or None,
        shared,
        int(people) if people else None,
    )


def _network(text: str) -> str:
    address, slash, length = text.partition("/")
    try:
        network = ipaddress.ip_network(address.partition("%")[0] + slash + length, strict=False)
        mapped = _address(str(network.network_address))
        if isinstance(network, ipaddress.IPv6Network) and isinstance(mapped, ipaddress.IPv4Address):
            network = ipaddress.ip_network((int(mapped), network.prefixlen - _MAPPED_PREFIX))
    except ValueError:
        message = f'"{text}" is no address range. Write it as 10.1.2.0/24.'
        raise _BadRowError("cidr", message) from None
    return str(network)


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def network_of(address: str, subnets: Subnets | None = None) -> str | None:
    """Return the narrowest subnet of an address, else its /24 or /64; None for no address.

    >>> network_of("10.1.2.3"), network_of("::ffff:10.1.2.3"), network_of("fe80::1%eth0")
    ('10.1.2.0/24', '10.1.2.0/24', 'fe80::/64')
    """
    parsed = _address(address)
    if parsed is None:
        return None
    if subnets is not None and (row := subnets.narrowest(parsed, parsed.max_prefixlen)):
        return row.network
    if isinstance(parsed, ipaddress.IPv4Address):
        return f"{str(parsed).rpartition('.')[0]}.0/24"
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"


# Tables

_ALIASES: Final = pa.schema({"person": pa.int64(), "alias_key": pa.string()})
_STAYS: Final = pa.schema(
    {
        "person": pa.int64(),
        "department": pa.string(),
        "valid_from": pa.date32(),
        "valid_to": pa.date32(),
    }
)
_NAMES: Final = pa.schema({"alias_key": pa.string(), **{f.name: f.type for f in list(_STAYS)[1:]}})
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
    """Return who is where: alias_key, department, valid_from, valid_to, half-open.

    An alias key is what ``Pseudonyms.user`` gives; a user is looked up by the key, then alt_key.
    """
    rows = [
        (alias_key, *stay)
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


def _keyed(directory: Directory, pseudonyms: Pseudonyms) -> list[tuple[Person, list[str]]]:
    """Order the people by their keys, so that one directory always gives the same ids."""
    keyed = (
        (person, sorted(map(pseudonyms.spelling, person.spellings))) for person in directory.people
    )
    return sorted(keyed, key=lambda pair: pair[1])


def _table(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, kind.type) for column, kind in zip(columns, schema, strict=True)],
        schema=schema,
    )


# The store


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


def stored_subnets(con: duckdb.DuckDBPyConnection) -> Subnets:
    """Return the address ranges that an earlier scan stored; none give an empty list."""
    found = con.execute("SELECT network, department, site, shared, people FROM subnet").fetchall()
    return Subnets("subnet", tuple(Subnet(*row) for row in found))


def stored_names(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what ``names_table`` gave for the directory that an earlier scan stored."""
    return con.sql(_sections()["stored_names"]).to_arrow_table()


def _seen_networks(con: duckdb.DuckDBPyConnection, subnets: Subnets) -> pa.Table:
    """Look up each distinct network of the actors once."""
    found = con.execute("SELECT DISTINCT network FROM actor WHERE network IS NOT NULL").fetchall()
    rows = [
        (network, row.department, row.shared)
        for (network,) in found
        if (row := subnets.covering(network)) is not None
    ]
    return _table(rows, _NETWORKS)


def _run(con: duckdb.DuckDBPyConnection, section: str, **tables: pa.Table) -> None:
    for name, table in tables.items():
        con.register(name, table)
    try:
        con.execute(_sections()[section])
    finally:
        for name in tables:
            con.unregister(name)


def _sections() -> dict[str, str]:
    text = files("agent").joinpath("people.sql").read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in text.split("-- section: ")[1:])
    return {name: sql for name, _, sql in parts}


# Files


class _BadRowError(Exception):
    """One row that cannot be used, by the role of the cell that is to blame."""

    def __init__(self, role: str, message: str) -> None:
        super().__init__(message)
        self.role = role


@dataclass(slots=True)
class _Table:
    """The rows of a CSV file by role, and every problem met on the way."""

    where: str
    headers: list[str]
    columns: dict[str, str]
    rows: list[tuple[int, dict[str, str]]]
    problems: list[Problem]
    fatal: bool = False

    def read(self, row: Callable[[int, Mapping[str, str]], _Row]) -> Iterator[_Row]:
        """Read every row; one that cannot be used becomes a problem."""
        for line, cells in self.rows:
            try:
                yield row(line, cells)
            except _BadRowError as error:
                self.leave_out(line, error.role, str(error))

    def warn(self, line: int, role: str | None, message: str) -> None:
        key = self.columns.get(role) if role else None
        self.problems.append(Problem(self.where, message, key, line))

    def leave_out(self, line: int, role: str | None, message: str) -> None:
        self.warn(line, role, f"{message} The row is left out.")

    def fail(self, message: str, line: int | None = None, key: str | None = None) -> None:
        self.problems.append(Problem(self.where, message, key, line))
        self.fatal = True

    def require(self, role: str, meaning: str, other: str | None = None) -> None:
        # A column that was asked for by name and is not there has been reported already.
        if role in self.columns or other in self.columns or self.fatal:
            return
        self.fail(
            f"no column for {meaning} among {_quoted(self.headers)}. "
            f'Name it in columns: {role} = "..." with the header as the file has it.'
        )

    def stop_if_fatal(self) -> None:
        if self.fatal:
            raise LogError(self.in_order())

    def in_order(self) -> tuple[Problem, ...]:
        return tuple(sorted(self.problems, key=lambda problem: problem.line or 0))


def _read_table(
    path: Path, known: Mapping[str, tuple[str, ...]], columns: Mapping[str, str]
) -> _Table:
    """Read a CSV file whose encoding, separator and headers are found out from the file."""
    table = _Table(str(path), [], {}, [], [])
    text = _read_text(path)
    lines = _lines(table, text, _separator(text, known, columns))
    if not lines:
        table.fail("is empty. The first row must name the columns.")
        table.stop_if_fatal()
    (_, table.headers), *body = lines
    places = _roles(table, known, columns)
    for line, cells in body:
        if any(cells[len(table.headers) :]):
            table.leave_out(
                line,
                None,
                f"{len(cells)} fields under {len(table.headers)} headers. "
                "Put quotes around a value that holds the separator.",
            )
        else:
            padded = cells + [""] * (len(table.headers) - len(cells))
            table.rows.append((line, {role: padded[at] for role, at in places.items()}))
    return table


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        text = f"cannot be read: {error.strerror}. Give the path of a CSV file."
        raise LogError(Problem(str(path), text)) from error
    try:
        text = _decode(raw)
    except UnicodeDecodeError:
        text = "\0"
    if re.search(r"[\x00-\x08\x0e-\x1f]", text[:4096].rstrip("\x1a")):
        cure = "Save the sheet" if raw.startswith(b"PK") else "Export it"
        raise LogError(Problem(str(path), f"is no text file. {cure} as CSV (UTF-8)."))
    return text.rstrip("\x1a")


def _decode(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    # Without a mark, the header row still gives UTF-16 away: every other byte of it is zero.
    head = raw[:64]
    if len(head) > 1 and not any(head[1::2]):
        return raw.decode("utf-16-le")
    if len(head) > 1 and not any(head[::2]):
        return raw.decode("utf-16-be")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _separator(text: str, known: Mapping[str, tuple[str, ...]], columns: Mapping[str, str]) -> str:
    """Choose the separator that finds the most known headers, then the most columns."""
    if named := re.match(r"sep=([,;\t|])\r?\n", text, re.IGNORECASE):
        return named[1]
    names = {_plain(name) for name in [*sum(known.values(), ()), *columns.values()]}
    head = text.lstrip()

    def found(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader(io.StringIO(head, newline=""), delimiter=separator), [])
        except csv.Error:
            return 0, 0
        return len(names.intersection(map(_plain, cells))), len(cells)

    return max(",;\t|", key=found)


def _lines(table: _Table, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return the rows that hold anything, with the line on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            cleaned = [_clean(cell) for cell in cells]
            if any(cleaned) and not (line == 1 and cleaned[0].casefold().startswith("sep=")):
                lines.append((line, cleaned))
            line = reader.line_num + 1
    except csv.Error:
        # Reading on would swallow every later row into one field, in silence.
        table.fail("a quote that opens here is not closed as it should be.", line)
        table.stop_if_fatal()
    return lines


def _clean(cell: str) -> str:
    """Drop what no reader sees: control, direction and zero-width characters, double blanks."""
    if not (cell.isascii() and cell.isprintable()):
        kinds = ((letter, unicodedata.category(letter)) for letter in cell)
        visible = (" " if kind == "Cc" else letter for letter, kind in kinds if kind != "Cf")
        cell = unicodedata.normalize("NFC", "".join(visible))
    return " ".join(cell.split())


def _roles(
    table: _Table, known: Mapping[str, tuple[str, ...]], columns: Mapping[str, str]
) -> dict[str, int]:
    """Return the place of each role's column; asked-for headers first, then well-known ones."""
    for unknown in sorted(columns.keys() - known.keys()):
        table.fail(f"unknown key.{_did_you_mean(unknown, known)}", key=f"columns.{unknown}")
    plain = [_plain(header) for header in table.headers]
    places: dict[str, int] = {}
    for role in known.keys() & columns.keys():
        if _plain(columns[role]) in plain:
            places[role] = plain.index(_plain(columns[role]))
        else:
            hint = _did_you_mean(columns[role], table.headers)
            text = f'no column "{columns[role]}" among {_quoted(table.headers)}.{hint}'
            table.fail(text, key=f"columns.{role}")
    for role in known.keys() - columns.keys():
        free = (name for name in known[role] if name in plain)
        at = next((plain.index(name) for name in free), None)
        if at is not None and at not in places.values():
            places[role] = at
    for role in known:
        if role in places:
            table.columns[role] = table.headers[places[role]]
            if plain.count(plain[places[role]]) > 1:
                table.fail(f'two columns are called "{table.columns[role]}". Rename one.')
    return places


def _plain(header: str) -> str:
    header = _clean(header).casefold()
    return "".join(letter for letter in header if letter.isalnum()) or header


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
