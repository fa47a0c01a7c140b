"""Listens on a network interface and writes what passes into a capture file, until told to stop."""

from __future__ import annotations

import logging
import os
import select
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.errors import LogError, Problem, RulesError

_LINKS = {1: 1, 772: 1, 512: 101, 768: 101, 769: 101, 776: 101, 778: 101, 65534: 101}
"""Linux' number of a kind of interface (if_arp.h) to the link type of a capture file."""
_ETHERNET, _LOOPBACK = 1, 772
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
"""Numbers of linux/if_packet.h that Python does not name."""
_LONGEST = 65_535
_WAIT = 0.2
"""Seconds after which it is time to look whether to stop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop by itself; None for never."""

    packets: int | None = None
    seconds: float | None = None
    megabytes: float | None = None


def record(
    interface: str,
    bpf: str | None,
    folder: Path,
    limits: Limits,
    progress: Callable[[int, float], None] = lambda _packets, _seconds: None,
) -> int:
    """Write the packets of an interface to a new file in ``folder``; return how many they were.

    Ends by a limit, or by SIGINT or SIGTERM. Only the owner of ``folder`` can read the file. Raises
    LogError where packets may not be captured, RulesError for a filter or interface that is none.
    """
    with closing(_listen(interface, bpf)) as listener, _stopped() as stopped:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.pcap"
        began, count, size = time.monotonic(), 0, 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            head = struct.pack(
                "=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _LONGEST, _LINKS.get(_hardware(listener), 1)
            )
            file.write(head)
            while not stopped():
                seconds = time.monotonic() - began
                if (
                    (limits.packets is not None and count >= limits.packets)
                    or (limits.seconds is not None and seconds >= limits.seconds)
                    or (limits.megabytes is not None and size >= limits.megabytes * 1e6)
                ):
                    break
                if not select.select([listener], [], [], _WAIT)[0]:
                    file.flush()
                    progress(count, seconds)
                    continue
                _, packet, when = listener.recv_raw(_LONGEST)
                if packet:
                    file.write(_record(packet, when or time.time()))
                    count, size = count + 1, size + len(packet)
                    if count % 1000 == 0:
                        progress(count, seconds)
    return count


def _record(packet: bytes, when: float) -> bytes:
    seconds = int(when)
    fraction = int((when - seconds) * 1_000_000)
    return struct.pack("=IIII", seconds, fraction, len(packet), len(packet)) + packet


def _listen(interface: str, bpf: str | None) -> Any:  # noqa: ANN401 - scapy's, of many kinds
    """Open an interface."""
    # Its import takes half a second, which only who captures should wait.
    from scapy.arch import get_if_list  # noqa: PLC0415
    from scapy.config import conf  # noqa: PLC0415
    from scapy.error import Scapy_Exception  # noqa: PLC0415

    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    known = sorted(map(str, get_if_list()))
    if interface not in known:
        message = f'"{interface}" is no interface of this machine; there are {", ".join(known)}.'
        raise RulesError(Problem("--interface", message))
    try:
        listener = conf.L2listen(iface=interface, filter=bpf)
        if _hardware(listener) == _LOOPBACK:
            # Else each packet comes twice: once as it leaves, once as it arrives.
            listener.ins.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    except PermissionError:
        message = (
            "capturing packets needs a right that this user does not have; run it as root, "
            "or give the process CAP_NET_RAW."
        )
        raise LogError(Problem(interface, message)) from None
    except OSError as error:
        raise LogError(Problem(interface, f"cannot be captured: {error.strerror}.")) from None
    except Scapy_Exception as error:
        message = " ".join(str(error).split()).removeprefix("Cannot set filter: ")
        hint = "a filter is written as for tcpdump, such as 'udp port 53 or tcp port 443'."
        if find_library("pcap") is None:
            message = "needs libpcap, which this machine does not have"
            hint = "install it (Debian: apt-get install libpcap0.8), or capture without a filter."
        raise RulesError(Problem("--filter", f"{message}; {hint}")) from None
    return listener


def _hardware(listener: Any) -> int:  # noqa: ANN401 - scapy's, of many kinds
    """Return Linux' number of the kind of interface, that of Ethernet on other systems."""
    asked = getattr(listener.ins, "getsockname", None)
    return int(asked()[3]) if asked else _ETHERNET


@contextmanager
def _stopped() -> Iterator[Callable[[], bool]]:
    """Lend a question whether somebody asked to stop, instead of the end of the program."""
    asked: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _frame: asked.append(got))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
