"""The story as values: demo.toml read into departments, hosts and apps, each with its number.

The rest of the demo counts in arrays, so people, hosts, apps and sources go by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import rtoml

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LAST_DAY: Final = date(2026, 10, 18)
STORY_WEEKS: Final = 26
ZONE: Final = ZoneInfo("Europe/Berlin")
SQUID, ZSCALER, BIND, DNSMASQ = range(4)
SOURCES: Final = ("berlin-proxy", "zscaler", "berlin-dns", "works-dns")
SITE_SOURCE: Final = {"Berlin": SQUID, "Dublin": ZSCALER, "Leipzig": DNSMASQ}
NOWHERE: Final = -1


class Department(NamedTuple):
    """A department and where it sits."""

    name: str
    site: str
    people: int
    subnet: str
    directory: bool


class App(NamedTuple):
    """An app of the story; weeks count from 0, departments and hosts go by number."""

    app: str
    hosts: tuple[int, ...]
    around: tuple[int, ...] = ()
    """Hosts that its pages load besides."""
    busy: float = 6
    """Requests that follow the first one of a day."""
    refused: range = range(0)
    """Weeks in which a proxy refuses it."""
    use: Mapping[int, list[list[int]]] = {}
    """Department → steps of week (from 1) and people with the habit from then on."""
    visits: Mapping[int, float] = {}
    """Department → visits a week by people without the habit."""
    everyone: bool = False
    catalogued: bool = True


class Host(NamedTuple):
    """A name that is asked for, and what the catalogue should say of it."""

    name: str
    app: str | None
    evidence: str | None
    path: str | None
    """Set where the host is asked over plain HTTP."""


@dataclass(slots=True)
class Scenario:
    """Everything that demo.toml tells; the lists of numbers point into ``hosts``."""

    raw: dict[str, Any]
    departments: list[Department]
    hosts: list[Host] = field(default_factory=list)
    apps: list[App] = field(default_factory=list)
    everyday: list[int] = field(default_factory=list)
    embeds: list[int] = field(default_factory=list)
    internal: list[int] = field(default_factory=list)
    machines: list[int] = field(default_factory=list)

    def add(
        self,
        name: str,
        app: str | None = None,
        evidence: str | None = None,
        path: str | None = None,
    ) -> int:
        """Add a host and return its number."""
        self.hosts.append(Host(name, app, evidence, path))
        return len(self.hosts) - 1

    def number(self, department: str) -> int:
        """Return the number of a department."""
        return next(i for i, one in enumerate(self.departments) if one.name == department)

    def by_number(self, table: Mapping[str, Any]) -> dict[int, Any]:
        """Return a table that names departments with their numbers instead."""
        return {self.number(name): value for name, value in table.items()}


def read_scenario() -> Scenario:
    """Read demo.toml."""
    raw = rtoml.loads(files(__package__).joinpath("demo.toml").read_text(encoding="utf-8"))
    departments = [
        Department(d["name"], d["site"], d["people"], d["subnet"], d.get("directory", True))
        for d in raw["department"]
    ]
    story = Scenario(raw, departments)
    story.apps = [_app(story, app, entry) for app, entry in raw["app"].items()]
    for host, use in raw["unknown"].items():
        steps = story.by_number(use)
        story.apps.append(App(host, (story.add(host),), use=steps, catalogued=False))
    story.embeds = [story.add(host, app, "embedded") for host, app in raw["embeds"].items()]
    story.machines = [story.add(m["host"], m["app"], "machine") for m in raw["machine"]]
    story.everyday = [story.add(host) for host in raw["ordinary"]["https"]]
    for url in raw["ordinary"]["http"]:
        host, _, path = url.partition("/")
        story.everyday.append(story.add(host, path=path))
    story.internal = [story.add(host) for host in raw["ordinary"]["internal"]]
    return story


def _app(story: Scenario, app: str, entry: Mapping[str, Any]) -> App:
    first, last = entry.get("refused", [0, -1])
    return App(
        app,
        hosts=tuple(story.add(host, app, "use") for host in entry["hosts"]),
        around=tuple(story.add(host, app, "embedded") for host in entry.get("around", [])),
        busy=entry["busy"],
        refused=range(first - 1, last),
        use=story.by_number(entry.get("use", {})),
        visits=story.by_number(entry.get("visits", {})),
        everyone=entry.get("everyone", False),
    )
