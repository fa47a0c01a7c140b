"""An invented company whose adoption is known, written as the log files that real programs write.

``demo.toml`` tells the story, this module acts it out: it casts the people, plans who uses what on
which day, works out from that plan what Sundial should find (``truth.json``), and writes the
plan, with everything else a network says all day, as Squid, Zscaler, BIND and dnsmasq would.
The truth is computed here in plain Python, so that it can contradict the SQL that it checks.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from io import BufferedWriter
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from agent.errors import LogError, Problem

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Progress = Callable[[str, int, int], None]

LAST_DAY: Final = date(2026, 10, 18)
STORY_WEEKS: Final = 26
ZONE: Final = ZoneInfo("Europe/Berlin")
SQUID, ZSCALER, BIND, DNSMASQ = range(4)
SOURCES: Final = ("berlin-proxy", "zscaler", "berlin-dns", "works-dns")
SITE_SOURCE: Final = {"Berlin": SQUID, "Dublin": ZSCALER, "Leipzig": DNSMASQ}
NOWHERE: Final = -1

# What a person asks for on a working day beside the apps, by source: a proxy sees every request,
# a resolver only what no cache knows.
EVERYDAY: Final = {SQUID: 38.0, ZSCALER: 11.0, DNSMASQ: 11.0}
EMBEDDED: Final = {SQUID: 5.0, ZSCALER: 2.0, DNSMASQ: 2.0}
BUSY: Final = {SQUID: 1.0, ZSCALER: 0.5, DNSMASQ: 0.4}
# Of the names asked through the proxy, those that the client also looks up itself.
LOOKED_UP: Final = 0.4


# --- the answer


@dataclass(frozen=True, slots=True)
class Truth:
    """What Sundial should find in the logs; ``truth.json`` holds the same, key for key."""

    seed: int
    first_day: str
    last_day: str
    weeks: list[str]
    """Every Monday; each list of numbers below has one entry a week."""
    departments: dict[str, dict[str, Any]]
    """site, basis, headcount, covered, visible."""
    adoption: dict[str, dict[str, dict[str, Any]]]
    """app → department → active, regular, stage (one a week), history (changes only)."""
    company: dict[str, dict[str, Any]]
    """app → active, regular, covered, company_wide (one a week), tipping_point."""
    gaps: list[dict[str, str]]
    """source, first and last silent day, why."""
    embedded_only: list[str]
    """Apps met on other people's pages or by machines only: they have no adopters."""
    refused: dict[str, int]
    """app → requests that a proxy refused."""
    unknown: dict[str, dict[str, int]]
    """Uncatalogued host → department → people at its peak."""
    hosts: dict[str, dict[str, str]]
    """Every catalogued host in the logs → app and evidence."""
    files: dict[str, int]
    """Path below the folder → lines."""
    unreadable: int
    """Lines that were torn by a crash, as happens."""


# --- the scenario


class _Department(NamedTuple):
    name: str
    site: str
    people: int
    subnet: str
    directory: bool


class _App(NamedTuple):
    app: str
    hosts: tuple[int, ...]
    around: tuple[int, ...]
    busy: float
    refused: range
    use: dict[int, list[list[int]]]
    visits: dict[int, float]
    everyone: bool
    catalogued: bool


class _Host(NamedTuple):
    name: str
    app: str | None
    evidence: str | None
    path: str | None
    """Set where the host is asked over plain HTTP."""


@dataclass(slots=True)
class _Scenario:
    raw: dict[str, Any]
    departments: list[_Department]
    hosts: list[_Host] = field(default_factory=list)
    apps: list[_App] = field(default_factory=list)
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
        self.hosts.append(_Host(name, app, evidence, path))
        return len(self.hosts) - 1


def _scenario() -> _Scenario:
    raw = tomllib.loads(files("agent").joinpath("demo.toml").read_text(encoding="utf-8"))
    departments = [
        _Department(d["name"], d["site"], d["people"], d["subnet"], d.get("directory", True))
        for d in raw["department"]
    ]
    number = {department.name: i for i, department in enumerate(departments)}
    story = _Scenario(raw, departments)
    for app, entry in raw["app"].items():
        first, last = entry.get("refused", [0, -1])
        story.apps.append(
            _App(
                app,
                tuple(story.add(host, app, "use") for host in entry["hosts"]),
                tuple(story.add(host, app, "embedded") for host in entry.get("around", [])),
                entry["busy"],
                range(first - 1, last),
                {number[name]: steps for name, steps in entry.get("use", {}).items()},
                {number[name]: mean for name, mean in entry.get("visits", {}).items()},
                entry.get("everyone", False),
                catalogued=True,
            )
        )
    for host, use in raw["unknown"].items():
        steps = {number[name]: value for name, value in use.items()}
        story.apps.append(
            _App(
                host,
                (story.add(host),),
                (),
                6,
                range(0),
                steps,
                {},
                everyone=False,
                catalogued=False,
            )
        )
    story.embeds = [story.add(host, app, "embedded") for host, app in raw["embeds"].items()]
    story.machines = [story.add(m["host"], m["app"], "machine") for m in raw["machine"]]
    story.everyday = [story.add(host) for host in raw["ordinary"]["https"]]
    for url in raw["ordinary"]["http"]:
        host, _, path = url.partition("/")
        story.everyday.append(story.add(host, path=path))
    story.internal = [story.add(host) for host in raw["ordinary"]["internal"]]
    return story


# --- the cast


class _Client(NamedTuple):
    """A person at the desk of one department, or a machine with nobody at it."""

    person: int
    login: str
    mail: str
    department: str
    address: str
    home: str


@dataclass(slots=True)
class _Cast:
    """Everybody, and for each week where they sit: arrays of shape (people, weeks)."""

    clients: list[_Client]
    department: Ints
    client: Ints
    stable: Bools
    """Shape (people,): in the directory, and in one department for the whole story."""
    external: Bools
    directory: list[tuple[str, str, str, int, int]]
    """login, mail, department, first week, week after the last (-1: open)."""
    guests: list[int]


