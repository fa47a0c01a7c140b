"""When an app counts as adopted: the numbers of rules/adoption.toml, with every fault named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from agent import shipped
from agent.errors import Problem, RulesError, unknown_key


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When an app counts as adopted: each field is ``<table>_<key>`` of rules/adoption.toml."""

    active_days: int
    regular_weeks: int
    regular_of: int
    coverage_floor: float
    small_department_below: int
    small_department_workgroup_share: float
    small_department_division_share: float
    trial_people: int
    workgroup_people: int
    division_share: float
    division_people: int
    entry_weeks: int
    hysteresis_factor: float
    hysteresis_weeks: int
    stalled_share_of_peak: float
    stalled_weeks: int
    abandoned_share_of_peak: float
    abandoned_weeks: int
    abandoned_peak_people: int
    company_wide_departments: float
    company_wide_share: float
    tipping_point_division_departments: int
    tipping_point_workgroup_departments: int
    changes_weeks: int


def load_thresholds(path: Path | Traversable | None = None) -> Thresholds:
    """Read the thresholds, by default the shipped ones.

    Raises RulesError with every problem of the file.

    >>> load_thresholds().regular_of
    4
    """
    where, tables = shipped.tables("adoption.toml", path)
    given = {
        f"{table}.{key}": value
        for table, keys in tables.items()
        for key, value in (keys.items() if isinstance(keys, dict) else [("", keys)])
    }
    problems = [Problem(where, message, key=key) for key, message in _faults(given)]
    if problems:
        raise RulesError(problems)
    return Thresholds(**{key.replace(".", "_"): value for key, value in given.items()})


def _faults(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name each key with what is wrong about it."""
    known = {_dotted(field.name): field.type for field in fields(Thresholds)}
    for key in given:
        if key not in known:
            yield key.rstrip("."), unknown_key(key, known)
    faults = [
        (key, message)
        for key, kind in known.items()
        if (message := _fault(given.get(key), whole=kind == "int"))
    ]
    yield from faults
    if not faults and given["regular.weeks"] > given["regular.of"]:
        yield "regular.weeks", "more weeks than regular.of looks at."


def _dotted(field: str) -> str:
    """Return the table and key of a threshold.

    >>> _dotted("small_department_below"), _dotted("stalled_share_of_peak")
    ('small_department.below', 'stalled.share_of_peak')
    """
    tables = ("small_department", "company_wide", "tipping_point")
    table = next((name for name in tables if field.startswith(name)), field.split("_", 1)[0])
    return f"{table}.{field.removeprefix(table + '_')}"


def _fault(value: object, *, whole: bool) -> str | None:
    """Say what is wrong with a threshold, None if nothing is."""
    if value is None:
        return "missing. Take it from the shipped file."
    if whole:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return None if fits else f"expected a whole number from 1, found {value!r}."
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    return None if fits else f"expected a share above 0 and up to 1, found {value!r}."
