"""The address plan of a company: the department and site of a range, and whether it is shared."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from agent.addresses import Address, parse_address, parse_network
from agent.errors import Problem
from agent.sheet import BadRowError, read_sheet

_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cidr": ("cidr", "subnet", "network", "prefix"),
    "department": ("department", "departmentname", "dept", "ou", "division"),
    "site": ("site", "location", "office"),
    "shared": ("shared", "nat"),
    "people": ("people", "headcount"),
}
_SHARED: Final = {
    **dict.fromkeys(("yes", "y", "true", "1", "x"), True),
    **dict.fromkeys(("", "no", "n", "false", "0", "-"), False),
}


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
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role (cidr, department, site, shared, people) to the header that was taken for it."""

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
        address = parse_address(text)
        if address is None:
            return None
        return self.narrowest(address, int(length) if length else address.max_prefixlen)

    def narrowest(self, address: Address, length: int) -> Subnet | None:
        """Return the longest prefix, of ``length`` bits at most, that holds an address."""
        value = int(address)
        for prefix, rows in self._by_length[address.version]:
            if prefix <= length and (row := rows.get(value >> (address.max_prefixlen - prefix))):
                return row
        return None


def network_of(address: str, subnets: Subnets | None = None) -> str | None:
    """Return the narrowest subnet of an address, else its /24 or /64; None for no address.

    >>> network_of("10.1.2.3"), network_of("::ffff:10.1.2.3"), network_of("fe80::1%eth0")
    ('10.1.2.0/24', '10.1.2.0/24', 'fe80::/64')
    """
    parsed = parse_address(address)
    if parsed is None:
        return None
    if subnets is not None and (row := subnets.narrowest(parsed, parsed.max_prefixlen)):
        return row.network
    if isinstance(parsed, ipaddress.IPv4Address):
        return f"{str(parsed).rpartition('.')[0]}.0/24"
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"


def holds_ranges(path: Path) -> bool:
    """Tell whether a file has a column of address ranges; raises LogError where it is no table."""
    return path.is_file() and "cidr" in read_sheet(path, _HEADERS, {}).columns


def read_subnets(path: Path, columns: Mapping[str, str] | None = None) -> Subnets:
    """Read a CSV or XLSX of address ranges: cidr, department, site, shared (yes or no), people.

    ``columns`` maps those names to headers of the file; what it leaves out is guessed. Rows that
    cannot be used are left out and named in ``problems``. Raises LogError when the file cannot be
    used at all or says two things of one range.
    """
    sheet = read_sheet(path, _HEADERS, columns or {})
    sheet.require("cidr", "the address range")
    sheet.stop_if_fatal()
    lines: dict[str, int] = {}
    rows: dict[str, Subnet] = {}
    for line, row in sheet.read(lambda line, cells: (line, _subnet(cells))):
        earlier = rows.setdefault(row.network, row)
        if earlier is row:
            lines[row.network] = line
        elif earlier == row:
            sheet.leave_out(line, None, f"says the same as line {lines[row.network]}.")
        else:
            sheet.fail(
                f'lines {lines[row.network]} and {line} say two things of "{row.network}". '
                "Keep one of them.",
                line,
            )
    if not rows:
        sheet.fail("no row gives an address range.")
    sheet.stop_if_fatal()
    return Subnets(sheet.where, tuple(rows.values()), sheet.in_order(), sheet.columns)


def _subnet(cells: Mapping[str, str]) -> Subnet:
    people = cells.get("people", "")
    if people and not re.fullmatch("[0-9]{1,7}", people):
        raise BadRowError("people", f'"{people}" is no number of people.')
    shared = _SHARED.get(cells.get("shared", "").casefold())
    if shared is None:
        raise BadRowError("shared", f'"{cells["shared"]}" is neither yes nor no.')
    network = parse_network(cells["cidr"])
    if network is None:
        message = f'"{cells["cidr"]}" is no address range. Write it as 10.1.2.0/24.'
        raise BadRowError("cidr", message)
    return Subnet(
        network,
        cells.get("department") or None,
        cells.get("site") or None,
        shared,
        int(people) if people else None,
    )
