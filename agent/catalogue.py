"""Who a host belongs to: reads rules/apps and answers with app, signal and tenant, or with a fold.

Look-ups are plain dictionary reads, one a label, from the whole name to its last label: the
longest suffix wins and nothing is ever matched by pattern.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from agent.errors import Problem, RulesError
from agent.model import App, Match, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from tldextract import TLDExtract

HOST_KEYS: Mapping[str, Signal] = MappingProxyType(
    {"domains": Signal.APP} | {signal.value: signal for signal in Signal if signal != Signal.APP},
)
"""The host lists of an app entry, in canonical order, with the signal each one gives."""
APP_KEYS = ("name", "vendor", "homepage", "audience", "also", *HOST_KEYS, "tenant")
TENANT_KEYS = ("under", "not", "trim")
CATEGORY_KEYS = ("name", "description")
AUDIENCES = ("business", "personal", "both")

_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")
_HOST = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]",
)
_LABEL = re.compile(r"[a-z0-9#](?:[a-z0-9#-]{0,61}[a-z0-9#])?")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_DIGITS = re.compile(r"[0-9]+")
_LONGEST_NAME = 253
_HUMAN = re.compile(r"(?=.{1,15}$)[a-z]+(?:-[a-z]+)*-?[0-9]{0,2}")
_UNPRONOUNCEABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}")
_NOT_INTERNET = frozenset(
    ("arpa", "corp", "domain", "example", "home", "internal", "intranet", "invalid", "lan")
    + ("local", "localdomain", "localhost", "mail", "onion", "private", "test", "workgroup"),
)


@dataclass(frozen=True, slots=True)
class Category:
    """One shelf of the catalogue, as the dashboard names it."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one host suffix means, with everything a look-up needs at hand."""

    app: str
    signal: Signal
    text: str
    tenants: bool
    not_tenants: frozenset[str]
    trim: tuple[str, ...]

    def tenant(self, label: str) -> str | None:
        if not self.tenants or not label.isascii() or not label.replace("-", "").isalnum():
            return None
        if label in self.not_tenants or _mask(label) in self.not_tenants:
            return None
        for ending in self.trim:
            label = label.removesuffix(ending)
        return label or None


class Catalogue:
    """Every app that Sundial knows, and the answer to what a host is."""

    def __init__(
        self,
        apps: Mapping[str, App],
        categories: Mapping[str, Category],
        labels: Mapping[str, Signal],
        trims: Mapping[str, tuple[str, ...]],
        version: str,
    ) -> None:
        self.apps = MappingProxyType(dict(apps))
        self.categories = MappingProxyType(dict(categories))
        self.version = version
        """A short digest of the content, the same wherever the same rules are read."""
        self._labels = dict(labels)
        self._rules = {
            suffix: rule
            for app in apps.values()
            for suffix, rule in _rules_of(app, trims.get(app.id, ()))
        }

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

    def fold(self, host: str) -> str | None:
        """Shorten a host that is in no entry to the name it is counted under.

        That is the registrable domain with at most one readable label before it, so that names
        made by machines fall together whatever their order. None where it is no Internet name.

        >>> catalogue = load_catalogue()
        >>> catalogue.fold("a1.eu.news.example.com"), catalogue.fold("x9f3e7.news.co.uk")
        ('news.example.com', '*.news.co.uk')
        >>> catalogue.fold("192.0.2.7"), catalogue.fold("printer.lan"), catalogue.fold("nas")
        (None, None, None)
        """
        name = host.lower().rstrip(".").removeprefix("*.")
        folded = host.startswith("*.")
        if not _HOST.fullmatch(name) or name.rpartition(".")[2] in _NOT_INTERNET:
            return None
        parts = _public_suffixes().extract_str(name)
        registrable = parts.top_domain_under_public_suffix
        if not registrable:
            return None
        label = parts.subdomain.rpartition(".")[2]
        if not label:
            return f"*.{registrable}" if folded else registrable
        return f"{label if _is_human(label) else '*'}.{registrable}"


def load_catalogue(
    folder: Traversable | Path | None = None,
    extra: Sequence[Path] = (),
) -> Catalogue:
    """Read a rules folder (the shipped one by default) and every operator's folder after it.

    An app of a later folder takes the place of the app with the same id. Raises RulesError with
    every problem of every file.
    """
    book = _Book()
    if folder is None:
        book.read(resources.files("rules"), "rules")
    else:
        book.read(folder, str(folder))
    for more in extra:
        book.read(more, str(more))
    return book.catalogue()


