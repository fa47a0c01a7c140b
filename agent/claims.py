"""Takes files of leases and log-ons into the store: who had which address from when on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from agent import detect, files, identity, parse, people, reading, store
from agent.errors import LogError, Problem
from agent.model import CLAIM_FIELDS, Clean, Format
from agent.settings import Settings, SourceSetting

_NOT_HEX = re.compile(r"[^0-9a-f]")
_MAC = 12
"""Hexadecimal digits."""
_WITH_MAC = ("0001", "0003")
"""What DUIDs that end in a hardware address start with (RFC 8415, 11.2 and 11.4)."""


def terms(settings: Settings) -> identity.Terms:
    """Return on what terms claims are believed."""
    usual = identity.Terms(days=settings.days)
    return replace(
        usual,
        lease_hours=settings.leases.hours or usual.lease_hours,
        logon_hours=settings.logons.hours or usual.logon_hours,
        many=settings.many or usual.many,
    )


@dataclass(frozen=True, slots=True)
class Claims:
    """Reads files of leases and log-ons into a store."""

    kept: store.Store
    settings: Settings
    known: Mapping[str, Format]
    """Formats of leases and log-ons."""
    key: people.Pseudonyms
    problems: list[Problem]
    """What cannot be read is added here, and the rest goes on."""

    def read_all(self) -> None:
        """Read what is new."""
        for kind, given in (("lease", self.settings.leases), ("logon", self.settings.logons)):
            for log in files.find(given.files, self.problems):
                try:
                    self._read(log, kind)
                except LogError as error:
                    self.problems.extend(error.problems)

    def _read(self, log: files.LogFile, kind: str) -> None:
        """Put the claims of one file into the store, all or nothing; pass one that is known."""
        stamp = [str(log.path.absolute()), log.size, log.modified.replace(tzinfo=None)]
        known = "SELECT 1 FROM claim_file WHERE path = ? AND size = ? AND modified = ?"
        head = files.head(log)
        if not head or self.kept.con.execute(known, stamp).fetchall():
            return
        setting = next((s for s in self.settings.sources if files.matches(log, s.match)), None)
        setting = setting or SourceSetting(log.name, "")
        with reading.connect(self.kept.spill) as con:
            plan = self._plan(con, log, head, kind, setting)
            _gather(con, log, plan)
            found = _claims(con, self.key, self._usual(kind), kind, setting.name)
            left = con.sql("SELECT outcome, sum(lines), min(first) FROM left_out GROUP BY 1")
            self._tell(log, plan.format.name, found.num_rows, left.fetchall())
        names = ("path", "size", "modified")
        file = pa.table({name: [value] for name, value in zip(names, stamp, strict=True)})
        with self.kept.transaction() as store_con:
            identity.keep(store_con, found, file)

    def _plan(
        self,
        con: duckdb.DuckDBPyConnection,
        log: files.LogFile,
        head: bytes,
        kind: str,
        setting: SourceSetting,
    ) -> reading.Plan:
        """Return how to read a file: as its source says, else as it looks."""
        fitting = {name: one for name, one in self.known.items() if one.kind == kind}
        if setting.format in fitting:
            found = detect.Answer(fitting[setting.format])
        else:
            found = reading.answer(con, log, head, fitting)
        plan = reading.plan(log, head, found, setting.timezone or self.settings.days)
        return replace(plan, reading=replace(plan.reading, ahead=setting.ahead))

    def _usual(self, kind: str) -> timedelta:
        told = terms(self.settings)
        return timedelta(hours=told.lease_hours if kind == "lease" else told.logon_hours)

    def _tell(
        self, log: files.LogFile, name: str, claims: int, left: Sequence[tuple[str, int, int]]
    ) -> None:
        """Note what could not be read."""
        if not claims:
            self.problems.append(Problem(log.name, f"holds nothing that {name} tells."))
        self.problems.extend(
            Problem(log.name, f"{lines:,} lines left out by {name}: {why}.", line=first)
            for why, lines, first in left
        )
        if log.truncated:
            self.problems.append(Problem(log.name, f"{log.truncated}; what is before was read."))


_FIELDS = ", ".join(f'"{name}"' for name in CLAIM_FIELDS)
_CLAIMING = "WHERE outcome IS NULL"


def _gather(con: duckdb.DuckDBPyConnection, log: files.LogFile, plan: reading.Plan) -> None:
    """Read a file into table ``claimed``, one row a claim, and ``left_out``, one a reason."""
    one, then = plan.format, plan.reading
    con.execute(
        "CREATE TABLE claimed (line BIGINT, ts TIMESTAMP, until TIMESTAMP, lifetime BIGINT, "
        "client VARCHAR, mac VARCHAR, hostname VARCHAR, user VARCHAR, ends BOOLEAN)"
    )
    con.execute("CREATE TABLE left_out (outcome VARCHAR, lines BIGINT, first BIGINT)")
    line = 1
    for text in _texts(log, one):
        for table, now in reading.stretches(one, text, line, then):
            con.register("lines", table)
            sql = parse.events_sql(one, now)
            con.execute(f"CREATE OR REPLACE TEMP TABLE read AS {sql}")
            con.execute(f"INSERT INTO claimed SELECT line_no, {_FIELDS} FROM read {_CLAIMING}")
            con.execute(
                "INSERT INTO left_out SELECT outcome, count(*), min(line_no) FROM read "
                f"WHERE outcome <> '{parse.OTHER}' GROUP BY outcome"
            )
            then, line = now, line + len(table)


def _texts(log: files.LogFile, one: Format) -> Iterator[Clean]:
    """Yield a file as text of whole records, each in one line."""
    if not one.record:
        yield from (block.text for block in files.blocks(log))
        return
    start, held = re.compile(rb"^" + one.record.encode(), re.MULTILINE), b""
    for block in files.blocks(log):
        held += block.text
        last = max((match.start() for match in start.finditer(held)), default=0)
        if last:
            yield parse.records(one, held[:last])
            held = held[last:]
    if held:
        yield parse.records(one, held)


def _claims(
    con: duckdb.DuckDBPyConnection,
    key: people.Pseudonyms,
    usual: timedelta,
    kind: str,
    source: str,
) -> pa.Table:
    """Return table ``claimed`` under pseudonyms; each distinct text is looked at once."""

    def address(raw: str) -> tuple[str, str]:
        clean = parse.clean_address(raw)
        return (key.address(clean) if clean else "", "")

    def user(raw: str) -> tuple[str, str]:
        whole, part = key.user(raw)
        return whole, part or ""

    _meaning(con, "client", address)
    _meaning(con, "mac", lambda raw: (device(key, mac=raw), ""))
    _meaning(con, "hostname", lambda raw: (device(key, hostname=raw), ""))
    _meaning(con, "user", user)
    values = {"kind": kind, "source": source, "usual": usual}
    # Some state only the end: the beginning is that much before it.
    found: pa.Table = con.sql(_CLAIMS, params=values).to_arrow_table()
    return found.cast(identity.CLAIM)


_CLAIMS = """
WITH timed AS (
    SELECT *, coalesce(ts, until - coalesce(to_seconds(nullif(lifetime, 0)), $usual)) AS began
    FROM claimed
)
SELECT
    $kind AS kind, $source AS source, client_key.key AS address, began AS ts,
    coalesce(until, began + to_seconds(nullif(lifetime, 0))) AS until,
    coalesce(mac_key.key, '') AS mac, coalesce(hostname_key.key, '') AS hostname,
    coalesce(user_key.key, '') AS user_key, coalesce(user_key.alt, '') AS alt_key,
    coalesce(ends, false) AS ends, line
