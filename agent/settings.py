"""What the operator decided: who and where people are, and how each source of logs is read.

One small TOML file, ``sundial.toml``; everything in it can be left out.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.errors import Problem, RulesError

USUAL_K = 5
"""People in the smallest group that is told of, where nobody decides otherwise."""


@dataclass(frozen=True, slots=True)
class SourceSetting:
    """How the files of one source are read."""

    name: str
    match: str
    """A shell pattern for file names below the scanned folder."""
    timezone: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's decisions for a scan; the defaults need no file."""

    people: Path | None = None
    people_columns: Mapping[str, str] = field(default_factory=dict)
    subnets: Path | None = None
    sources: tuple[SourceSetting, ...] = ()
    timezone: str | None = None
    """Where the company's days begin, and the zone of logs that state none."""
    format: str | None = None
    """The format of all files, whatever they look like."""
    k: int | None = None
    """People in the smallest group of which something is published."""
    internal: tuple[str, ...] = ()
    """Suffixes of the company's own hosts: on premises, so no SaaS and nothing unknown."""

    @property
    def days(self) -> str:
        """The zone in which days are counted."""
        return self.timezone or "UTC"

    @property
    def smallest_group(self) -> int:
        """How many people make a group of which something is published."""
        return self.k or USUAL_K


_SUFFIX = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_TOP = ("timezone", "internal", "people", "subnets", "source", "privacy")
_PRIVACY = ("k",)
_LEAST, _MOST = 3, 1000
"""Bounds of k: two people know each other's number, and above a thousand nothing is left."""
_PEOPLE = ("file", "columns")
_SOURCE = ("match", "timezone", "format")


def load_settings(path: Path | None) -> Settings:
    """Read a settings file; None gives the defaults. Raises RulesError with all its problems."""
    if path is None:
        return Settings()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RulesError(Problem(str(path), f"cannot be read: {error.strerror}.")) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesError(Problem(str(path), f"is not TOML: {error}.")) from None
    return _Reader(path).settings(table)


def check_zone(name: str, where: str, key: str | None = None) -> None:
    """Raise RulesError for a time zone that does not exist."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise RulesError(
            Problem(where, f'"{name}" is no time zone; write one as Europe/Berlin.', key)
        ) from None


def remembered(settings: Settings) -> str:
    """Return what a store keeps for later scans: how times and sources are read."""
    sources = [asdict(source) for source in settings.sources]
    kept = {
        "timezone": settings.timezone,
        "sources": sources,
        "internal": settings.internal,
        "k": settings.k,
    }
    return json.dumps(kept)


def recalled(settings: Settings, text: str | None) -> Settings:
    """Fill in what a scan was not told with what an earlier one was."""
    kept = json.loads(text or "{}")
    sources = tuple(SourceSetting(**source) for source in kept.get("sources", ()))
    return replace(
        settings,
        timezone=settings.timezone or kept.get("timezone"),
        sources=settings.sources or sources,
        internal=settings.internal or tuple(kept.get("internal", ())),
        k=settings.k or kept.get("k"),
    )


def _is_suffix(value: object) -> bool:
    return isinstance(value, str) and _SUFFIX.fullmatch(value.lower().strip(".")) is not None


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[Problem] = []

    def settings(self, table: Mapping[str, Any]) -> Settings:
        self._known(table, _TOP, "")
        people, subnets = self._table(table, "people"), self._table(table, "subnets")
        privacy = self._table(table, "privacy")
        self._known(people, _PEOPLE, "people")
        self._known(subnets, ("file",), "subnets")
        self._known(privacy, _PRIVACY, "privacy")
        made = Settings(
            people=self._file(people),
            people_columns=dict(self._table(people, "columns")),
            subnets=self._file(subnets),
            sources=tuple(
                self._source(name, source) for name, source in self._table(table, "source").items()
            ),
            timezone=self._zone(table, "timezone"),
            internal=self._suffixes(table.get("internal", [])),
            k=self._whole(privacy, "k", "privacy", _LEAST, _MOST),
        )
        if self._problems:
            raise RulesError(self._problems)
        return made

    def _source(self, name: str, table: Mapping[str, Any]) -> SourceSetting:
        key = f"source.{name}"
        self._known(table, _SOURCE, key)
        if not isinstance(table.get("match"), str):
            self._wrong(f"{key}.match", 'is missing: a pattern for its files, as "proxy/*".')
        if not isinstance(table.get("format", ""), str):
            self._wrong(f"{key}.format", "is not a text.")
        return SourceSetting(
            name,
            str(table.get("match", "")),
            self._zone(table, "timezone", key),
            table.get("format"),
        )

    def _table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = table.get(key, {})
        if isinstance(value, dict):
            return value
        self._wrong(key, f"is not a table; write [{key}].")
        return {}

    def _suffixes(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(map(_is_suffix, value)):
            self._wrong("internal", 'is not a list of your own suffixes, as ["corp.example.com"].')
            return ()
        return tuple(suffix.lower().strip(".") for suffix in value)

    def _whole(
        self, table: Mapping[str, Any], key: str, prefix: str, least: int, most: int
    ) -> int | None:
        value = table.get(key)
        if value is None or (type(value) is int and least <= value <= most):
            return value
        self._wrong(f"{prefix}.{key}", f"is not a whole number from {least} to {most}.")
        return None

    def _file(self, table: Mapping[str, Any]) -> Path | None:
        value = table.get("file")
        return None if value is None else self._path.parent / str(value)

    def _zone(self, table: Mapping[str, Any], key: str, prefix: str = "") -> str | None:
        value = table.get(key)
        if value is None:
            return None
        try:
            check_zone(str(value), str(self._path), f"{prefix}.{key}".strip("."))
        except RulesError as error:
            self._problems.extend(error.problems)
        return str(value)

    def _known(self, table: Mapping[str, Any], keys: tuple[str, ...], prefix: str) -> None:
        for key in table:
            if key not in keys:
                near = get_close_matches(key, keys, n=1)
                cure = f' Did you mean "{near[0]}"?' if near else f" Known are {', '.join(keys)}."
                self._wrong(f"{prefix}.{key}".strip("."), f"unknown key.{cure}")

    def _wrong(self, key: str, message: str) -> None:
        self._problems.append(Problem(str(self._path), message, key))
