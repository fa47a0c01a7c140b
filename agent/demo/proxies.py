"""How the two proxies log: Squid's native access.log and Zscaler's web feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from agent.demo.cast import Client
from agent.demo.events import Events
from agent.demo.layout import Layout, clock
from agent.demo.performance import Show
from agent.demo.scenario import Ints


class Squid(Layout):
    """Native access.log: http://www.squid-cache.org/Doc/config/logformat/."""

    def __init__(self, show: Show, machines: Sequence[Client]) -> None:
        super().__init__(show, machines)
        self.login = [client.login for client in self.clients]
        self.request = [
            f"CONNECT {host.name}:443"
            if host.path is None
            else f"GET http://{host.name}/{host.path}"
            for host in self.hosts
        ]

    def lines(self, day: datetime, events: Events, rng: np.random.Generator) -> list[str]:
        """Write one day of the proxy in Berlin."""
        base, size = int(day.timestamp()), len(events.at)
        elapsed = _around(2.3, 0.7, size, rng).tolist()
        sent = _around(3.6, 0.6, size, rng).tolist()
        odd = rng.integers(0, 1_000_000, size).tolist()
        lines: list[str] = []
        for (t, c, h, no), ms, octets, n in zip(events.rows(), elapsed, sent, odd, strict=True):
            head = f"{base + t // 1000}.{t % 1000:03d}"
            if n % 97 == 0 and self.hosts[h].app is None:
                # A browser asks without a name first, and is told to log in.
                lines.append(
                    f"{head} {0:6d} {self.address[c]} TCP_DENIED/407 4093 "
                    f"{self.request[h]} - HIER_NONE/- text/html\n"
                )
            took, code, length, more, peer, kind = self._answer(h, n, ms, octets, no=no)
            lines.append(
                f"{head} {took:6d} {self.address[c]} {code} {length} "
                f"{self.request[h]}{more} {self.login[c]} {peer} {kind}\n"
            )
        return lines

    def _answer(
        self, h: int, n: int, ms: int, octets: int, *, no: bool
    ) -> tuple[int, str, int, str, str, str]:
        """Return milliseconds, result, bytes, the rest of the address, peer and content type."""
        if no:
            return n % 9, "TCP_DENIED/403", 3800 + n % 300, "", "HIER_NONE/-", "text/html"
        peer = f"HIER_DIRECT/{self.servers[h]}"
        if self.hosts[h].path is None:
            return ms, "TCP_TUNNEL/200", octets, "", peer, "-"
        if n % 5:
            return ms, "TCP_MISS/200", octets, f"?sid=FAKE{n:06d}", peer, "text/html"
        return n % 3, "TCP_MEM_HIT/200", octets, "", "HIER_NONE/-", "text/html"


class Zscaler(Layout):
    """Tab-separated NSS web feed for Splunk, in UTC as the feed is set up by default.

    Fields: https://help.zscaler.com/zia/nss-feed-output-format-web-logs.
    """

    def __init__(self, show: Show, machines: Sequence[Client]) -> None:
        super().__init__(show, machines)
        self.place = [
            ("Dublin", client.address)
            if client.address.startswith("10.2.")
            else ("Road Warrior", client.home)
            for client in self.clients
        ]
        self.event_id = 7_400_000_000_000_000_000

    def lines(self, day: datetime, events: Events, rng: np.random.Generator) -> list[str]:
        """Write one day of Dublin and of everybody at home."""
        spelled, shift = clock(), int((day.utcoffset() or timedelta()).total_seconds())
        size, date = len(events.at), f"{day:%Y-%m-%d}"
        asked = _around(3.0, 0.4, size, rng).tolist()
        sent = _around(3.7, 0.6, size, rng).tolist()
        odd = rng.integers(0, 1_000_000, size).tolist()
        lines: list[str] = []
        for (t, c, h, no), out, back, n in zip(events.rows(), asked, sent, odd, strict=True):
            self.event_id += 1 + n
            who, (location, address) = self.clients[c], self.place[c]
            protocol, method, url = self._request(h, n)
            reason, action, status = (
                ("Access denied due to policy", "Blocked", 403) if no
                else ("Allowed", "Allowed", 200)
            )  # fmt: skip
            lines.append(
                f"{date} {spelled[t // 1000 - shift]}\treason={reason}\tevent_id={self.event_id}"
                f"\tprotocol={protocol}\taction={action}"
                f"\ttransactionsize={out + back}\tresponsesize={back}\trequestsize={out}"
                f"\turlcategory=Other\tserverip={self.servers[h]}\tclienttranstime={n % 400}"
                f"\trequestmethod={method}\trefererURL=None\tuseragent=Mozilla/5.0 (Windows NT "
                f"10.0; Win64; x64)\tproduct=NSS\tlocation={location}"
                f"\tClientIP={address}\tstatus={status}"
                f"\tuser={who.mail}\turl={url}\tvendor=Zscaler\thostname={self.names[h]}"
                f"\tclientpublicIP=203.0.113.{c % 250 + 2}\tthreatcategory=None\tthreatname=None"
                f"\tfiletype=None\tappname=General Browsing\tpagerisk=0"
                f"\tdepartment={who.department}\turlsupercategory=Other\tappclass=General Browsing"
                f"\tdlpengine=None\turlclass=Business Use\tthreatclass=None\tdlpdictionaries=None"
                f"\tfileclass=None\tbwthrottle=NO\tservertranstime={n % 370}\tmd5=None\n"
            )
        return lines

    def _request(self, h: int, n: int) -> tuple[str, str, str]:
        """Return protocol, method and address of a request."""
        name, path = self.names[h], self.hosts[h].path
        if path is None and n % 2:
            return "HTTPS", "CONNECT", f"{name}:443"
        protocol = "HTTPS" if path is None else "HTTP"
        return protocol, "GET", f"{name}/{path or 'home'}?sid=FAKE{n:06d}"


def _around(exponent: float, spread: float, size: int, rng: np.random.Generator) -> Ints:
    """Draw sizes or times about ten to the power of ``exponent``, a few of them far larger."""
    result: Ints = (10 ** rng.normal(exponent, spread, size)).astype(np.int64)
    return result
