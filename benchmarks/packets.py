"""Times the names in a capture beside tshark printing the same names from the same file.

    python -m benchmarks.packets [--visits 40000] [--keep FOLDER]

A visit is three DNS queries with their answers, a TCP or QUIC connection that greets the server by
name, and what the server sends back. Every fourth ClientHello needs two segments, as those of
today's browsers do; every fifth visit is QUIC, every tenth plain HTTP.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent import capture
from tests import wires

_BEGAN = 1_767_600_000
_FIELDS = ("dns.qry.name", "tls.handshake.extensions_server_name", "http.host")
_WANTED = "(dns.flags.response == 0) || tls.handshake.extensions_server_name || http.request.method"
_KINDS = (1, 28, 65)
"""A, AAAA and HTTPS, as browsers ask before they connect."""
_RESOLVER, _OUTSIDE, _INSIDE = 0xC0000235, 0xC6336400, 0x0A000000


def write(path: Path, visits: int, replies: int) -> int:
    """Write a capture and return how many packets it has."""
    count = 0
    with path.open("wb") as file:
        file.write(wires.pcap([]))
        for packet in _packets(visits, replies):
            when = _BEGAN + count * 0.0001
            seconds = int(when)
            fraction = int((when - seconds) * 1e6)
            file.write(struct.pack("<IIII", seconds, fraction, len(packet), len(packet)) + packet)
            count += 1
    return count


def _packets(visits: int, replies: int) -> Iterator[bytes]:
    dice = random.Random(1)
    reply, body = bytes(100), dice.randbytes(1400)
    for visit in range(visits):
        name = f"app{dice.randrange(3000)}.example.com"
        client = _INSIDE + dice.randrange(1, 2000)
        server, port = _OUTSIDE + dice.randrange(256), 20_000 + visit % 40_000

        def out(carried: bytes, to: int, protocol: int, client: int = client) -> bytes:
            return wires.ethernet(wires.ip4(client, to, protocol, carried))

        def back(carried: bytes, by: int, protocol: int, client: int = client) -> bytes:
            return wires.ethernet(wires.ip4(by, client, protocol, carried))

        for kind in _KINDS:
            question = wires.query(name, visit & 0xFFFF, kind)
            answer = question[:2] + b"\x81\x80" + question[4:] + reply
            yield out(wires.udp(port, 53, question), _RESOLVER, 17)
            yield back(wires.udp(53, port, answer), _RESOLVER, 17)
        if visit % 5 == 0:
            hello = wires.crypto(0, wires.client_hello(name))
            identity = struct.pack("!Q", visit)
            yield out(wires.udp(port, 443, wires.initial(hello, identity)), server, 17)
            for _ in range(replies):
                yield back(wires.udp(443, port, b"\x40" + body[1:]), server, 17)
            continue
        service = 80 if visit % 10 == 1 else 443
        said = _greeting(name, service, 1300 if visit % 4 == 0 else 0)
        start = dice.randrange(1 << 31)
        yield out(wires.tcp(port, service, start, b"", 2), server, 6)
        yield back(wires.tcp(service, port, 0, b"", 0x12), server, 6)
        for at in range(0, len(said), 1400):
            yield out(wires.tcp(port, service, start + 1 + at, said[at : at + 1400]), server, 6)
        for number in range(replies):
            data = b"\x17\x03\x03\x05\x73" + body[5:] if service == 443 else body
            yield back(wires.tcp(service, port, 1 + number * 1400, data, 0x10), server, 6)
            if number % 2:
                yield out(wires.tcp(port, service, start + 1 + len(said), b"", 0x10), server, 6)


def _greeting(name: str, service: int, padding: int) -> bytes:
    """Return what a client says first over TCP."""
    if service == 80:
        return f"GET /index HTTP/1.1\r\nHost: {name}\r\nAccept: */*\r\n\r\n".encode()
    return wires.records(wires.client_hello(name, padding=padding))


def ours(path: Path) -> set[str]:
    """Return the names that Sundial reads."""
    names: set[str] = set()
    with path.open("rb") as file:
        for part in capture.Capture().read(iter(lambda: file.read(1 << 22), b"")):
            names.update(part.events["host"].unique().to_pylist())
    return names - {None}


def theirs(path: Path) -> set[str]:
    """Return the names that tshark prints."""
    fields = [word for name in _FIELDS for word in ("-e", name)]
    command = ["tshark", "-n", "-r", str(path), "-Y", _WANTED, "-T", "fields", *fields]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name for line in printed.splitlines() for name in line.split("\t") if name}


def _timed(read: object, path: Path) -> tuple[float, float, set[str]]:
    """Return seconds of the clock, seconds of processor, and names."""
    began, before = time.perf_counter(), _processor()
    names = read(path)  # type: ignore[operator]
    return time.perf_counter() - began, _processor() - before, names


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write two captures, time both programs on each, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=40_000)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args(arguments)
    if shutil.which("tshark") is None:
        print("tshark is not here: apt-get install tshark")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        print(f"{'capture':16}{'packets':>10}{'names':>7}  {'clock s':>16}{'processor s':>20}")
        for title, replies, visits in (
            ("whole traffic", 20, asked.visits // 4),
            ("first packets", 1, asked.visits),
        ):
            path = folder / f"{title.replace(' ', '-')}.pcap"
            count = write(path, visits, replies)
            path.read_bytes()
            clock, used, names = _timed(ours, path)
            slow_clock, slow_used, expected = _timed(theirs, path)
            same = "" if names == expected else f"  names differ: {len(names ^ expected)}"
            print(
                f"{title:16}{count:10,}{len(names):7,}  "
                f"{clock:6.2f} / {slow_clock:5.1f} = {slow_clock / clock:4.1f}x"
                f"{used:6.2f} / {slow_used:5.1f} = {slow_used / used:4.1f}x{same}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
