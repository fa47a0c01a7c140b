"""What people ask for on a working day: the web at large, what pages embed, and the apps."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from agent.demo.events import Events, draw, in_order
from agent.demo.performance import Show
from agent.demo.plan import refused_uses
from agent.demo.scenario import DNSMASQ, SQUID, ZSCALER, Bools, Ints, Scenario

# What a person asks for beside the apps, by source: a proxy sees every request, a resolver only
# what no cache knows.
EVERYDAY: Final = {SQUID: 38.0, ZSCALER: 11.0, DNSMASQ: 11.0}
EMBEDDED: Final = {SQUID: 5.0, ZSCALER: 2.0, DNSMASQ: 2.0}
BUSY: Final = {SQUID: 1.0, ZSCALER: 0.5, DNSMASQ: 0.4}


def working_day(show: Show, week: int, day: int, rng: np.random.Generator) -> dict[int, Events]:
    """Act out one working day of the people: source → events."""
    story, cast, plan, scale = show.story, show.cast, show.plan, show.scale
    who = np.flatnonzero(plan.present[:, week, day])
    where = plan.source[who, week, day]
    often = 1 + rng.poisson(_by_source(EVERYDAY, where) * scale)
    beside = rng.poisson(_by_source(EMBEDDED, where) * scale)
    uses = plan.days[week][day]
    refused = refused_uses(story, plan, week, day)
    busy = np.array([app.busy for app in story.apps])[uses.app]
    rate = busy * _by_source(BUSY, plan.source[uses.person, week, day]) * min(scale * 2, 1.0)
    more = rng.poisson(np.where(refused, 1.0, rate))
    person = np.concatenate(
        [np.repeat(who, often), np.repeat(who, beside), uses.person, np.repeat(uses.person, more)]
    )
    host = np.concatenate(
        [
            draw(story.everyday, int(often.sum()), rng),
            draw(story.embeds, int(beside.sum()), rng),
            np.array([app.hosts[0] for app in story.apps])[uses.app],
            _further_hosts(story, np.repeat(uses.app, more), np.repeat(refused, more), rng),
        ]
    )
    no = np.zeros(int(often.sum() + beside.sum()), dtype=np.bool_)
    denied = np.concatenate([no, refused, np.repeat(refused, more)])
    source = plan.source[person, week, day]
    asked = Events(_hours(source, rng), cast.client[person, week], host, denied)
    return {of: in_order(asked.at_places(source == of)) for of in (SQUID, ZSCALER, DNSMASQ)}


def _by_source(rates: dict[int, float], source: Ints) -> npt.NDArray[np.float64]:
    return np.array([rates[SQUID], rates[ZSCALER], 0.0, rates[DNSMASQ]])[source]


def _further_hosts(story: Scenario, apps: Ints, refused: Bools, rng: np.random.Generator) -> Ints:
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


def _hours(source: Ints, rng: np.random.Generator) -> Ints:
    """Give each request its time: two humps and a lunch break, shifts at the plant."""
    late = rng.random(len(source)) < 0.5
    hour = np.where(late, rng.normal(14.9, 1.3, len(source)), rng.normal(10.2, 1.1, len(source)))
    hour = np.where(source == DNSMASQ, rng.uniform(6.0, 22.0, len(source)), hour)
    result: Ints = (np.clip(hour, 6.0, 22.0) * 3_600_000).astype(np.int64)
    return result + rng.integers(0, 60_000, len(source))
