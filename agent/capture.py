"""Packets to the relation of events: which names a network asks for, and which it hides.

Read are DNS queries, the server names of TLS and QUIC, and HTTP requests. What is encrypted whole
is counted: DNS over TLS, HTTPS and QUIC, and Encrypted ClientHello. The columns are those of
``agent.parse``; ``line_no`` is the number of the packet that completes a message.
"""

from __future__ import annotations

import gc
import ipaddress
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agent import first_words, greetings, questions
from agent.first_words import Said
from agent.layers import LINKS, TCP, UDP, Fragments, Payloads, payloads, raw_packets
from agent.packet_files import NEVER, Bytes, Numbers, Packets, Reader, Truths
from agent.quic import SALTS, Initials
from agent.replies import Replies, Talks
from agent.resolvers import Resolvers, load_resolvers
from agent.streams import Recent, Stream, Streams

FORMAT = "capture"
"""What stands for a format where a file holds packets."""
KIND = "mixed"
BLOCK = 1 << 23
"""Bytes of packets that are looked at together."""
_IDLE = 120_000_000
"""Microseconds without a packet after which a connection is taken for closed."""
_FOREVER = 1 << 62
_TALKS = 50_000
"""Connections whose bytes are counted at a time."""
_DNS, _ENCRYPTED_DNS = 53, 853
_ANSWER = 0x80
"""The bit that tells an answer, in the third byte of a DNS message (RFC 1035, 4.1.1)."""
_HELLO = 0x16
_METHODS = np.unique(
    [int.from_bytes(f"{method} "[:4].encode(), "big") for method in first_words.METHODS]
)
_INITIALS = np.zeros(256, np.bool_)
_INITIALS[[ord(method[0]) for method in first_words.METHODS]] = True
HIDDEN = "not visible: "
"""What an outcome starts with that counts a conversation whose names nobody on the path sees."""
_NO_NAME = "not a name"
_CUT = "cut short when it was captured"
_UNFINISHED = "the capture has only the beginning of it"

Halves = np.ndarray[tuple[int, int], np.dtype[np.uint64]]
Flows = np.ndarray[tuple[int], np.dtype[np.uint64]]


@dataclass(frozen=True, slots=True)
class Part:
    """What some packets of a file say."""

    events: pa.Table
    """line_no, outcome and ``agent.model.FIELDS``; packets that say nothing have no row.

    The first event of a connection comes when that has ended, with all bytes of its frames; a DNS
    question when it is answered, with those of both.
    """
    packets: int
    end: int
    """Offset in the unpacked file behind the last of them."""
    trail: bytes
    """The bytes just before ``end``."""


class _Event(NamedTuple):
    """One row before it is a row of a table."""

    number: int
    time: int
    outcome: str | None
    client: bytes
    server: bytes
    host: str | None = None
    method: str | None = None
    bytes_out: int | None = None
    bytes_in: int | None = None


class _Packet(NamedTuple):
    """One segment or datagram that is looked into."""

    number: int
    time: int
    client: bytes
    server: bytes
    port: int
    flow: int
    """What stands for its sender, receiver and their ports."""
    sequence: int
    missing: int
    data: bytes


def endpoints() -> tuple[Mapping[str, str], ...]:
    """Return kind, operator and host of what hides names from any log."""
    return load_resolvers().endpoints


