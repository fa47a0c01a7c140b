"""From frames to what TCP and UDP carry, for all packets of a block at once.

Every header is taken off whole columns of packets: VLAN and MPLS tags, PPPoE, IP in IP, IPv6
extension headers. Only fragments of a datagram are put together one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from agent.packet_files import PADDING, Bytes, Numbers, Packets

TCP, UDP = 6, 17
_ROUNDS = 12
"""Headers between the link and TCP or UDP that are followed; more are an attack."""
_IP4, _IP6, _ARP_LIKE = 0x0800, 0x86DD, 0
_VLAN = (0x8100, 0x88A8, 0x9100, 0x9200)
_MPLS = (0x8847, 0x8848)
_PPPOE, _PPP, _RAW, _ETHERNET = 0x8864, 0x10001, 0x10002, 0x6558
_MAPPED = np.uint64(0xFFFF00000000)
"""Bits 32 to 47 of an IPv4 address that is written as one of IPv6."""
_EXTENSIONS = (0, 43, 51, 60, 135, 139, 140)
"""IPv6 extension headers with a length (IANA, IPv6 Extension Header Types)."""
_FRAGMENT = 44
_GRE = 47

_LINKS = {
    0: (4, _RAW),  # BSD loopback: the family's number differs from system to system
    108: (4, _RAW),
    9: (0, _PPP),
    50: (0, _PPP),
    51: (0, _PPPOE),
    12: (0, _RAW),
    14: (0, _RAW),
    101: (0, _RAW),
    228: (0, _IP4),
    229: (0, _IP6),
}
"""Type of a link to the bytes before its packet, and what that packet is."""
_TYPED = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Type of a link to where it says what its packet is, and where that begins."""
_NFLOG = 239
LINKS = frozenset({*_LINKS, *_TYPED, _NFLOG})


@dataclass(slots=True)
class Payloads:
    """What TCP and UDP carry, one row a segment or datagram."""

    data: Bytes
    row: Numbers
    """Row of the packet."""
    transport: Numbers
    """TCP or UDP."""
    source: np.ndarray[tuple[int, int], np.dtype[np.uint64]]
    target: np.ndarray[tuple[int, int], np.dtype[np.uint64]]
    """Addresses as two halves; IPv4 is written as IPv6 writes it, ``::ffff:0:0/96``."""
    source_port: Numbers
    target_port: Numbers
    at: Numbers
    end: Numbers
    """Where the bytes lie; less than were sent where the packet was cut short."""
    missing: Numbers
    """Bytes that were sent and not captured."""
    sequence: Numbers
    flags: Numbers

    def __len__(self) -> int:
        return len(self.row)


@dataclass(slots=True)
class Fragment:
    """One piece of a datagram that was sent in several."""

    row: int
    key: bytes
    """Addresses, protocol and number of the datagram."""
    offset: int
    more: bool
    data: bytes


class _Window:
    """Numbers of two, four and eight bytes at any place of some bytes, in network order."""

    def __init__(self, data: Bytes) -> None:
        self.u8 = data
        self._wide = {
            size: np.ndarray((len(data) - size,), f">u{size}", data, strides=(1,))
            for size in (2, 4, 8)
        }

    def u16(self, at: Numbers) -> Numbers:
        return self._wide[2][at].astype(np.int64)

    def u32(self, at: Numbers) -> Numbers:
        return self._wide[4][at].astype(np.int64)

    def u64(self, at: Numbers) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        return self._wide[8][at].astype(np.uint64)


def payloads(packets: Packets) -> tuple[Payloads, list[Fragment]]:
    """Take the headers off some packets; what is fragmented is returned as it stands."""
    window = _Window(packets.data)
    at, kind = _first(window, packets)
    end = packets.at + packets.size
    count = len(packets)
    source, target = np.zeros((count, 2), np.uint64), np.zeros((count, 2), np.uint64)
    missing = np.maximum(packets.wire - packets.size, 0)
    transport = np.zeros(count, np.int64)
    fragments: list[Fragment] = []
    for _ in range(_ROUNDS):
        tagged = np.flatnonzero((kind != _IP4) & (kind != _IP6) & (kind != _ARP_LIKE))
        if len(tagged):
            _untag(window, tagged, at, end, kind)
        ip4, ip6 = np.flatnonzero(kind == _IP4), np.flatnonzero(kind == _IP6)
        if not len(tagged) and not len(ip4) and not len(ip6):
            break
        columns = _Columns(window, at, end, missing, kind, transport, source, target)
        fragments += columns.ip4(ip4)
        fragments += columns.ip6(ip6)
    row = np.flatnonzero(transport)
    return _ported(
        window, row, transport[row], source[row], target[row], at[row], end[row], missing[row]
    ), fragments


