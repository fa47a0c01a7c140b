"""Gives what a store holds the meaning of today's rules, and publishes it whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import duckdb

from agent import adoption, capture, relabel, rulebook, store, unknown, white_labels, withhold
from agent.settings import Settings
from agent.version import VERSION


def publish(kept: store.Store, rules: rulebook.Rules, settings: Settings, today: date) -> None:
    """Publish the findings, and let rows by person expire that are too old on a day."""
    expire_before = today - timedelta(days=settings.retention)
    before = rows(kept)
    kept.publish(lambda con: derive(con, rules, settings, expire_before))
    if rows(kept) < before:
        kept.rewrite()


def derive(
    con: duckdb.DuckDBPyConnection,
    rules: rulebook.Rules,
    settings: Settings,
    expire_before: date | None = None,
) -> None:
    """Fill the empty database attached as ``findings`` from the store; see ``adoption.derive``."""
    adoption.derive(
        con,
        rules.thresholds,
        k=settings.smallest_group,
        meta={
            "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "catalogue_version": rules.catalogue.version,
            "sundial_version": VERSION,
            "schema_version": store.SCHEMA,
        },
        apps=rules.catalogue.apps.values(),
        categories=rules.catalogue.categories.values(),
        format_kinds={
            **{name: one.kind for name, one in rules.formats.items()},
            capture.FORMAT: capture.KIND,
        },
        facts=rules.vendors.rows(datetime.now(UTC).date()),
        internal=settings.internal,
        endpoints=capture.endpoints(),
        confidence=rules.confidence,
        own=rules.catalogue.own,
        retired=[(one.name, one.retired) for one in settings.sources if one.retired],
        expire_before=expire_before,
    )
    unknown.publish(con, rules.ranking, rules.catalogue.place, settings.smallest_group)


def stand_ins(
    kept: store.Store, internal: Sequence[str], rules: rulebook.Rules
) -> white_labels.WhiteLabels:
    """Return what hosts stand for, by the answers that were seen so far."""
    book = rules.catalogue
    return white_labels.WhiteLabels(
        book.match, book.stands_for, book.domain, white_labels.kept(kept.con), internal
    )


def relabel_history(
    kept: store.Store, rules: rulebook.Rules, labels: white_labels.WhiteLabels
) -> list[relabel.Change]:
    """Relabel history where the catalogue, or what answers tell, is not that of before."""
    book = rules.catalogue
    known = {"catalogue": book.version, "white_labels": labels.version}
    if all(kept.setting(name) == version for name, version in known.items()):
        return []
    with kept.transaction() as con:
        changes = relabel.relabel(con, labels.match)
    met = kept.con.execute("SELECT DISTINCT app FROM host WHERE app <> ''").fetchall()
    changes += relabel.renamed(kept.setting("names"), book.apps, (app for (app,) in met))
    kept.set("names", relabel.names(book.apps))
    for name, version in known.items():
        kept.set(name, version)
    return changes


def withhold_personal(con: duckdb.DuckDBPyConnection, rules: rulebook.Rules) -> None:
    """Keep what is personal by department only."""
    book = rules.catalogue
    withhold.by_department(con, book.personal, book.match, book.fold)


def rows(kept: store.Store) -> int:
    """Count the rows that tell what somebody did, or hold a sketch of who did."""
    counts = (
        "SELECT (SELECT count(*) FROM usage) + (SELECT count(*) FROM presence)"
        " + (SELECT count(*) FROM unknown_usage WHERE user_bits > 0 OR address_bits > 0)"
    )
    return int(kept.con.execute(counts).fetchall()[0][0])


def newest(kept: store.Store) -> date:
    """Return the newest day that was read, but none that is still to come."""
    found = kept.con.execute("SELECT max(day) FROM presence").fetchall()[0][0]
    today = datetime.now(UTC).date()
    return min(today, found) if found else today
