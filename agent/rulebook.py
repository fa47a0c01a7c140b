"""All that is known before a log is opened, loaded together: formats, apps and thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from agent import adoption, catalogue, formats, parse, proof, unknown
from agent.catalogue import Vendors
from agent.errors import Problem, RulesError, nearest
from agent.model import Format

_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True, slots=True)
class Rules:
    """All that is known: formats by name, apps, vendors, and the numbers that judgements need."""

    formats: Mapping[str, Format]
    claims: Mapping[str, Format]
    """Formats of leases and log-ons."""
    catalogue: catalogue.Catalogue
    vendors: Vendors
    thresholds: adoption.Thresholds
    confidence: adoption.Confidence
    ranking: unknown.Ranking


def load_rules(extra: Sequence[Path] = ()) -> Rules:
    """Load the shipped rules, and over them those of an operator's folders.

    Such a folder holds ``formats``, ``apps``, ``vendor_facts``, ``aliases.csv`` or several of
    them. Raises RulesError with every problem.
    """
    problems: list[Problem] = []

    def load(read: Callable[[], _Loaded]) -> _Loaded | None:
        try:
            return read()
        except RulesError as error:
            problems.extend(error.problems)
            return None

    problems.extend(
        Problem(str(folder), "holds neither apps nor formats; it is no folder of rules.")
        for folder in extra
        if not _has(folder, "apps", "formats", "vendor_facts", "aliases.csv")
    )
    folders = [folder / "formats" for folder in _holding("formats", extra)]
    known = load(lambda: formats.load_all(folders))
    apps = [folder for folder in extra if _has(folder, "apps", "aliases.csv")]
    book = load(lambda: catalogue.load_catalogue(extra=apps))
    vendors = load(lambda: catalogue.load_vendors(book.apps, extra)) if book else None
    thresholds = load(adoption.load_thresholds)
    confidence = load(adoption.load_confidence)
    ranking = load(unknown.load_ranking)
    if problems or not (known and book and vendors and thresholds and confidence and ranking):
        raise RulesError(problems)
    return Rules(
        formats.of_logs(known),
        formats.of_claims(known),
        book,
        vendors,
        thresholds,
        confidence,
        ranking,
    )


def load_formats(extra: Sequence[Path] = ()) -> Mapping[str, Format]:
    """Load the shipped formats, and over them those of an operator's folders."""
    folders = _holding("formats", extra)
    return formats.load_formats(extra=[folder / "formats" for folder in folders])


def no_such_format(name: str, where: str, known: Mapping[str, Format]) -> Problem:
    """Return what to say of a format that nobody knows; ``where`` it was named."""
    hint = nearest(name, known)
    lists = "'sundial formats' lists them."
    return Problem(where, f'"{name}" is no known format.{hint} {lists}')


def spelling(host: str) -> str:
    """Return a host, or the host of a URL, as the catalogue writes it; else what stands there."""
    return parse.clean_host(host.partition("://")[2] or host) or host


def summary(rules: Rules) -> str:
    """Return how many rules there are."""
    known = [*rules.formats.values(), *rules.claims.values()]
    samples = sum(len(one.samples) for one in known)
    facts = sum(len(own) for own in rules.vendors.facts.values())
    return (
        f"{len(known)} formats with {samples} samples, {len(rules.catalogue.apps)} apps "
        f"in {len(rules.catalogue.categories)} categories, {facts} facts on vendors"
    )


def prove(rules: Rules) -> list[Problem]:
    """Run every sample of every format and return what comes out differently."""
    with closing(duckdb.connect()) as con:
        return proof.check_samples(con, [*rules.formats.values(), *rules.claims.values()])


def _has(folder: Path, *parts: str) -> bool:
    return any((folder / part).exists() for part in parts)


def _holding(part: str, folders: Sequence[Path]) -> list[Path]:
    return [folder for folder in folders if (folder / part).is_dir()]