def _first(window: _Window, packets: Packets) -> tuple[Numbers, Numbers]:
    """Return where what the link carries begins, and what that is."""
    at, kind = packets.at.copy(), np.zeros(len(packets), np.int64)
    for link in set(np.unique(packets.link).tolist()) & LINKS:
        chosen = packets.link == link
        rows = slice(None) if chosen.all() else np.flatnonzero(chosen)
        if link in _TYPED:
            says, skip = _TYPED[link]
            kind[rows] = window.u16(at[rows] + says)
            at[rows] += skip
        elif link in _LINKS:
            skip, kind[rows] = _LINKS[link]
            at[rows] += skip
        else:
            for row in np.flatnonzero(chosen).tolist():
                start, size = int(packets.at[row]), int(packets.size[row])
                at[row] = start + _nflog(packets.data[start : start + size].tobytes())
                kind[row] = _RAW
    return at, kind


def _nflog(packet: bytes) -> int:
    """Return where the packet begins among the attributes that Linux' NFLOG sets before it."""
    at = 4
    while at + 4 <= len(packet):
        size = int.from_bytes(packet[at : at + 2], "little")
        if packet[at + 2] == 9 or size < 4:
            return at + 4
        at += size + (-size) % 4
    return len(packet)


def _untag(window: _Window, rows: Numbers, at: Numbers, end: Numbers, kind: Numbers) -> None:
    """Take one tag or session header off some rows, in place."""
    was, here = kind[rows], at[rows]
    first = window.u8[here].astype(np.int64)
    nibble = np.where(first >> 4 == 4, _IP4, np.where(first >> 4 == 6, _IP6, _ARP_LIKE))
    vlan, mpls = np.isin(was, _VLAN), np.isin(was, _MPLS)
    bottom = mpls & ((window.u8[here + 2] & 1) > 0)
    after = window.u8[here + 4].astype(np.int64) >> 4
    # Under the last label: IP, or Ethernet behind a control word of four bytes or without one.
    inner = np.where(after == 4, _IP4, np.where(after == 6, _IP6, _ETHERNET))
    word = bottom & (window.u32(here + 4) >> 28 == 0)
    ppp = was == _PPP
    framed = ppp & (window.u16(here) == 0xFF03)
    short = ppp & ~framed & ((first & 1) > 0)
    said = window.u16(here + np.where(framed, 2, 0))
    said = np.where(short, first, said)
    snap = (was < 0x600) & (window.u32(here) == 0xAAAA0300) & (was > 0)
    step = np.select(
        [vlan, word, mpls, was == _PPPOE, framed, short, ppp, was == _ETHERNET, snap],
        [4, 8, 4, 6, 4, 1, 2, 14, 8],
        0,
    )
    then = np.select(
        [vlan, bottom, mpls, was == _PPPOE, ppp, was == _RAW, was == _ETHERNET, snap],
        [
            window.u16(here + 2),
            inner,
            was,
            np.full_like(was, _PPP),
            np.select([said == 0x21, said == 0x57], [_IP4, _IP6], _ARP_LIKE),
            nibble,
            window.u16(here + 12),
            window.u16(here + 6),
        ],
        _ARP_LIKE,
    )
    here = here + step
    at[rows] = np.minimum(here, end[rows])
    kind[rows] = np.where(here < end[rows], then, _ARP_LIKE)


