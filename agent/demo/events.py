"""Requests as arrays: what a source hears on one day, put in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from agent.demo.scenario import Bools, Ints


class Events(NamedTuple):
    """Requests of one source on one day: arrays of one length."""

    at: Ints
    """Milliseconds since midnight, local time."""
    client: Ints
    host: Ints
    refused: Bools

    def at_places(self, chosen: Bools | Ints) -> Events:
        """Return some of the requests, or all of them in another order."""
        return Events(self.at[chosen], self.client[chosen], self.host[chosen], self.refused[chosen])

    def rows(self) -> Iterator[tuple[int, int, int, bool]]:
        """Go through the requests: time, client, host, refused."""
        columns = (self.at, self.client, self.host, self.refused)
        return zip(*(column.tolist() for column in columns), strict=True)


def allowed(at: Ints, client: Ints, host: Ints) -> Events:
    """Return requests of which none is refused."""
    return Events(at, client, host, np.zeros(len(at), dtype=np.bool_))


NOTHING = allowed(*np.zeros((3, 0), dtype=np.int64))


def in_order(*parts: Events) -> Events:
    """Join requests by time."""
    joined = Events(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.client for part in parts]),
        np.concatenate([part.host for part in parts]),
        np.concatenate([part.refused for part in parts]),
    )
    return joined.at_places(np.argsort(joined.at, kind="stable"))


def draw(hosts: Sequence[int], size: int, rng: np.random.Generator) -> Ints:
    """Draw hosts, the first of the list most often (Zipf's law)."""
    weight = 1.0 / np.arange(1.5, len(hosts) + 1.5)
    result: Ints = np.asarray(hosts)[rng.choice(len(hosts), size, p=weight / weight.sum())]
    return result
