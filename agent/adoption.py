"""Tells how far each app has spread: daily usage in, weekly adoption, stages and coverage out.

The work is SQL: findings.sql says what is published, usage.sql counts, adoption.sql judges. This
module reads the thresholds and hands both to DuckDB.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa

from agent.errors import Problem, RulesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

    import duckdb

    from agent.model import App

_SCRIPTS: Final = ("findings.sql", "usage.sql", "adoption.sql")
_SCRATCH: Final = (
    ("VIEW", "placed_usage"),
    *(
        ("TABLE", name)
        for name in (
            *("span", "department_no", "app_no", "purpose", "outside", "inside", "seen", "basis"),
            *("person_week", "department_week"),
            *("active", "turn", "cell_week", "clock", "walked"),
        )
    ),
    ("MACRO", "monday"),
    ("MACRO", "fraction"),
)
_HELD: Final = (
    *("trial_people", "workgroup_people", "division_share"),
    *("small_department_workgroup_share", "small_department_division_share"),
)
"""Thresholds that hysteresis lowers for a stage that was reached."""
_PRECISION: Final = 9
"""Decimals kept of factor times threshold: 0.7 of 0.40 is 0.28, and 7 of 25 people meet it."""


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


class Category(Protocol):
    """What is published of a category of the catalogue."""

    @property
    def id(self) -> str:
        """Key by which apps name it."""

    @property
    def name(self) -> str:
        """Name for readers."""

    @property
    def description(self) -> str:
        """One sentence on what belongs in it."""


def load_thresholds(path: Path | Traversable | None = None) -> Thresholds:
    """Read the thresholds, by default the shipped ones.

    Raises RulesError with every problem of the file.

    >>> load_thresholds().regular_of
    4
    """
    file = resources.files("rules").joinpath("adoption.toml") if path is None else path
    where = f"rules/{file.name}" if path is None else str(file)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RulesError(Problem(where, f"cannot be read: {error}.")) from error
    given = {
        f"{table}.{key}": value
        for table, keys in tables.items()
        for key, value in (keys.items() if isinstance(keys, dict) else [("", keys)])
    }
    known = {_dotted(field.name): field.type for field in fields(Thresholds)}
    problems = [_unknown(where, key, known) for key in given if key not in known]
    problems += [
        Problem(where, message, key=key)
        for key, kind in known.items()
        if (message := _fault(given.get(key), whole=kind == "int"))
    ]
    if not problems and given["regular.weeks"] > given["regular.of"]:
        problems.append(Problem(where, "more weeks than regular.of looks at.", key="regular.weeks"))
    if problems:
        raise RulesError(problems)
    return Thresholds(**{key.replace(".", "_"): value for key, value in given.items()})


def derive(  # noqa: PLR0913 - what is published besides the star, each by its name
    con: duckdb.DuckDBPyConnection,
    thresholds: Thresholds,
    *,
    meta: Mapping[str, str],
    apps: Iterable[App],
    categories: Iterable[Category],
    format_kinds: Mapping[str, str] | None = None,
) -> None:
    """Fill the empty database attached as ``findings`` from the star in the default catalogue.

    ``meta`` is published as it stands, beside the days and the floor that are found here.
    ``format_kinds`` maps formats to dns, proxy or mixed; the others are told by their byte counts.
    Writes only to ``findings``, in several transactions, so ``con`` must not be inside one.
    """
    given = {
        "given_app": _app_table(apps),
        "given_category": _category_table(categories),
        "given_kind": _text_table(("format", "kind"), (format_kinds or {}).items()),
    }
    values = _variables(thresholds)
    try:
        for name, table in given.items():
            con.register(name, table)
        for name, value in values.items():
            con.execute(f"SET VARIABLE {name} = {value!r}")
        for script in _SCRIPTS:
            con.execute(resources.files("agent").joinpath(script).read_text(encoding="utf-8"))
        found = {"coverage_floor": str(thresholds.coverage_floor)}
        _add_meta(con, dict(meta) | found)
    finally:
        for kind, name in _SCRATCH:
            con.execute(f"DROP {kind} IF EXISTS temp.{name}")
        for name in values:
            con.execute(f"RESET VARIABLE {name}")
        for name in given:
            con.unregister(name)


def _dotted(field: str) -> str:
    """Return the table and key of a threshold.

    >>> _dotted("small_department_below"), _dotted("stalled_share_of_peak")
    ('small_department.below', 'stalled.share_of_peak')
    """
    tables = ("small_department", "company_wide", "tipping_point")
    table = next((name for name in tables if field.startswith(name)), field.split("_", 1)[0])
    return f"{table}.{field.removeprefix(table + '_')}"


def _unknown(where: str, key: str, known: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known keys: {', '.join(known)}."
    return Problem(where, f"unknown key. {hint}", key=key.rstrip("."))


def _fault(value: object, *, whole: bool) -> str | None:
    """Say what is wrong with a threshold, None if nothing is."""
    if value is None:
        return "missing. Take it from the shipped file."
    if whole:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return None if fits else f"expected a whole number from 1, found {value!r}."
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    return None if fits else f"expected a share above 0 and up to 1, found {value!r}."


def _variables(thresholds: Thresholds) -> dict[str, float]:
    """Name every number that the scripts look up with ``getvariable``."""
    values: dict[str, float] = {
        field.name: getattr(thresholds, field.name) for field in fields(thresholds)
    }
    factor = thresholds.hysteresis_factor
    return values | {f"keep_{name}": round(factor * values[name], _PRECISION) for name in _HELD}


def _text_table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in names])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)


def _category_table(categories: Iterable[Category]) -> pa.Table:
    rows = ((category.id, category.name, category.description) for category in categories)
    return _text_table(("category", "name", "description"), rows)


def _app_table(apps: Iterable[App]) -> pa.Table:
    names = ("app", "name", "vendor", "category", "audience", "homepage")
    held = tuple(apps)
    table = _text_table(
        names,
        (
            (app.id, app.name, app.vendor, app.categories[0], app.audience, app.homepage)
            for app in held
        ),
    )
    categories = pa.array([list(app.categories) for app in held], pa.list_(pa.string()))
    return table.append_column("categories", categories)


def _add_meta(con: duckdb.DuckDBPyConnection, meta: Mapping[str, str]) -> None:
    con.execute(
        "INSERT INTO findings.meta SELECT key, value"
        " FROM (SELECT unnest(?::VARCHAR[]) AS key, unnest(?::VARCHAR[]) AS value)"
        " WHERE key NOT IN (SELECT key FROM findings.meta)",
        [list(meta), list(meta.values())],
    )