@dataclass(slots=True)
class _Columns:
    """The packets of a block while IP headers are taken off them, in place."""

    window: _Window
    at: Numbers
    end: Numbers
    missing: Numbers
    kind: Numbers
    transport: Numbers
    source: np.ndarray[tuple[int, int], np.dtype[np.uint64]]
    target: np.ndarray[tuple[int, int], np.dtype[np.uint64]]

    def ip4(self, rows: Numbers) -> list[Fragment]:
        """Take off IPv4 headers (RFC 791)."""
        self.kind[rows] = _ARP_LIKE
        first = self.window.u8[self.at[rows]]
        rows = rows[(self.end[rows] - self.at[rows] >= 20) & (first >> 4 == 4) & (first & 15 > 4)]
        here, look = self.at[rows], self.window
        length = look.u16(here + 2)
        # A length of 0 is what a card that cuts segments by itself leaves for the capture.
        self._ends(rows, np.where(length == 0, self.end[rows] - here, length))
        for halves, place in ((self.source, 12), (self.target, 16)):
            halves[rows, 0] = 0
            halves[rows, 1] = look.u32(here + place).astype(np.uint64) | _MAPPED
        pieces = look.u16(here + 6) & 0x3FFF
        protocol = look.u8[here + 9].astype(np.int64)
        self.at[rows] = here + 4 * (look.u8[here] & 15).astype(np.int64)
        broken = np.flatnonzero(pieces)
        found = [
            self._fragment(
                int(rows[i]),
                look.u8[here[i] + 4 : here[i] + 6].tobytes() + bytes([protocol[i]]),
                int(pieces[i] & 0x1FFF) * 8,
                more=bool(pieces[i] & 0x2000),
            )
            for i in broken.tolist()
        ]
        protocol[broken] = 0
        self._carries(rows, protocol)
        return found

    def ip6(self, rows: Numbers) -> list[Fragment]:
        """Take off IPv6 headers (RFC 8200) and those that extend them."""
        self.kind[rows] = _ARP_LIKE
        rows = rows[
            (self.end[rows] - self.at[rows] >= 40) & (self.window.u8[self.at[rows]] >> 4 == 6)
        ]
        here, look = self.at[rows], self.window
        length = look.u16(here + 4)
        self._ends(rows, np.where(length == 0, self.end[rows] - here, length + 40))
        for halves, place in ((self.source, 8), (self.target, 24)):
            halves[rows, 0], halves[rows, 1] = look.u64(here + place), look.u64(here + place + 8)
        following = look.u8[here + 6].astype(np.int64)
        here = here + 40
        found: list[Fragment] = []
        for _ in range(_ROUNDS):
            extended = np.isin(following, _EXTENSIONS)
            split = following == _FRAGMENT
            inside = here + 8 <= self.end[rows]
            # A protocol of 0 goes nowhere: it is what an attack or a broken packet ends as.
            following = np.where((extended | split) & ~inside, 255, following)
            extended, split = extended & inside, split & inside
            if not extended.any() and not split.any():
                break
            here = np.minimum(here, self.end[rows])
            pieces = look.u16(here + 2)
            for i in np.flatnonzero(split & (pieces & 0xFFF9 > 0)).tolist():
                self.at[rows[i]] = here[i] + 8
                identity = look.u8[here[i] + 4 : here[i] + 8].tobytes() + bytes([look.u8[here[i]]])
                found.append(
                    self._fragment(
                        int(rows[i]), identity, int(pieces[i] & 0xFFF8), more=bool(pieces[i] & 1)
                    )
                )
            whole = look.u8[here].astype(np.int64)
            size = look.u8[here + 1].astype(np.int64)
            step = np.where(following == 51, 4 * (size + 2), 8 * (size + 1))
            step = np.where(split, 8, step)
            done = split & (pieces & 0xFFF9 > 0)
            here = np.where(extended | split, here + step, here)
            following = np.where(extended | split, whole, following)
            following = np.where(done, 255, following)
        self.at[rows] = np.minimum(here, self.end[rows])
        self._carries(rows, following)
        return found

    def _ends(self, rows: Numbers, length: Numbers) -> None:
        """Let packets end where their header says: behind that is padding."""
        stated = self.at[rows] + length
        self.missing[rows] = np.maximum(stated - self.end[rows], 0)
        self.end[rows] = np.minimum(self.end[rows], stated)

    def _carries(self, rows: Numbers, protocol: Numbers) -> None:
        """Note what is inside: TCP or UDP, or another header to take off."""
        ported = (protocol == TCP) | (protocol == UDP)
        self.transport[rows] = np.where(ported, protocol, 0)
        here = np.minimum(self.at[rows], self.end[rows])
        plain = (protocol == _GRE) & (self.window.u16(here) == 0)
        inner = np.select(
            [protocol == 4, protocol == 41, plain], [_IP4, _IP6, self.window.u16(here + 2)], 0
        )
        self.kind[rows] = inner
        self.at[rows] = here + np.where(plain, 4, 0)

    def _fragment(self, row: int, identity: bytes, offset: int, *, more: bool) -> Fragment:
        key = self.source[row].tobytes() + self.target[row].tobytes() + identity
        start, end = int(self.at[row]), int(self.end[row])
        return Fragment(row, key, offset, more, self.window.u8[start:end].tobytes())


