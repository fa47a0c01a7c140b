"""Tells how far each app has spread: daily usage in, weekly adoption, stages and coverage out.

The work is SQL: findings.sql says what is published, behind.sql who was at an address, usage.sql
counts, adoption.sql judges, confidence.sql says how sure it is, small_groups.sql takes out what
would tell of a few people, and company.sql adds up what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date, timedelta
from typing import Final, Protocol

import duckdb
import pyarrow as pa

from agent import sql
from agent.confidence import Confidence, load_confidence
from agent.model import App
from agent.thresholds import Thresholds, load_thresholds

__all__ = ["Confidence", "Thresholds", "derive", "load_confidence", "load_thresholds"]

_SCRIPTS: Final = (
    "findings.sql",
    "behind.sql",
    "usage.sql",
    "adoption.sql",
    "confidence.sql",
)
_WITHHOLDING: Final = "small_groups.sql"
_TOTALS: Final = "company.sql"
_SCRATCH: Final = {
    "VIEW": "placed_usage placed_host used met",
    "TABLE": (
        "told_user behind refused span department_no app_no purpose outside inside seen basis "
        "person_week dark lost department_week source_sight active turn cell_week clock walked "
        "host_kind day_cell edge past small_week small_department adoption_told traffic_group "
        "week_told ledger_told small_host"
    ),
    "MACRO": "monday fraction crowd shown open stepped rough shown_regular told",
}
"""What the scripts leave behind, in an order in which it can go."""
_PAST: Final = {
    "usage_daily": "day",
    "usage_weekly": "week",
    "coverage_daily": "day",
    "hidden_daily": "day",
    "identity_conflicts": "day",
}
"""Tables of which days and weeks stay as they were published once their people have expired."""
_WARM_UP: Final = timedelta(weeks=8)
"""How long before their people expire weeks are kept as counts; retention.sql says why."""
_ENDPOINT: Final = ("kind", "operator", "host")
_HELD: Final = (
    "trial_people",
    "workgroup_people",
    "division_share",
    "small_department_workgroup_share",
    "small_department_division_share",
)
"""Thresholds that hysteresis lowers for a stage that was reached."""
_PRECISION: Final = 9
"""Decimals kept of factor times threshold: 0.7 of 0.40 is 0.28, and 7 of 25 people meet it."""


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


def derive(  # noqa: PLR0913 - what is published besides the star, each by its name
    con: duckdb.DuckDBPyConnection,
    thresholds: Thresholds,
    *,
    k: int,
    meta: Mapping[str, str],
    apps: Iterable[App],
    categories: Iterable[Category],
    format_kinds: Mapping[str, str] | None = None,
    facts: Iterable[Mapping[str, str | None]] = (),
    internal: Iterable[str] = (),
    endpoints: Iterable[Mapping[str, str]] = (),
    retired: Iterable[tuple[str, str]] = (),
    confidence: Confidence | None = None,
    own: Iterable[str] = (),
    expire_before: date | None = None,
) -> None:
    """Fill the empty database attached as ``findings`` from the star in the default catalogue.

    Of groups below ``k`` people nothing is told; 1 tells everything, for tests and for nobody else.
    ``meta`` is published as it stands, beside the days, the floor and k.
    ``format_kinds`` maps formats to dns, proxy or mixed; the others are told by their byte counts.
    ``facts`` are rows of ``vendor_facts``, ``internal`` suffixes of the company's own hosts, and
    ``endpoints`` kind, operator and host of what hides names, and ``retired`` sources with the day
    from which on nothing is expected of them. ``confidence`` are other odds than the shipped ones,
    ``own`` the ids of the operator's own apps.
    Rows by person of days before ``expire_before``, and sketches of people, are removed from the
    star, once their weeks are kept in it as counts. Else this writes only to ``findings``, and to a
    temporary table that ``agent.unknown`` reads and drops. It runs several transactions, so ``con``
    must not be inside one.
    """
    suffixes, odds = tuple(internal), confidence or load_confidence()
    given = {
        "given_app": _app_table(apps, suffixes),
        "given_own": _text_table(("app",), ((app,) for app in own)),
        "given_rule": pa.table({"rule_kind": list(odds.rule), "odds": list(odds.rule.values())}),
        "given_days": pa.table({"least": list(odds.days), "odds": list(odds.days.values())}),
        "given_internal": _text_table(("suffix",), ((suffix,) for suffix in suffixes)),
        "given_category": _category_table(categories),
        "given_kind": _text_table(("format", "kind"), (format_kinds or {}).items()),
        "given_fact": _fact_table(facts),
        "given_retired": _text_table(("source", "day"), retired),
        "given_endpoint": _text_table(
            _ENDPOINT, (tuple(one[name] for name in _ENDPOINT) for one in endpoints)
        ),
    }
    tells_regular_from = 0 if k == 1 else max(k, thresholds.small_department_below)
    values = _variables(thresholds) | {"k": k, "tells_regular_from": tells_regular_from}
    values |= {"agree_odds": odds.agree}
    try:
        for name, value in values.items():
            con.execute(f"SET VARIABLE {name} = {value!r}")
        with sql.lent(con, given):
            for script in _SCRIPTS:
                con.execute(sql.script(script))
            if k > 1:
                con.execute(sql.script(_WITHHOLDING))
            _recall(con)
            con.execute(sql.script(_TOTALS))
            if expire_before is not None:
                _expire(con, expire_before - timedelta(days=expire_before.weekday()))
        found = {"k": str(k), "coverage_floor": str(thresholds.coverage_floor)}
        _add_meta(con, dict(meta) | found)
    finally:
        for kind, names in _SCRATCH.items():
            for name in names.split():
                con.execute(f"DROP {kind} IF EXISTS temp.{name}")
        for name in (*values, "expire_before", "frozen_before"):
            con.execute(f"RESET VARIABLE {name}")


def _recall(con: duckdb.DuckDBPyConnection) -> None:
    """Tell of days whose people have expired what was told of them before."""
    held = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'past'"
    ).fetchall()
    for (table,) in held:
        day = _PAST[table]
        con.execute(f"DELETE FROM findings.{table} USING span WHERE {day} < past_until")
        con.execute(f"INSERT INTO findings.{table} BY NAME FROM past.{table}")


def _expire(con: duckdb.DuckDBPyConnection, monday: date) -> None:
    """Keep weeks as counts and remove rows by person, all or nothing; do nothing without any."""
    old = (
        "SELECT 1 FROM (SELECT day FROM usage UNION ALL SELECT day FROM presence UNION ALL"
        " SELECT day FROM unknown_usage WHERE user_bits > 0 OR address_bits > 0) WHERE day < ?"
    )
    if not con.execute(f"{old} LIMIT 1", [monday]).fetchall():
        return
    parts, week = sql.sections("retention.sql"), timedelta(weeks=1)
    last_week, last_day = con.execute("SELECT last_week, last_day FROM span").fetchall()[0]
    # A week that goes on is counted from people, unless nothing is left to count.
    frozen = min(monday + _WARM_UP, last_week + (week if monday <= last_day else 2 * week))
    con.execute(f"SET VARIABLE expire_before = DATE '{monday}'")
    con.execute(f"SET VARIABLE frozen_before = DATE '{frozen}'")
    con.execute("BEGIN")
    try:
        con.execute("CREATE SCHEMA IF NOT EXISTS past")
        for table, day in _PAST.items():
            con.execute(f"CREATE TABLE IF NOT EXISTS past.{table} AS FROM findings.{table} LIMIT 0")
            con.execute(
                f"INSERT INTO past.{table} BY NAME SELECT {table}.* FROM findings.{table}, span"
                f" WHERE {day} >= past_until AND {day} < DATE '{frozen}'"
            )
        con.execute(parts["keep"])
        con.execute(parts["expire"])
        con.execute("COMMIT")
    except BaseException:
        con.execute("ROLLBACK")
        raise


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


def _fact_table(facts: Iterable[Mapping[str, str | None]]) -> pa.Table:
    names = "app fact name answer value date age stated_by link source licence".split()
    return pa.Table.from_pylist(
        [dict(fact) | {"place": place} for place, fact in enumerate(facts)],
        pa.schema([("place", pa.int32()), *((name, pa.string()) for name in names)]),
    )


def _app_table(apps: Iterable[App], internal: tuple[str, ...]) -> pa.Table:
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
    own = tuple(f".{suffix}" for suffix in internal)
    housed = [
        bool(app.hosts) and all(f".{host}".endswith(own) for host, _ in app.hosts) for app in held
    ]
    table = table.append_column("on_premises", pa.array(housed, pa.bool_()))
    return table.append_column("categories", categories)


def _add_meta(con: duckdb.DuckDBPyConnection, meta: Mapping[str, str]) -> None:
    con.execute(
        "INSERT INTO findings.meta SELECT key, value"
        " FROM (SELECT unnest(?::VARCHAR[]) AS key, unnest(?::VARCHAR[]) AS value)"
        " WHERE key NOT IN (SELECT key FROM findings.meta)",
        [list(meta), list(meta.values())],
    )
