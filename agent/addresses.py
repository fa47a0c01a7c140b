"""One reading of an IP address or range, with brackets, with a zone, or IPv4 inside IPv6."""

from __future__ import annotations

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAPPED_PREFIX: Final = 96
"""Bits of ::ffff:0:0/96, the range of IPv4 addresses written as IPv6."""


def parse_address(text: str) -> Address | None:
    """Return an address, None where the text is none.

    >>> parse_address("[::ffff:10.1.2.3%eth0]"), parse_address("10.1.2")
    (IPv4Address('10.1.2.3'), None)
    """
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> str | None:
    """Return the CIDR text of a range without host bits, None where the text is no range.

    >>> parse_network("10.1.2.3/24"), parse_network("::ffff:10.1.2.0/120"), parse_network("10/8")
    ('10.1.2.0/24', '10.1.2.0/24', None)
    """
    address, slash, length = text.partition("/")
    try:
        network = ipaddress.ip_network(address.partition("%")[0] + slash + length, strict=False)
        mapped = parse_address(str(network.network_address))
        if isinstance(network, ipaddress.IPv6Network) and isinstance(mapped, ipaddress.IPv4Address):
            network = ipaddress.ip_network((int(mapped), network.prefixlen - _MAPPED_PREFIX))
    except ValueError:
        return None
    return str(network)
