"""Gives history the meaning of another catalogue, and tells what that changed and by which rule.

Facts stay as they are; only the dimension ``host`` and the list ``claimed`` are written. What was
counted without persons cannot become anybody's use: it stays with the unknown hosts, marked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import duckdb
import pyarrow as pa

from agent.model import App, Match

_MEANING: Final = ("app", "signal", "evidence", "tenant", "rule")
_HOSTS: Final = pa.schema([(name, pa.string()) for name in ("host", *_MEANING)])
_CLAIMED: Final = pa.schema([(name, pa.string()) for name in ("host", "app", "rule")])
_SHOWN = 3
"""Hosts that a change names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Change:
    """What another catalogue made of some hosts, or of an app's name."""

    kind: str
    """``new``, ``gone``, ``renamed``, ``changed``, or ``unpeopled``: known by now, but its past
    was counted without persons."""
    before: str
    """App id, signal, tenant or name of before; empty where there was none."""
    after: str
    app: str
    """Id of the app that it is about."""
    rule: str
    """The rule behind it: the new one, and for ``gone`` the old one."""
    hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        by = f"Rule {self.rule}." if self.rule else ""
        match self.kind:
            case "new":
                return f"new: {self.after} in {_listed(self.hosts)}. {by}"
            case "gone":
                was = f"{self.before} is no longer found in {_listed(self.hosts)}"
                return f"gone: {was}, which count as unknown now. It was: {by.lower()}"
            case "renamed" if self.hosts:
                return f"renamed: {_listed(self.hosts)} of {self.before}: now {self.after}. {by}"
            case "renamed":
                return f"renamed: {self.app} is called {self.after}, no longer {self.before}."
            case "unpeopled":
                past = (
                    "keeps its past among the unknown hosts, since it was counted without persons"
                )
                return f"new: {self.after} in {_listed(self.hosts)}, which {past}. {by}"
            case _:
                was, now = self.before or "none", self.after or "none"
                return f"changed: {self.app}, {_listed(self.hosts)}: {now} instead of {was}. {by}"


def relabel(
    con: duckdb.DuckDBPyConnection,
    match: Callable[[str], Match],
) -> list[Change]:
    """Give every host that was met the meaning that ``match`` gives, and return what changed.

    Runs inside the transaction of the caller.
    """
    return [*_grouped(_known(con, match)), *_grouped(_unknown(con, match))]


def renamed(before: str | None, apps: Mapping[str, App], met: Iterable[str]) -> list[Change]:
    """Return the apps that were met under another name; ``before`` is what ``names`` gave."""
    old = json.loads(before or "{}")
    return [
        Change("renamed", old[app], apps[app].name, app, "")
        for app in sorted(met)
        if app in old and app in apps and apps[app].name != old[app]
    ]


def names(apps: Mapping[str, App]) -> str:
    """Return what a store keeps to notice new names of apps."""
    return json.dumps({app: one.name for app, one in sorted(apps.items())})


def _known(con: duckdb.DuckDBPyConnection, match: Callable[[str], Match]) -> Iterator[Change]:
    changes: list[Change] = []
    news = []
    for host, *old in con.execute(f"SELECT host, {', '.join(_MEANING)} FROM host").fetchall():
        found = match(host)
        new = [found.app or "", found.signal or "", found.evidence or "", found.tenant]
        meaning = [*new, found.rule or ""]
        if meaning != old:
            news.append(dict(zip(_HOSTS.names, (host, *meaning), strict=True)))
            changes.extend(_change(host, old, meaning))
    if news:
        con.register("new_meaning", pa.Table.from_pylist(news, _HOSTS))
        sets = ", ".join(f"{name} = new_meaning.{name}" for name in _MEANING)
        con.execute(f"UPDATE host SET {sets} FROM new_meaning WHERE new_meaning.host = host.host")
        con.unregister("new_meaning")
    yield from changes


def _change(host: str, old: list[str], new: list[str | None]) -> Iterator[Change]:
    was, app, rule = old[0], new[0] or "", new[4] or ""
    if was != app:
        kind = "renamed" if was and app else "new" if app else "gone"
        yield Change(kind, was, app, app or was, rule or old[4], (host,))
    elif old[1] != new[1]:
        yield Change("changed", f"signal {old[1]}", f"signal {new[1]}", app, rule, (host,))
    elif old[3] != new[3]:
        before, after = (f"tenant {name}" if name else "" for name in (old[3], new[3]))
        yield Change("changed", before, after, app, rule, (host,))


def _unknown(con: duckdb.DuckDBPyConnection, match: Callable[[str], Match]) -> Iterator[Change]:
    before = {host for (host,) in con.execute("SELECT host FROM claimed").fetchall()}
    claimed = []
    for (fold,) in con.execute("SELECT DISTINCT host FROM unknown_usage ORDER BY 1").fetchall():
        found = match(fold.removeprefix("*."))
        if found.app is not None:
            claimed.append({"host": fold, "app": found.app, "rule": found.rule})
            if fold not in before:
                yield Change("unpeopled", "", found.app, found.app, found.rule or "", (fold,))
    con.execute("DELETE FROM claimed")
    con.register("new_claim", pa.Table.from_pylist(claimed, _CLAIMED))
    con.execute("INSERT INTO claimed SELECT host, app, rule FROM new_claim")
    con.unregister("new_claim")


def _grouped(changes: Iterable[Change]) -> Iterator[Change]:
    def key(one: Change) -> tuple[str, str, str, str, str]:
        return one.kind, one.before, one.after, one.app, one.rule

    for _, group in groupby(sorted(changes, key=key), key=key):
        same = list(group)
        hosts = tuple(sorted(host for one in same for host in one.hosts))
        first = same[0]
        yield Change(first.kind, first.before, first.after, first.app, first.rule, hosts)


def _listed(hosts: tuple[str, ...]) -> str:
    more = len(hosts) - _SHOWN
    return ", ".join(hosts[:_SHOWN]) + (f" and {more} more hosts" if more > 0 else "")
