"""Whole days: people at work, and everything that nobody asks for, as servers and guests do."""

from __future__ import annotations

from typing import Final

import numpy as np

from agent.demo.cast import Client
from agent.demo.events import NOTHING, Events, allowed, draw, in_order
from agent.demo.performance import Show
from agent.demo.scenario import BIND, DNSMASQ, NOWHERE, SQUID, ZSCALER
from agent.demo.working_day import working_day

LOOKED_UP: Final = 0.4
"""Of the names asked through the proxy, those that the client also looks up itself."""
INTERNAL: Final = 0.08
"""Look-ups of the company's own hosts, by requests through the proxy."""


class Days:
    """Each day of the story, from the people at work to the servers that never sleep."""

    def __init__(self, show: Show) -> None:
        self._show, self._story = show, show.story
        self._guests = np.array(show.cast.guests)
        self._first = len(show.cast.clients)
        machines = show.story.raw["machine"]
        self.machines = [Client(NOWHERE, "-", "-", "", m["address"], "") for m in machines]
        """Clients whose numbers follow those of the cast."""
        self._proxied = np.array([machine["proxy"] for machine in machines])
        self._social = [
            app.hosts[0] for app in show.story.apps
            if app.app in {"whatsapp", "instagram", "telegram", "x", "discord"}
        ]  # fmt: skip

    def events(self, number: int, rng: np.random.Generator) -> dict[int, Events]:
        """Collect everything that is asked on one day: source → events."""
        week, day = divmod(number, 7)
        people = dict.fromkeys((SQUID, ZSCALER, DNSMASQ), NOTHING)
        if day < 5:
            people = working_day(self._show, week, day, rng)
        looked_up, internal = self._look_ups(people[SQUID], rng)
        return {
            SQUID: in_order(people[SQUID], self._polls(rng, proxy=True)),
            ZSCALER: people[ZSCALER],
            BIND: in_order(
                looked_up, internal, self._polls(rng, proxy=False), self._wifi(rng, plant=False)
            ),
            DNSMASQ: in_order(people[DNSMASQ], self._wifi(rng, plant=True)),
        }

    def _look_ups(self, asked: Events, rng: np.random.Generator) -> tuple[Events, Events]:
        """Let clients of the proxy look up some names themselves, and internal ones besides."""
        own = asked.at_places(rng.random(len(asked.at)) < LOOKED_UP)
        inside = asked.at_places(rng.random(len(asked.at)) < INTERNAL)
        hosts = draw(self._story.internal, len(inside.at), rng)
        return (
            allowed(np.maximum(own.at - 40, 0), own.client, own.host),
            allowed(inside.at, inside.client, hosts),
        )

    def _polls(self, rng: np.random.Generator, *, proxy: bool) -> Events:
        """Let the servers ask every five minutes, day and night."""
        number = np.flatnonzero(~np.array([proxy]) | self._proxied)
        rounds = np.arange(0, 86_400_000, 300_000)
        at = np.tile(rounds, len(number)) + np.repeat(number * 7_000, len(rounds))
        at = at + rng.integers(0, 900, len(at))
        which = np.repeat(number, len(rounds))
        return allowed(at, which + self._first, np.array(self._story.machines)[which])

    def _wifi(self, rng: np.random.Generator, *, plant: bool) -> Events:
        """Let guests use the wireless network: shared addresses, traffic and never people."""
        guests = self._guests[16:] if plant else self._guests[:16]
        size = int(rng.poisson(60 * self._show.scale)) + 1
        at = rng.integers(9 * 3_600_000, 18 * 3_600_000, size)
        host = np.where(
            rng.random(size) < 0.3,
            np.array(self._social)[rng.integers(0, len(self._social), size)],
            draw(self._story.everyday, size, rng),
        )
        return allowed(at, rng.choice(guests, size), host)
