"""Whose device is whose: an inventory of hardware addresses or host names, each with a login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import Problem
from agent.sheet import BadRowError, read_sheet

_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "mac": ("mac", "macaddress", "hardwareaddress", "wifimac", "ethernetmac"),
    "hostname": ("hostname", "host", "device", "devicename", "computer", "computername", "name"),
    "login": ("login", "user", "username", "owner", "primaryuser", "userprincipalname", "mail"),
}


@dataclass(frozen=True, slots=True)
class Devices:
    """What an inventory says, and which of its rows were left out."""

    rows: tuple[tuple[str, str, str], ...]
    """Hardware address, host name, login; one of the first two may be empty."""
    problems: tuple[Problem, ...]


def read_devices(path: Path) -> Devices:
    """Read an inventory CSV: mac, hostname or both, and login.

    Rows that cannot be used are left out and named in ``problems``. Raises LogError when the file
    cannot be used at all.
    """
    sheet = read_sheet(path, _HEADERS, {})
    sheet.require("login", "whose device it is")
    sheet.require("hostname", "the device", other="mac")
    sheet.stop_if_fatal()
    rows = tuple(sheet.read(lambda _, cells: _row(cells)))
    return Devices(rows, sheet.in_order())


def _row(cells: Mapping[str, str]) -> tuple[str, str, str]:
    mac, hostname, login = (cells.get(role, "") for role in ("mac", "hostname", "login"))
    if not login:
        raise BadRowError("login", "no login.")
    if not mac and not hostname:
        raise BadRowError("hostname", "neither host name nor hardware address.")
    return mac, hostname, login
