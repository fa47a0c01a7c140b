"""Finds the values of ``key=value`` pairs: each key of a format is a column, each line a row.

Devices write pairs in three ways: between delimiters, with quotes around a value that may hold one
(``keyvalue``); between blanks, which values hold as well, so that only the next key ends one
(``cef``); and between delimiters that each line states for itself (``leef``). In all three the
first pair of a key counts, so that nothing that comes later in a line can speak for it.

Here every byte of a log is looked at, so this is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agent.compiled import compiled
from agent.model import COLONS
from agent.spans import HALF, INLINE, KEPT, Bytes, Places, Text, Words

Flags = NDArray[np.bool_]
Pairs = NDArray[np.int32]
"""A column for each pair: its line, where its key begins, its sign, where its value ends, and the
sign that may stand around that, as blanks may."""
_Part = NDArray[np.int32]

_LINE, _BEGIN, _SIGN, _END, _AROUND = range(5)
_WORD = 8
_BLANKS = 4
"""So many blanks may stand between a delimiter and a key, or around a value."""
_TAB, _BLANK, _PIPE, _QUOTE, _EQUALS, _LESS, _MORE, _X = map(ord, '\t |"=<>x')
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_PARTS = 5
"""Parts of a LEEF header that each line has; a sixth may follow."""
_BUCKETS, _BUCKET = 256, np.uint64(56)
"""A bucket is the upper eight bits of a product."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""The golden ratio (Knuth's multiplicative hashing)."""


def _table(letters: bytes) -> Flags:
    """Return which bytes are some letters; those of other scripts are none."""
    return np.isin(np.arange(256), list(letters))


_LETTER = _table(_LETTERS)
_NAME = _table(_LETTERS + b".[]-")
"""What the name of a key is made of, where blanks stand between pairs."""
_HEX = np.array(
    [int(chr(code), 16) if chr(code) in "0123456789abcdefABCDEF" else -1 for code in range(256)]
)
_UNLIKE = np.array([8 * (_WORD - max(1, size)) for size in range(_WORD + 1)], np.uint64)
"""By how many bits a word is shifted, so that so many of its last bytes are left."""


def columns(
    text: Text,
    cut: str,
    delimiter: str,
    keys: Sequence[str],
    *,
    loose: bool = False,
    colons: bool = False,
) -> list[pa.Array]:
    """Return a column of values for each key, empty where a line does not have it.

    A ``loose`` value may hold delimiters without quotes around it, up to the next key. ``colons``
    stand for the equals signs of ``keyvalue``, each before a blank or a quote.
    """
    signed = text
    for colon, equals in COLONS if colons else ():
        signed = signed.replaced(colon.encode(), equals.encode())
    pairs = np.empty((5, np.count_nonzero(signed.array == _EQUALS)), np.int32)
    match cut:
        case "cef":
            count = _spaced(text.array, text.starts, text.ends, pairs)
        case "leef":
            # So relays write a tab.
            tabbed = text.replaced(b"#011", b"\t   ") if b"#011" in text.data else text
            tab = _TAB if b"\t" in tabbed.data else 0
            count = _stated(tabbed.array, text.starts, text.ends, pairs, tab)
        case _:
            count = _delimited(signed.array, text.starts, text.ends, pairs, ord(delimiter), loose)
    names = [key.encode() for key in keys]
    views = np.zeros((len(names), len(text.starts), 2), np.uint64)
    _picked(text.array, text.words, tuple(pairs[:, :count]), *_looked_for(names), views)
    return [text.viewed(own) for own in views]


def _looked_for(names: Sequence[bytes]) -> tuple[Bytes, Words, Places, Places, Places]:
    """Return all names in one array, the last bytes and the edges of each, and a hash table.

    That is the first name of each bucket and the name behind each name in its bucket; -1 is none.
    """
    tails = np.array([int.from_bytes(name[-_WORD:], "little") for name in names], np.uint64)
    heads, nexts = np.full(_BUCKETS, -1), np.full(len(names), -1)
    for number, bucket in enumerate(((tails * _SPREAD) >> _BUCKET).tolist()):
        heads[bucket], nexts[number] = number, heads[bucket]
    edges = np.cumsum([0, *map(len, names)])
    return np.frombuffer(b"".join(names), np.uint8), tails, edges, heads, nexts


