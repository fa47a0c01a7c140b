"""Finds the values of ``key=value`` pairs, for all lines of a text and each key at once.

Devices write pairs in three ways: between delimiters, with quotes around a value that may hold one
(``keyvalue``); between blanks, which values hold as well, so that only the next key ends one
(``cef``); and between delimiters that each line states for itself (``leef``). In all three the
first pair of a key counts, so that nothing that comes later in a line can speak for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agent.spans import Bytes, Places, Text

Flags = NDArray[np.bool_]
_WORD = 8
_BLANKS = 4
"""So many blanks may stand between a delimiter and a key, or around a value."""
_FAR = np.iinfo(np.int64).max
_TAB, _FEED, _BLANK, _PIPE, _QUOTE, _EQUALS, _LESS, _MORE, _X = (
    np.uint8(ord(sign)) for sign in '\t\n |"=<>x'
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


def _table(letters: str) -> Flags:
    """Return which bytes are some letters; those of other scripts are none."""
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(letters.encode(), np.uint8)] = True
    return table


_NO_NAME = bytes(~_table(f"{_LETTERS}.[]-"))
"""Marks what the name of a key is not made of, where blanks stand between pairs."""
_WORDS = _table(_LETTERS)
_HEX = np.array(
    [int(chr(code), 16) if chr(code) in "0123456789abcdefABCDEF" else -1 for code in range(256)]
)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The pairs of a text in order, a row each: place after place in its array."""

    lines: Places
    begins: Places
    """Where the key begins."""
    signs: Places
    """The sign behind the key."""
    starts: Places
    ends: Places
    """Where the value starts and ends."""
    around: Bytes
    """The sign that may stand around the value, as blanks may."""


def columns(
    text: Text, cut: str, delimiter: str, keys: Sequence[str], *, prefixed: bool
) -> list[pa.Array]:
    """Return a column of values for each key, empty where a line does not have it.

    ``prefixed`` tells that a relay's prefix may stand before the first pair.
    """
    if not len(text.starts):
        return [text.column(text.starts, text.ends) for _ in keys]
    match cut:
        case "cef":
            found = _spaced(text)
        case "leef":
            found = _stated(text)
        case _:
            marks = np.full(len(text.starts), ord(delimiter), np.uint8)
            found = _delimited(text, _behind_priority(text), marks, quoted=True)
            if prefixed and delimiter != " ":
                found = _behind_prefix(text, found)
    return _picked(text, found, [key.encode() for key in keys])


def _picked(text: Text, found: _Pairs, keys: Sequence[bytes]) -> list[pa.Array]:
    """Return the values of each key, of the first pair that a line has of it."""
    sizes = found.signs - found.begins
    unlike = 8 * (_WORD - np.clip(sizes, 1, _WORD))
    words = text.words(found.signs - _WORD) >> unlike.astype(np.uint64)
    tails = [int.from_bytes(key[-_WORD:], "little") for key in keys]
    known = np.unique(np.array(tails, np.uint64))
    # A word is looked for once, however many keys there are.
    at = np.minimum(np.searchsorted(known, words), len(known) - 1)
    hits = np.flatnonzero(known[at] == words)
    alike = at[hits].astype(np.uint16)
    order = np.argsort(alike, kind="stable")
    hits, edges = hits[order], np.searchsorted(alike[order], np.arange(len(known) + 1))
    lines, begins, sizes = found.lines[hits], found.begins[hits], sizes[hits]
    starts, ends = _bare(text.array, found, hits)
    columns = []
    for key, tail in zip(keys, tails, strict=True):
        number = np.searchsorted(known, np.uint64(tail))
        mine = np.arange(edges[number], edges[number + 1])
        mine = mine[sizes[mine] == len(key)]
        for place in range(len(key) - _WORD):
            mine = mine[text.array[begins[mine] + place] == key[place]]
        mine = mine[np.diff(lines[mine], prepend=-1) != 0]
        value = np.zeros((2, len(text.starts)), np.int64)
        value[0, lines[mine]], value[1, lines[mine]] = starts[mine], ends[mine]
        columns.append(text.column(*value))
    return columns


