"""One table of rules/apps to one App: what an entry may say, and what is wrong with this one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from agent.errors import nearest
from agent.host_names import is_host_name
from agent.model import App, Evidence, Signal
from agent.rule_file import RuleFile

HOST_KEYS: Mapping[str, Signal] = MappingProxyType(
    {"domains": Signal.APP} | {signal.value: signal for signal in Signal if signal != Signal.APP},
)
"""The host lists of an app entry, in canonical order, with the signal each one gives."""
APP_KEYS = (
    *("name", "vendor", "homepage", "audience", "dual_use", "aliases", "formerly", "successor"),
    *("sources", "also", *HOST_KEYS, "white_label", "tenant"),
)

_TENANT_KEYS = ("under", "not", "trim")
_AUDIENCES = ("business", "personal", "both")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """An app, and the endings that its tenants' labels lose."""

    app: App
    trim: tuple[str, ...]


def is_app_id(text: str) -> bool:
    """Tell whether a text may be the key of an entry."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class EntryReader:
    """Reads the entries of one file, which is one category."""

    file: RuleFile
    category: str
    categories: Collection[str]
    """Ids of all categories there are."""
    not_tenants: frozenset[str]
    """Labels that name no customer, whoever's host it is."""

    def entry(self, app_id: str, table: Mapping[str, object]) -> Entry:
        """Return what a table says; all that is wrong with it is noted in the file."""
        self.file.keys(table, APP_KEYS, app_id)
        hosts = self._hosts(table, app_id)
        behind = self._white_label(table.get("white_label", []), hosts, f"{app_id}.white_label")
        under, labels, trim = self._tenant(table.get("tenant", {}), f"{app_id}.tenant")
        self._check_under(under, hosts, f"{app_id}.tenant.under")
        app = App(
            id=app_id,
            name=self.file.text(table, "name", app_id),
            vendor=self.file.text(table, "vendor", app_id),
            categories=(self.category, *self._also(table.get("also", []), f"{app_id}.also")),
            homepage=self.file.text(table, "homepage", app_id),
            audience=self.file.text(table, "audience", app_id),
            hosts=tuple((hosts | dict.fromkeys(behind, Signal.CDN)).items()),
            tenant_under=tuple(under),
            not_tenants=self.not_tenants.union(labels) if labels else self.not_tenants,
            dual_use=table.get("dual_use", False) is True,
            aliases=tuple(self.file.texts(table.get("aliases", []), f"{app_id}.aliases")),
            formerly=tuple(self.file.texts(table.get("formerly", []), f"{app_id}.formerly")),
            successor=self._successor(table, app_id),
            white_label=tuple(behind),
            sources=tuple(self.file.texts(table.get("sources", []), f"{app_id}.sources")),
        )
        if not isinstance(table.get("dual_use", False), bool):
            self.file.say(f"{app_id}.dual_use", "must be true or left out")
        if app.audience and app.audience not in _AUDIENCES:
            choice = ", ".join(f'"{audience}"' for audience in _AUDIENCES)
            self.file.say(f"{app_id}.audience", f'"{app.audience}" is none of {choice}')
        if app.homepage and not app.homepage.startswith("https://"):
            self.file.say(f"{app_id}.homepage", f'"{app.homepage}" must begin with https://')
        return Entry(app, tuple(trim))

    def _successor(self, table: Mapping[str, object], app_id: str) -> str | None:
        if "successor" not in table:
            return None
        successor = self.file.text(table, "successor", app_id)
        if successor == app_id:
            self.file.say(f"{app_id}.successor", "no app succeeds itself; leave it out")
        return successor or None

    def _also(self, value: object, place: str) -> Iterable[str]:
        for other in self.file.texts(value, place):
            if other not in self.categories:
                cure = nearest(other, self.categories)
                self.file.say(place, f'"{other}" is not a category of categories.toml.{cure}')
            elif other == self.category:
                self.file.say(place, f'"{other}" is where the app is filed; leave it out')
            else:
                yield other

    def _hosts(self, table: Mapping[str, object], app_id: str) -> dict[str, Signal]:
        found: dict[str, Signal] = {}
        before = len(self.file.problems)
        for key, signal in HOST_KEYS.items():
            if key not in table:
                continue
            place = f"{app_id}.{key}"
            for host in self.file.texts(table[key], place):
                if not is_host_name(host):
                    self.file.say(place, _not_a_host(host))
                elif host in found:
                    self.file.say(place, f'"{host}" is in the entry already; one list a host')
                else:
                    found[host] = signal
        shows_use = any(signal.evidence is Evidence.USE for signal in found.values())
        if not shows_use and len(self.file.problems) == before:
            self.file.say(app_id, "no host shows use; add one to domains, sign_in or upload")
        return found

    def _white_label(self, value: object, hosts: Mapping[str, Signal], place: str) -> list[str]:
        """Return the suffixes that customers' names lead to; seen by itself, one is no use."""
        found = self.file.texts(value, place)
        for host in found:
            if not is_host_name(host):
                self.file.say(place, _not_a_host(host))
            elif host in hosts:
                self.file.say(place, f'"{host}" is in the entry already; one list a host')
        return found

    def _tenant(self, table: object, place: str) -> Sequence[list[str]]:
        if not isinstance(table, dict):
            self.file.say(place, 'must be a table: { under = ["slack.com"], not = ["files"] }')
            return [], [], []
        self.file.keys(table, _TENANT_KEYS, place)
        under = self.file.texts(table.get("under", []), f"{place}.under")
        if table and not under:
            self.file.say(f"{place}.under", "missing; name the suffix that customers stand under")
        labels = self.file.labels(table.get("not", []), f"{place}.not")
        return under, labels, self.file.texts(table.get("trim", []), f"{place}.trim")

    def _check_under(self, under: Iterable[str], hosts: Collection[str], place: str) -> None:
        for suffix in under:
            if not is_host_name(suffix):
                self.file.say(place, _not_a_host(suffix))
            elif not any(f".{suffix}".endswith(f".{host}") for host in hosts):
                self.file.say(place, f'"{suffix}" lies under no host of the app; list it first')


def _not_a_host(text: str) -> str:
    bare = text.strip().lower().partition("://")[2] or text.strip().lower()
    bare = bare.partition("/")[0].partition(":")[0].removeprefix("*.").strip(".")
    cure = f' Did you mean "{bare}"?' if bare != text and is_host_name(bare) else ""
    return f'"{text}" is not a host name in lower case.{cure}'
