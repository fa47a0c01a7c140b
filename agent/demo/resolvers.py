"""How the two resolvers log: the query log of BIND and a Pi-hole's dnsmasq."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from agent.demo.cast import Client
from agent.demo.events import Events
from agent.demo.layout import Layout, clock
from agent.demo.performance import Show


class Bind(Layout):
    """Query log of named with its time, category and severity printed.

    Layout: https://bind9.readthedocs.io/en/stable/reference.html, the queries category.
    """

    def __init__(self, show: Show, machines: Sequence[Client]) -> None:
        super().__init__(show, machines)
        self.scanned = max(int(60 * show.scale), 4)
        self.flood_under = show.story.raw["ordinary"]["flood"]

    def lines(self, day: datetime, events: Events, rng: np.random.Generator) -> list[str]:
        """Write one day of the resolver in Berlin."""
        spelled, date, size = clock(), f"{day:%d-%b-%Y}", len(events.at)
        port = rng.integers(32_768, 61_000, size).tolist()
        kind = np.array(["A", "A", "A", "AAAA", "HTTPS"])[rng.integers(0, 5, size)].tolist()
        view = rng.integers(0, 16, size).tolist()
        rows = [
            f"{date} {spelled[t // 1000]}.{t % 1000:03d} queries: info: client "
            f"@0x7f3c5{v:x}0{v * 3:02x}168 {self.address[c]}#{p} ({self.names[h]}): "
            f"query: {self.names[h]} IN {k} +E(0)K (10.1.0.53)\n"
            for (t, c, h, _), p, k, v in zip(events.rows(), port, kind, view, strict=True)
        ]
        rows += self._flood(date, rng.choice(np.unique(events.client), self.scanned).tolist(), rng)
        # The time stands at the same place in every line, so text order is time order.
        return sorted(rows, key=lambda row: row[:24])

    def _flood(self, date: str, clients: Sequence[int], rng: np.random.Generator) -> list[str]:
        """Write the virus scanner's look-ups: a new name for every file that it meets."""
        spelled = clock()
        at = np.sort(rng.integers(8 * 3600, 18 * 3600, len(clients))).tolist()
        return [
            f"{date} {spelled[t]}.{c % 1000:03d} queries: info: client @0x7f3c500a0168 "
            f"{self.address[c]}#{40_000 + c} ({name}): query: {name} IN TXT +E(0) (10.1.0.53)\n"
            for t, c in zip(at, clients, strict=True)
            for name in [f"{rng.bytes(10).hex()}.{rng.bytes(3).hex()}.{self.flood_under}"]
        ]


class Dnsmasq(Layout):
    """A Pi-hole's dnsmasq log: a question, then what became of it; and no year.

    Layout: https://thekelleys.org.uk/dnsmasq/docs/dnsmasq-man.html, --log-queries.
    """

    def __init__(self, show: Show, machines: Sequence[Client]) -> None:
        super().__init__(show, machines)
        self.blocklist = [host.evidence == "embedded" for host in self.hosts]
        self.process, self.started = 812, False

    def stop(self) -> None:
        """Let a new process take over when the log comes back."""
        self.process, self.started = 1204, False

    def lines(self, day: datetime, events: Events, rng: np.random.Generator) -> list[str]:
        """Write one day of the resolver at the plant."""
        spelled, date = clock(), f"{day:%b} {day.day:2d}"
        odd = rng.integers(0, 20, len(events.at)).tolist()
        lines = [] if self.started else self._start(date)
        for (t, c, h, _), n in zip(events.rows(), odd, strict=True):
            name, answer = self.names[h], self.servers[h]
            head = f"{date} {spelled[t // 1000]} dnsmasq[{self.process}]: "
            if self.blocklist[h]:
                then = f"{head}gravity blocked {name} is 0.0.0.0\n"
            elif n < 8:
                then = f"{head}cached {name} is {answer}\n"
            else:
                then = f"{head}forwarded {name} to 192.0.2.53\n{head}reply {name} is {answer}\n"
            lines.append(f"{head}query[A] {name} from {self.address[c]}\n{then}")
            if n % 3 == 0:
                lines.append(
                    f"{head}query[AAAA] {name} from {self.address[c]}\n"
                    f"{head}cached {name} is NODATA-IPv6\n"
                )
        return lines

    def _start(self, date: str) -> list[str]:
        """Write what dnsmasq says when it starts: no question, and nobody asked it."""
        self.started = True
        head = f"{date} 00:00:01 dnsmasq[{self.process}]: "
        return [
            f"{head}started, version pi-hole-v2.90 cachesize 10000\n",
            f"{head}using nameserver 192.0.2.53#53\n",
            f"{head}read /etc/hosts - 6 names\n",
        ]