def _spaced(text: Text, of: Flags | None = None) -> _Pairs:
    """Return pairs between blanks, a value going on until the next key; of some lines only."""
    other = np.flatnonzero(np.frombuffer(text.data.translate(_NO_NAME), np.uint8))
    signs = np.flatnonzero(text.array[other] == _EQUALS)
    signs = signs[signs > 0]
    leads, signs = other[signs - 1], other[signs]
    lead = text.array[leads]
    real = (leads + 1 < signs) & ((lead == _BLANK) | (lead == _PIPE) | (lead == _TAB))
    if of is not None:
        real &= of[text.lines_of(signs)]
    signs, leads, ending = signs[real], leads[real], lead[real] == _BLANK
    lines = text.lines_of(signs)
    # The next pair of the line whose key stands behind a blank ends a value.
    following = np.append(np.where(ending, leads, _FAR), _FAR)
    following = np.minimum.accumulate(following[::-1])[::-1][1:]
    ends = np.minimum(following, text.ends[lines])
    around = np.full(len(signs), _BLANK)
    return _Pairs(lines, leads + 1, signs, signs + 1, ends, around)


def _delimited(text: Text, first: Places, marks: Bytes, *, quoted: bool) -> _Pairs:
    """Return pairs between delimiters; ``first`` tells where those of each line begin.

    ``marks`` are the delimiters, a line each, 0 for a line without pairs.
    """
    array = text.array
    wanted = (array == _EQUALS) | (array == _FEED)
    for mark in [*np.unique(marks[marks > 0]).tolist(), *([_QUOTE] if quoted else [])]:
        wanted |= array == mark
    # The first of these places is the line feed before the text.
    places = np.flatnonzero(wanted)
    signs = array[places]
    if quoted:
        kept = _unquoted(text, places, signs)
    else:
        feeds = signs == _FEED
        lines = np.minimum(np.cumsum(feeds) - 1, len(marks) - 1)
        own = (signs == _EQUALS) | (signs == marks[lines])
        kept = feeds | (own & (places >= first[lines]))
    places, signs = places[kept], signs[kept]
    stops = np.flatnonzero(signs != _EQUALS)
    parts = np.flatnonzero(np.diff(stops) > 1)
    lines = text.lines_of(places[stops[parts] + 1])
    if not marks.all():
        parts, lines = parts[marks[lines] > 0], lines[marks[lines] > 0]
    begins = np.maximum(places[stops[parts]] + 1, first[lines])
    for _ in range(_BLANKS):
        # Some set a blank behind the delimiter.
        blank = array[begins] == _BLANK
        if not blank.any():
            break
        begins += blank
    at, ends = places[stops[parts] + 1], places[stops[parts + 1]]
    return _Pairs(lines, begins, at, at + 1, ends, np.full(len(at), _QUOTE))


def _unquoted(text: Text, places: Places, signs: Bytes) -> Flags:
    """Return which signs are in no quoted value, and no quotes themselves.

    A value is quoted from a quote behind ``=`` to the next one in its line. A quote elsewhere, as
    inside a browser's name, opens nothing.
    """
    quotes = np.flatnonzero(signs == _QUOTE)
    lines, numbers = text.lines_of(places[quotes]), np.arange(len(quotes))
    behind = text.array[places[quotes] - 1] == _EQUALS
    # Of several such quotes in a row the second closes what the first opened.
    new = np.diff(lines, prepend=-1) > 0
    before = np.maximum.accumulate(np.where(behind, np.where(new, numbers - 1, -1), numbers))
    opens = np.flatnonzero(behind & ((numbers - before) % 2 == 1))
    opens = opens[opens + 1 < len(quotes)]
    opens = opens[lines[opens + 1] == lines[opens]]
    depth = np.zeros(len(signs), np.int8)
    depth[quotes[opens]], depth[quotes[opens + 1]] = 1, -1
    free: Flags = (np.cumsum(depth, dtype=np.int8) == 0) & (signs != _QUOTE)
    return free