class _Book:
    """The rules while they are being read: what holds so far, and what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.categories: dict[str, Category] = {}
        self.not_tenants: frozenset[str] = frozenset()
        self.labels: dict[str, Signal] = {}
        self.apps: dict[str, App] = {}
        self.trims: dict[str, tuple[str, ...]] = {}
        self.files: dict[str, str] = {}
        self.digests: dict[str, object] = {}

    def say(self, where: str, key: str | None, message: str) -> None:
        self.problems.append(Problem(where, message, key))

    def read(self, folder: Traversable | Path, where: str) -> None:
        """Read one folder: categories.toml where there is one, then every apps/<category>.toml."""
        shelf = folder.joinpath("categories.toml")
        if shelf.is_file():
            self._categories(self._toml(shelf, f"{where}/categories.toml"), where)
        elif not self.categories:
            self.say(f"{where}/categories.toml", None, "there is no such file; rules start with it")
        drawer = folder.joinpath("apps")
        if not drawer.is_dir():
            self.say(f"{where}/apps", None, "there is no such folder; apps live in it")
            return
        here: dict[str, str] = {}
        for file in sorted(drawer.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".toml"):
                self._apps(file, f"{where}/apps/{file.name}", here)

    def catalogue(self) -> Catalogue:
        """Return what was read, or raise every problem."""
        self._check_owners()
        if self.problems:
            raise RulesError(self.problems)
        content = [
            self.digests,
            {shelf.id: [shelf.name, shelf.description] for shelf in self.categories.values()},
            sorted(self.not_tenants),
            self.labels,
        ]
        text = json.dumps(content, sort_keys=True)
        version = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return Catalogue(self.apps, self.categories, self.labels, self.trims, version)

    def _toml(self, file: Traversable | Path, where: str) -> dict[str, object]:
        try:
            return tomllib.loads(file.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            found = _AT_LINE.search(str(error))
            reason = _AT_LINE.sub("", str(error))
            line = int(found[1]) if found else None
            self.problems.append(Problem(where, f"this is not TOML: {reason}", line=line))
        except UnicodeDecodeError:
            self.say(where, None, "this is not UTF-8 text; save it as UTF-8")
        except OSError as error:
            self.say(where, None, f"cannot be read: {error.strerror}")
        return {}

    def _categories(self, tables: dict[str, object], folder: str) -> None:
        where = f"{folder}/categories.toml"
        labels = tables.pop("not_tenants", [])
        texts = self._texts(labels, where, "not_tenants")
        self.not_tenants |= {label for label in texts if self._label(label, where, "not_tenants")}
        self._label_signals(tables.pop("label_signals", {}), where)
        for key, table in tables.items():
            if not isinstance(table, dict):
                self.say(where, key, _unknown(key, ("not_tenants", "label_signals")))
                continue
            self._keys(table, CATEGORY_KEYS, where, key)
            texts = [self._text(table, name, where, key) for name in CATEGORY_KEYS]
            self.categories[key] = Category(key, *texts)

    def _label_signals(self, table: object, where: str) -> None:
        if not isinstance(table, dict):
            self.say(where, "label_signals", "must be a table of signal = [labels]")
            return
        known = [signal.value for signal in Signal if signal.evidence != Signal.APP.evidence]
        for key, value in table.items():
            if key not in known:
                self.say(where, f"label_signals.{key}", _unknown(key, known))
                continue
            for label in self._texts(value, where, f"label_signals.{key}"):
                if self._label(label, where, f"label_signals.{key}"):
                    self.labels[label] = Signal(key)

    def _apps(self, file: Traversable | Path, where: str, here: dict[str, str]) -> None:
        category = file.name.removesuffix(".toml")
        if category not in self.categories:
            cure = _nearest(category, self.categories)
            self.say(where, None, f'"{category}" is not a category of categories.toml.{cure}')
        for app_id, table in self._toml(file, where).items():
            if not isinstance(table, dict):
                self.say(where, app_id, "must stand under an app, as in [slack]")
            elif not _ID.fullmatch(app_id):
                self.say(where, app_id, "an app id is made of a-z, 0-9, _ and -")
            elif app_id in here:
                self.say(where, app_id, f"this id is taken in {here[app_id]}; ids are unique")
            else:
                here[app_id] = where
                self._app(app_id, table, category, where)

    def _app(self, app_id: str, table: dict[str, object], category: str, where: str) -> None:
        self._keys(table, APP_KEYS, where, app_id)
        hosts = self._hosts(table, where, app_id)
        under, labels, trim = self._tenant(table.get("tenant", {}), where, f"{app_id}.tenant")
        self._under(under, [host for host, _ in hosts], where, app_id)
        app = App(
            id=app_id,
            name=self._text(table, "name", where, app_id),
            vendor=self._text(table, "vendor", where, app_id),
            categories=(category, *self._also(table, category, where, app_id)),
            homepage=self._text(table, "homepage", where, app_id),
            audience=self._text(table, "audience", where, app_id),
            hosts=tuple(hosts),
            tenant_under=tuple(under),
            not_tenants=frozenset(labels) | self.not_tenants | self.labels.keys(),
        )
        if app.audience and app.audience not in AUDIENCES:
            choice = ", ".join(f'"{audience}"' for audience in AUDIENCES)
            self.say(where, f"{app_id}.audience", f'"{app.audience}" is none of {choice}')
        if app.homepage and not app.homepage.startswith("https://"):
            self.say(where, f"{app_id}.homepage", f'"{app.homepage}" must begin with https://')
        self.apps[app_id], self.trims[app_id] = app, tuple(trim)
        self.files[app_id], self.digests[app_id] = where, [category, table]

    def _also(
        self, table: dict[str, object], category: str, where: str, app_id: str
    ) -> Iterable[str]:
        key = f"{app_id}.also"
        for other in self._texts(table.get("also", []), where, key):
            if other not in self.categories:
                cure = _nearest(other, self.categories)
                self.say(where, key, f'"{other}" is not a category of categories.toml.{cure}')
            elif other == category:
                self.say(where, key, f'"{other}" is where the app is filed; leave it out')
            else:
                yield other

    def _hosts(
        self, table: dict[str, object], where: str, app_id: str
    ) -> list[tuple[str, Signal]]:
        found: dict[str, Signal] = {}
        for key, signal in HOST_KEYS.items():
            place = f"{app_id}.{key}"
            for host in self._texts(table.get(key, []), where, place):
                if not _HOST.fullmatch(host):
                    self.say(where, place, _not_a_host(host))
                elif host in found:
                    self.say(where, place, f'"{host}" is in the entry already; one list a host')
                else:
                    found[host] = signal
        use = Signal.APP.evidence
        if not any(signal.evidence is use for signal in found.values()):
            self.say(where, app_id, "no host shows use; add one to domains, sign_in or upload")
        return list(found.items())

    def _tenant(
        self, table: object, where: str, place: str
    ) -> tuple[list[str], list[str], list[str]]:
        if not isinstance(table, dict):
            self.say(where, place, 'must be a table: { under = ["slack.com"], not = ["files"] }')
            return [], [], []
        self._keys(table, TENANT_KEYS, where, place)
        under, labels, trim = (
            self._texts(table.get(key, []), where, f"{place}.{key}") for key in TENANT_KEYS
        )
        if table and not under:
            self.say(where, f"{place}.under", "missing; name the suffix that customers stand under")
        for label in labels:
            self._label(label, where, f"{place}.not")
        return under, labels, trim

    def _under(self, under: list[str], hosts: list[str], where: str, app_id: str) -> None:
        place = f"{app_id}.tenant.under"
        for suffix in under:
            if not _HOST.fullmatch(suffix):
                self.say(where, place, _not_a_host(suffix))
            elif not any(f".{suffix}".endswith(f".{host}") for host in hosts):
                self.say(where, place, f'"{suffix}" lies under no host of the app; list it first')

    def _check_owners(self) -> None:
        owners: dict[str, str] = {}
        for app in self.apps.values():
            for host in dict.fromkeys([*(host for host, _ in app.hosts), *app.tenant_under]):
                other = owners.setdefault(host, app.id)
                if other != app.id:
                    message = f'"{host}" belongs to {other} ({self.files[other]}); one app a host'
                    self.say(self.files[app.id], app.id, message)

    def _keys(
        self, table: Mapping[str, object], known: Sequence[str], where: str, place: str
    ) -> None:
        for key in table:
            if key not in known:
                self.say(where, f"{place}.{key}", _unknown(key, known))

    def _text(self, table: Mapping[str, object], key: str, where: str, place: str) -> str:
        value = table.get(key)
        if value is None:
            self.say(where, f"{place}.{key}", "missing; every entry needs it")
        elif not isinstance(value, str) or not value.strip():
            self.say(where, f"{place}.{key}", "must be a text that says something")
        else:
            return value
        return ""

    def _texts(self, value: object, where: str, place: str) -> list[str]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        self.say(where, place, 'must be a list of texts, as in ["slack.com"]')
        return []

    def _label(self, label: str, where: str, place: str) -> bool:
        if _LABEL.fullmatch(label):
            return True
        self.say(where, place, f'"{label}" is not one label; write files, or us#web for numbers')
        return False


def _rules_of(app: App, trim: tuple[str, ...]) -> Iterable[tuple[str, _Rule]]:
    hosts = dict.fromkeys(app.tenant_under, Signal.APP) | dict(app.hosts)
    for suffix, signal in hosts.items():
        text = f"{app.categories[0]}/{app.id}: {suffix}"
        tenants = suffix in app.tenant_under
        yield suffix, _Rule(app.id, signal, text, tenants, app.not_tenants, trim)


def _mask(label: str) -> str:
    """Put # for each run of digits, so that us02web and us06web are one label of a list."""
    return label if label.isalpha() else _DIGITS.sub("#", label)


def _is_human(label: str) -> bool:
    return _HUMAN.fullmatch(label) is not None and _UNPRONOUNCEABLE.search(label) is None


def _unknown(key: str, known: Iterable[str]) -> str:
    return f"unknown key.{_nearest(key, known)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f' Did you mean "{near[0]}"?' if near else ""


def _not_a_host(text: str) -> str:
    bare = text.strip().lower().partition("://")[2] or text.strip().lower()
    bare = bare.partition("/")[0].partition(":")[0].removeprefix("*.").strip(".")
    cure = f' Did you mean "{bare}"?' if bare != text and _HOST.fullmatch(bare) else ""
    return f'"{text}" is not a host name in lower case.{cure}'


@cache
def _public_suffixes() -> TLDExtract:
    # The import takes a quarter of a second, and a look-up of known hosts never needs it.
    from tldextract import TLDExtract  # noqa: PLC0415

    return TLDExtract(suffix_list_urls=(), cache_dir=None)
