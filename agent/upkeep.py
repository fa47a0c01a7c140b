"""What is done to a store without reading a log: new rules, people moved or forgotten, new keys."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import account, claims, people, publication, relabel, reveals, rulebook, staff, store
from agent.errors import Problem
from agent.settings import Settings, recalled


def reclassify(folder: Path, rules: rulebook.Rules) -> list[relabel.Change]:
    """Give the history in a store the meaning of these rules, publish it, return what changed.

    No log is read. Raises StoreError where there is no store.
    """
    with closing(store.existing(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        changes = publication.relabel_history(
            kept, rules, publication.stand_ins(kept, settings.internal, rules)
        )
        with kept.transaction() as con:
            publication.withhold_personal(con, rules)
        kept.publish(lambda con: publication.derive(con, rules, settings))
    return changes


def resolve(
    folder: Path, asked: Settings, rules: rulebook.Rules
) -> tuple[list[people.Move], list[Problem]]:
    """Place the history in a store by a directory and subnets of today; return what moved.

    No log is read. Raises StoreError where there is no store, LogError for a directory that cannot
    be used; rows of it that cannot be used are returned as problems.
    """
    problems: list[Problem] = []
    with closing(store.existing(folder)) as kept:
        who = staff.read(asked, folder, problems)
        kept.belongs_to(who.key.spelling("sundial"))
        settings = recalled(asked, kept.setting("settings"))
        with kept.transaction() as con:
            many = claims.terms(settings).many
            moves = people.replace_people(con, who.directory, who.subnets, who.key, many)
            publication.withhold_personal(con, rules)
        kept.publish(lambda con: publication.derive(con, rules, settings))
    return moves, problems


def forget(folder: Path, login: str, rules: rulebook.Rules) -> dict[str, int]:
    """Remove a person from the store and publish anew; return the rows removed, by table.

    Raises StoreError where there is no store or no key.
    """
    with closing(store.existing(folder)) as kept:
        who = staff.read(Settings(), folder, [])
        kept.belongs_to(who.key.spelling("sundial"))
        with kept.transaction() as con:
            gone = people.forget(con, who.key, login)
        settings = recalled(Settings(), kept.setting("settings"))
        kept.publish(lambda con: publication.derive(con, rules, settings))
        kept.rewrite()
    return gone


def expire(folder: Path, rules: rulebook.Rules) -> int:
    """Remove rows by person that are too old today, though no log is read; return their number.

    Raises StoreError where there is no store.
    """
    with closing(store.existing(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        before = publication.rows(kept)
        publication.publish(kept, rules, settings, datetime.now(UTC).date())
        return before - publication.rows(kept)


def privacy_report(folder: Path, rules: rulebook.Rules) -> dict[str, Any]:
    """Return what a store holds of people and who may read it.

    Raises StoreError where there is no store.
    """
    with closing(store.existing(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        private = [one.name for one in rules.catalogue.categories.values() if one.personal]
        said = account.account(kept.con, settings.smallest_group, settings.retention, private)
    records, fault = reveals.audited(folder)
    return said | {
        "reveals": [one for one in records if one.get("action") == "reveal"],
        "audit": f"the record {fault}" if fault else "no record was changed",
        "files": account.files(folder),
    }


def rotate_key(folder: Path, asked: Settings) -> tuple[int, int, list[Problem]]:
    """Put a store under a new key and destroy the old one.

    Return how many pseudonyms were carried over by the directory and how many were cut off, and
    what is wrong with the directory. Killed half-way, it is done by the next call. Raises
    StoreError where there is no store or no key, LogError for a directory that cannot be used.
    """
    problems: list[Problem] = []
    with closing(store.existing(folder)) as kept:
        new = people.Pseudonyms(people.draft_key(folder))
        counts = (0, 0)
        if kept.setting("key") != new.spelling("sundial"):
            who = staff.read(asked, folder, problems)
            kept.belongs_to(who.key.spelling("sundial"))
            with kept.transaction() as con:
                counts = people.rotate(con, who.key, new, who.directory)
                fingerprint = ["key", new.spelling("sundial")]
                con.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", fingerprint)
        kept.rewrite()
        people.adopt_key(folder)
    return *counts, problems


def destroy_key(folder: Path) -> None:
    """Destroy the key of a store's pseudonyms and its vault, for good."""
    if (folder / "work.duckdb").exists():
        reveals.close_vault(folder)
    people.destroy_key(folder)
