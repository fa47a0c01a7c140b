"""Lays the objects of a JSON document out as lines: one event each, as every log has them.

Portals and interfaces export their events as one array, in one line or indented; message queues put
some into an object around them. Here what is around is made blank, each comma between events a line
end and each line end inside one a blank, so that every byte keeps its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import numpy as np

_LOOKED: Final = 4096
"""Bytes at the start of a text that tell whether it is such a document."""
_LISTS: Final = rb"records|value|events|logs|logevents|entries|items|data|results|hits"
_FLAT: Final = rb"(?>[^{}\[\]]|\{[^{}\[\]]*\})*?"
_ARRAY: Final = re.compile(rb'\s*\[\s*\{\s*"')
_QUEUED: Final = re.compile(rb'(?i)\s*\{\s*"(?:%b)"\s*:\s*\[\s*\{\s*"' % _LISTS)
_AROUND: Final = re.compile(
    rb'(?i)\s*\{%b(?:"\w+"\s*:\s*(\{)%b)?"(?:%b)"\s*:\s*\[\s*\{\s*"' % (_FLAT, _FLAT, _LISTS)
)
_ONE_A_LINE: Final = re.compile(rb"\s*\{[^\n]*\}[ \t]*\n\s*\{")
_INDENTED: Final = re.compile(rb'\s*\{[ \t]*\n\s+"')


def level(start: bytes) -> int | None:
    """Return how many brackets are around each event of a document; None for any other text.

    >>> level(b'[{"a": 1}]'), level(b'{"records": [{"a": 1}]}'), level(b'{"a": [1]}')
    (1, 2, None)
    """
    looked = start[:_LOOKED]
    if _ARRAY.match(looked):
        return 1
    around = _AROUND.match(looked)
    # In a log of lines an event may hold such a list; only a message of a queue begins with it.
    if around and (not _ONE_A_LINE.match(start) or _QUEUED.match(looked)):
        return 3 if around[1] else 2
    return 0 if _INDENTED.match(looked) else None


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a text with each event in a line, if it is a document that holds events.

    The first piece must be long enough to tell. Where a document is broken, it goes on with a later
    line that begins with an object.
    """
    rest = iter(pieces)
    first = next(rest, b"")
    base = level(first)
    if base is None:
        yield from chain((first,) if first else (), rest)
        return
    # What is compiled takes half a second to begin, and most logs are no documents.
    from agent.leveling import begun, level_out  # noqa: PLC0415

    state = begun(base)
    for piece in chain((first,), rest):
        data = np.frombuffer(bytearray(piece), np.uint8)
        level_out(data, state)
        yield data.tobytes()
