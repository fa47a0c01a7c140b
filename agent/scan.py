"""The whole flow on one page: log files in, findings out, one stage a line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from agent import (
    claims,
    files,
    identity,
    intake,
    parse,
    people,
    publication,
    reading,
    rollup,
    rulebook,
    staff,
    store,
    vault,
    white_labels,
)
from agent.errors import Problem, RulesError
from agent.model import Match
from agent.settings import Settings, recalled, remembered

_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}|[0-9a-f:.]{2,45}")
"""A host name or an address; what else stands in its place is counted and not kept."""


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
    who = staff.read(asked, folder, report.problems)
    with closing(store.Store(folder)) as kept:
        kept.belongs_to(who.key.spelling("sundial"))
        settings = _settled(kept, asked, rules)
        logs = _find(paths, settings, report)
        held = _held(kept, settings, rules, who, report)
        labels = publication.stand_ins(kept, settings.internal, rules)
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
            Problem("catalogue", str(change))
            for change in publication.relabel_history(kept, rules, labels)
        ]
        with kept.transaction() as con:
            many = claims.terms(settings).many
            people.place(con, who.directory, who.subnets, who.key, many)
            publication.withhold_personal(con, rules)
        publication.publish(kept, rules, settings, publication.newest(kept))
    report.seconds = time.monotonic() - began
    return report


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
    who: staff.Staff,
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
    who: staff.Staff,
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
