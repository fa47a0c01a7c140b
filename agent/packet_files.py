"""Capture files as sets of packets: where each one lies in the bytes, when it was, on what link.

pcap and pcapng, of either byte order and any clock: draft-ietf-opsawg-pcap and -pcapng. Python
walks from record to record, for each one says where the next begins; all else is done for a whole
block of packets at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Truths = np.ndarray[tuple[int], np.dtype[np.bool_]]

PADDING = 256
"""Zero bytes behind the last packet, so that no header is looked for beyond the end."""
NEVER = -1
"""The time of a packet whose time is not known."""
_LATEST = 7_258_118_400_000_000
"""Microseconds; a packet of the year 2200 has no time that can be believed."""
_LARGEST = 1 << 24
"""Bytes; no packet of a network is as large, so the file is damaged where one seems to be."""
_INTERFACES = 1 << 16

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}
"""Magic number to byte order, and fractions of time to the microsecond."""
_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_BIG = b"\x1a\x2b\x3c\x4d"


@dataclass(slots=True)
class Packets:
    """Some packets in their order, one row each."""

    data: Bytes
    """Bytes in which they lie, PADDING zeros behind them."""
    number: Numbers
    at: Numbers
    size: Numbers
    """Bytes of it that were captured."""
    wire: Numbers
    """Bytes that it had."""
    time: Numbers
    """Microseconds since 1970 UTC, or NEVER."""
    link: Numbers
    """Type of the link: tcpdump.org/linktypes.html; -1 where no interface says."""
    begin: int = 0
    """Offset in the file of ``data``."""
    end: int = 0
    """Offset in the file behind the last of them."""
    trail: bytes = b""
    """The bytes of the file just before ``end``, by which it is known again when it has grown."""

    def __len__(self) -> int:
        return len(self.at)


def two(data: Bytes, at: Numbers) -> Numbers:
    """Return the numbers of two bytes at some places, in network order."""
    return data[at].astype(np.int64) << 8 | data[at + 1]


class Reader:
    """Cuts the bytes of one capture file into packets."""

    def __init__(self, block: int, trail: int) -> None:
        """Hand out packets when ``block`` bytes are there, with ``trail`` bytes of before."""
        self.trouble: str | None = None
        """Why reading stopped before the end of the bytes."""
        self._block, self._keep = block, trail
        self._held: list[bytes] = []
        self._size = 0
        self._trail = b""
        self._offset = 0
        self._number = 1
        self._walk: _Pcap | _Pcapng | None = None

    def packets(self, pieces: Iterable[bytes]) -> Iterator[Packets]:
        """Yield the packets of a file; set ``trouble`` where its bytes make no sense or end."""
        for piece in pieces:
            self._held.append(piece)
            self._size += len(piece)
            if self._size >= self._block:
                yield from self._cut()
            if self.trouble:
                return
        yield from self._cut()
        if self._size and not self.trouble:
            self.trouble = f"ends in the middle of packet {self._number:,}"

    def _cut(self) -> Iterator[Packets]:
        # One copy of each byte: what is not whole yet is looked at again with what follows it.
        held = b"".join([*self._held, bytes(PADDING)])
        limit, begin = len(held) - PADDING, 0
        if self._walk is None:
            if limit < 24:
                return
            if held[:4] in _PCAP:
                self._walk, begin = _Pcap(held[:24]), 24
            else:
                self._walk = _Pcapng()
        whole, damaged = self._walk.walk(held, begin, limit)
        found = self._walk.found(np.frombuffer(held, np.uint8))
        found.begin = self._offset
        self._trail = (self._trail + held[max(0, whole - self._keep) : whole])[-self._keep :]
        self._held, self._size = [held[whole:limit]], limit - whole
        self._offset += whole
        found.end, found.trail = self._offset, self._trail
        found.number = np.arange(self._number, self._number + len(found), dtype=np.int64)
        self._number += len(found)
        if damaged:
            self.trouble = f"holds bytes that are no packet behind packet {self._number - 1:,}"
        yield found


class _Pcap:
    """The classic file: one link, and records of 16 bytes and a packet."""

    def __init__(self, header: bytes) -> None:
        self._order, self._fraction = _PCAP[header[:4]]
        self._link = struct.unpack_from(f"{self._order}I", header, 20)[0] & 0xFFFF
        self._starts: list[int] = []

    def walk(self, held: bytes, at: int, limit: int) -> tuple[int, bool]:
        """Find whole records; return where they end, and whether what follows can be none."""
        size_of = struct.Struct(f"{self._order}I").unpack_from
        starts: list[int] = []
        self._starts = starts
        last = limit - 16
        found = starts.append
        while at <= last:
            size = size_of(held, at + 8)[0]
            if size > _LARGEST:
                return at, True
            after = at + 16 + size
            if after > last + 16:
                break
            found(at)
            at = after
        return at, False

    def found(self, data: Bytes) -> Packets:
        """Return what was walked over last; ``data`` holds its bytes."""
        starts = np.array(self._starts, np.int64)
        head = data[starts[:, None] + np.arange(16)].view(f"{self._order}u4").astype(np.int64)
        seconds, fraction, size, wire = head.reshape(-1, 4).T
        time = _believed(seconds * 1_000_000 + fraction // self._fraction)
        return Packets(data, starts, starts + 16, size, wire, time, np.full_like(size, self._link))


@dataclass(frozen=True, slots=True)
class _Interface:
    """What an interface description says of its packets."""

    link: int
    snap: int
    multiply: int = 1
    divide: int = 1
    """From ticks to microseconds; 0 where a tick is a binary fraction of a second."""
    shift: int = 0
    offset: int = 0
    """Microseconds to add."""


class _Pcapng:
    """The newer file: sections of either byte order, each with interfaces of its own."""

    def __init__(self) -> None:
        self._big = False
        self._base = 0
        self._interfaces: list[_Interface] = []
        self._sections: list[tuple[bool, int]] = [(False, 0)]
        self._starts: list[int] = []
        self._tags: list[int] = []

    def walk(self, held: bytes, at: int, limit: int) -> tuple[int, bool]:
        """Find whole blocks; return where they end, and whether what follows can be none."""
        self._starts, self._tags = [], []
        self._sections = [(self._big, self._base)]
        both = struct.Struct(">II" if self._big else "<II").unpack_from
        tag = 0
        while at + 12 <= limit:
            kind, length = both(held, at)
            if kind == _SECTION:
                self._big = held[at + 8 : at + 12] == _BIG
                both = struct.Struct(">II" if self._big else "<II").unpack_from
                length = both(held, at)[1]
            if length < 12 or length % 4 or length > _LARGEST:
                return at, True
            if at + length > limit:
                break
            if kind in {_ENHANCED, _SIMPLE, _PACKET}:
                if length < (16 if kind == _SIMPLE else 32):
                    return at, True
                self._starts.append(at)
                self._tags.append(tag + (kind == _SIMPLE) + 2 * (kind == _PACKET))
            elif kind == _SECTION:
                self._base = len(self._interfaces)
                tag = 4 * len(self._sections)
                self._sections.append((self._big, self._base))
            elif kind == _INTERFACE:
                self._interfaces.append(_interface(held[at + 8 : at + length - 4], big=self._big))
                if len(self._interfaces) > _INTERFACES:
                    return at, True
            at += length
        return at, False

    def found(self, data: Bytes) -> Packets:
        """Return what was walked over last; ``data`` holds its bytes."""
        starts, tags = np.array(self._starts, np.int64), np.array(self._tags, np.int64)
        sections = np.array(self._sections, np.int64)[tags >> 2]
        raw = np.ascontiguousarray(data[starts[:, None] + np.arange(28)])
        big = sections[:, :1] > 0
        word = np.where(big, raw.view(">u4"), raw.view("<u4")).astype(np.int64)
        half = np.where(big, raw.view(">u2"), raw.view("<u2")).astype(np.int64)
        simple, old = (tags & 1) > 0, (tags & 2) > 0
        known = [*self._interfaces, _Interface(-1, 0)]  # the last one is nobody's
        which = sections[:, 1] + np.where(simple, 0, np.where(old, half[:, 4], word[:, 2]))
        which = np.where(which < len(self._interfaces), which, len(self._interfaces))
        table = np.array([(i.link, i.snap or _LARGEST) for i in known], np.int64)
        link, snap = table[which].T
        length = word[:, 1]
        wire = np.where(simple, word[:, 2], word[:, 6])
        room = np.where(simple, length - 16, length - 32)
        size = np.minimum(np.where(simple, np.minimum(wire, snap), word[:, 5]), room)
        time = np.where(simple, NEVER, _clock(known, which, word[:, 3], word[:, 4]))
        at = starts + np.where(simple, 12, 28)
        return Packets(data, starts, at, size, wire, time, link)


def _clock(known: list[_Interface], which: Numbers, high: Numbers, low: Numbers) -> Numbers:
    """Return microseconds for ticks of some interfaces."""
    ticks = (high << 32) | low
    multiply, divide, shift, offset = np.array(
        [(i.multiply, i.divide, i.shift, i.offset) for i in known], np.int64
    )[which].T
    decimal = ticks * multiply // np.maximum(divide, 1)
    binary = (ticks >> shift) * 1_000_000
    binary += ((ticks & ((1 << shift) - 1)) * (1_000_000 / 2.0**shift)).astype(np.int64)
    return _believed(np.where(divide > 0, decimal, binary) + offset)


def _believed(time: Numbers) -> Numbers:
    return np.where((time > 0) & (time < _LATEST), time, NEVER)


def _interface(body: bytes | bytearray, *, big: bool) -> _Interface:
    """Read an interface description block: link, snap length and clock."""
    order = ">" if big else "<"
    if len(body) < 8:
        return _Interface(-1, 0)
    link, _, snap = struct.unpack_from(f"{order}HHI", body)
    multiply, divide, shift, offset, at = 1, 1, 0, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        value = bytes(body[at + 4 : at + 4 + length])
        if code == 9 and len(value) == 1:  # if_tsresol
            power = value[0] & 0x7F
            if value[0] & 0x80:
                multiply, divide, shift = 1, 0, min(power, 62)
            else:
                multiply, divide = 10 ** max(0, 6 - power), 10 ** min(18, max(0, power - 6))
        elif code == 14 and len(value) == 8:  # if_tsoffset
            seconds = struct.unpack(f"{order}q", value)[0]
            offset = max(-(1 << 40), min(1 << 40, seconds)) * 1_000_000
        elif code == 0:
            break
        at += 4 + length + (-length) % 4
    return _Interface(link, snap, multiply, divide, shift, offset)
