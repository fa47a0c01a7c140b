"""What the columns of a directory are called by those who export them: rules/directories.toml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any, Final

import rtoml

from agent.csv_cells import plain
from agent.errors import Problem, RulesError, unknown_key

ROLES: Final = (
    "login", "principal", "mail", "aliases", "department", "parent", "path", "also", "primary",
    "from", "to", "kind", "class", "flags", "status",
)  # fmt: skip
"""The parts that a column can play."""
WORDS: Final = ("guest", "service", "left", "no", "none")
LOGINS: Final = ("guest_has", "service_ends")
_WHERE: Final = "rules/directories.toml"


@dataclass(frozen=True, slots=True)
class Exports:
    """The headers of all exports that are known, and what their cells say."""

    headers: Mapping[str, tuple[str, ...]]
    """Role to the plain headers it goes by, the best first."""
    words: Mapping[str, frozenset[str]]
    """What a cell says to the plain words that say it."""
    logins: Mapping[str, tuple[str, ...]]
    """What a login has in it (``guest_has``) or at its end (``service_ends``), case-folded."""
    _marks: Mapping[str, frozenset[str]]
    """Name of an export to every header that it has."""

    def says(self, meaning: str, cell: str) -> bool:
        """Tell whether a cell says what a list of words is for.

        >>> load_exports().says("guest", "Guest"), load_exports().says("left", "ACTIVE")
        (True, False)
        """
        return plain(cell) in self.words[meaning]

    def name(self, headers: Iterable[str]) -> str:
        """Return whose export has most of these headers, the first where several do.

        >>> load_exports().name(["userPrincipalName", "displayName", "userType"])
        'Microsoft Entra ID'
        >>> load_exports().name(["login", "mail", "department"])
        'a list of people'
        """
        given = set(map(plain, headers))
        return max(self._marks, key=lambda name: len(self._marks[name] & given))


@cache
def load_exports() -> Exports:
    """Read the exports that are shipped. Raises RulesError with every problem of the file."""
    text = resources.files("rules").joinpath("directories.toml").read_text(encoding="utf-8")
    return exports_of(text)


def exports_of(text: str) -> Exports:
    """Return the exports that a TOML text declares. Raises RulesError with all its problems."""
    try:
        tables = rtoml.loads(text)
    except rtoml.TomlParsingError as error:
        raise RulesError(Problem(_WHERE, f"is not TOML: {error}.")) from None
    problems = list(_faults(tables))
    if problems:
        raise RulesError(problems)
    found = tables["export"].values()
    return Exports(
        {
            role: tuple(
                dict.fromkeys(plain(name) for one in found for name in one["headers"].get(role, ()))
            )
            for role in ROLES
        },
        {name: frozenset(map(plain, words)) for name, words in tables["words"].items()},
        {name: tuple(map(str.casefold, marks)) for name, marks in tables["logins"].items()},
        {one["name"]: frozenset(map(plain, _all_headers(one))) for one in found},
    )


def _all_headers(export: Mapping[str, Any]) -> list[str]:
    return [*chain.from_iterable(export["headers"].values()), *export.get("marks", ())]


def _faults(tables: Mapping[str, Any]) -> Iterable[Problem]:
    for key, export in tables.get("export", {}).items():
        place = f"export.{key}"
        yield from _unknown(export, ("name", "page", "headers", "marks"), place)
        headers = export.get("headers", {})
        yield from _unknown(headers, ROLES, f"{place}.headers")
        lists = {f"headers.{role}": names for role, names in headers.items()}
        for name, value in {**lists, "marks": export.get("marks", [])}.items():
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                yield Problem(_WHERE, "must be a list of texts.", f"{place}.{name}")
        if not isinstance(export.get("name"), str):
            yield Problem(_WHERE, "is missing: whose export it is.", f"{place}.name")
        if not headers:
            yield Problem(_WHERE, "is missing: its headers by role.", f"{place}.headers")
    for part, known in (("words", WORDS), ("logins", LOGINS)):
        yield from _unknown(tables.get(part, {}), known, part)
        for word in known:
            if not isinstance(tables.get(part, {}).get(word), list):
                yield Problem(_WHERE, "is missing: a list of texts.", f"{part}.{word}")


def _unknown(table: Mapping[str, Any], known: Sequence[str], place: str) -> Iterable[Problem]:
    return (
        Problem(_WHERE, unknown_key(key, known), f"{place}.{key}")
        for key in table
        if key not in known
    )
