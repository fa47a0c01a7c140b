"""The server names in ClientHellos that lie whole in one segment, for many segments at once.

Most do, and in one TLS record. ``agent.first_words`` reads any other, one by one, and says the same
of these. The structure is that of RFC 8446 section 4.1.2; the name's that of RFC 6066 section 3.
"""

from __future__ import annotations

import numpy as np

from agent.first_words import Said
from agent.packet_files import Bytes, Numbers, Truths, two

_RECORD, _RANDOM_END = 5, 38
_HANDSHAKE, _MAJOR, _CLIENT_HELLO = 22, 3, 1
_LARGEST = 1 << 14
"""Bytes of a record (RFC 8446 section 5.1)."""
_SERVER_NAME, _ENCRYPTED_HELLO, _HOST_NAME = 0, 0xFE0D, 0
_EXTENSIONS = 48
"""Extensions that are looked at; browsers send some twenty."""
_LETTER = np.zeros(256, np.uint8)
"""A byte of a name as it is kept: lower case; 0 for what no name holds."""
_LETTER[0x21:0x7F] = np.arange(0x21, 0x7F)
_LETTER[ord("A") : ord("Z") + 1] += 32


def heard(data: Bytes, at: Numbers, end: Numbers) -> list[Said | None]:
    """Return what each segment says; None for one that must be read by itself.

    ``at`` and ``end`` say where segments lie; some bytes that are no segment's are behind them.
    """
    found: list[Said | None] = [None] * len(at)
    rows = np.flatnonzero(end - at > _RECORD + _RANDOM_END)
    start = at[rows] + _RECORD
    record, size = two(data, start - 2), _one(data, start + 1) << 16 | two(data, start + 2)
    good = (data[start - 5] == _HANDSHAKE) & (data[start - 4] == _MAJOR) & (record <= _LARGEST)
    good &= (data[start] == _CLIENT_HELLO) & (size >= _RANDOM_END) & (size + 4 <= record)
    good &= start + 4 + size <= end[rows]
    rows, start, stop = rows[good], start[good], (start + 4 + size)[good]
    place = start + _RANDOM_END
    for number, width in ((_one, 1), (two, 2), (_one, 1)):  # session, ciphers, compression
        place += width + number(data, place)
        rows, place, stop = _kept(place + 2 <= stop, rows, place, stop)
    stop = np.minimum(stop, place + 2 + two(data, place))
    first, names, hides = _extensions(data, place + 2, stop)
    size = two(data, first + 3)
    good = (names == 1) & (data[first + 2] == _HOST_NAME) & (size > 0)
    good &= size + 5 <= two(data, first - 2)
    rows, first, size = _kept(good, rows, first + 5, size)
    for row, name, hidden in zip(
        rows.tolist(), _texts(data, first, size), hides[good].tolist(), strict=True
    ):
        if name is not None:
            found[row] = Said(name, encrypted=hidden)
    return found


def _extensions(data: Bytes, place: Numbers, stop: Numbers) -> tuple[Numbers, Numbers, Truths]:
    """Return where each hello has its server_name, how many it has, and whether it hides another.

    One that has more extensions than are looked at has no name.
    """
    first, names = np.full(len(place), 2), np.zeros(len(place), np.int64)
    hides = np.zeros(len(place), np.bool_)
    rows = np.arange(len(place))
    for _ in range(_EXTENSIONS):
        rows = rows[place[rows] + 4 <= stop[rows]]
        if not len(rows):
            return first, names, hides
        here = place[rows]
        kind, begin = two(data, here), here + 4
        behind = begin + two(data, here + 2)
        inside = behind <= stop[rows]
        named = inside & (kind == _SERVER_NAME)
        first[rows[named]] = begin[named]
        names[rows[named]] += 1
        hides[rows[inside & (kind == _ENCRYPTED_HELLO)]] = True
        place[rows] = behind
        rows = rows[inside]
    names[rows] = 0
    return first, names, hides


def _texts(data: Bytes, first: Numbers, size: Numbers) -> list[str | None]:
    """Return names as text; None for one that holds what no name does."""
    ends = np.cumsum(size)
    place = np.repeat(first - ends + size, size) + np.arange(ends[-1] if len(ends) else 0)
    text = _LETTER[data[place]].tobytes().decode("latin-1")
    names = (text[end - n : end] for end, n in zip(ends.tolist(), size.tolist(), strict=True))
    return [None if "\0" in name else name for name in names]


def _kept(good: Truths, *columns: Numbers) -> list[Numbers]:
    return [column[good] for column in columns]


def _one(data: Bytes, at: Numbers) -> Numbers:
    return data[at].astype(np.int64)
