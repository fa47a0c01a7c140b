r"""Where a department stands in the tree of a company, from a path in any notation.

A unit is the tuple of names from the top of the tree down to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

Unit = tuple[str, ...]

_PIECE: Final = re.compile(r'\s*([A-Za-z][A-Za-z0-9.-]*)\s*=\s*("(?:[^"\\]|\\.)*"|(?:[^,\\]|\\.)*)')
_ESCAPED: Final = re.compile(r"\\([0-9A-Fa-f]{2}(?:\\[0-9A-Fa-f]{2})*|.)", re.DOTALL)
_DEEPEST: Final = 32
"""Units above a unit; more are a mistake, or a circle."""


def unit_of(text: str) -> Unit:
    r"""Read a path: a distinguished name (RFC 4514), or names between slashes or ``>``.

    >>> unit_of("CN=Anna,OU=EMEA,OU=Sales\\, Field,DC=example,DC=com")
    ('Sales, Field', 'EMEA')
    >>> unit_of("/Sales/EMEA"), unit_of("Sales > EMEA"), unit_of("/"), unit_of("Sales")
    (('Sales', 'EMEA'), ('Sales', 'EMEA'), (), ('Sales',))
    """
    if _PIECE.match(text):
        pieces = _PIECE.findall(text)
        return tuple(_unescaped(value) for kind, value in pieces[::-1] if kind.lower() == "ou")
    names = (name.strip() for name in re.split(r"[/>]", text))
    return tuple(name for name in names if name)


def below(parents: Mapping[str, str], department: str) -> Unit:
    """Return a department with all that is above it; a circle ends where it closes.

    >>> below({"EMEA": "Sales", "Sales": "Company"}, "EMEA")
    ('Company', 'Sales', 'EMEA')
    >>> below({"A": "B", "B": "A"}, "A")
    ('B', 'A')
    """
    unit = [department]
    while (above := parents.get(unit[-1])) and above not in unit and len(unit) < _DEEPEST:
        unit.append(above)
    return tuple(unit[::-1])


def named(unit: Unit, level: int | None) -> str:
    """Return what findings call a unit: its path, down to a level where one is given.

    >>> named(("Sales", "EMEA", "North"), 2), named(("Sales",), 2)
    ('Sales/EMEA', 'Sales')
    """
    return "/".join(unit[:level])


def _unescaped(value: str) -> str:
    if value.startswith('"'):
        value = value[1:-1]

    def meant(found: re.Match[str]) -> str:
        if len(found[1]) == 1:
            return found[1]
        return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace")

    return " ".join(_ESCAPED.sub(meant, value).split())
