"""Folders of categories and apps, the shipped ones and an operator's, read into one collection.

Nothing is raised before everything was read, so that one run names every problem of every file.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path

from agent.entries import EntryReader, is_app_id
from agent.errors import Problem, RulesError, nearest, unknown_key
from agent.host_names import is_host_name
from agent.model import App, Evidence, Signal
from agent.rule_file import RuleFile

_PAIR = 2
_CATEGORY_KEYS = ("name", "description")
_CUSTOM_SIGNALS = tuple(signal.value for signal in Signal if signal.evidence is not Evidence.USE)


@dataclass(frozen=True, slots=True)
class Category:
    """One shelf of the catalogue, as the dashboard names it."""

    id: str
    name: str
    description: str
    personal: bool = False
    """Whether its apps are kept by department and never by person."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """Every category and app that the folders hold, once nothing is wrong with them."""

    apps: Mapping[str, App]
    trims: Mapping[str, tuple[str, ...]]
    """App id to the endings that its tenants' labels lose."""
    categories: Mapping[str, Category]
    labels: Mapping[str, Signal]
    """Labels of any app's hosts that tell a signal of their own, # for digits."""
    not_tenants: frozenset[str]
    """Labels that are the vendor's own, whoever's host it is."""
    aliases: Mapping[str, str]
    """Hosts of the company that stand for a vendor's, with that vendor's host (its CNAME)."""
    own: frozenset[str]
    """Ids of apps whose entry is of another folder than the first: the operator's own."""
    version: str
    """A short digest of the content, the same wherever the same rules are read."""


