"""Who works at the company: names, desks, and who joins, moves and leaves in which week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agent.demo.scenario import NOWHERE, Bools, Department, Ints, Scenario

Stint = tuple[int, int, int]
"""Department, first week, week after the last; weeks count from 0."""


class Client(NamedTuple):
    """A person at the desk of one department, or a machine with nobody at it."""

    person: int
    login: str
    mail: str
    department: str
    address: str
    home: str


@dataclass(slots=True)
class Cast:
    """Everybody, and for each week where they sit: arrays of shape (people, weeks)."""

    clients: list[Client]
    department: Ints
    client: Ints
    stable: Bools
    """Shape (people,): in the directory, and in one department for the whole story."""
    external: Bools
    directory: list[tuple[str, str, str, int, int]]
    """login, mail, department, first week, week after the last (-1: open)."""
    guests: list[int]


def cast_people(story: Scenario, weeks: int, rng: np.random.Generator) -> Cast:
    """Cast everybody who ever works at the company within so many weeks."""
    people, externals = _stints(story, weeks), story.raw["externals"]
    names = _names(story.raw, len(people), rng)
    regular_staff = len(people) - len(externals)
    shape = (len(people), weeks)
    cast = Cast(
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
            cast.clients.append(Client(person, login, mail, home.name, address, away))
            if home.directory and not cast.external[person]:
                row = (login, mail, home.name, begin, end if end < weeks else NOWHERE)
                cast.directory.append(row)
        cast.stable[person] = (
            len(stints) == 1 and stints[0][1:] == (0, weeks) and not cast.external[person]
        )
    _invite_guests(cast)
    return cast


def _names(raw: dict[str, Any], count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Give so many (login, mail), all different and none a part of another's."""
    first, last = raw["names"]["first"].split(), raw["names"]["last"].split()
    found: dict[str, str] = {}
    while len(found) < count:
        given, family = first[rng.integers(len(first))], last[rng.integers(len(last))]
        login = f"{given[0]}{family}".lower()
        found.setdefault(login, f"{given}.{family}".lower() + "@" + raw["mail_domain"])
    return list(found.items())


def _stints(story: Scenario, weeks: int) -> list[list[Stint]]:
    """List each person's stints."""
    staff = [[[(i, 0, weeks)] for _ in range(d.people)] for i, d in enumerate(story.departments)]
    # The first of a department leave or move, so that one and the same never does both.
    leaving = [0] * len(staff)

    def cut(name: str, week: int) -> list[Stint]:
        home = story.number(name)
        person = staff[home][leaving[home]]
        leaving[home] += 1
        person[-1] = (home, 0, week)
        return person

    for move in story.raw["moves"]:
        begin = move["week"] - 1
        cut(move["from"], begin).append((story.number(move["to"]), begin, weeks))
    for leaver in story.raw["leavers"]:
        cut(leaver["department"], leaver["week"] - 1)
    people = [person for department in staff for person in department]
    for late in (*story.raw["joiners"], *story.raw["externals"]):
        people += [[(story.number(late["department"]), late.get("week", 1) - 1, weeks)]]
    return people


def _address(home: Department, desk: int, person: int) -> str:
    """Give the desk its address: some speak IPv6, a third of Finance sits on a terminal server."""
    if home.name == "Finance" and person % 3 == 0:
        return "10.1.98.5"
    if home.site == "Berlin" and person % 7 == 0:
        return f"2001:db8:1:{home.subnet.rpartition('.')[2]}::{desk:x}"
    return f"{home.subnet}.{desk}"


def _invite_guests(cast: Cast) -> None:
    """Add the phones on the wireless networks, sixteen in Berlin and eight at the plant."""
    for i in range(24):
        net = "10.1.99" if i < 16 else "10.9.9"
        cast.guests.append(len(cast.clients))
        cast.clients.append(Client(NOWHERE, "-", "-", "", f"{net}.{40 + i}", ""))