@compiled
def _picked(
    data: Bytes,
    words: Words,
    pairs: tuple[_Part, ...],
    names: Bytes,
    tails: Words,
    edges: Places,
    heads: Places,
    nexts: Places,
    views: Words,
) -> None:
    """Make a view of the first value that each line has of each key."""
    lines, begins, signs, ends, arounds = pairs
    seen = np.full(len(tails), -1)
    for pair in range(len(lines)):
        line, begin, sign = lines[pair], begins[pair], signs[pair]
        size = sign - begin
        if size < 1:
            continue
        tail = words[sign - _WORD] >> _UNLIKE[min(size, _WORD)]
        number = heads[(tail * _SPREAD) >> _BUCKET]
        while number >= 0:
            edge, next_edge = edges[number], edges[number + 1]
            alike = tails[number] == tail and next_edge - edge == size
            if alike and (size <= _WORD or _begins(data, begin, names[edge:next_edge])):
                break
            number = nexts[number]
        if number < 0 or seen[number] == line:
            continue
        seen[number] = line
        end, around, start = ends[pair], arounds[pair], sign + 1
        last = min(start + _BLANKS, end)
        while start < last and (data[start] == _BLANK or data[start] == around):
            start += 1
        last = max(end - _BLANKS, start)
        while end > last and (data[end - 1] == _BLANK or data[end - 1] == around):
            end -= 1
        _view(words, start, end - start, views[number, line])


@compiled
def _begins(data: Bytes, begin: int, name: Bytes) -> bool:
    """Tell whether what a name has before its last word stands from a place on."""
    for place in range(len(name) - _WORD):
        if data[begin + place] != name[place]:
            return False
    return True


@compiled
def _view(words: Words, start: int, size: int, view: Words) -> None:
    """Make a view of some bytes.

    It is of two words: length and first four bytes, and where it starts in the text; or up to
    twelve bytes themselves (Arrow columnar format, "Variable-size Binary View Layout").
    """
    view[0] = np.uint64(size) | (words[start] & KEPT[min(size, 4)]) << HALF
    if size > INLINE:
        view[1] = np.uint64(start) << HALF
    elif size > 4:
        view[1] = words[start + 4] & KEPT[size - 4]


@compiled
def _delimited(
    data: Bytes, starts: Places, ends: Places, pairs: Pairs, mark: int, loose: bool
) -> int:
    """Find pairs between delimiters of which a value may hold some between quotes.

    A value is quoted from a quote behind ``=`` to the next one in its line. A quote elsewhere, as
    inside a browser's name, opens nothing.
    """
    count = 0
    for line in range(len(starts)):
        start, end, own = starts[line], ends[line], count
        first = _behind_priority(data, start)
        place, begin, sign = start, start, -1
        while place <= end:
            here = data[place]
            if place == end or here == mark:
                if sign >= 0:
                    begin = _behind_blanks(data, max(begin, first))
                    _note(pairs, count, line, begin, sign, place, _QUOTE)
                    count += 1
                elif loose and count > own and data[pairs[_END, count - 1] - 1] != _QUOTE:
                    pairs[_END, count - 1] = place
                begin, sign = place + 1, -1
            elif here == _EQUALS:
                if sign < 0:
                    sign = place
            elif here == _QUOTE and data[place - 1] == _EQUALS:
                close = place + 1
                while close < end and data[close] != _QUOTE:
                    close += 1
                if close < end:
                    place = close
            place += 1
    return count


@compiled
def _note(
    pairs: Pairs, number: int, line: int, begin: int, sign: int, end: int, around: int
) -> None:
    """Fill a column; a tuple would be made for each first."""
    pairs[_LINE, number] = line
    pairs[_BEGIN, number] = begin
    pairs[_SIGN, number] = sign
    pairs[_END, number] = end
    pairs[_AROUND, number] = around


