"""The names that DNS queries ask for, and those that answers lead to: RFC 1035 section 4.1.

Thousands of datagrams at once; only an answer that begins with another name is read by itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agent.packet_files import Bytes, Numbers, Truths, two

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


def answered(data: Bytes, at: Numbers, end: Numbers) -> tuple[list[int], list[str], list[str]]:
    """Return which of some datagrams answer with another name, what was asked, and that name.

    Several names, each leading to the next, stand in their order with a blank between. Only
    questions for addresses count: what a name answers for mail is no name of it.
    """
    whole = np.flatnonzero(end - at > _HEADER + 4)
    at, end = at[whole], end[whole]
    good = (two(data, at + 2) & _ANSWER_MASK == _ANSWER) & (two(data, at + 4) == 1)
    rows = np.flatnonzero(good & (two(data, at + 6) > 0))
    first, stop, _, _ = _walk(data, at[rows] + _HEADER, end[rows])
    named = stop > first
    rows, stop = rows[named], stop[named]
    record = stop + 5
    # Owner, type, class, time and length of a record take 12 bytes where the owner is a pointer.
    wanted = np.isin(two(data, stop + 1), _ADDRESS_TYPES) & (record + 12 < end[rows])
    rows, record = rows[wanted], record[wanted]
    pointed = data[record] >= _POINTER
    wanted = ~pointed | (two(data, record + 2) == _CNAME)
    found: tuple[list[int], list[str], list[str]] = ([], [], [])
    met: dict[bytes, list[str]] = {}
    for row, first_record in zip(rows[wanted].tolist(), record[wanted].tolist(), strict=True):
        message = data[int(at[row]) : int(end[row])].tobytes()
        # Many ask alike; all but the time to live tells whether the answer is one that was read.
        place = first_record - int(at[row])
        key = message[_HEADER : place + 6] + message[place + 10 : place + 64]
        chain = met.get(key)
        if chain is None:
            chain = met[key] = _chain(message)
        if len(chain) > 1:
            found[0].append(int(whole[row]))
            found[1].append(chain[0])
            found[2].append(" ".join(chain[1:]))
    return found


_ANSWER, _ANSWER_MASK = 0x8000, 0xF80F
"""A standard query's answer without an error."""
_ADDRESS_TYPES = (1, 5, 28, 65)
_CNAME, _POINTER = 5, 0xC0
_STEPS, _RECORDS, _JUMPS = 8, 32, 16


def _chain(message: bytes) -> list[str]:
    """Return the name that a message answers for, and those that its CNAME records lead to."""
    name, at = _name(message, _HEADER)
    at += 4
    leads: dict[str, str] = {}
    for _ in range(min(int.from_bytes(message[6:8], "big"), _RECORDS)):
        owner, at = _name(message, at)
        kind, size = (int.from_bytes(message[at + i : at + i + 2], "big") for i in (0, 8))
        if not owner or at + 10 + size > len(message):
            break
        if kind == _CNAME:
            leads.setdefault(owner, _name(message, at + 10)[0])
        at += 10 + size
    names = [name]
    while names[-1] and len(names) <= _STEPS and leads.get(names[-1], name) not in names:
        names.append(leads[names[-1]])
    return names if all(names) else []


def _name(message: bytes, at: int) -> tuple[str, int]:
    """Return a name and where it ends; empty where it is no text, or points in circles."""
    labels, behind, left = list[str](), 0, _LABELS
    for _ in range(_JUMPS):
        while left and at < len(message) and 0 < message[at] < 64:
            label = message[at + 1 : at + 1 + message[at]]
            labels.append(bytes(_LETTER[list(label)]).decode("latin-1"))
            at, left = at + 1 + message[at], left - 1
        if at + 1 >= len(message) or message[at] < _POINTER:
            break
        behind = behind or at + 2
        at = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
    name = ".".join(labels)
    good = "\0" not in name and at < len(message) and message[at] == 0 and len(name) < 254
    return name if good else "", behind or at + 1


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


def _reverse(text: Bytes, offsets: Numbers) -> Truths:
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
