"""The whole flow on one page: log files in, findings out, one stage a line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from agent import (
    account,
    adoption,
    audit,
    capture,
    claims,
    files,
    identity,
    intake,
    parse,
    people,
    reading,
    relabel,
    rollup,
    rulebook,
    store,
    unknown,
    vault,
    white_labels,
    withhold,
)
from agent.errors import Problem, RulesError, StoreError
from agent.model import Match
from agent.settings import Settings, recalled, remembered
from agent.version import VERSION

_WORDS = 3
"""Words of a reason."""
_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}|[0-9a-f:.]{2,45}")
"""A host name or an address; what else stands in its place is counted and not kept."""


@dataclass(frozen=True, slots=True)
class _Who:
    """What is known of people; None where an earlier scan's answer stands."""

    key: people.Pseudonyms
    directory: people.Directory | None
    subnets: people.Subnets | None


class _Names:
    """Gives users their pseudonyms, and seals their names for the vault where there is one."""

    def __init__(self, kept: store.Store, key: people.Pseudonyms) -> None:
        self._kept, self._key = kept, key
        public = kept.setting("vault")
        self._seal = None if public is None else vault.Seal(public)
        self._met: dict[str, bytes] = {}

    def user(self, raw: str) -> tuple[str, str | None]:
        """Return the key of a user name, and of the part before its @ where it has one."""
        found = self._key.user(raw)
        if self._seal is not None and found[0] not in self._met:
            self._met[found[0]] = self._seal.seal(people.canonical(raw))
        return found

    def keep(self) -> None:
        """Put the names that are not yet there into the vault."""
        if self._met:
            with self._kept.transaction() as con:
                con.executemany(
                    "INSERT INTO vault VALUES (?, ?) ON CONFLICT DO NOTHING", [*self._met.items()]
                )


def scan(
    paths: Sequence[Path],
    folder: Path,
    asked: Settings,
    rules: rulebook.Rules,
    progress: Callable[[intake.Report], None] = lambda _: None,
) -> intake.Report:
    """Read logs into the store in ``folder`` and publish what they show.

    Raises RulesError, StoreError, or LogError for a directory that cannot be used; a log that
    cannot be read is a problem in the report, and the rest goes on.
    """
    began, report = time.monotonic(), intake.Report(progress=progress)
    who = _who(asked, folder, report)
    with closing(store.Store(folder)) as kept:
        kept.belongs_to(who.key.spelling("sundial"))
        settings = _settled(kept, asked, rules)
        logs = _find(paths, settings, report)
        held = _held(kept, settings, rules, who, report)
        labels = _white_labels(kept, settings.internal, rules)
        names = _Names(kept, who.key)
        roll = partial(_rollup, labels=labels, who=who, held=held, user=names.user)
        with closing(reading.connect(kept.spill)) as con:
            intake.Intake(
                con,
                rolled=roll(con, kept, settings, rules),
                kept=kept,
                known=rules.formats,
                settings=settings,
                report=report,
            ).read_all(logs)
        names.keep()
        report.tell("publishing")
        report.notes += [
            Problem("catalogue", str(change)) for change in _relabel(kept, rules, labels)
        ]
        with kept.transaction() as con:
            many = claims.terms(settings).many
            people.place(con, who.directory, who.subnets, who.key, many)
            _withhold(con, rules)
        _publish(kept, rules, settings, _newest(kept))
    report.seconds = time.monotonic() - began
    return report


