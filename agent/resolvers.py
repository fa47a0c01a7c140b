"""Who hides names from a capture: rules/resolvers.toml, as look-ups by host and by address."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent import shipped
from agent.errors import Problem, RulesError

_KEYS = {"hosts", "addresses", "source"}
_HIDES = {"resolver": "encrypted_dns", "relay": "relay", "vpn": "vpn"}


@dataclass(frozen=True, slots=True)
class Resolvers:
    """Operators of encrypted DNS and of Encrypted ClientHello."""

    hosts: Mapping[str, str]
    """Host of a resolver to the name of its operator."""
    addresses: Mapping[bytes, str]
    """Address, 16 bytes with IPv4 as ``::ffff:0:0/96``, to the same."""
    covers: Mapping[str, str]
    """Name shown in clear instead of an encrypted one, to who runs the server."""
    endpoints: tuple[Mapping[str, str], ...] = ()
    """kind (``encrypted_dns``, ``relay`` or ``vpn``), operator and host of what hides names."""

    def by_host(self, host: str) -> str | None:
        """Return the operator of a resolver's host.

        >>> load_resolvers().by_host("firefox.dns.nextdns.io"), load_resolvers().by_host("io")
        ('NextDNS', None)
        """
        return _longest(self.hosts, host)

    def by_cover(self, host: str) -> str | None:
        """Return who runs the server that a name in clear stands for."""
        return _longest(self.covers, host)


def load_resolvers() -> Resolvers:
    """Read the resolvers that are shipped. Raises RulesError with every problem of the file."""
    where, tables = shipped.tables("resolvers.toml")
    problems = [
        Problem(where, message, key=f"{kind}.{name}")
        for kind in ("resolver", "relay", "vpn", "cover")
        for name, entry in tables.get(kind, {}).items()
        for message in _faults(entry, tables.get("sources", {}))
    ]
    if problems:
        raise RulesError(problems)
    found = tables["resolver"].items()
    return Resolvers(
        {host: name for name, entry in found for host in entry.get("hosts", ())},
        {packed(one): name for name, entry in found for one in entry.get("addresses", ())},
        {host: name for name, entry in tables["cover"].items() for host in entry["hosts"]},
        tuple(
            {"kind": kind, "operator": name, "host": host}
            for table, kind in _HIDES.items()
            for name, entry in tables.get(table, {}).items()
            for host in entry["hosts"]
        ),
    )


def packed(address: str) -> bytes:
    """Return an address as the 16 bytes by which it is looked up.

    >>> packed("192.0.2.1").hex()
    '00000000000000000000ffffc0000201'
    """
    found = ipaddress.ip_address(address)
    return found.packed if found.version == 6 else bytes(10) + b"\xff\xff" + found.packed


def _faults(entry: dict[str, Any], sources: dict[str, str]) -> list[str]:
    faults = [f'unknown key "{key}".' for key in entry.keys() - _KEYS]
    if entry.get("source") not in sources:
        faults.append("names no source of [sources].")
    if not entry.get("hosts"):
        faults.append("hosts: is missing.")
    for address in entry.get("addresses", ()):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            faults.append(f'addresses: "{address}" is no address.')
    return faults


def _longest(known: Mapping[str, str], host: str) -> str | None:
    while host:
        if host in known:
            return known[host]
        host = host.partition(".")[2]
    return None