class Capture:
    """Reads one capture file."""

    def __init__(self, block: int = BLOCK, trail: int = 0) -> None:
        """Look at about ``block`` bytes together; say ``trail`` bytes of what was before."""
        self._reader = Reader(block, trail)
        self._resolvers: Resolvers = load_resolvers()
        self._operator = lru_cache(1 << 16)(self._resolvers.by_host)
        self._fragments, self._initials = Fragments(), Initials()
        self._replies = Replies(SCHEMA)
        self._streams, self._understood, self._hiding = Streams(self._give_up), Recent(), Recent()
        self._talks: dict[int, int] = {}
        """Connections whose server is known: flow to the row of ``sums`` with its bytes."""
        self._sums = np.zeros((0, 3), np.int64)
        """Bytes of the client, bytes to it, and the time when it was met last."""
        self._waiting: list[tuple[Any, ...]] = []
        """Flow of a connection and fields of an event, until the connection has ended.

        Plain tuples: of those, the garbage collector looks at each but once.
        """
        self._now = self._closed = 0
        self._events: list[_Event] = []
        self._tables: list[pa.Table] = []
        # Nobody who writes packets may know which flows are taken for one another.
        self._mix = [np.uint64(secrets.randbits(64) | 1) for _ in range(6)]

    @property
    def trouble(self) -> str | None:
        """Why reading stopped before the end of the file, None where it did not."""
        return self._reader.trouble

    def read(self, pieces: Iterable[bytes], start: int = 0) -> Iterator[Part]:
        """Yield what the packets of a file say, from offset ``start`` on.

        ``pieces`` are the bytes of the whole file, for its start says how to read the rest.
        """
        end, trail = start, b""
        for packets in self._reader.packets(pieces):
            if packets.end <= start:
                continue
            fresh = _behind(packets, start)
            with _uninterrupted():
                self._look(fresh)
                events = self._table()
            end, trail = packets.end, packets.trail
            yield Part(events, len(fresh), end, trail)
        with _uninterrupted():
            self._streams.end_all()
            self._close(_FOREVER)
            self._tables.append(self._replies.end())
            events = self._table()
        if len(events):
            yield Part(events, 0, end, trail)

    def _look(self, packets: Packets) -> None:
        carried, fragments = payloads(packets)
        self._now = int(packets.time.max(initial=self._now))
        self._names(carried, packets)
        self._weigh(carried, packets)
        whole = [
            (fragment.row, datagram)
            for fragment in fragments
            if (datagram := self._fragments.add(fragment)) is not None
        ]
        if whole:
            joined = raw_packets(whole, packets)
            self._names(payloads(joined)[0], joined)
        self._strange(packets)
        self._close(self._now - _IDLE)

    def _strange(self, packets: Packets) -> None:
        """Note packets of links that nobody here can read."""
        for row in np.flatnonzero(~np.isin(packets.link, list(LINKS))).tolist():
            what = f"link type {packets.link[row]} is not read"
            at = int(packets.number[row]), int(packets.time[row])
            self._events.append(_Event(*at, what, b"", b""))

    def _names(self, carried: Payloads, packets: Packets) -> None:
        udp = carried.transport == UDP
        self._queries(carried, packets, udp)
        self._answers(carried, packets, np.flatnonzero(carried.source_port == _DNS))
        self._datagrams(carried, packets, udp)
        self._segments(carried, packets)

    def _queries(self, carried: Payloads, packets: Packets, udp: Truths) -> None:
        """Read DNS over UDP: all datagrams at once."""
        rows = np.flatnonzero(udp & (carried.target_port == _DNS))
        if not len(rows) and not len(self._replies):
            return
        kept, names = questions.asked(carried.data, carried.at[rows], carried.end[rows])
        rows = rows[kept]
        at = carried.row[rows]
        events = _columns(
            packets.number[at],
            packets.time[at],
            pc.if_else(names.is_null(), _NO_NAME, pa.scalar(None, pa.string())),
            _addresses(carried.source[rows]),
            names,
            bytes_out=pa.array(packets.wire[at]),
        )
        back = udp & (carried.source_port == _DNS) & (carried.data[carried.at + 2] >= _ANSWER)
        answers = np.flatnonzero(back)
        at = carried.row[answers]
        found = (
            self._talk(carried, answers, back=True),
            packets.number[at],
            packets.time[at],
            packets.wire[at],
        )
        asked = self._talk(carried, rows)
        self._tables.append(self._replies.meet(events, asked, found, self._now))

    def _talk(self, carried: Payloads, rows: Numbers, *, back: bool = False) -> Talks:
        """Return what question and answer have in common: their flow, and the first two bytes."""
        number = (_words(carried.data, carried.at[rows]) >> 16).astype(np.uint64)
        return self._flows(carried, rows, back=back) + number * self._mix[0]

    def _answers(self, carried: Payloads, packets: Packets, rows: Numbers) -> None:
        """Read what DNS answers with another name; over TCP, behind the length of the message.

        An answer repeats its question: it is no event of its own.
        """
        if not len(rows):
            return
        start = carried.at[rows] + np.where(carried.transport[rows] == TCP, 2, 0)
        found, names, aliases = questions.answered(carried.data, start, carried.end[rows])
        if found:
            rows = rows[found]
            at = carried.row[rows]
            self._tables.append(
                _columns(
                    packets.number[at],
                    packets.time[at],
                    pa.array(["other"] * len(rows), pa.string()),
                    _addresses(carried.target[rows]),
                    pa.array(names, pa.string()),
                    alias=pa.array(aliases, pa.string()),
                )
            )

    def _datagrams(self, carried: Payloads, packets: Packets, udp: Truths) -> None:
        """Read the first packets of QUIC, and note DNS over QUIC."""
        data, at = carried.data, carried.at
        rows = np.flatnonzero(udp & (data[at] & 0xC0 == 0xC0) & (carried.end - at > 40))
        rows = rows[np.isin(_words(data, at[rows] + 1), list(SALTS))]
        hidden = np.flatnonzero(udp & (carried.target_port == _ENCRYPTED_DNS))
        for packet in self._first_of(carried, packets, hidden):
            self._hide(packet, "DNS over QUIC", None)
        for packet in _picked(carried, packets, rows, self._flows(carried, rows)):
            said = self._initials.add(packet.flow, packet.data)
            if said is not None:
                self._say(said, packet)

    def _segments(self, carried: Payloads, packets: Packets) -> None:
        """Read what TCP carries: segments that begin a message, and those that go on with one."""
        size = carried.end - carried.at
        rows = np.flatnonzero((carried.transport == TCP) & (size > 0))
        size, at, data = size[rows], carried.at[rows], carried.data
        first = data[at]
        begins = (first == _HELLO) & ((size < 2) | (data[at + 1] == 3))
        begins &= (size < 6) | (data[at + 5] == 1)
        begins |= (first >= ord("A")) & (first <= ord("Z")) & (size < 4)
        letters = np.flatnonzero(_INITIALS[first])
        begins[letters] |= np.isin(_words(data, at[letters]), _METHODS)
        hidden = rows[carried.target_port[rows] == _ENCRYPTED_DNS]
        for packet in self._first_of(carried, packets, hidden):
            said = first_words.hello_of_records(packet.data)
            self._hide(packet, "DNS over TLS", said.host if said else None)
        dns = carried.target_port[rows] == _DNS
        begins &= ~dns
        flows = self._flows(carried, rows)
        incomplete, taken = set[int](), list[int]()
        starts = np.flatnonzero(begins)
        begun = rows[starts]
        for place, packet, heard in zip(
            starts.tolist(),
            _picked(carried, packets, begun, flows[starts]),
            greetings.heard(data, carried.at[begun], carried.end[begun]),
            strict=True,
        ):
            if heard is not None:
                self._understand([heard], packet)
            elif not self._one(packet):
                if packet.flow in self._streams:
                    incomplete.add(place)
                else:
                    stream = self._streams.begin(packet.flow, _stream(packet))
                    stream.add(packet.sequence, packet.data)
                    taken.append(place)
        waited = dns
        if len(self._streams):
            waited = dns | np.isin(flows, np.array(self._streams.flows(), np.uint64))
            waited[taken] = False
        places = np.flatnonzero(waited)
        for place, packet in zip(
            places.tolist(), _picked(carried, packets, rows[places], flows[places]), strict=True
        ):
            self._more(packet, begins=place in incomplete or packet.port == _DNS)

    def _one(self, packet: _Packet) -> bool:
        """Understand a segment by itself; return whether nothing more is needed."""
        if not packet.missing and first_words.goes_on(packet.data):
            return False
        said = _understood(packet.data)
        if not all(one.whole for one in said):
            if not packet.missing:
                return False
            self._note(packet, _CUT)
        if said:
            self._understand(said, packet)
        return True

    def _understand(self, said: list[Said], packet: _Packet) -> None:
        """Take what a segment says that was not met before: some are sent twice."""
        if not self._understood.met(packet.flow, packet.sequence):
            for one in said:
                self._say(one, packet)

    def _more(self, packet: _Packet, *, begins: bool) -> None:
        """Put a segment where it belongs, and read the message if it is whole now."""
        stream = self._streams.get(packet.flow)
        if stream is None or not stream.fits(packet.sequence):
            if not begins or (packet.flow, packet.sequence) in self._understood:
                return
            stream = self._streams.begin(packet.flow, _stream(packet))
        grown = stream.add(packet.sequence, packet.data)
        stream.ended = stream.ended or bool(packet.missing)
        if grown and packet.port == _DNS:
            self._ask(stream, packet)
        elif grown:
            said = _understood(bytes(stream.data))
            if all(one.whole for one in said):
                self._streams.end(packet.flow)
                self._understood.met(packet.flow, stream.start)
                for one in said:
                    self._say(one, packet)
        if stream.ended and packet.flow in self._streams:
            self._streams.end(packet.flow)
            self._give_up(stream)

    def _ask(self, stream: Stream[_Packet], packet: _Packet) -> None:
        """Read the DNS queries at the start of a stream."""
        before = len(stream.data)
        found = questions.messages(stream.data)
        stream.drop(before - len(stream.data))
        if not found:
            return
        data = np.frombuffer(b"".join(found) + bytes(64), np.uint8)
        ends = np.cumsum([len(message) for message in found])
        _, names = questions.asked(data, ends - [len(message) for message in found], ends)
        for name in names.to_pylist():
            outcome = None if name else _NO_NAME
            self._events.append(
                _Event(packet.number, packet.time, outcome, packet.client, b"", name)
            )

    def _give_up(self, stream: Stream[_Packet]) -> None:
        """Take what there is of a message whose end never came."""
        if stream.began.port == _DNS:
            return
        for one in _understood(bytes(stream.data)):
            self._say(one, stream.began)
            if not one.host:
                self._note(stream.began, _UNFINISHED)

    def _say(self, said: Said, packet: _Packet) -> None:
        """Make an event of what a client said, or count that it hid it."""
        if said.encrypted and said.host and (who := self._resolvers.by_cover(said.host)):
            self._hide(packet, "Encrypted ClientHello", None, who)
            return
        if said.host:
            at, ends = (packet.number, packet.time), (packet.client, packet.server)
            self._talks.setdefault(packet.flow, len(self._talks))
            self._waiting.append((packet.flow, *at, None, *ends, said.host, said.method))
        if said.method is None and packet.port != _ENCRYPTED_DNS:
            operator = (
                self._operator(said.host)
                if said.host
                else self._resolvers.addresses.get(packet.server)
            )
            if operator:
                self._hide(packet, "DNS over HTTPS", None, operator)

    def _hide(self, packet: _Packet, how: str, host: str | None, who: str | None = None) -> None:
        """Count a conversation whose names cannot be seen."""
        who = who or (self._operator(host) if host else None)
        who = who or self._resolvers.addresses.get(packet.server) or "a resolver of no known name"
        self._note(packet, f"{HIDDEN}{how}, {who}")

    def _note(self, packet: _Packet, outcome: str) -> None:
        """Count a packet for what it is instead of an event."""
        ends = packet.client, packet.server
        self._events.append(_Event(packet.number, packet.time, outcome, *ends))

    def _first_of(self, carried: Payloads, packets: Packets, rows: Numbers) -> list[_Packet]:
        """Return the first packet of each conversation that was not met before."""
        flows, firsts = np.unique(self._flows(carried, rows), return_index=True)
        found = _picked(carried, packets, rows[firsts], flows)
        return [packet for packet in found if not self._hiding.met(packet.flow)]

    def _weigh(self, carried: Payloads, packets: Packets) -> None:
        """Count the bytes of connections whose server is known, frames and all."""
        count, new = len(self._talks), len(self._talks) - len(self._sums)
        if not count:
            return
        self._sums = np.concatenate([self._sums, np.full((new, 3), [0, 0, self._now])])
        flows_of = np.fromiter(self._talks, np.uint64, count)
        order = np.argsort(flows_of)
        # A question of DNS and its answer are no connection, and often half of all packets.
        asked = (carried.target_port == _DNS) | (carried.source_port == _DNS)
        rows = np.flatnonzero(~asked)
        ordered, sizes = flows_of[order], packets.wire[carried.row[rows]]
        for way in (0, 1):
            flows = self._flows(carried, rows, back=way == 1)
            place = np.minimum(np.searchsorted(ordered, flows), count - 1)
            known = np.flatnonzero(ordered[place] == flows)
            talks = order[place[known]]
            self._sums[:, way] += np.bincount(talks, sizes[known], count).astype(np.int64)
            self._sums[talks, 2] = self._now

    def _close(self, before: int) -> None:
        """Hand out the events of connections that were not met since some time, or are too many."""
        many = len(self._talks) > _TALKS
        if not many and before < self._closed + _IDLE:
            return
        self._closed = before
        new = len(self._talks) - len(self._sums)
        self._sums = np.concatenate([self._sums, np.full((new, 3), [0, 0, self._now])])
        if many:
            before = max(before, int(np.median(self._sums[:, 2])) + 1)
        ended = self._sums[:, 2] < before
        talks = np.array([self._talks[row[0]] for row in self._waiting], np.int64)
        over = ended[talks]
        sizes = np.zeros((len(talks), 2), np.int64)
        firsts = np.unique(talks, return_index=True)[1]
        sizes[firsts] = self._sums[talks[firsts], :2]
        # Nothing seen of one direction is nothing known: half a mirror is common.
        self._events += [
            _Event(*row[1:], *(size or None for size in both))
            for row, both in zip(compress(self._waiting, over), sizes[over].tolist(), strict=True)
        ]
        self._waiting = [*compress(self._waiting, ~over)]
        self._talks = {flow: row for row, flow in enumerate(compress(self._talks, ~ended))}
        self._sums = self._sums[~ended]

    def _flows(self, carried: Payloads, rows: Numbers | slice, *, back: bool = False) -> Flows:
        """Return a number for each sender, receiver and their ports, or that of the way back."""
        source, target = carried.source[rows], carried.target[rows]
        sender, receiver = carried.source_port[rows], carried.target_port[rows]
        if back:
            source, target, sender, receiver = target, source, receiver, sender
        ports = (sender << 16 | receiver).astype(np.uint64)
        parts = (source[:, 0], source[:, 1], target[:, 0], target[:, 1], ports)
        mixed = np.zeros(len(source), np.uint64)
        for part, odd in zip(parts, self._mix, strict=False):
            mixed += part * odd
            mixed ^= mixed >> np.uint64(29)
        return mixed * self._mix[5]

    def _table(self) -> pa.Table:
        """Return all events that were found, in the order of their packets."""
        if self._events:
            number, time, outcome, client, server, host, method, sent, got = zip(
                *self._events, strict=True
            )
            self._tables.append(
                _columns(
                    np.array(number, np.int64),
                    np.array(time, np.int64),
                    pa.array(outcome, pa.string()),
                    _texts(client),
                    pa.array(host, pa.string()),
                    _texts(server),
                    pa.array(method, pa.string()),
                    pa.array(sent, pa.int64()),
                    pa.array(got, pa.int64()),
                )
            )
        tables, self._tables, self._events = self._tables, [], []
        if not tables:
            return SCHEMA.empty_table()
        return pa.concat_tables(tables).sort_by("line_no")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Python look for garbage that holds itself behind a block instead of many times in it.

    None of it is made here, and each look takes as long as there are packets that wait.
    """
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()


SCHEMA = pa.schema(
    {
        "line_no": pa.int64(),
        "outcome": pa.string(),
        "ts": pa.timestamp("us"),
        "client": pa.string(),
        "user": pa.string(),
        "host": pa.string(),
        "dest_ip": pa.string(),
        "method": pa.string(),
        "bytes_out": pa.int64(),
        "bytes_in": pa.int64(),
        "blocked": pa.bool_(),
        "user_agent": pa.string(),
        "department": pa.string(),
        "alias": pa.string(),
    }
)
"""The columns of events, as ``agent.parse.events_sql`` makes them."""


def _columns(  # noqa: PLR0913, PLR0917 - the columns of one table
    number: Numbers,
    time: Numbers,
    outcome: pa.Array,
    client: pa.Array,
    host: pa.Array,
    server: pa.Array | None = None,
    method: pa.Array | None = None,
    bytes_out: pa.Array | None = None,
    bytes_in: pa.Array | None = None,
    alias: pa.Array | None = None,
) -> pa.Table:
    timeless = pa.array(time == NEVER)
    outcome = pc.if_else(timeless, "time not understood", outcome)
    given = {
        "line_no": pa.array(number),
        "outcome": outcome,
        "ts": pa.array(time, pa.timestamp("us"), mask=time == NEVER),
        "client": client,
        "host": host,
        "dest_ip": server,
        "method": method,
        "bytes_out": bytes_out,
        "bytes_in": bytes_in,
        "alias": alias,
    }
    columns = [
        pa.nulls(len(number), kind) if (column := given.get(name)) is None else column
        for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _addresses(halves: Halves) -> pa.Array:
    """Return addresses as text; each distinct one is spelled once."""
    raw = np.ascontiguousarray(halves.astype(">u8")).tobytes()
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(halves), [None, pa.py_buffer(raw)]
    ).dictionary_encode()
    return _texts(column.dictionary.to_pylist()).take(column.indices)


def _texts(addresses: Iterable[bytes]) -> pa.Array:
    return pa.array([_spelled(address) for address in addresses], pa.string())


@lru_cache(1 << 16)
def _spelled(address: bytes) -> str | None:
    """Return an address as people write it.

    >>> _spelled(bytes(10) + bytes([255, 255, 192, 0, 2, 1]))
    '192.0.2.1'
    """
    if not address:
        return None
    if address[:12] == bytes(10) + b"\xff\xff":
        return str(ipaddress.IPv4Address(address[12:]))
    return str(ipaddress.IPv6Address(address))


def _picked(carried: Payloads, packets: Packets, rows: Numbers, flows: Flows) -> list[_Packet]:
    """Return some segments or datagrams one by one."""
    at, view = carried.row[rows], carried.data.data
    source = carried.source[rows].astype(">u8").tobytes()
    target = carried.target[rows].astype(">u8").tobytes()
    places = range(0, 16 * len(rows), 16)
    columns = (
        packets.number[at],
        packets.time[at],
        carried.target_port[rows],
        flows,
        carried.sequence[rows],
        carried.missing[rows],
        carried.at[rows],
        carried.end[rows],
    )
    return [
        _Packet(
            number, time, source[place : place + 16], target[place : place + 16],
            port, flow, sequence, missing, bytes(view[start:end]),
        )
        for place, number, time, port, flow, sequence, missing, start, end in zip(
            places, *(column.tolist() for column in columns), strict=True
        )
    ]  # fmt: skip


def _stream(packet: _Packet) -> Stream[_Packet]:
    return Stream(packet.sequence, packet)


def _words(data: Bytes, at: Numbers) -> Numbers:
    """Return the four bytes at some places as numbers."""
    words = np.ndarray((len(data) - 4,), ">u4", data, strides=(1,))[at]
    return words.astype(np.int64)


def _understood(data: bytes) -> list[Said]:
    """Read what a client says at the start of some bytes; an empty list where it is neither."""
    if data.startswith(b"\x16"):
        said = first_words.hello_of_records(data)
        return [] if said is None else [said]
    return first_words.requests(data)


def _behind(packets: Packets, start: int) -> Packets:
    """Leave out packets that were read by an earlier scan."""
    if packets.begin >= start:
        return packets
    keep = packets.at + packets.begin >= start
    columns = ("number", "at", "size", "wire", "time", "link")
    chosen = {name: getattr(packets, name)[keep] for name in columns}
    return Packets(packets.data, end=packets.end, **chosen)
