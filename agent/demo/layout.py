"""What every log layout needs of the company, spelled out once and not for each line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from functools import cache

import numpy as np

from agent.demo.cast import Client
from agent.demo.events import Events
from agent.demo.performance import Show


class Layout(ABC):
    """Events in, lines out, as one program documents them; hosts and clients go by number."""

    def __init__(self, show: Show, machines: Sequence[Client]) -> None:
        self.hosts = show.story.hosts
        self.clients = [*show.cast.clients, *machines]
        self.names = [host.name for host in self.hosts]
        self.address = [client.address for client in self.clients]
        self.servers = [_server(i) for i in range(len(self.hosts))]

    @abstractmethod
    def lines(self, day: datetime, events: Events, rng: np.random.Generator) -> list[str]:
        """Write one day, which begins at ``day``; an entry may hold several lines."""

    def stop(self) -> None:  # noqa: B027 - most programs go on as before when the log comes back
        """Hear that nothing is logged on a day."""


@cache
def clock() -> list[str]:
    """Spell every second of a day."""
    return [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]


def _server(host: int) -> str:
    """Give a host an address of the documentation networks."""
    return f"{('192.0.2', '198.51.100', '203.0.113')[host % 3]}.{host // 3 % 250 + 2}"
