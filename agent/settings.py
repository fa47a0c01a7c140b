"""What the operator decided: who and where people are, and how each source of logs is read.

One small TOML file, ``sundial.toml``; everything in it can be left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import rtoml

from agent.errors import Problem, RulesError

USUAL_K = 5
"""People in the smallest group that is told of, where nobody decides otherwise."""
USUAL_DAYS = 400
"""Days after which rows by person expire: a year, and a month to compare it with the last."""


@dataclass(frozen=True, slots=True)
class SourceSetting:
    """How the files of one source are read."""

    name: str
    match: str
    """A shell pattern for file names below the scanned folder."""
    timezone: str | None = None
    format: str | None = None
    ahead: int = 0
    """Seconds that its clock is ahead of the others; below 0 where it is behind."""
    retired: str | None = None
    """Day, as 2026-03-31, from which on nothing is expected of it."""


@dataclass(frozen=True, slots=True)
class ClaimSetting:
    """Where leases or log-ons are, and how long one is believed whose end nobody tells."""

    files: tuple[Path, ...] = ()
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's decisions for a scan; the defaults need no file."""

    people: Path | None = None
    """A directory, or a folder of its snapshots."""
    people_columns: Mapping[str, str] = field(default_factory=dict)
    subnets: Path | None = None
    sources: tuple[SourceSetting, ...] = ()
    timezone: str | None = None
    """Where the company's days begin, and the zone of logs that state none."""
    format: str | None = None
    """The format of all files, whatever they look like."""
    k: int | None = None
    """People in the smallest group of which something is published."""
    keep_days: int | None = None
    """Days after which rows by person expire."""
    internal: tuple[str, ...] = ()
    """Suffixes of the company's own hosts: on premises, so no SaaS and nothing unknown."""
    people_level: int | None = None
    """How far down the tree departments are told apart, 1 for the top; None for all the way."""
    leases: ClaimSetting = ClaimSetting()
    logons: ClaimSetting = ClaimSetting()
    devices: Path | None = None
    """Whose device is whose."""
    many: int | None = None
    """People logged on at one address at once from which it is shared."""

    @property
    def days(self) -> str:
        """The zone in which days are counted."""
        return self.timezone or "UTC"

    @property
    def smallest_group(self) -> int:
        """How many people make a group of which something is published."""
        return self.k or USUAL_K

    @property
    def retention(self) -> int:
        """After how many days rows by person expire."""
        return self.keep_days or USUAL_DAYS


_HOURS = 24 * 366
_SUFFIX = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_TOP = ("timezone", "internal", "people", "subnets", "leases", "logons", "source", "privacy")
_PEOPLE = ("file", "columns", "level")
_LEASES = ("files", "hours", "devices")
_LOGONS = ("files", "hours", "shared")
_SOURCE = ("match", "timezone", "format", "ahead", "retired")
_PRIVACY = ("k", "keep_days")
_LEAST, _MOST = 3, 1000
"""Bounds of k: two people know each other's number, and above a thousand nothing is left."""
_BRIEFLY, _LONG = 90, 1100
"""Bounds of keep_days: stages look back for eight weeks and more, and three years are history."""


def load_settings(path: Path | None) -> Settings:
    """Read a settings file; None gives the defaults. Raises RulesError with all its problems."""
    if path is None:
        return Settings()
    try:
        table = rtoml.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RulesError(Problem(str(path), f"cannot be read: {error.strerror}.")) from None
    except (rtoml.TomlParsingError, UnicodeDecodeError) as error:
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
        "hours": [settings.leases.hours, settings.logons.hours],
        "many": settings.many,
        "k": settings.k,
        "keep_days": settings.keep_days,
    }
    return json.dumps(kept)


def recalled(settings: Settings, text: str | None) -> Settings:
    """Fill in what a scan was not told with what an earlier one was."""
    kept = json.loads(text or "{}")
    sources = tuple(SourceSetting(**source) for source in kept.get("sources", ()))
    hours = kept.get("hours", (None, None))
    return replace(
        settings,
        timezone=settings.timezone or kept.get("timezone"),
        sources=settings.sources or sources,
        internal=settings.internal or tuple(kept.get("internal", ())),
        leases=replace(settings.leases, hours=settings.leases.hours or hours[0]),
        logons=replace(settings.logons, hours=settings.logons.hours or hours[1]),
        many=settings.many or kept.get("many"),
        k=settings.k or kept.get("k"),
        keep_days=settings.keep_days or kept.get("keep_days"),
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
        leases, logons = self._table(table, "leases"), self._table(table, "logons")
        self._known(leases, _LEASES, "leases")
        self._known(logons, _LOGONS, "logons")
        self._known(privacy, _PRIVACY, "privacy")
        made = Settings(
            people=self._file(people),
            people_columns=dict(self._table(people, "columns")),
            people_level=self._level(people.get("level")),
            subnets=self._file(subnets),
            leases=self._claims(leases, "leases"),
            logons=self._claims(logons, "logons"),
            devices=self._file(leases, "devices"),
            many=self._whole(logons, "shared", "logons", least=2),
            sources=tuple(
                self._source(name, source) for name, source in self._table(table, "source").items()
            ),
            timezone=self._zone(table, "timezone"),
            internal=self._suffixes(table.get("internal", [])),
            k=self._whole(privacy, "k", "privacy", least=_LEAST, most=_MOST),
            keep_days=self._whole(privacy, "keep_days", "privacy", least=_BRIEFLY, most=_LONG),
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
            self._whole(table, "ahead", key, least=-86400) or 0,
            self._date(table, "retired", key),
        )

    def _claims(self, table: Mapping[str, Any], key: str) -> ClaimSetting:
        files = table.get("files", [])
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            self._wrong(f"{key}.files", 'is not a list of files or folders, as ["dhcp"].')
            files = []
        hours = table.get("hours")
        if hours is not None and not (isinstance(hours, int | float) and 0 < hours < _HOURS):
            self._wrong(f"{key}.hours", "is not a number of hours above 0.")
            hours = None
        return ClaimSetting(tuple(self._path.parent / file for file in files), hours)

    def _date(self, table: Mapping[str, Any], name: str, key: str) -> str | None:
        value = table.get(name)
        if value is None or type(value) is date:
            return None if value is None else value.isoformat()
        self._wrong(f"{key}.{name}", "is not a day; write one as 2026-03-31, without quotes.")
        return None

    def _whole(
        self, table: Mapping[str, Any], name: str, key: str, *, least: int, most: int | None = None
    ) -> int | None:
        value = table.get(name)
        if value is None or (type(value) is int and least <= value <= (most or value)):
            return value
        ends = "up" if most is None else f"to {most}"
        self._wrong(f"{key}.{name}", f"is not a whole number from {least} {ends}.")
        return None

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

    def _level(self, value: object) -> int | None:
        if value is None or (type(value) is int and value > 0):
            return value
        self._wrong("people.level", "is no number of levels; write 1 for the top of the tree.")
        return None

    def _file(self, table: Mapping[str, Any], key: str = "file") -> Path | None:
        value = table.get(key)
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