def _ported(  # noqa: PLR0913, PLR0917 - the columns of one table
    window: _Window,
    row: Numbers,
    transport: Numbers,
    source: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
    target: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
    at: Numbers,
    end: Numbers,
    missing: Numbers,
) -> Payloads:
    """Take off the headers of TCP (RFC 9293) and UDP (RFC 768)."""
    tcp = transport == TCP
    at = np.minimum(at, end)
    size = np.where(tcp, 4 * (window.u8[at + 12].astype(np.int64) >> 4), 8)
    stated = window.u16(at + 4)
    stop = np.where(tcp | (stated < 8), end, np.minimum(end, at + stated))
    good = (end - at >= np.where(tcp, 20, 8)) & (~tcp | (size >= 20))
    start = np.minimum(at + size, stop)
    keep = np.flatnonzero(good)
    at_kept = at[keep]
    return Payloads(
        window.u8, row[keep], transport[keep], source[keep], target[keep],
        window.u16(at_kept), window.u16(at_kept + 2), start[keep], stop[keep], missing[keep],
        np.where(tcp[keep], window.u32(at_kept + 4), 0),
        np.where(tcp[keep], window.u8[at_kept + 13], 0).astype(np.int64),
    )  # fmt: skip


class Fragments:
    """Datagrams of which some pieces are still on their way; the oldest are given up."""

    MOST = 1024
    """Datagrams that are waited for."""
    LARGEST = 65_535

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, tuple[dict[int, bytes], int | None]] = OrderedDict()

    def add(self, fragment: Fragment) -> bytes | None:
        """Take a piece; return the datagram where it is the last that was missing.

        What is returned is a packet of raw IP again.
        """
        pieces, total = self._waiting.pop(fragment.key, ({}, None))
        end = fragment.offset + len(fragment.data)
        held = sum(map(len, pieces.values()))
        if end > self.LARGEST - 40 or len(pieces) > 128 or held > self.LARGEST:
            return None
        pieces.setdefault(fragment.offset, fragment.data)
        if not fragment.more:
            total = end
        whole = _joined(pieces, total) if total is not None else None
        if whole is not None:
            return _datagram(fragment.key, whole)
        self._waiting[fragment.key] = (pieces, total)
        if len(self._waiting) > self.MOST:
            self._waiting.popitem(last=False)
        return None


def _joined(pieces: dict[int, bytes], total: int) -> bytes | None:
    """Return pieces in their order, the first one winning where they overlap; None for a gap."""
    whole = bytearray()
    for offset in sorted(pieces):
        if offset > len(whole):
            return None
        whole += pieces[offset][len(whole) - offset :]
    return bytes(whole[:total]) if len(whole) >= total else None


def _datagram(key: bytes, data: bytes) -> bytes:
    """Return a raw IP packet, whole, from the key of its fragments."""
    halves = np.frombuffer(key[:32], np.uint64)
    source, target = halves[:2].byteswap().tobytes(), halves[2:].byteswap().tobytes()
    protocol = key[-1]
    if len(key) == 32 + 3:
        head = b"\x45\0" + (20 + len(data)).to_bytes(2, "big") + b"\0\0\0\0\x40"
        return head + bytes([protocol]) + b"\0\0" + source[12:] + target[12:] + data
    head = b"\x60\0\0\0" + len(data).to_bytes(2, "big") + bytes([protocol]) + b"\x40"
    return head + source + target + data


def raw_packets(whole: list[tuple[int, bytes]], like: Packets) -> Packets:
    """Return raw IP packets as a block; each takes number and time of a row of another block."""
    rows = np.array([row for row, _ in whole], np.int64)
    size = np.array([len(data) for _, data in whole], np.int64)
    at = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)[:-1]])
    data = np.frombuffer(b"".join(data for _, data in whole) + bytes(PADDING), np.uint8)
    link = np.full_like(rows, 101)
    return Packets(data, like.number[rows], at, size, size, like.time[rows], link, like.end)