FROM timed
JOIN client_key ON client_key.raw = client AND client_key.key <> ''
LEFT JOIN mac_key ON mac_key.raw = mac
LEFT JOIN hostname_key ON hostname_key.raw = hostname
LEFT JOIN user_key ON user_key.raw = "user"
"""


def _meaning(
    con: duckdb.DuckDBPyConnection, column: str, keys: Callable[[str], tuple[str, str]]
) -> None:
    """Make table ``column_key`` of raw, key and alt for each distinct text of a column."""
    found = con.sql(f'SELECT DISTINCT "{column}" FROM claimed WHERE "{column}" IS NOT NULL')
    raw = [text for (text,) in found.fetchall()]
    made = [keys(text) for text in raw]
    columns = {"raw": raw, "key": [one for one, _ in made], "alt": [alt for _, alt in made]}
    con.register("met", pa.table({n: pa.array(v, pa.string()) for n, v in columns.items()}))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {column}_key AS FROM met")


def device(key: people.Pseudonyms, *, mac: str = "", hostname: str = "") -> str:
    """Return the pseudonym of a hardware address or DUID, or of a host name without its domain."""
    if mac:
        digits = _NOT_HEX.sub("", mac.lower())
        digits = digits[-_MAC:] if digits.startswith(_WITH_MAC) else digits
        return key.device(digits) if digits.strip("0") else ""
    name = hostname.strip().lower().partition(".")[0]
    return key.device(name) if name else ""


def devices(rows: Sequence[tuple[str, str, str]], key: people.Pseudonyms) -> pa.Table:
    """Return device_key, user_key and alt_key for rows of mac, host name and login."""
    made = []
    for mac, hostname, login in rows:
        whole, part = key.user(login)
        keys = {device(key, mac=mac) if mac else "", device(key, hostname=hostname)} - {""}
        made += [(one, whole, part or "") for one in sorted(keys)]
    names = ("device_key", "user_key", "alt_key")
    columns = list(zip(*made, strict=True)) or [()] * len(names)
    return pa.table(
        {n: pa.array(column, pa.string()) for n, column in zip(names, columns, strict=True)}
    )


def owned(path: Path, kept: store.Store, key: people.Pseudonyms) -> list[Problem]:
    """Take the list of whose device is whose into the store; return what is wrong with it."""
    found = people.read_devices(path)
    with kept.transaction() as con:
        identity.own_devices(con, devices(found.rows, key))
    return list(found.problems)
