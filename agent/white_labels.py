"""What customers' own names stand for: hosts that no entry has, by the names they lead to.

The catalogue says what a pair means, at any time anew; what was heard is kept as it was heard.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

from agent.model import Match

MOST = 20_000
"""Hosts that are kept: a large company meets hundreds."""
MOST_OF_DOMAIN = 100
"""Hosts of one registered domain: whoever answers for a domain can make names without end."""


class Heard(NamedTuple):
    """The name that a host's answer led to, which log showed it, and on which day last."""

    target: str
    source: str
    day: date


class WhiteLabels:
    """The hosts that answers gave a meaning, beside those of the catalogue."""

    def __init__(
        self,
        match: Callable[[str], Match],
        stands_for: Callable[[str, str], Match],
        domain: Callable[[str], str],
        kept: Iterable[tuple[str, str]] = (),
        internal: Sequence[str] = (),
    ) -> None:
        """Take up ``kept`` pairs of host and target.

        ``domain`` tells which part of a host somebody registered. A host under an ``internal``
        suffix is the company's own, whatever it leads to.
        """
        self._match, self._stands_for, self._domain = match, stands_for, domain
        self._own = tuple(f".{suffix}" for suffix in internal)
        self._targets = dict(kept)
        self._domains = Counter(domain(host) for host in self._targets)

    def match(self, host: str) -> Match:
        """Return what the catalogue says of a host; else what the name says that it leads to."""
        found = self._match(host)
        if found.app is not None or not self._targets:
            return found
        target = self._targets.get(found.host)
        return found if target is None else self._stands_for(found.host, target)

    def hear(self, host: str, target: str) -> bool:
        """Take note that a host leads to a name; return whether that tells what it is."""
        new = host not in self._targets
        if new and len(self._targets) >= MOST:
            return False
        if f".{host}".endswith(self._own) or self._match(host).app is not None:
            return False
        if self._stands_for(host, target).app is None:
            return False
        if new:
            domain = self._domain(host)
            if self._domains[domain] >= MOST_OF_DOMAIN:
                return False
            self._domains[domain] += 1
        self._targets[host] = target
        return True

    @property
    def version(self) -> str:
        """A short digest of all pairs."""
        text = "\n".join(f"{host} {target}" for host, target in sorted(self._targets.items()))
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def kept(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the pairs of a store: each host with the target that it was last seen to have."""
    return con.execute("SELECT host, target FROM white_label ORDER BY host").fetchall()


def published(findings: Path) -> dict[str, Heard]:
    """Return what findings tell of white labels, by host; nothing where there are none."""
    if not findings.is_file():
        return {}
    try:
        with closing(duckdb.connect(str(findings), read_only=True)) as con:
            rows = con.execute("SELECT host, target, source, last_seen FROM white_labels")
            return {host: Heard(*told) for host, *told in rows.fetchall()}
    except duckdb.Error:  # findings of an earlier Sundial, or no findings at all
        return {}