def reclassify(folder: Path, rules: rulebook.Rules) -> list[relabel.Change]:
    """Give the history in a store the meaning of these rules, publish it, return what changed.

    No log is read. Raises StoreError where there is no store.
    """
    with closing(_existing(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        changes = _relabel(kept, rules, _white_labels(kept, settings.internal, rules))
        with kept.transaction() as con:
            _withhold(con, rules)
        kept.publish(lambda con: _derive(con, rules, settings))
    return changes


def resolve(
    folder: Path, asked: Settings, rules: rulebook.Rules
) -> tuple[list[people.Move], list[Problem]]:
    """Place the history in a store by a directory and subnets of today; return what moved.

    No log is read. Raises StoreError where there is no store, LogError for a directory that cannot
    be used; rows of it that cannot be used are returned as problems.
    """
    if not (folder / "work.duckdb").exists():
        raise StoreError(Problem(str(folder), "holds no store; scan logs into it first."))
    report = intake.Report()
    who = _who(asked, folder, report)
    with closing(store.Store(folder)) as kept:
        kept.belongs_to(who.key.spelling("sundial"))
        settings = recalled(asked, kept.setting("settings"))
        with kept.transaction() as con:
            many = claims.terms(settings).many
            moves = people.replace_people(con, who.directory, who.subnets, who.key, many)
            _withhold(con, rules)
        kept.publish(lambda con: _derive(con, rules, settings))
    return moves, report.problems


def forget(folder: Path, login: str, rules: rulebook.Rules) -> dict[str, int]:
    """Remove a person from the store and publish anew; return the rows removed, by table.

    Raises StoreError where there is no store or no key.
    """
    if not (folder / "work.duckdb").exists():
        raise StoreError(Problem(str(folder), "holds no store; scan logs into it first."))
    who = _who(Settings(), folder, intake.Report())
    with closing(store.Store(folder)) as kept:
        kept.belongs_to(who.key.spelling("sundial"))
        with kept.transaction() as con:
            gone = people.forget(con, who.key, login)
        settings = recalled(Settings(), kept.setting("settings"))
        kept.publish(lambda con: _derive(con, rules, settings))
        kept.rewrite()
    return gone


def expire(folder: Path, rules: rulebook.Rules) -> int:
    """Remove rows by person that are too old today, though no log is read; return their number.

    Raises StoreError where there is no store.
    """
    with closing(_existing(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        before = _rows(kept)
        _publish(kept, rules, settings, datetime.now(UTC).date())
        return before - _rows(kept)


def privacy_report(folder: Path, rules: rulebook.Rules) -> dict[str, Any]:
    """Return what a store holds of people and who may read it.

    Raises StoreError where there is no store.
    """
    with closing(_existing(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        private = [one.name for one in rules.catalogue.categories.values() if one.personal]
        said = account.account(kept.con, settings.smallest_group, settings.retention, private)
    records, fault = audited(folder)
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
    report = intake.Report()
    with closing(_existing(folder)) as kept:
        new = people.Pseudonyms(people.draft_key(folder))
        counts = (0, 0)
        if kept.setting("key") != new.spelling("sundial"):
            who = _who(asked, folder, report)
            kept.belongs_to(who.key.spelling("sundial"))
            with kept.transaction() as con:
                counts = people.rotate(con, who.key, new, who.directory)
                fingerprint = ["key", new.spelling("sundial")]
                con.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", fingerprint)
        kept.rewrite()
        people.adopt_key(folder)
    return *counts, report.problems


def destroy_key(folder: Path) -> None:
    """Destroy the key of a store's pseudonyms and its vault, for good."""
    if (folder / "work.duckdb").exists():
        close_vault(folder)
    people.destroy_key(folder)


def open_vault(folder: Path, file: Path, passphrase: str, who: str, days: int) -> str:
    """Make a vault for clear names, or renew the right to reveal; return the day it ends.

    ``file`` is where the private key goes or is. Raises StoreError with what is wrong.
    """
    until = str(datetime.now(UTC).date() + timedelta(days=days))
    if folder.resolve() in file.resolve().parents:
        text = "lies in the store; keep the key of a vault where its readers are others."
        raise StoreError(Problem(str(file), text))
    with closing(_existing(folder)) as kept:
        public = kept.setting("vault")
        if public is None:
            public = vault.make(file, passphrase)
        else:
            vault.Opener(file, passphrase, public)
        _write_down(kept, action="vault", who=who, reason=f"names may be revealed until {until}")
        kept.set("vault", public)
        kept.set("vault_until", until)
    return until


def close_vault(folder: Path) -> int:
    """Throw all clear names away, and keep none from now on; return how many there were."""
    with closing(_existing(folder)) as kept:
        with kept.transaction() as con:
            gone = con.execute("DELETE FROM vault").fetchall()[0][0]
            con.execute("DELETE FROM setting WHERE key IN ('vault', 'vault_until')")
        kept.rewrite()
    return int(gone)


def reveal(  # noqa: PLR0913 - who, whom, by which right and why
    folder: Path, pseudonym: str, file: Path, passphrase: str, *, who: str, reason: str
) -> str:
    """Return the clear name behind a pseudonym, once it is written down who asked and why.

    Raises StoreError where there is no such name, right or reason.
    """
    if len(reason.split()) < _WORDS:
        raise StoreError(Problem("--reason", "says too little; write why, in a few words."))
    with closing(_existing(folder)) as kept:
        public, until = kept.setting("vault"), kept.setting("vault_until")
        if public is None or until is None:
            raise StoreError(Problem(str(folder), "keeps no clear names."))
        if str(datetime.now(UTC).date()) > until:
            text = f"the right to reveal ended on {until}; 'sundial privacy vault' renews it."
            raise StoreError(Problem(str(folder), text))
        opener = vault.Opener(file, passphrase, public)
        found = kept.con.execute("SELECT sealed FROM vault WHERE pseudonym = ?", [pseudonym])
        rows = found.fetchall()
        if not rows:
            raise StoreError(Problem(str(folder), "holds no name of this pseudonym."))
        _write_down(kept, action="reveal", who=who, pseudonym=pseudonym, reason=reason)
        return opener.open(rows[0][0])


def audited(folder: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Return the records of who revealed whom, and what is wrong with them or None."""
    with closing(_existing(folder)) as kept:
        records = audit.read(folder)
        return records, audit.broken(records, kept.setting("audit"))


def _write_down(kept: store.Store, **record: str) -> None:
    """Add a record to the audit, and its hash to the store."""
    fault = audit.broken(audit.read(kept.folder), kept.setting("audit"))
    if fault:
        raise StoreError(Problem(str(kept.folder / audit.NAME), fault))
    moment = {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    kept.set("audit", audit.append(kept.folder, moment | record))


def unknown_queue(folder: Path, most: int) -> list[dict[str, Any]]:
    """Return the first rows of the published ``unknown_queue``.

    Raises StoreError where nothing is published.
    """
    published = folder / "findings.duckdb"
    if not published.exists():
        raise StoreError(Problem(str(folder), "holds no findings; scan logs into it first."))
    with closing(duckdb.connect(str(published), read_only=True)) as con:
        found = con.execute("SELECT * FROM unknown_queue ORDER BY rowid LIMIT ?", [most])
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def confidence(folder: Path, app: str) -> list[dict[str, Any]] | None:
    """Return the rows of the published ``finding_confidence`` on an app, the surest first.

    None where nothing that tells it is published.
    """
    published = folder / "findings.duckdb"
    if not published.is_file():
        return None
    try:
        with closing(duckdb.connect(str(published), read_only=True)) as con:
            found = con.execute(
                "SELECT department, round(confidence, 3) AS confidence, rule_kind, days_from,"
                " kinds_agree, sources FROM finding_confidence WHERE app = ?"
                " ORDER BY finding_confidence.confidence DESC, lower(department)",
                [app],
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error:  # findings of an earlier Sundial
        return None


def _existing(folder: Path) -> store.Store:
    """Open a store that is there. Raises StoreError where there is none."""
    if not (folder / "work.duckdb").exists():
        raise StoreError(Problem(str(folder), "holds no store; scan logs into it first."))
    return store.Store(folder)


def _rows(kept: store.Store) -> int:
    """Count the rows that tell what somebody did, or hold a sketch of who did."""
    counts = (
        "SELECT (SELECT count(*) FROM usage) + (SELECT count(*) FROM presence)"
        " + (SELECT count(*) FROM unknown_usage WHERE user_bits > 0 OR address_bits > 0)"
    )
    return int(kept.con.execute(counts).fetchall()[0][0])


def _newest(kept: store.Store) -> date:
    """Return the newest day that was read, but none that is still to come."""
    found = kept.con.execute("SELECT max(day) FROM presence").fetchall()[0][0]
    today = datetime.now(UTC).date()
    return min(today, found) if found else today


def _publish(kept: store.Store, rules: rulebook.Rules, settings: Settings, today: date) -> None:
    """Publish the findings, and let rows by person expire that are too old on a day."""
    expire_before = today - timedelta(days=settings.retention)
    before = _rows(kept)
    kept.publish(lambda con: _derive(con, rules, settings, expire_before))
    if _rows(kept) < before:
        kept.rewrite()


def _withhold(con: duckdb.DuckDBPyConnection, rules: rulebook.Rules) -> None:
    book = rules.catalogue
    withhold.by_department(con, book.personal, book.match, book.fold)


def _white_labels(
    kept: store.Store, internal: Sequence[str], rules: rulebook.Rules
) -> white_labels.WhiteLabels:
    """Return what hosts stand for, by the answers that were seen so far."""
    book = rules.catalogue
    return white_labels.WhiteLabels(
        book.match, book.stands_for, book.domain, white_labels.kept(kept.con), internal
    )


def _relabel(
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


def _who(asked: Settings, folder: Path, report: intake.Report) -> _Who:
    """Read directory and subnets, and the key of the store."""
    directory = subnets = None
    if asked.people is not None:
        directory = people.read_directory(
            asked.people, asked.people_columns or None, asked.people_level
        )
        report.problems.extend(directory.problems)
    if asked.subnets is not None:
        subnets = people.read_subnets(asked.subnets)
        report.problems.extend(subnets.problems)
    if (folder / "work.duckdb").exists() and not (folder / "pseudonym.key").exists():
        lost = "is lost; restore it from a backup, or scan into a new folder."
        raise StoreError(Problem(str(folder / "pseudonym.key"), lost))
    return _Who(people.Pseudonyms(people.load_key(folder)), directory, subnets)


def _settled(kept: store.Store, asked: Settings, rules: rulebook.Rules) -> Settings:
    """Return the settings in force: what is not said now was said to an earlier scan."""
    settings = recalled(asked, kept.setting("settings"))
    stated = [(settings.format, "--format")]
    stated += [(one.format, f"source.{one.name}.format") for one in settings.sources]
    unknown = [
        rulebook.no_such_format(name, where, rules.formats)
        for name, where in stated
        if name is not None and name not in rules.formats
    ]
    if unknown:
        raise RulesError(unknown)
    kept.set("settings", remembered(settings))
    return settings


def _held(
    kept: store.Store,
    settings: Settings,
    rules: rulebook.Rules,
    who: _Who,
    report: intake.Report,
) -> pa.Table | None:
    """Read leases and log-ons, and return who had which address when; None where none was given."""
    if settings.devices is not None:
        report.problems += claims.owned(settings.devices, kept, who.key)
    claims.Claims(kept, settings, rules.claims, who.key, report.problems).read_all()
    if not identity.any_claims(kept.con):
        return None
    with kept.transaction() as con:
        # Who is one person under two spellings, a new directory may know better.
        terms = claims.terms(settings)
        people.place(con, who.directory, who.subnets, who.key, terms.many)
        return identity.timeline(con, terms)


def _find(paths: Sequence[Path], settings: Settings, report: intake.Report) -> list[files.LogFile]:
    """Return the logs below some paths; leases and log-ons that lie there are none."""
    others = {
        log.path.resolve()
        for log in files.find([*settings.leases.files, *settings.logons.files], [])
    }
    found: list[files.LogFile] = []
    for path in paths:
        met = len(report.problems)
        below = list(files.find([path], report.problems))
        found += [log for log in below if log.path.resolve() not in others]
        if not below and len(report.problems) == met:
            report.problems.append(Problem(str(path), "holds no file to read."))
    return found


def _rollup(  # noqa: PLR0913 - where to, how, and what is known of people
    con: duckdb.DuckDBPyConnection,
    kept: store.Store,
    settings: Settings,
    rules: rulebook.Rules,
    *,
    labels: white_labels.WhiteLabels,
    who: _Who,
    held: pa.Table | None,
    user: Callable[[str], tuple[str, str | None]],
) -> rollup.Rollup:
    """Prepare the grouping with what is known of people, now or from an earlier scan."""
    known = people.stored_subnets(kept.con) if who.subnets is None else who.subnets
    names = (
        people.stored_names(kept.con)
        if who.directory is None
        else people.names_table(who.directory, who.key)
    )

    def host(raw: str) -> str | None:
        name = parse.clean_host(raw)
        return name if name and _NAME.fullmatch(name) else None

    def client(raw: str) -> tuple[str, str | None]:
        address = parse.clean_address(raw)
        if address is None:
            return who.key.address(raw.strip().lower()), None
        return who.key.address(address), people.network_of(address, known)

    known_apps = rules.catalogue

    def match(name: str) -> Match:
        found = known_apps.match(name)
        return Match(name) if found.app in known_apps.personal else found

    naming = rollup.Naming(
        host=host,
        bare=lambda raw: parse.clean_address(parse.clean_host(raw) or "") is not None,
        match=match if known_apps.personal else labels.match,
        fold=known_apps.fold,
        made=known_apps.made,
        folds_alike=known_apps.folds_alike,
        user=user,
        client=client,
        suffixes=tuple(known_apps.suffixes),
        hear=labels.hear,
    )
    return rollup.Rollup(
        con, naming, names, people.networks_table(known), settings.days, holdings=held
    )


def _derive(
    con: duckdb.DuckDBPyConnection,
    rules: rulebook.Rules,
    settings: Settings,
    expire_before: date | None = None,
) -> None:
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
