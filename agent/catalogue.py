"""Who a host belongs to: answers with the app, signal and tenant that rules/apps give it.

Look-ups are plain dictionary reads, one a label, from the whole name to its last label: the
longest suffix wins and nothing is ever matched by pattern.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from agent import host_names
from agent.errors import Problem, RulesError
from agent.layout import entry_text, file_text
from agent.model import App, Evidence, Fact, Match, Signal, Source
from agent.shelves import Category, ShelfReader, Shelves
from agent.vendor_facts import FACTS, read_facts, read_sources

__all__ = [
    "FACTS",
    "Catalogue",
    "Category",
    "Vendors",
    "entry_text",
    "file_text",
    "load_catalogue",
    "load_vendors",
]

_DIGITS = re.compile(r"[0-9]+")
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one host suffix means, with everything a look-up needs at hand."""

    app: str
    signal: Signal
    text: str
    tenants: bool
    not_tenants: frozenset[str]
    trim: tuple[str, ...]
    own: str | None = None
    """The tenant, where the host itself stands for one."""
    behind: bool = False
    """Whether customers' own names lead to it."""

    def tenant(self, label: str) -> str | None:
        if not self.tenants:
            return self.own
        if not label.isascii() or not label.replace("-", "").isalnum():
            return None
        if label in self.not_tenants or _mask(label) in self.not_tenants:
            return None
        for ending in self.trim:
            label = label.removesuffix(ending)
        return label or None


class Catalogue:
    """Every app that Sundial knows, and the answer to what a host is."""

    def __init__(self, shelves: Shelves) -> None:
        self.apps: Mapping[str, App] = shelves.apps
        self.categories: Mapping[str, Category] = shelves.categories
        self.version = shelves.version
        private = {shelf.id for shelf in shelves.categories.values() if shelf.personal}
        self.personal = frozenset(
            app.id for app in shelves.apps.values() if private.intersection(app.categories)
        )
        """Apps of a category that is kept by department and never by person."""
        self.own = shelves.own
        self._labels = shelves.labels
        self._not_tenants = shelves.not_tenants
        self._rules = {
            suffix: rule
            for app in shelves.apps.values()
            for suffix, rule in _rules_of(app, shelves.trims[app.id])
        }
        self._rules |= dict(self._white_labels(shelves.aliases))
        self._above = {suffix.partition(".")[2] for suffix in self._rules}

    def folds_alike(self, parent: str) -> bool:
        """Tell whether every name of one made label under a parent is unknown and folds alike.

        ``made`` tells which labels those are. Floods of such names are the bulk of all names, and
        this spares a look at each.
        """
        return (
            host_names.folds_alike(parent)
            and parent not in self._above
            and self.match(parent).app is None
        )

    def _white_labels(self, aliases: Mapping[str, str]) -> Iterable[tuple[str, _Rule]]:
        """Yield a rule for each host of the company that stands for one of a known app."""
        for host, target in aliases.items():
            found = self.match(target)
            if found.app is not None and found.signal is not None:
                text = f"{self.apps[found.app].categories[0]}/{found.app}: {host} for {target}"
                none: frozenset[str] = frozenset()
                yield host, _Rule(found.app, found.signal, text, False, none, (), found.tenant)  # noqa: FBT003

    @property
    def suffixes(self) -> Iterable[str]:
        """Every suffix that some entry names."""
        return self._rules.keys()

    def stands_for(self, host: str, target: str) -> Match:
        """Say what a host is whose answer leads to another name: what no entry has is its target's.

        A site of its own (``www``) is nobody's app, unless the entry says that customers' names
        lead to the target.

        >>> match = load_catalogue().stands_for("help.acme.example", "acme.zendesk.com")
        >>> match.app, match.signal.value, match.tenant, match.rule
        ('zendesk', 'app', 'help.acme.example', 'support_chat/zendesk: zendesk.com (by CNAME)')
        """
        own, found = self.match(host), self.match(target)
        if own.app is not None or found.app is None or found.signal is None:
            return own
        suffix = (found.rule or "").partition(": ")[2].partition(" ")[0]
        behind = self._rules[suffix].behind
        label = own.host.partition(".")[0]
        if not behind and (label == "www" or "." not in own.host):
            return own
        signal = Signal.APP if behind else found.signal
        if signal.evidence is Evidence.USE:
            words = (label, *label.split("-"))
            custom = [self._labels[mask] for mask in map(_mask, words) if mask in self._labels]
            signal = custom[0] if custom else signal
        tenant = own.host if signal.evidence is Evidence.USE else None
        return Match(own.host, found.app, signal, tenant, f"{found.rule} (by CNAME)")

    def match(self, host: str) -> Match:
        """Say which app a host belongs to, by the longest catalogued suffix of its name.

        Any text is an answer: what is in no entry comes back with ``app`` None.

        >>> match = load_catalogue().match("acme.slack.com")
        >>> match.app, match.signal.value, match.tenant, match.rule
        ('slack', 'app', 'acme', 'team_messaging/slack: slack.com')
        """
        name = host.lower().rstrip(".")
        label, suffix = "", name if len(name) <= _LONGEST_NAME else ""
        while suffix:
            rule = self._rules.get(suffix)
            if rule is not None:
                return self._land(name, label, rule)
            label, _, suffix = suffix.partition(".")
        return Match(name)

    def _land(self, name: str, label: str, rule: _Rule) -> Match:
        tenant = rule.tenant(label)
        if tenant is None and rule.signal is Signal.APP and label:
            for word in (label, *label.split("-"), name.partition(".")[0]):
                custom = self._labels.get(_mask(word))
                if custom is not None:
                    return Match(name, rule.app, custom, None, f"{rule.text} (label {word})")
        return Match(name, rule.app, rule.signal, tenant, rule.text)

    fold = staticmethod(host_names.fold)
    """How a host that is in no entry is kept."""
    made = staticmethod(host_names.is_made)
    """Whether a machine made a label."""

    @staticmethod
    def domain(host: str) -> str:
        """Return the part of a host that somebody registered."""
        return host_names.domain_of(host_names.fold(host) or host)[0]

    def place(self, fold: str) -> tuple[str, str, str]:
        """Return domain, kind and label of an unknown host, as ``fold`` gave it.

        The kind is ``machine`` (made by a machine, or loaded by pages), ``api``, ``site`` (www and
        the like), ``tenant`` for any other readable label, and ``site`` where there is no label.
        """
        domain, label = host_names.domain_of(fold)
        signal = self._labels.get(_mask(label)) if label else None
        if label == "*" or (signal and signal.evidence is Evidence.EMBEDDED):
            return domain, "machine", label
        if signal is not None:
            return domain, "api", label
        own = not label or {label, _mask(label)} & self._not_tenants
        return domain, "site" if own else "tenant", label


