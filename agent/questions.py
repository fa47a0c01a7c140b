"""The names that DNS queries ask for: RFC 1035 section 4.1, thousands of datagrams at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agent.packet_files import Bytes, Numbers

_HEADER = 12
_LABELS = 128
"""No name has more."""
_NOT_A_QUERY = 0xF800
"""The bit of an answer, and an operation other than a standard query."""

_LETTER = np.zeros(256, np.uint8)
"""A byte of a label as it is kept: lower case; 0 for what stands in no name that can be shown."""
_LETTER[0x21:0x7F] = np.arange(0x21, 0x7F)
_LETTER[ord(".")] = 0
_LETTER[ord("A") : ord("Z") + 1] += 32


def asked(data: Bytes, at: Numbers, end: Numbers) -> tuple[Numbers, pa.Array]:
    """Return which of some datagrams are queries, and the name that each of those asks for.

    ``at`` and ``end`` say where the DNS messages lie. A name is null where its bytes are no text.
    Names of the root, which only resolvers ask for, and reverse look-ups are left out.
    """
    flags = data[at + 2].astype(np.int64) << 8
    asks = (end - at > _HEADER + 4) & (flags & _NOT_A_QUERY == 0)
    asks &= (data[at + 4] > 0) | (data[at + 5] > 0)
    rows = np.flatnonzero(asks)
    first, stop, dots, owners = _walk(data, at[rows] + _HEADER, end[rows])
    good = np.flatnonzero(stop > first)
    rows, first = rows[good], first[good]
    size = stop[good] - first - 1
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
    place = np.repeat(first + 1 - offsets[:-1], size) + np.arange(offsets[-1])
    text = _LETTER[data[place]]
    number = np.full(len(asks), -1, np.int64)
    number[good] = np.arange(len(good))
    owner = number[owners]
    dots, owner = dots[owner >= 0], owner[owner >= 0]
    text[dots - first[owner] - 1 + offsets[owner]] = ord(".")
    odd = np.zeros(len(rows), np.bool_)
    odd[np.searchsorted(offsets, np.flatnonzero(text == 0), side="right") - 1] = True
    text[text == 0] = ord("?")
    names = pa.StringArray.from_buffers(
        len(rows), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(text)
    )
    wanted = ~_reverse(text, offsets)
    names = pc.if_else(pa.array(odd), pa.scalar(None, pa.string()), names)
    return rows[wanted], names.filter(pa.array(wanted))


def _walk(data: Bytes, first: Numbers, end: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Go from label to label.

    Return where each name begins and ends, the end being the beginning for what is no name, and
    the places between labels with the row that each belongs to.
    """
    stop, at = first.copy(), first.copy()
    rows = np.arange(len(first))
    dots, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for _ in range(_LABELS):
        if not len(rows):
            break
        here = at[rows]
        size = data[here].astype(np.int64)
        done = size == 0
        stop[rows[done]] = here[done]
        going = ~done & (size < 64) & (here + size + 5 < end[rows])
        inner = going & (here > first[rows])
        dots.append(here[inner])
        owners.append(rows[inner])
        rows = rows[going]
        at[rows] = here[going] + size[going] + 1
    stop = np.where(stop - first > 254, first, stop)
    return first, stop, np.concatenate(dots), np.concatenate(owners)


def _reverse(text: Bytes, offsets: Numbers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which names are those of addresses."""
    tail = np.frombuffer(b".arpa", np.uint8)
    last = offsets[1:]
    long = last - offsets[:-1] >= len(tail)
    padded = np.concatenate([np.zeros(len(tail), np.uint8), text])
    equal = [padded[last + place] == letter for place, letter in enumerate(tail.tolist())]
    return np.asarray(long & np.logical_and.reduce(equal))


def messages(stream: bytearray) -> list[bytes]:
    """Take the whole messages off the start of a stream of DNS over TCP (RFC 1035, 4.2.2)."""
    found: list[bytes] = []
    while len(stream) > 2:
        size = int.from_bytes(stream[:2], "big")
        if len(stream) < 2 + size:
            break
        found.append(bytes(stream[2 : 2 + size]))
        del stream[: 2 + size]
    return found
