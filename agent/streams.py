"""TCP put in order, where a message needs several segments, and never without bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

LONGEST = 1 << 15
"""Bytes that are waited for; no ClientHello and no head of a request is longer."""
_PIECES = 256
"""Segments behind a gap; who sends more of them means harm."""
_TURN = 1 << 32
_Packet = TypeVar("_Packet")


@dataclass(slots=True)
class Stream(Generic[_Packet]):
    """One direction of a connection, from the start of a message on."""

    start: int
    """Sequence number of the first byte of ``data``."""
    began: _Packet
    """The packet that it was met in first."""
    data: bytearray = field(default_factory=bytearray)
    ahead: dict[int, bytes] = field(default_factory=dict)
    """Segments behind a gap, by the place of their first byte."""
    ended: bool = False
    """Whether more is of no use: too long, or cut short when it was captured."""

    def fits(self, sequence: int) -> bool:
        """Tell whether a segment can belong to the message."""
        return (sequence - self.start) % _TURN < LONGEST

    def add(self, sequence: int, segment: bytes) -> bool:
        """Put a segment in its place; return whether ``data`` has grown."""
        place = (sequence - self.start) % _TURN
        if place > len(self.data):
            waiting = sum(map(len, self.ahead.values()))
            if waiting + len(segment) > LONGEST or len(self.ahead) > _PIECES:
                self.ended = True
            elif len(segment) > len(self.ahead.get(place, b"")):
                self.ahead[place] = segment
            return False
        before = len(self.data)
        self.data += segment[len(self.data) - place :]
        while self.ahead and (first := min(self.ahead)) <= len(self.data):
            self.data += self.ahead.pop(first)[len(self.data) - first :]
        self.ended = self.ended or len(self.data) > LONGEST
        return len(self.data) > before

    def drop(self, count: int) -> None:
        """Forget bytes at the start that were understood; ``data`` is without them already."""
        self.start = (self.start + count) % _TURN
        self.ahead = {place - count: data for place, data in self.ahead.items() if place >= count}


class Streams(Generic[_Packet]):
    """Streams by flow; where there are too many, the oldest is given up."""

    MOST = 4096

    def __init__(self, given_up: Callable[[Stream[_Packet]], None]) -> None:
        """Call ``given_up`` with each stream that is not waited for any longer."""
        self._open: OrderedDict[int, Stream[_Packet]] = OrderedDict()
        self._given_up = given_up

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, flow: int) -> bool:
        return flow in self._open

    def flows(self) -> list[int]:
        """Return the flows that are waited for."""
        return list(self._open)

    def get(self, flow: int) -> Stream[_Packet] | None:
        """Return the stream of a flow."""
        return self._open.get(flow)

    def begin(self, flow: int, stream: Stream[_Packet]) -> Stream[_Packet]:
        """Wait for the rest of a message."""
        if (old := self._open.pop(flow, None)) is not None:
            self._given_up(old)
        self._open[flow] = stream
        if len(self._open) > self.MOST:
            self._given_up(self._open.popitem(last=False)[1])
        return stream

    def end(self, flow: int) -> None:
        """Wait no longer."""
        self._open.pop(flow, None)

    def end_all(self) -> None:
        """Give up all of them: nothing more will come."""
        for stream in self._open.values():
            self._given_up(stream)
        self._open.clear()


class Recent:
    """The last few thousand things that were met."""

    MOST = 1 << 16

    def __init__(self) -> None:
        self._met: OrderedDict[tuple[int, int], None] = OrderedDict()

    def met(self, flow: int, what: int = 0) -> bool:
        """Tell whether this was met before, and remember it."""
        if (flow, what) in self._met:
            return True
        self._met[flow, what] = None
        if len(self._met) > self.MOST:
            self._met.popitem(last=False)
        return False

    def __contains__(self, met: tuple[int, int]) -> bool:
        return met in self._met
