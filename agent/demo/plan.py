"""Who is at work on which day and uses what: the whole story decided before a line is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agent.demo.cast import Cast
from agent.demo.scenario import (
    DNSMASQ,
    NOWHERE,
    SITE_SOURCE,
    SOURCES,
    SQUID,
    ZSCALER,
    Bools,
    Ints,
    Scenario,
)


class Uses(NamedTuple):
    """Uses of one day: arrays of one length."""

    person: Ints
    app: Ints


@dataclass(slots=True)
class Plan:
    """What is decided: for everybody, every week and every working day."""

    present: Bools
    """(people, weeks, 5): at work on that day."""
    source: Ints
    """(people, weeks, 5): in whose log this person is on that day."""
    days: list[list[Uses]]
    """week → working day → who uses what."""
    used: Bools
    """(apps, people, weeks): used on a day that is in the logs and not refused."""
    seen: Bools
    """(people, weeks): in the logs at all."""


def make_plan(story: Scenario, cast: Cast, seed: int, weeks: int) -> Plan:
    """Decide for so many weeks who is where and uses what."""
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
    silent = silent_weeks(story, weeks)
    in_logs = present & ~silent[source, np.arange(weeks)[None, :, None]]
    used = np.zeros((len(story.apps), people, weeks), dtype=np.bool_)
    plan = Plan(present, source, [], used, in_logs.any(axis=2))
    for week in range(weeks):
        person, app = _habit_days(habits, present, week, rng)
        visitor, visited = _visits(story, cast, present, week, rng)
        who = [np.concatenate(pair) for pair in zip(person, visitor, strict=True)]
        what = [np.concatenate(pair) for pair in zip(app, visited, strict=True)]
        plan.days.append([Uses(*pair) for pair in zip(who, what, strict=True)])
        for day, uses in enumerate(plan.days[week]):
            proof = in_logs[uses.person, week, day] & ~refused_uses(story, plan, week, day)
            plan.used[uses.app[proof], uses.person[proof], week] = True
    return plan


def silent_weeks(story: Scenario, weeks: int) -> Bools:
    """Tell which source is silent in which week: shape (sources, weeks)."""
    silent = np.zeros((len(SOURCES), weeks), dtype=np.bool_)
    for gap in story.raw["gap"]:
        first = gap["week"] - 1
        silent[SOURCES.index(gap["source"]), first : first + gap["weeks"]] = True
    return silent


def refused_uses(story: Scenario, plan: Plan, week: int, day: int) -> Bools:
    """Tell which uses of a day a proxy refuses; a resolver refuses nothing."""
    uses = plan.days[week][day]
    rule = np.array([week in app.refused for app in story.apps])
    proxied = plan.source[uses.person, week, day] != DNSMASQ
    result: Bools = rule[uses.app] & proxied
    return result


def _holidays(people: int, weeks: int, rng: np.random.Generator) -> Bools:
    """Give everybody two weeks in a row, and most a third one elsewhere."""
    week = np.arange(weeks)
    long = rng.integers(0, max(weeks - 2, 1), people)[:, None]
    short = rng.integers(0, weeks * 3 // 2, people)[:, None]
    result: Bools = (week == long) | (week == long + 1) | (week == short)
    return result


def _habits(story: Scenario, cast: Cast, away: Bools, rng: np.random.Generator) -> Ints:
    """Choose who has which habit: rows of person, app, first week, week after the last."""
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
    return np.array(habits, dtype=np.int64).reshape(-1, 4)


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
    story: Scenario, cast: Cast, present: Bools, week: int, rng: np.random.Generator
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