@compiled
def _behind_blanks(data: Bytes, begin: int) -> int:
    """Return where a key begins behind its delimiter: some set a blank there."""
    last = begin + _BLANKS
    while begin < last and data[begin] == _BLANK:
        begin += 1
    return begin


@compiled
def _behind_priority(data: Bytes, start: int) -> int:
    """Return where a line begins, behind the priority that a relay may have set: ``<13>``."""
    if data[start] == _LESS:
        for size in range(2, 5):
            if data[start + size] == _MORE:
                return start + size + 1
    return start


@compiled
def _spaced(data: Bytes, starts: Places, ends: Places, pairs: Pairs) -> int:
    """Find pairs between blanks, a value going on until the next key."""
    count = 0
    for line in range(len(starts)):
        count = _spaced_of(data, line, starts[line], ends[line], starts[line], pairs, count)
    return count


@compiled
def _spaced_of(
    data: Bytes, line: int, start: int, end: int, first: int, pairs: Pairs, count: int
) -> int:
    """Find such pairs of one line; keys before ``first`` are of its header. Returns how many."""
    lead, ended = start - 1, count
    for place in range(start, end):
        if _NAME[data[place]]:
            continue
        if data[place] == _EQUALS and lead + 1 < place:
            led = data[lead]
            if led == _BLANK:
                # What began before a key behind a blank ends with that.
                pairs[_END, ended:count] = lead
                ended = count
            if lead + 1 >= first and led in (_BLANK, _PIPE, _TAB):
                _note(pairs, count, line, lead + 1, place, end, _BLANK)
                count += 1
        lead = place
    return count


@compiled
def _stated(data: Bytes, starts: Places, ends: Places, pairs: Pairs, tab: int) -> int:
    """Find the pairs of LEEF 1.0 and 2.0 behind their five or six header parts.

    Pairs stand between tabs; version 2.0 may name another delimiter, as a sign or in hex, in a
    sixth part. Some devices go on with ``|``; relays may have made blanks of tabs. ``tab`` is 0
    where no line has one.
    """
    count = 0
    for line in range(len(starts)):
        start, end = starts[line], ends[line]
        fifth = start - 1
        for _ in range(_PARTS):
            fifth = _next(data, _PIPE, fifth + 1, end)
        sixth = _next(data, _PIPE, fifth + 1, end)
        first, mark = fifth + 1, 0
        # A part that holds a pair is no header.
        if sixth < end and _next(data, _EQUALS, fifth, sixth) == sixth:
            first, mark = sixth + 1, _delimiter(data, fifth + 1, sixth)
        if mark == 0 and tab and _next(data, tab, first, end) < end:
            mark = tab
        elif mark == 0 and _next(data, _PIPE, first, end) < end:
            mark = _PIPE
        if mark == 0:
            count = _spaced_of(data, line, start, end, first, pairs, count)
            continue
        begin = first
        while begin <= end:
            sign = begin
            while sign < end and data[sign] != _EQUALS and data[sign] != mark:
                sign += 1
            close = _next(data, mark, sign, end)
            if sign < close:
                _note(pairs, count, line, _behind_blanks(data, begin), sign, close, _QUOTE)
                count += 1
            begin = close + 1
    return count


@compiled
def _delimiter(data: Bytes, start: int, end: int) -> int:
    """Return the delimiter that a part of a header states, as a sign or in hex; 0 for none."""
    size = end - start
    if size == 1 and not _LETTER[data[start]]:
        return int(data[start])
    if 3 <= size <= 6 and (data[start] == _X or data[start + 1] == _X):
        high, low = _HEX[data[end - 2]], _HEX[data[end - 1]]
        if 0 <= high < 8 and low >= 0:
            return int(16 * high + low)
    return 0


@compiled
def _next(data: Bytes, sign: int, place: int, end: int) -> int:
    """Return where a sign stands from a place on, the end where nowhere before it."""
    while place < end and data[place] != sign:
        place += 1
    return min(place, end)