class ShelfReader:
    """The rules while they are being read: what holds so far, and what is wrong."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._categories: dict[str, Category] = {}
        self._not_tenants: set[str] = set()
        self._labels: dict[str, Signal] = {}
        self._apps: dict[str, App] = {}
        self._trims: dict[str, tuple[str, ...]] = {}
        self._files: dict[str, RuleFile] = {}
        self._content: dict[str, object] = {}
        self._aliases: dict[str, str] = {}
        self._first = ""
        """The folder that is read first, the shipped one."""
        self._folder: dict[str, str] = {}
        """App id to the folder that its entry is from, as messages call it."""

    def read(self, folder: Traversable | Path, where: str) -> None:
        """Read one folder: categories.toml, every apps/<category>.toml, aliases.csv; what it has.

        ``where`` is what messages call the folder.
        """
        self._first = self._first or where
        shelf = folder.joinpath("categories.toml")
        page = RuleFile(f"{where}/categories.toml", self._problems)
        if shelf.is_file():
            self._read_categories(page, page.tables(shelf))
        elif not self._categories:
            page.say(None, "there is no such file; rules start with it")
        aliases = folder.joinpath("aliases.csv")
        if aliases.is_file():
            self._read_aliases(aliases, f"{where}/aliases.csv")
        drawer = folder.joinpath("apps")
        if not drawer.is_dir() and aliases.is_file():
            return
        if not drawer.is_dir():
            missing = "there is no such folder; apps live in it"
            self._problems.append(Problem(f"{where}/apps", missing))
            return
        here: dict[str, str] = {}
        for file in sorted(drawer.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".toml"):
                page = RuleFile(f"{where}/apps/{file.name}", self._problems)
                self._read_apps(page, file, here, where)

    def shelves(self) -> Shelves:
        """Return what was read. Raises RulesError with every problem of every folder."""
        self._settle_owners()
        if self._problems:
            raise RulesError(self._problems)
        content = [
            self._content,
            {
                shelf.id: [shelf.name, shelf.description, shelf.personal]
                for shelf in self._categories.values()
            },
            sorted(self._not_tenants),
            self._labels,
            self._aliases,
        ]
        text = json.dumps(content, sort_keys=True)
        version = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return Shelves(
            apps=self._apps,
            trims=self._trims,
            categories=self._categories,
            labels=self._labels,
            not_tenants=frozenset(self._not_tenants),
            aliases=self._aliases,
            own=frozenset(app for app, folder in self._folder.items() if folder != self._first),
            version=version,
        )

    def _read_categories(self, file: RuleFile, tables: dict[str, object]) -> None:
        self._not_tenants.update(file.labels(tables.pop("not_tenants", []), "not_tenants"))
        self._read_labels(file, tables.pop("label_signals", {}))
        for key, table in tables.items():
            if not isinstance(table, dict):
                file.say(key, unknown_key(key, ("not_tenants", "label_signals")))
                continue
            file.keys(table, (*_CATEGORY_KEYS, "personal"), key)
            personal = table.get("personal", False)
            if not isinstance(personal, bool):
                file.say(f"{key}.personal", "must be true or false")
            name, description = (file.text(table, name, key) for name in _CATEGORY_KEYS)
            self._categories[key] = Category(key, name, description, personal is True)

    def _read_labels(self, file: RuleFile, table: object) -> None:
        if not isinstance(table, dict):
            file.say("label_signals", "must be a table of signal = [labels]")
            return
        for key, value in table.items():
            place = f"label_signals.{key}"
            if key in _CUSTOM_SIGNALS:
                self._labels |= dict.fromkeys(file.labels(value, place), Signal(key))
            else:
                file.say(place, unknown_key(key, _CUSTOM_SIGNALS))

    def _read_apps(
        self, file: RuleFile, path: Traversable | Path, here: dict[str, str], folder: str
    ) -> None:
        """Read the apps of one category; ``here`` holds the file of each id of this folder."""
        category = path.name.removesuffix(".toml")
        if category not in self._categories:
            cure = nearest(category, self._categories)
            file.say(None, f'"{category}" is not a category of categories.toml.{cure}')
        not_tenants = frozenset(self._not_tenants | self._labels.keys())
        reader = EntryReader(file, category, self._categories.keys(), not_tenants)
        for app_id, table in file.tables(path).items():
            if not isinstance(table, dict):
                file.say(app_id, "must stand under an app, as in [slack]")
            elif not is_app_id(app_id):
                file.say(app_id, "an app id is made of a-z, 0-9, _ and -")
            elif app_id in here:
                file.say(app_id, f"this id is taken in {here[app_id]}; ids are unique")
            else:
                here[app_id] = file.where
                self._folder[app_id] = folder
                entry = reader.entry(app_id, table)
                self._apps[app_id], self._trims[app_id] = entry.app, entry.trim
                self._files[app_id], self._content[app_id] = file, [category, table]

    def _read_aliases(self, file: Traversable | Path, where: str) -> None:
        try:
            rows = csv.reader(file.read_text(encoding="utf-8-sig").splitlines())
        except (OSError, UnicodeDecodeError):
            self._problems.append(Problem(where, "cannot be read as UTF-8 text."))
            return
        for row in rows:
            cells = [cell.strip().lower().rstrip(".") for cell in row]
            if cells == ["host", "target"] or not any(cells):
                continue
            if len(cells) == _PAIR and all(map(is_host_name, cells)):
                self._aliases[cells[0]] = cells[1]
            else:
                said = "must be a host, a comma, and the host of a vendor that it stands for"
                self._problems.append(Problem(where, said, line=rows.line_num))

    def _settle_owners(self) -> None:
        """Give each host to one app: of two folders the later has it, of one neither may."""
        order = {folder: place for place, folder in enumerate(dict.fromkeys(self._folder.values()))}
        owners: dict[str, str] = {}
        for app in sorted(self._apps.values(), key=lambda app: order[self._folder[app.id]]):
            for host in dict.fromkeys([*(host for host, _ in app.hosts), *app.tenant_under]):
                other = owners.get(host, app.id)
                owners[host] = app.id
                if other == app.id:
                    continue
                if self._folder[other] != self._folder[app.id]:
                    self._apps[other] = _without(self._apps[other], host)
                    continue
                where = self._files[other].where
                message = f'"{host}" belongs to {other} ({where}); one app a host'
                self._files[app.id].say(app.id, message)


def _without(app: App, host: str) -> App:
    return replace(
        app,
        hosts=tuple((own, signal) for own, signal in app.hosts if own != host),
        tenant_under=tuple(own for own in app.tenant_under if own != host),
        white_label=tuple(own for own in app.white_label if own != host),
    )
