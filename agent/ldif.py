"""LDIF as rows of clean cells: one row an entry, one column an attribute (RFC 2849)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from agent.csv_cells import MANY, MOST_CHARACTERS, Row, clean, plain
from agent.errors import LogError, Problem

_FIRST: Final = re.compile(r"(?:version|dn):", re.IGNORECASE)
_LINE: Final = re.compile(r"([A-Za-z][A-Za-z0-9.-]*)(?:;[^:]*)?:([:<]?) *(.*)")


def is_ldif(text: str) -> bool:
    r"""Tell whether the first line that says anything is of LDIF.

    >>> is_ldif("# all users\n\ndn: cn=anna"), is_ldif("dn,cn"), is_ldif("")
    (True, False, False)
    """
    said = (line for line in text[:65536].splitlines() if line and line[0] not in "# ")
    return _FIRST.match(next(said, "")) is not None


def read_rows(path: Path, text: str, headers: Iterable[str]) -> list[Row]:
    """Return the names of the attributes, then one row for each entry that has a dn.

    Only attributes that are among ``headers`` have cells. Several values of one attribute stand in
    one cell, with MANY between them; bytes that are no text, and values that lie in another file,
    are left out, and so is what a changetype asks for. Raises LogError for a line that is no LDIF.
    """
    known = set(map(plain, headers))
    columns: dict[str, str] = {}
    others: dict[str, None] = {}
    entries: list[Row] = []
    begun = 0
    cells: dict[str, list[str]] = {}
    for line, said in [*_unfolded(text), (0, "")]:
        if not said:
            if "dn" in cells:
                row = [MANY.join(cells.get(name, ())) for name in columns]
                entries.append((begun, row))
            cells = {}
            continue
        found = _LINE.fullmatch(said)
        if found is None:
            if said.strip() == "-":  # ends one change of several
                continue
            raise LogError(
                Problem(str(path), "is no line of LDIF (name: value). Export it anew.", line=line)
            )
        name = plain(found[1])
        begun = begun if cells else line
        if name in known or name == "dn":
            if value := _value(found[2], found[3]):
                columns.setdefault(name, found[1])
                cells.setdefault(name, []).append(value)
        elif cells:
            others[found[1]] = None
    return [(1, [*columns.values(), *others]), *entries] if entries else []


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Yield each logical line with the number of its first one; an empty one ends an entry."""
    first, parts = 0, list[str]()
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.startswith(" ") and parts:
            parts.append(line[1:])
            continue
        if parts and not parts[0].startswith("#"):
            yield first, "".join(parts)
        first, parts = number, [line] if line else []
        if not line:
            yield number, ""
    if parts and not parts[0].startswith("#"):
        yield first, "".join(parts)


def _value(kind: str, text: str) -> str:
    """Return the text of a value, nothing where it is none."""
    if kind == "<" or len(text) > MOST_CHARACTERS:
        return ""
    if kind == ":":
        try:
            text = base64.b64decode(text.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return clean(text)