def _bare(array: Bytes, found: _Pairs, mine: Places) -> tuple[Places, Places]:
    """Return where values of some pairs start and end without what may stand around them."""
    starts, ends, around = found.starts[mine], found.ends[mine], found.around[mine]
    for edges, step in ((starts, 1), (ends, -1)):
        more = np.arange(len(edges))
        for _ in range(_BLANKS):
            signs = array[edges[more] - (step < 0)]
            idle = (signs == _BLANK) | (signs == around[more])
            more = more[idle & (starts[more] < ends[more])]
            edges[more] += step
    return starts, ends


def _behind_priority(text: Text) -> Places:
    """Return where each line begins, behind the priority that a relay may have set: ``<13>``."""
    first = text.starts.copy()
    led = np.flatnonzero(text.array[first] == _LESS)
    for size in (4, 3, 2):
        begins = text.starts[led]
        closed = text.array[begins + size] == _MORE
        first[led[closed]] = begins[closed] + size + 1
    return first


def _behind_prefix(text: Text, found: _Pairs) -> _Pairs:
    """Return pairs, those that begin a line without the words of a relay before their keys."""
    begins, blanks = found.begins.copy(), text.found(" ")
    led = np.flatnonzero(begins == _behind_priority(text)[found.lines])
    if len(blanks):
        last = blanks[np.maximum(np.searchsorted(blanks, found.signs[led]) - 1, 0)] + 1
        inside = (last > begins[led]) & (last < found.signs[led])
        begins[led[inside]] = last[inside]
    return replace(found, begins=begins)


def _stated(text: Text) -> _Pairs:
    """Return the pairs of LEEF 1.0 and 2.0 behind their five or six header parts.

    Pairs stand between tabs; version 2.0 may name another delimiter, as a sign or in hex, in a
    sixth part. Some devices go on with ``|``; relays write a tab as ``#011``, or as a blank.
    """
    if b"#011" in text.data:
        text = text.replaced(b"#011", b"\t   ")
    array, pipes = text.array, text.found("|")
    edges = np.append(pipes, np.full(6, len(array) - _WORD))
    at = np.searchsorted(pipes, text.starts)
    fifth, sixth = np.minimum(edges[at + 4], text.ends), np.minimum(edges[at + 5], text.ends)
    # A part that holds a pair is no header.
    told = (sixth < text.ends) & (_next(text, "=", fifth) > sixth)
    begins = np.where(told, sixth, fifth) + 1
    size = sixth - fifth - 1
    sign = np.where(told & (size == 1) & ~_WORDS[array[fifth + 1]], array[fifth + 1], 0)
    high, low = _HEX[array[sixth - 2]], _HEX[array[sixth - 1]]
    hexed = told & (size >= 3) & (size <= 6) & (high >= 0) & (high < 8) & (low >= 0)
    hexed &= (array[fifth + 1] == _X) | (array[fifth + 2] == _X)
    sign = np.where(hexed, 16 * high + low, sign)
    tabbed, piped = (_next(text, usual, begins) < text.ends for usual in "\t|")
    usual = np.where(tabbed, _TAB, np.where(piped, _PIPE, 0))
    marks = np.where(sign > 0, sign, usual).astype(np.uint8)
    found = _delimited(text, begins, marks, quoted=False)
    if marks.all():
        return found
    bare = _spaced(text, marks == 0)
    behind = bare.begins >= begins[bare.lines]
    return _Pairs(
        *(
            np.append(getattr(found, field.name), getattr(bare, field.name)[behind])
            for field in fields(_Pairs)
        )
    )


def _next(text: Text, sign: str, places: Places) -> Places:
    """Return where a sign stands next from each place on, in any line; far away where nowhere."""
    found = np.append(text.found(sign), len(text.array))
    return found[np.searchsorted(found, places)]