def _names(raw: dict[str, Any], count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Give so many (login, mail), all different and none a part of another's."""
    first, last = raw["names"]["first"].split(), raw["names"]["last"].split()
    found: dict[str, str] = {}
    while len(found) < count:
        given, family = first[rng.integers(len(first))], last[rng.integers(len(last))]
        login = f"{given[0]}{family}".lower()
        found.setdefault(login, f"{given}.{family}".lower() + "@" + raw["mail_domain"])
    return list(found.items())


def _stints(story: _Scenario, weeks: int) -> list[list[tuple[int, int, int]]]:
    """List each person's stints: (department, first week, week after the last), weeks from 0."""
    number = {department.name: i for i, department in enumerate(story.departments)}
    staff = [[[(i, 0, weeks)] for _ in range(d.people)] for i, d in enumerate(story.departments)]
    # The first of a department leave or move, so that one and the same never does both.
    leaving = [0] * len(staff)

    def cut(name: str, week: int) -> list[tuple[int, int, int]]:
        home = number[name]
        person = staff[home][leaving[home]]
        leaving[home] += 1
        person[-1] = (home, 0, week)
        return person

    for move in story.raw["moves"]:
        cut(move["from"], move["week"] - 1).append((number[move["to"]], move["week"] - 1, weeks))
    for leaver in story.raw["leavers"]:
        cut(leaver["department"], leaver["week"] - 1)
    people = [person for department in staff for person in department]
    people += [[(number[j["department"]], j["week"] - 1, weeks)] for j in story.raw["joiners"]]
    people += [[(number[e["department"]], 0, weeks)] for e in story.raw["externals"]]
    return people


def _cast(story: _Scenario, weeks: int, rng: np.random.Generator) -> _Cast:
    people, externals = _stints(story, weeks), story.raw["externals"]
    names = _names(story.raw, len(people), rng)
    regular_staff = len(people) - len(externals)
    shape = (len(people), weeks)
    cast = _Cast(
        [], np.full(shape, NOWHERE), np.zeros(shape, dtype=np.int64),
        np.zeros(len(people), dtype=np.bool_), np.arange(len(people)) >= regular_staff, [], [],
    )  # fmt: skip
    desk = [20] * len(story.departments)
    for person, stints in enumerate(people):
        login, mail = names[person]
        if cast.external[person]:
            login = externals[person - regular_staff]["login"]
            mail = f"{login}@agency.example"
        for where, begin, end in stints:
            home = story.departments[where]
            address = _address(home, desk[where], person)
            desk[where] += 1
            cast.department[person, begin:end] = where
            cast.client[person, begin:end] = len(cast.clients)
            away = f"192.168.{person % 5 + 1}.{person % 190 + 20}"
            cast.clients.append(_Client(person, login, mail, home.name, address, away))
            if home.directory and not cast.external[person]:
                row = (login, mail, home.name, begin, end if end < weeks else NOWHERE)
                cast.directory.append(row)
        cast.stable[person] = (
            len(stints) == 1 and stints[0][1:] == (0, weeks) and not cast.external[person]
        )
    for i in range(24):
        net = "10.1.99" if i < 16 else "10.9.9"
        cast.guests.append(len(cast.clients))
        cast.clients.append(_Client(NOWHERE, "-", "-", "", f"{net}.{40 + i}", ""))
    return cast


def _address(home: _Department, desk: int, person: int) -> str:
    """Give the desk its address: some speak IPv6, a third of Finance sits on a terminal server."""
    if home.name == "Finance" and person % 3 == 0:
        return "10.1.98.5"
    if home.site == "Berlin" and person % 7 == 0:
        return f"2001:db8:1:{home.subnet.rpartition('.')[2]}::{desk:x}"
    return f"{home.subnet}.{desk}"


# --- the plan


class _Uses(NamedTuple):
    """Uses of one day: arrays of one length."""

    person: Ints
    app: Ints


@dataclass(slots=True)
class _Plan:
    present: Bools
    """(people, weeks, 5): at work on that day."""
    source: Ints
    """(people, weeks, 5): in whose log this person is on that day."""
    days: list[list[_Uses]]
    """week → working day → who uses what."""
    used: Bools
    """(apps, people, weeks): used on a day that is in the logs and not refused."""
    seen: Bools
    """(people, weeks): in the logs at all."""


def _silent(story: _Scenario, weeks: int) -> Bools:
    """Tell which source is silent in which week: shape (sources, weeks)."""
    silent = np.zeros((len(SOURCES), weeks), dtype=np.bool_)
    for gap in story.raw["gap"]:
        first = gap["week"] - 1
        silent[SOURCES.index(gap["source"]), first : first + gap["weeks"]] = True
    return silent


def _holidays(people: int, weeks: int, rng: np.random.Generator) -> Bools:
    """Give everybody two weeks in a row, and most a third one elsewhere."""
    week = np.arange(weeks)
    long = rng.integers(0, max(weeks - 2, 1), people)[:, None]
    short = rng.integers(0, weeks * 3 // 2, people)[:, None]
    result: Bools = (week == long) | (week == long + 1) | (week == short)
    return result


def _habits(
    story: _Scenario, cast: _Cast, away: Bools, rng: np.random.Generator
) -> list[tuple[int, int, int, int]]:
    """Choose who has which habit: (person, app, first week, week after the last)."""
    weeks = away.shape[1]
    habits: list[tuple[int, int, int, int]] = []
    for number, app in enumerate(story.apps):
        for where, steps in app.use.items():
            begun: list[tuple[int, int]] = []
            pool = np.flatnonzero(cast.stable & (cast.department[:, 0] == where))
            pool = rng.permutation(pool)
            for step, count in steps:
                week = step - 1
                while len(begun) > count:
                    person, start = begun.pop()
                    habits.append((person, number, start, week))
                # Who begins a habit does not leave for a holiday at once: the story has its dates.
                clash = away[pool, week : week + 4].any(axis=1) if week < weeks else pool < 0
                ready = pool[np.argsort(clash, kind="stable")]
                chosen = {person for person, _ in begun}
                new = [int(person) for person in ready if int(person) not in chosen]
                begun += [(person, week) for person in new[: count - len(begun)]]
            habits += [(person, number, start, weeks) for person, start in begun]
        if app.everyone:
            habits += [(int(p), number, 0, weeks) for p in np.flatnonzero(~cast.stable)]
    return habits


def _plan(story: _Scenario, cast: _Cast, seed: int, weeks: int) -> _Plan:
    """Decide for the whole story who is where and uses what."""
    rng = np.random.default_rng([seed, 1])
    people = len(cast.stable)
    away = _holidays(people, weeks, rng)
    habits = _habits(story, cast, away, rng)
    shape = (people, weeks, 5)
    employed = cast.department != NOWHERE
    present = (employed & ~away)[:, :, None] & (rng.random(shape) > 0.04)
    site = np.array([SITE_SOURCE[d.site] for d in story.departments] + [NOWHERE])
    source = np.repeat(site[cast.department][:, :, None], 5, axis=2)
    at_home = (rng.random(shape) < 0.2) & ~cast.external[:, None, None]
    source[(source == SQUID) & at_home] = ZSCALER
    silent = _silent(story, weeks)
    in_logs = present & ~silent[source, np.arange(weeks)[None, :, None]]
    plan = _Plan(
        present, source, [], np.zeros((len(story.apps), people, weeks), dtype=np.bool_),
        in_logs.any(axis=2),
    )  # fmt: skip
    habit = np.array(habits, dtype=np.int64).reshape(-1, 4)
    for week in range(weeks):
        person, app = _habit_days(habit, present, week, rng)
        visitor, visited = _visits(story, cast, present, week, rng)
        who = [np.concatenate(pair) for pair in zip(person, visitor, strict=True)]
        what = [np.concatenate(pair) for pair in zip(app, visited, strict=True)]
        plan.days.append([_Uses(*pair) for pair in zip(who, what, strict=True)])
        for day, uses in enumerate(plan.days[week]):
            proof = in_logs[uses.person, week, day] & ~_refused(story, plan, uses, week, day)
            plan.used[uses.app[proof], uses.person[proof], week] = True
    return plan


def _habit_days(
    habit: Ints, present: Bools, week: int, rng: np.random.Generator
) -> tuple[list[Ints], list[Ints]]:
    """Spread this week's habits over two to four of the days on which the person is there."""
    now = habit[(habit[:, 2] <= week) & (week < habit[:, 3])]
    there = present[now[:, 0], week]
    turn = np.where(there, rng.random(there.shape), 2.0).argsort(axis=1).argsort(axis=1)
    chosen = there & (turn < rng.integers(2, 5, len(now))[:, None])
    return (
        [now[chosen[:, day], 0] for day in range(5)],
        [now[chosen[:, day], 1] for day in range(5)],
    )


def _visits(
    story: _Scenario, cast: _Cast, present: Bools, week: int, rng: np.random.Generator
) -> tuple[list[Ints], list[Ints]]:
    """Let a few people follow a link to an app: one day, no habit."""
    rows: list[tuple[int, int, int]] = []
    for number, app in enumerate(story.apps):
        for where, mean in app.visits.items():
            for _ in range(int(rng.poisson(mean))):
                day = int(rng.integers(5))
                there = (cast.department[:, week] == where) & present[:, week, day]
                candidates = np.flatnonzero(there)
                if len(candidates):
                    rows.append((day, int(rng.choice(candidates)), number))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return (
        [table[table[:, 0] == day, 1] for day in range(5)],
        [table[table[:, 0] == day, 2] for day in range(5)],
    )


def _refused(story: _Scenario, plan: _Plan, uses: _Uses, week: int, day: int) -> Bools:
    """Tell which uses a proxy refuses; a resolver refuses nothing."""
    rule = np.array([week in app.refused for app in story.apps])
    proxied = plan.source[uses.person, week, day] != DNSMASQ
    result: Bools = rule[uses.app] & proxied
    return result


@dataclass(slots=True)
class _Show:
    """One performance of the story: what stays the same while it is written down."""

    folder: Path
    story: _Scenario
    cast: _Cast
    plan: _Plan
    monday: date
    weeks: int
    seed: int
    scale: float


class _Written(NamedTuple):
    """What went into the log files."""

    lines: dict[str, int]
    """Path below the folder → lines."""
    refused: dict[str, int]
    """App → requests."""
    torn: int


# --- the truth

# The thresholds of the adoption model are written out a second time on purpose: a check that reads
# the numbers it checks would agree with any of them.
FLOOR: Final = 0.5
HOLD: Final = 0.7
RANK: Final = ("none", "trial", "workgroup", "division")


def stage_history(
    active: Sequence[int], regular: Sequence[int], covered: Sequence[int], visible: Sequence[bool]
) -> list[str]:
    """Name the stage of one app in one department for every week, by the adoption model.

    All sequences have one entry a week. A stage is entered when its condition holds for two
    weeks running, and left after four weeks below 0.7 of it. What once was a workgroup is stalled
    after four weeks below half of its peak; what once was three people is abandoned after six
    weeks below a tenth. Weeks that are not visible stop every clock.

    >>> stage_history([0, 1, 1, 0], [0, 0, 1, 1], [20] * 4, [True, True, True, False])
    ['none', 'none', 'trial', 'not visible']
    """
    stages: list[str] = []
    base = reached = peak = low = faded = gone = 0
    above = [0, 0, 0, 0]
    for now, people, of, sees in zip(active, regular, covered, visible, strict=True):
        if not sees:
            stages.append("not visible")
            continue
        peak = max(peak, people)
        met, held = _conditions(now, people, of, 1.0), _conditions(now, people, of, HOLD)
        above = [run + 1 if ok else 0 for run, ok in zip(above, met, strict=True)]
        entered = max(rank for rank in range(4) if rank == 0 or above[rank] >= 2)
        low = 0 if held[base] else low + 1
        if entered > base:
            base, low = entered, 0
        elif low >= 4:
            base, low = max(rank for rank in range(base) if held[rank]), 0
        reached = max(reached, base)
        faded = faded + 1 if people < peak / 2 else 0
        gone = gone + 1 if people < peak / 10 else 0
        if reached >= 1 and peak >= 3 and gone >= 6:
            stages.append("abandoned")
        elif reached >= 2 and faded >= 4:
            stages.append("stalled")
        else:
            stages.append(RANK[base])
    return stages


def _conditions(active: int, regular: int, covered: int, factor: float) -> list[bool]:
    """Tell for each rank whether its threshold, times the factor, is met."""
    share = regular / covered if covered else 0.0
    team = regular >= 3 * factor
    habit = share >= 0.30 * factor and regular >= 5 * factor
    if covered < 8:
        team = team or share >= 0.40 * factor
        habit = share >= 0.60 * factor
    return [True, active >= factor, team, habit]


def _regular(used: Bools, visible: Sequence[bool]) -> list[int]:
    """Count who was active in at least two of the last four visible weeks; 0 in a dark week."""
    weeks = np.flatnonzero(np.array(visible))
    seen = np.pad(used[:, weeks].astype(np.int64), ((0, 0), (3, 0)))
    window = np.stack([seen[:, lag : lag + len(weeks)] for lag in range(4)]).sum(axis=0)
    result = np.zeros(used.shape[1], dtype=np.int64)
    result[weeks] = (window >= 2).sum(axis=0)
    return list(result.tolist())


def _departments(
    story: _Scenario, cast: _Cast, plan: _Plan, weeks: int
) -> dict[str, dict[str, Any]]:
    known = ~cast.external[:, None]
    result: dict[str, dict[str, Any]] = {}
    for number, department in enumerate(story.departments):
        here = cast.department[:, :weeks] == number
        headcount = (here & known).sum(axis=0).tolist()
        covered = (here & plan.seen[:, :weeks]).sum(axis=0).tolist()
        result[department.name] = {
            "site": department.site,
            "basis": "person" if department.directory else "address",
            "headcount": headcount,
            "covered": covered,
            "visible": [c / h >= FLOOR for c, h in zip(covered, headcount, strict=True)],
        }
    return result


def _adoption(
    story: _Scenario, cast: _Cast, plan: _Plan, weeks: int, departments: dict[str, dict[str, Any]]
) -> dict[str, dict[str, dict[str, Any]]]:
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for number, app in enumerate(story.apps):
        if not app.catalogued:
            continue
        for where, (name, department) in enumerate(departments.items()):
            used = plan.used[number, :, :weeks] & (cast.department[:, :weeks] == where)
            if not used.any():
                continue
            active = used.sum(axis=0).tolist()
            regular = _regular(used, department["visible"])
            stages = stage_history(active, regular, department["covered"], department["visible"])
            result.setdefault(app.app, {})[name] = {
                "active": active, "regular": regular, "stage": stages,
            }  # fmt: skip
    return result


def _company(
    adoption: dict[str, dict[str, dict[str, Any]]],
    departments: dict[str, dict[str, Any]],
    mondays: list[str],
) -> dict[str, dict[str, Any]]:
    """Add the visible departments up: company-wide and the tipping point by their rules."""
    weeks = len(mondays)
    covered = [
        sum(d["covered"][week] for d in departments.values() if d["visible"][week])
        for week in range(weeks)
    ]
    visible = [sum(d["visible"][week] for d in departments.values()) for week in range(weeks)]
    result: dict[str, dict[str, Any]] = {}
    for app, places in adoption.items():
        active, regular = (
            [sum(place[key][week] for place in places.values()) for week in range(weeks)]
            for key in ("active", "regular")
        )
        stages = [[place["stage"][week] for place in places.values()] for week in range(weeks)]
        teams = [sum(stage in {"workgroup", "division"} for stage in now) for now in stages]
        habits = [now.count("division") for now in stages]
        tipped = [week for week in range(weeks) if habits[week] >= 1 or teams[week] >= 3]
        result[app] = {
            "active": active,
            "regular": regular,
            "covered": covered,
            "company_wide": [
                habits[week] * 2 >= visible[week] > 0 or regular[week] >= 0.40 * covered[week] > 0
                for week in range(weeks)
            ],
            "tipping_point": mondays[tipped[0]] if tipped else None,
        }
    return result


def _history(stages: Sequence[str], mondays: Sequence[str]) -> list[dict[str, str]]:
    """Keep the weeks in which the stage changed."""
    pairs = zip(["none", *stages], stages, mondays, strict=False)
    return [{"week": week, "stage": now} for before, now, week in pairs if now != before]


# --- the days


class _Events(NamedTuple):
    """Requests of one source on one day, by time: arrays of one length."""

    at: Ints
    """Milliseconds since midnight, local time."""
    client: Ints
    host: Ints
    refused: Bools


def _events(parts: Sequence[tuple[Ints, Ints, Ints, Bools]]) -> _Events:
    at, client, host, refused = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(at, kind="stable")
    return _Events(at[order], client[order], host[order], refused[order])


def _hours(source: Ints, rng: np.random.Generator) -> Ints:
    """Give each request its time: two humps and a lunch break, shifts at the plant."""
    late = rng.random(len(source)) < 0.5
    hour = np.where(late, rng.normal(14.9, 1.3, len(source)), rng.normal(10.2, 1.1, len(source)))
    hour = np.where(source == DNSMASQ, rng.uniform(6.0, 22.0, len(source)), hour)
    result: Ints = (np.clip(hour, 6.0, 22.0) * 3_600_000).astype(np.int64)
    return result + rng.integers(0, 60_000, len(source))


def _zipf(hosts: Sequence[int], size: int, rng: np.random.Generator) -> Ints:
    """Draw hosts, the first of the list most often."""
    weight = 1.0 / np.arange(1.5, len(hosts) + 1.5)
    result: Ints = np.asarray(hosts)[rng.choice(len(hosts), size, p=weight / weight.sum())]
    return result


def _by_source(rates: dict[int, float], source: Ints) -> npt.NDArray[np.float64]:
    return np.array([rates[SQUID], rates[ZSCALER], 0.0, rates[DNSMASQ]])[source]


def _working_day(show: _Show, week: int, day: int, rng: np.random.Generator) -> dict[int, _Events]:
    """Act out what people ask for on one working day: source → events."""
    story, cast, plan, scale = show.story, show.cast, show.plan, show.scale
    who = np.flatnonzero(plan.present[:, week, day])
    where = plan.source[who, week, day]
    often = 1 + rng.poisson(_by_source(EVERYDAY, where) * scale)
    beside = rng.poisson(_by_source(EMBEDDED, where) * scale)
    uses = plan.days[week][day]
    refused = _refused(story, plan, uses, week, day)
    busy = np.array([app.busy for app in story.apps])[uses.app]
    rate = busy * _by_source(BUSY, plan.source[uses.person, week, day]) * min(scale * 2, 1.0)
    more = rng.poisson(np.where(refused, 1.0, rate))
    person = np.concatenate(
        [np.repeat(who, often), np.repeat(who, beside), uses.person, np.repeat(uses.person, more)]
    )
    host = np.concatenate(
        [
            _zipf(story.everyday, int(often.sum()), rng),
            _zipf(story.embeds, int(beside.sum()), rng),
            np.array([app.hosts[0] for app in story.apps])[uses.app],
            _further_hosts(story, np.repeat(uses.app, more), np.repeat(refused, more), rng),
        ]
    )
    no = np.zeros(int(often.sum() + beside.sum()), dtype=np.bool_)
    denied = np.concatenate([no, refused, np.repeat(refused, more)])
    source = plan.source[person, week, day]
    at, client = _hours(source, rng), cast.client[person, week]
    return {
        number: _events([(at[of], client[of], host[of], denied[of])])
        for number in (SQUID, ZSCALER, DNSMASQ)
        for of in [source == number]
    }


def _further_hosts(story: _Scenario, apps: Ints, refused: Bools, rng: np.random.Generator) -> Ints:
    """Draw the hosts of the requests that follow the first: half of them the app's main host."""
    choices = [
        [*app.hosts[:1] * (len(app.hosts) + len(app.around)), *app.hosts[1:], *app.around]
        for app in story.apps
    ]
    width = max(len(choice) for choice in choices)
    table = np.array([(choice * width)[:width] for choice in choices])
    pick = table[apps, rng.integers(0, width, len(apps))]
    result: Ints = np.where(refused, table[apps, 0], pick)
    return result


class _Background:
    """Everything that no employee asked for: servers, phones of guests, the virus scanner."""

    def __init__(self, show: _Show) -> None:
        story, cast = show.story, show.cast
        self.story, self.guests, self.scale = story, np.array(cast.guests), show.scale
        self.first = len(cast.clients)
        self.clients = [
            _Client(NOWHERE, "-", "-", "", machine["address"], "")
            for machine in story.raw["machine"]
        ]
        self.proxied = [machine["proxy"] for machine in story.raw["machine"]]
        self.social = [
            app.hosts[0] for app in story.apps
            if app.app in {"whatsapp", "instagram", "telegram", "x", "discord"}
        ]  # fmt: skip

    def polls(self, rng: np.random.Generator, *, proxy: bool) -> tuple[Ints, Ints, Ints, Bools]:
        """Let the servers ask every five minutes, day and night."""
        number = np.flatnonzero(~np.array([proxy]) | np.array(self.proxied))
        round_ = np.arange(0, 86_400_000, 300_000)
        at = np.tile(round_, len(number)) + np.repeat(number * 7_000, len(round_))
        at = at + rng.integers(0, 900, len(at))
        which = np.repeat(number, len(round_))
        host = np.array(self.story.machines)[which]
        return at, which + self.first, host, np.zeros(len(at), dtype=np.bool_)

    def wifi(self, rng: np.random.Generator, *, plant: bool) -> tuple[Ints, Ints, Ints, Bools]:
        """Let guests use the wireless network: shared addresses, traffic and never people."""
        guests = self.guests[16:] if plant else self.guests[:16]
        size = int(rng.poisson(60 * self.scale)) + 1
        at = rng.integers(9 * 3_600_000, 18 * 3_600_000, size)
        host = np.where(
            rng.random(size) < 0.3,
            np.array(self.social)[rng.integers(0, len(self.social), size)],
            _zipf(self.story.everyday, size, rng),
        )
        return at, rng.choice(guests, size), host, np.zeros(size, dtype=np.bool_)


# --- the log files


@lru_cache(maxsize=1)
def _clock() -> list[str]:
    """Spell every second of a day."""
    return [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]


def _server(host: int) -> str:
    """Give a host an address of the documentation networks."""
    return f"{('192.0.2', '198.51.100', '203.0.113')[host % 3]}.{host // 3 % 250 + 2}"


class _Writer:
    """One source's rotating file: a file a week, compressed when it is not the last."""

    def __init__(self, folder: Path, source: str, names: dict[int, str]) -> None:
        self.folder, self.source, self.names = folder, source, names
        self.lines: dict[str, int] = {}
        self._file: gzip.GzipFile | BufferedWriter | None = None
        self._raw: BufferedWriter | None = None

    def rotate(self, week: int, end: datetime) -> None:
        """Begin the file of a week, whose last moment is ``end``; none where the log is silent."""
        self.close()
        name = self.names.get(week)
        if name is None:
            return
        self._path = self.folder / "logs" / self.source / name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._end = end.timestamp()
        self._raw = self._path.open("wb")
        self._file = self._raw
        if name.endswith(".gz"):
            # No name and no time inside, so that the same seed gives the same bytes.
            self._file = gzip.GzipFile("", "wb", 1, self._raw, 0)
        self.lines[self._path.relative_to(self.folder).as_posix()] = 0

    def write(self, lines: list[str]) -> None:
        """Append lines that end in a line feed; an entry may hold several."""
        if self._file is not None and lines:
            text = "".join(lines)
            self._file.write(text.encode())
            self.lines[self._path.relative_to(self.folder).as_posix()] += text.count("\n")

    @property
    def open(self) -> bool:
        """Whether this week is logged at all."""
        return self._file is not None

    def close(self) -> None:
        """Finish the file, and date it as the rotation would: dnsmasq logs have no year."""
        if self._file is None or self._raw is None:
            return
        self._file.close()
        self._raw.close()
        os.utime(self._path, (self._end, self._end))
        self._file = self._raw = None


def _file_names(source: int, weeks: Sequence[int], monday: date) -> dict[int, str]:
    """Name the file of each logged week as the source's own rotation does."""
    names: dict[int, str] = {}
    for age, week in enumerate(reversed(weeks)):
        rotated = f"{monday + timedelta(weeks=week + 1):%Y%m%d}"
        names[week] = {
            SQUID: f"access.log-{rotated}.gz" if age else "access.log",
            ZSCALER: f"nss-web-{rotated}.log" + (".gz" if age else ""),
            BIND: "query.log" + (f".{age - 1}" if age else "") + (".gz" if age > 1 else ""),
            DNSMASQ: "pihole.log" + (f".{age}" if age else "") + (".gz" if age > 1 else ""),
        }[source]
    return names


class _Formats:
    """Events in, lines out: the four layouts, each as its program documents it."""

    def __init__(self, show: _Show, machines: Sequence[_Client]) -> None:
        self.hosts, self.clients = show.story.hosts, [*show.cast.clients, *machines]
        hosts, clients = self.hosts, self.clients
        self.names = [host.name for host in hosts]
        self.paths = [host.path for host in hosts]
        self.servers = [_server(i) for i in range(len(hosts))]
        self.address = [client.address for client in clients]
        self.login = [client.login for client in clients]
        self.request = [
            f"CONNECT {host.name}:443" if path is None else f"GET http://{host.name}/{path}"
            for host, path in zip(hosts, self.paths, strict=True)
        ]
        self.blocklist = [host.evidence == "embedded" for host in hosts]
        self.place = [
            ("Dublin", client.address)
            if client.address.startswith("10.2.")
            else ("Road Warrior", client.home)
            for client in clients
        ]
        self.event_id = 7_400_000_000_000_000_000
        self.scanned = max(int(60 * show.scale), 4)
        self.flood_under = show.story.raw["ordinary"]["flood"]
        self.process, self.started = 812, False

    def lines(
        self, source: int, day: datetime, events: _Events, rng: np.random.Generator
    ) -> list[str]:
        """Write one day of one source; an entry may hold several lines."""
        layout = (self.squid, self.zscaler, self.bind, self.dnsmasq)[source]
        return layout(day, events, rng)

    def squid(self, day: datetime, events: _Events, rng: np.random.Generator) -> list[str]:
        """Write native access.log: http://www.squid-cache.org/Doc/config/logformat/."""
        base, size = int(day.timestamp()), len(events.at)
        at, client, host, refused = (column.tolist() for column in events)
        elapsed = (10 ** rng.normal(2.3, 0.7, size)).astype(np.int64).tolist()
        sent = (10 ** rng.normal(3.6, 0.6, size)).astype(np.int64).tolist()
        odd = rng.integers(0, 1_000_000, size).tolist()
        lines: list[str] = []
        for t, c, h, no, ms, octets, n in zip(
            at, client, host, refused, elapsed, sent, odd, strict=True
        ):
            stamp = f"{base + t // 1000}.{t % 1000:03d}"
            if n % 97 == 0 and self.hosts[h].app is None:
                # A browser asks without a name first, and is told to log in.
                lines.append(
                    f"{stamp} {0:6d} {self.address[c]} TCP_DENIED/407 4093 "
                    f"{self.request[h]} - HIER_NONE/- text/html\n"
                )
            if no:
                lines.append(
                    f"{stamp} {n % 9:6d} {self.address[c]} TCP_DENIED/403 {3800 + n % 300} "
                    f"{self.request[h]} {self.login[c]} HIER_NONE/- text/html\n"
                )
            elif self.paths[h] is None:
                lines.append(
                    f"{stamp} {ms:6d} {self.address[c]} TCP_TUNNEL/200 {octets} "
                    f"{self.request[h]} {self.login[c]} HIER_DIRECT/{self.servers[h]} -\n"
                )
            elif n % 5:
                lines.append(
                    f"{stamp} {ms:6d} {self.address[c]} TCP_MISS/200 {octets} "
                    f"{self.request[h]}?sid=FAKE{n:06d} {self.login[c]} "
                    f"HIER_DIRECT/{self.servers[h]} text/html\n"
                )
            else:
                lines.append(
                    f"{stamp} {n % 3:6d} {self.address[c]} TCP_MEM_HIT/200 {octets} "
                    f"{self.request[h]} {self.login[c]} HIER_NONE/- text/html\n"
                )
        return lines

    def zscaler(self, day: datetime, events: _Events, rng: np.random.Generator) -> list[str]:
        """Write the tab-separated NSS web feed for Splunk, in UTC as the feed is set up by default.

        Fields: https://help.zscaler.com/zia/nss-feed-output-format-web-logs.
        """
        clock, shift = _clock(), int((day.utcoffset() or timedelta()).total_seconds())
        size, stamp = len(events.at), f"{day:%Y-%m-%d} "
        at, client, host, refused = (column.tolist() for column in events)
        asked = (10 ** rng.normal(3.0, 0.4, size)).astype(np.int64).tolist()
        sent = (10 ** rng.normal(3.7, 0.6, size)).astype(np.int64).tolist()
        odd = rng.integers(0, 1_000_000, size).tolist()
        lines: list[str] = []
        for t, c, h, no, out, back, n in zip(
            at, client, host, refused, asked, sent, odd, strict=True
        ):
            self.event_id += 1 + n
            moment, name, who = stamp + clock[t // 1000 - shift], self.names[h], self.clients[c]
            path, secure = self.paths[h], self.paths[h] is None
            if secure and n % 2:
                method, url = "CONNECT", f"{name}:443"
            else:
                method, url = "GET", f"{name}/{path or 'home'}?sid=FAKE{n:06d}"
            reason, action, status = "Allowed", "Allowed", 200
            if no:
                reason, action, status = "Access denied due to policy", "Blocked", 403
            lines.append(
                f"{moment}\treason={reason}\tevent_id={self.event_id}"
                f"\tprotocol={'HTTPS' if secure else 'HTTP'}\taction={action}"
                f"\ttransactionsize={out + back}\tresponsesize={back}\trequestsize={out}"
                f"\turlcategory=Other\tserverip={self.servers[h]}\tclienttranstime={n % 400}"
                f"\trequestmethod={method}\trefererURL=None\tuseragent=Mozilla/5.0 (Windows NT "
                f"10.0; Win64; x64)\tproduct=NSS\tlocation={self.place[c][0]}"
                f"\tClientIP={self.place[c][1]}\tstatus={status}"
                f"\tuser={who.mail}\turl={url}\tvendor=Zscaler\thostname={name}"
                f"\tclientpublicIP=203.0.113.{c % 250 + 2}\tthreatcategory=None\tthreatname=None"
                f"\tfiletype=None\tappname=General Browsing\tpagerisk=0"
                f"\tdepartment={who.department}\turlsupercategory=Other\tappclass=General Browsing"
                f"\tdlpengine=None\turlclass=Business Use\tthreatclass=None\tdlpdictionaries=None"
                f"\tfileclass=None\tbwthrottle=NO\tservertranstime={n % 370}\tmd5=None\n"
            )
        return lines

    def bind(self, day: datetime, events: _Events, rng: np.random.Generator) -> list[str]:
        """Write the query log of named with its time, category and severity printed.

        Layout: https://bind9.readthedocs.io/en/stable/reference.html, the queries category.
        """
        clock, stamp, size = _clock(), f"{day:%d-%b-%Y} ", len(events.at)
        at, client, host, _ = (column.tolist() for column in events)
        port = rng.integers(32_768, 61_000, size).tolist()
        kind = np.array(["A", "A", "A", "AAAA", "HTTPS"])[rng.integers(0, 5, size)].tolist()
        view = rng.integers(0, 16, size).tolist()
        rows = [
            f"{stamp}{clock[t // 1000]}.{t % 1000:03d} queries: info: client "
            f"@0x7f3c5{v:x}0{v * 3:02x}168 {self.address[c]}#{p} ({self.names[h]}): "
            f"query: {self.names[h]} IN {k} +E(0)K (10.1.0.53)\n"
            for t, c, h, p, k, v in zip(at, client, host, port, kind, view, strict=True)
        ]
        rows += self.flood(day, rng.choice(np.unique(events.client), self.scanned).tolist(), rng)
        # The time stands at the same place in every line, so text order is time order.
        return sorted(rows, key=lambda row: row[:24])

    def flood(self, day: datetime, clients: Sequence[int], rng: np.random.Generator) -> list[str]:
        """Write the virus scanner's look-ups: a new name for every file that it meets."""
        clock, stamp = _clock(), f"{day:%d-%b-%Y} "
        at = np.sort(rng.integers(8 * 3600, 18 * 3600, len(clients))).tolist()
        return [
            f"{stamp}{clock[t]}.{c % 1000:03d} queries: info: client @0x7f3c500a0168 "
            f"{self.address[c]}#{40_000 + c} ({name}): query: {name} IN TXT +E(0) (10.1.0.53)\n"
            for t, c in zip(at, clients, strict=True)
            for name in [f"{rng.bytes(10).hex()}.{rng.bytes(3).hex()}.{self.flood_under}"]
        ]

    def dnsmasq_stops(self) -> None:
        """Let a new process take over when the log comes back."""
        self.process, self.started = 1204, False

    def _dnsmasq_starts(self, day: datetime) -> list[str]:
        """Write what dnsmasq says when it starts: no question, and nobody asked it."""
        start = f"{day:%b} {day.day:2d} 00:00:01 dnsmasq[{self.process}]: "
        said, self.started = self.started, True
        return (
            []
            if said
            else [
                f"{start}started, version pi-hole-v2.90 cachesize 10000\n",
                f"{start}using nameserver 192.0.2.53#53\n",
                f"{start}read /etc/hosts - 6 names\n",
            ]
        )

    def dnsmasq(self, day: datetime, events: _Events, rng: np.random.Generator) -> list[str]:
        """Write a Pi-hole's dnsmasq log: a question, then what became of it; and no year.

        Layout: https://thekelleys.org.uk/dnsmasq/docs/dnsmasq-man.html, --log-queries.
        """
        clock, head = _clock(), f"{day:%b} {day.day:2d} "
        at, client, host, _ = (column.tolist() for column in events)
        odd = rng.integers(0, 20, len(at)).tolist()
        lines = self._dnsmasq_starts(day)
        for t, c, h, n in zip(at, client, host, odd, strict=True):
            name, answer = self.names[h], self.servers[h]
            start = f"{head}{clock[t // 1000]} dnsmasq[{self.process}]: "
            if self.blocklist[h]:
                then = f"{start}gravity blocked {name} is 0.0.0.0\n"
            elif n < 8:
                then = f"{start}cached {name} is {answer}\n"
            else:
                then = f"{start}forwarded {name} to 192.0.2.53\n{start}reply {name} is {answer}\n"
            lines.append(f"{start}query[A] {name} from {self.address[c]}\n{then}")
            if n % 3 == 0:
                lines.append(
                    f"{start}query[AAAA] {name} from {self.address[c]}\n"
                    f"{start}cached {name} is NODATA-IPv6\n"
                )
        return lines


# --- the whole


def write_demo(  # noqa: PLR0913 - each is a knob of its own, and all but one have a default
    folder: Path,
    *,
    weeks: int = STORY_WEEKS,
    seed: int = 7,
    end: date = LAST_DAY,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> Truth:
    """Write the demo company into ``folder``: logs, people, subnets, settings and the truth.

    The story begins ``weeks`` weeks before ``end``, a Sunday; fewer weeks tell its beginning.
    ``scale`` thins out what people ask for, not who uses what. The same arguments give the same
    bytes. ``progress`` is called with what is being done, how much is done, and of how much.
    Raises LogError when the folder holds something that is no demo.
    """
    if end.weekday() != 6 or weeks < 1:
        message = f"a demo ends on a Sunday and has at least one week, not {weeks} weeks to {end}"
        raise ValueError(message)
    _make_room(folder)
    tell = progress or (lambda _what, _done, _of: None)
    tell("casting the company", 0, weeks * 7)
    story, horizon = _scenario(), max(weeks, STORY_WEEKS)
    cast = _cast(story, horizon, np.random.default_rng([seed, 0]))
    plan = _plan(story, cast, seed, horizon)
    monday = end - timedelta(days=weeks * 7 - 1)
    show = _Show(folder, story, cast, plan, monday, weeks, seed, scale)
    truth = _truth(show, _write_logs(show, tell))
    _write_tables(show)
    text = json.dumps({name: getattr(truth, name) for name in Truth.__slots__}, indent=1)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    return truth


def _make_room(folder: Path) -> None:
    """Remove an earlier demo, file by file as its truth lists them; touch nothing else."""
    old = folder / "truth.json"
    if old.exists():
        for path in json.loads(old.read_text(encoding="utf-8"))["files"]:
            (folder / path).unlink(missing_ok=True)
    elif folder.exists() and any(folder.iterdir()):
        raise LogError(Problem(str(folder), "holds files that are no demo. Name a new folder."))
    folder.mkdir(parents=True, exist_ok=True)


def _write_logs(show: _Show, tell: Progress) -> _Written:
    """Write all log files day by day, so that no more than one day is in memory."""
    hosts, days = show.story.hosts, show.weeks * 7
    background = _Background(show)
    formats = _Formats(show, background.clients)
    writers = _writers(show)
    refused = np.zeros(len(hosts), dtype=np.int64)
    torn = 0
    for number in range(days):
        tell("writing logs", number, days)
        midnight = datetime.combine(show.monday + timedelta(number), datetime.min.time(), ZONE)
        rng = np.random.default_rng([show.seed, 2, number])
        asked = _asked(show, background, number, rng)
        for source, writer in enumerate(writers):
            if number % 7 == 0:
                writer.rotate(number // 7, midnight + timedelta(days=7, seconds=-1))
            if writer.open:
                rows = formats.lines(source, midnight, asked[source], rng)
                if source == SQUID and number % 56 == 30:
                    # The proxy lost power in the middle of a line.
                    rows.insert(len(rows) // 2, rows[len(rows) // 2][:31] + "\n")
                    torn += 1
                writer.write(rows)
                no = asked[source].host[asked[source].refused]
                refused += np.bincount(no, minlength=len(hosts))
            elif source == DNSMASQ:
                formats.dnsmasq_stops()
    for writer in writers:
        writer.close()
    tell("writing logs", days, days)
    apps = {app.app: int(refused[list(app.hosts)].sum()) for app in show.story.apps}
    return _Written(
        {path: count for writer in writers for path, count in writer.lines.items()},
        {app: count for app, count in apps.items() if count},
        torn,
    )


def _writers(show: _Show) -> list[_Writer]:
    """Open a writer for each source, with a file for every week that is logged."""
    silent = _silent(show.story, max(show.weeks, STORY_WEEKS))
    logged = [np.flatnonzero(~silent[i, : show.weeks]).tolist() for i in range(len(SOURCES))]
    return [
        _Writer(show.folder, name, _file_names(i, logged[i], show.monday))
        for i, name in enumerate(SOURCES)
    ]


def _asked(
    show: _Show, background: _Background, number: int, rng: np.random.Generator
) -> dict[int, _Events]:
    """Collect everything that is asked on one day: source → events."""
    story, (week, day) = show.story, divmod(number, 7)
    none = np.zeros(0, dtype=np.int64)
    nothing = _Events(none, none, none, none.astype(np.bool_))
    people = dict.fromkeys((SQUID, ZSCALER, DNSMASQ), nothing)
    if day < 5:
        people = _working_day(show, week, day, rng)
    squid, plant = people[SQUID], people[DNSMASQ]
    own = rng.random(len(squid.at)) < LOOKED_UP
    at = np.maximum(squid.at[own] - 40, 0)
    looked_up = (at, squid.client[own], squid.host[own], np.zeros(len(at), dtype=np.bool_))
    inside = rng.random(len(squid.at)) < 0.08
    internal = (
        squid.at[inside], squid.client[inside],
        _zipf(story.internal, int(inside.sum()), rng), np.zeros(int(inside.sum()), dtype=np.bool_),
    )  # fmt: skip
    return {
        SQUID: _events([squid, background.polls(rng, proxy=True)]),
        ZSCALER: people[ZSCALER],
        BIND: _events(
            [looked_up, internal, background.polls(rng, proxy=False),
             background.wifi(rng, plant=False)]
        ),
        DNSMASQ: _events([plant, background.wifi(rng, plant=True)]),
    }  # fmt: skip


def _write_tables(show: _Show) -> None:
    """Write people.csv, subnets.csv and sundial.toml."""
    folder, monday = show.folder, show.monday

    def when(week: int, days: int = 0) -> str:
        return "" if week in {0, NOWHERE} else f"{monday + timedelta(weeks=week, days=days)}"

    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["login", "mail", "department", "from", "to"])
        for login, mail, department, begin, end in sorted(show.cast.directory):
            if begin < show.weeks:
                table.writerow([login, mail, department, when(begin), when(end, days=-1)])
    with (folder / "subnets.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["cidr", "department", "site", "shared", "people"])
        table.writerows(_subnets(show.story))
    settings = '[people]\nfile = "people.csv"\n\n[subnets]\nfile = "subnets.csv"\n'
    for i, name in enumerate(SOURCES):
        zone = "UTC" if i == ZSCALER else str(ZONE)
        settings += f'\n[source.{name}]\nmatch = "{name}/*"\ntimezone = "{zone}"\n'
    (folder / "sundial.toml").write_text(settings, encoding="utf-8")


def _subnets(story: _Scenario) -> Iterator[tuple[str, str, str, str, str]]:
    for department in story.departments:
        people = "" if department.directory else str(department.people)
        row = (department.name, department.site, "no")
        yield (f"{department.subnet}.0/24", *row, people)
        if department.site == "Berlin":
            yield (f"2001:db8:1:{department.subnet.rpartition('.')[2]}::/64", *row, people)
    yield ("10.1.98.0/28", "", "Berlin", "yes", "")  # terminal servers
    yield ("10.1.99.0/24", "", "Berlin", "yes", "")  # guests
    yield ("10.1.250.0/24", "IT", "Berlin", "no", "")  # servers
    yield ("10.9.9.0/24", "", "Leipzig", "yes", "")  # guests


def _truth(show: _Show, written: _Written) -> Truth:
    story, cast, plan, weeks = show.story, show.cast, show.plan, show.weeks
    monday = show.monday
    mondays = [f"{monday + timedelta(weeks=week)}" for week in range(weeks)]
    departments = _departments(story, cast, plan, weeks)
    adoption = _adoption(story, cast, plan, weeks, departments)
    for places in adoption.values():
        for place in places.values():
            place["history"] = _history(place["stage"], mondays)
    unknown = {
        app.app: {
            story.departments[where].name: int(
                (plan.used[i, :, :weeks] & (cast.department[:, :weeks] == where)).sum(axis=0).max()
            )
            for where in app.use
        }
        for i, app in enumerate(story.apps)
        if not app.catalogued
    }
    beside = {host.app for host in story.hosts if host.app and host.evidence != "use"}
    return Truth(
        seed=show.seed,
        first_day=str(monday),
        last_day=str(monday + timedelta(days=weeks * 7 - 1)),
        weeks=mondays,
        departments=departments,
        adoption=adoption,
        company=_company(adoption, departments, mondays),
        gaps=[
            {
                "source": gap["source"],
                "first": str(monday + timedelta(weeks=gap["week"] - 1)),
                "last": str(monday + timedelta(weeks=gap["week"] - 1 + gap["weeks"], days=-1)),
                "why": gap["why"],
            }
            for gap in story.raw["gap"]
            if gap["week"] <= weeks
        ],
        embedded_only=sorted(app for app in beside if app not in story.raw["app"]),
        refused=written.refused,
        unknown=unknown,
        hosts={
            host.name: {"app": host.app, "evidence": host.evidence}
            for host in story.hosts
            if host.app and host.evidence
        },
        files=written.lines,
        unreadable=written.torn,
    )