def load_catalogue(
    folder: Traversable | Path | None = None,
    extra: Sequence[Path] = (),
) -> Catalogue:
    """Read a rules folder (the shipped one by default) and every operator's folder after it.

    An app of a later folder takes the place of the app with the same id, and a host of a later
    folder is its app's alone. Raises RulesError with every problem of every file.
    """
    reader = ShelfReader()
    if folder is None:
        reader.read(resources.files("rules"), "rules")
    else:
        reader.read(folder, str(folder))
    for more in extra:
        reader.read(more, str(more))
    return Catalogue(reader.shelves())


@dataclass(frozen=True, slots=True)
class Vendors:
    """What is stated of apps and their vendors, and where it was taken from."""

    facts: Mapping[str, tuple[Fact, ...]]
    """App id to its facts, in the order of FACTS and the newest first."""
    sources: Mapping[str, Source]

    def rows(self, today: dt.date, app: str | None = None) -> Iterator[dict[str, str | None]]:
        """Yield the facts of one app or of all, with the names that people read and their age."""
        for own in self.facts.values() if app is None else (self.facts.get(app, ()),):
            for fact in own:
                source = self.sources[fact.source]
                yield {
                    "app": fact.app,
                    "fact": fact.fact,
                    "name": FACTS[fact.fact],
                    "answer": fact.answer,
                    "value": fact.value or None,
                    "date": fact.date.isoformat() if fact.date else None,
                    "age": fact.age(today),
                    "stated_by": fact.stated_by,
                    "link": fact.link,
                    "source": source.name,
                    "licence": source.licence,
                }


def load_vendors(
    apps: Mapping[str, App],
    extra: Sequence[Path] = (),
) -> Vendors:
    """Read sources.toml and vendor_facts/ of the shipped rules and of every operator's folder.

    Raises RulesError with every problem of every file.
    """
    problems: list[Problem] = []
    folders: list[tuple[Traversable | Path, str]] = [(resources.files("rules"), "rules")]
    folders += [(folder, str(folder)) for folder in extra]
    sources = {
        source.id: source
        for folder, where in folders
        if folder.joinpath("sources.toml").is_file()
        for source in read_sources(
            folder.joinpath("sources.toml"), f"{where}/sources.toml", problems
        )
    }
    facts: list[Fact] = []
    for folder, where in folders:
        drawer = folder.joinpath("vendor_facts")
        for file in sorted(drawer.iterdir(), key=lambda file: file.name) if drawer.is_dir() else ():
            if file.name.endswith(".csv"):
                named = f"{where}/vendor_facts/{file.name}"
                facts += read_facts(file, named, problems, apps, sources)
    if problems:
        raise RulesError(problems)
    order = {name: place for place, name in enumerate(FACTS)}
    facts.sort(key=lambda fact: fact.date.toordinal() if fact.date else 0, reverse=True)
    facts.sort(key=lambda fact: order[fact.fact])
    held: dict[str, list[Fact]] = {}
    for fact in facts:
        held.setdefault(fact.app, []).append(fact)
    return Vendors({app: tuple(own) for app, own in held.items()}, sources)


def _rules_of(app: App, trim: tuple[str, ...]) -> Iterable[tuple[str, _Rule]]:
    hosts = dict.fromkeys(app.tenant_under, Signal.APP) | dict(app.hosts)
    for suffix, signal in hosts.items():
        text = f"{app.categories[0]}/{app.id}: {suffix}"
        tenants = suffix in app.tenant_under
        behind = suffix in app.white_label
        yield suffix, _Rule(app.id, signal, text, tenants, app.not_tenants, trim, behind=behind)


def _mask(label: str) -> str:
    """Put # for each run of digits, so that us02web and us06web are one label of a list."""
    return label if label.isalpha() else _DIGITS.sub("#", label)
