"""Finds the values of ``key=value`` pairs: each key of a format is a column, each line a row.

Devices write pairs in three ways: between delimiters, with quotes around a value that may hold one,
or without, where only keys that are known end it (``keyvalue``); between blanks, which values hold
as well, so that only the next key ends one (``cef``); and between delimiters that each line states
for itself (``leef``). In all three the first pair of a key counts, so that nothing that comes later
in a line can speak for it.

Here every byte of a log is looked at, so this is compiled.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agent import signs
from agent.compiled import compiled, inner
from agent.model import COLONS
from agent.signs import Signs, view
from agent.spans import Bytes, Places, Text, Words, words_of

Flags = NDArray[np.bool_]
Pairs = NDArray[np.int32]
"""A row for each pair: its line, where its key begins, its sign, where its value ends, and the
sign that may stand around that, as blanks may."""

_LINE, _BEGIN, _SIGN, _END, _AROUND = range(5)
_WORD = 8
_BLANKS = 4
"""So many blanks may stand between a delimiter and a key, or around a value."""
_TAB, _BLANK, _PIPE, _QUOTE, _EQUALS, _LESS, _MORE, _X = map(ord, '\t |"=<>x')
_OPEN, _CLOSE = map(ord, "[]")
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_PARTS = 5
"""Parts of a LEEF header that each line has; a sixth may follow."""
_STOPS, _ANY = list(b",;"), "*"
_NO_MARK = 0
_AT_ONCE = 64
"""Pairs of a line that are looked for first where they stood in the line before."""
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
    loose: Collection[str] = (),
    colons: bool = False,
    found: Places | None = None,
) -> list[pa.Array]:
    """Return a column of values for each key, empty where a line does not have it.

    A value may hold delimiters without quotes around it, up to the next of the ``loose`` keys; they
    may be any (``*``), and a comma or semicolon before a blank then is no part of it. ``colons``
    stand for the equals signs of ``keyvalue``, each before a blank or a quote. ``found`` are the
    ``bars`` of ``leef``, where they are known.
    """
    signed = text
    for colon, equals in COLONS if colons else ():
        signed = signed.replaced(colon.encode(), equals.encode())
    match cut:
        case "cef":
            pairs = _all_of(text, np.arange(len(text.starts)), text.starts, _NO_MARK, quotes=False)
        case "leef":
            pairs = _stated(text, bars(text, _PARTS) if found is None else found)
        case _:
            heads = _behind_priorities(signed.array, signed.starts)
            mark, lines = ord(delimiter), np.arange(len(heads))
            pairs = _all_of(signed, lines, heads, mark, quotes=True, loose=bool(loose))
            if loose and _ANY not in loose:
                pairs = pairs[: _joined(text.words, pairs, _looked_for({*keys, *loose}))]
            elif loose and delimiter == " ":
                # Some set commas as well, or semicolons.
                pairs[np.isin(signed.array[pairs[:, _END] - 1], _STOPS), _END] -= 1
    views = np.zeros((len(keys), len(text.starts), 2), np.uint64)
    _picked(text.array, text.words, pairs, _looked_for(keys), views)
    return [text.viewed(own) for own in views]


def bars(text: Text, many: int) -> Places:
    """Return where the first bars of each line stand, a row each; its end where it has fewer."""
    found = np.empty((len(text.starts), many), np.int64)
    _bars(text.array, text.starts, text.ends, found)
    return found


@compiled
def _bars(data: Bytes, starts: Places, ends: Places, found: Places) -> None:
    for line in range(len(starts)):
        place, end = starts[line] - 1, ends[line]
        for number in range(found.shape[1]):
            place = _next(data, _PIPE, place + 1, end)
            found[line, number] = place


def header(
    text: Text, found: Places, names: Sequence[str], asked: Collection[str]
) -> tuple[pa.Array, dict[str, pa.Array]]:
    """Return whether each line has all parts of a header, and those parts that are asked for.

    A bar of those ``found`` ends each part.
    """
    complete = (found[:, -1] < text.ends).astype(np.uint8)
    whole = pa.Array.from_buffers(pa.uint8(), len(complete), [None, pa.py_buffer(complete)])
    begins = np.column_stack([text.starts, found[:, :-1] + 1])
    parts = {
        name: text.column(np.minimum(begins[:, number], found[:, number]), found[:, number])
        for number, name in enumerate(names)
        if name in asked
    }
    return whole, parts


def _all_of(
    text: Text, lines: Places, heads: Places, mark: int, *, quotes: bool, loose: bool = False
) -> Pairs:
    """Return all pairs that some lines have behind their heads, between marks where they have one.

    ``quotes`` may stand around a value that holds marks.
    """
    marks = chr(mark) if mark else ""
    at = signs.places(text, f'={marks}"' if quotes else f"={marks}")
    # No pair is without its sign.
    pairs = np.empty((len(at), 5), np.int32)
    ends = text.ends[lines]
    if mark == _NO_MARK:
        count = _spaced(text.array, at, lines, text.starts[lines], heads, ends, pairs)
    else:
        count = _delimited(text.array, at, lines, heads, ends, pairs, mark, quotes, loose)
    return pairs[:count]


def _stated(text: Text, parts: Places) -> Pairs:
    """Return all pairs of LEEF 1.0 and 2.0: behind their headers, between what each line states.

    ``parts`` are the bars of that header.
    """
    # So relays write a tab. To look for one sign first takes a tenth of the time.
    if b"#" in text.data and b"#011" in text.data:
        text = text.replaced(b"#011", b"\t   ")
    heads, marks = np.empty_like(text.starts), np.empty_like(text.starts)
    tab = _TAB if b"\t" in text.data else _NO_MARK
    _headed(text.array, parts[:, -1], text.ends, heads, marks, tab)
    found = []
    for mark in np.unique(marks).tolist():
        lines = np.flatnonzero(marks == mark)
        found.append(_all_of(text, lines, heads[lines], mark, quotes=False))
    return np.concatenate(found) if found else np.empty((0, 5), np.int32)


class _Names(NamedTuple):
    """Names that are looked for, and a hash table of their last bytes; -1 is none."""

    words: Words
    """All names one behind the other: at each place the word that begins there."""
    tails: Words
    """The last bytes of each name."""
    edges: Places
    """Where each begins and ends."""
    heads: Places
    """The first name of each bucket."""
    nexts: Places
    """The name behind each name in its bucket."""


def _looked_for(keys: Collection[str]) -> _Names:
    names = [key.encode() for key in keys]
    tails = np.array([int.from_bytes(name[-_WORD:], "little") for name in names], np.uint64)
    heads, nexts = np.full(_BUCKETS, -1), np.full(len(names), -1)
    for number, bucket in enumerate(((tails * _SPREAD) >> _BUCKET).tolist()):
        heads[bucket], nexts[number] = number, heads[bucket]
    edges = np.cumsum([0, *map(len, names)])
    return _Names(words_of(b"".join((*names, bytes(_WORD)))), tails, edges, heads, nexts)


@compiled
def _picked(
    data: Bytes,
    words: Words,
    pairs: Pairs,
    names: _Names,
    views: Words,
) -> None:
    """Make a view of the first value that each line has of each key."""
    seen = np.full(len(names.tails), -1)
    # The lines of one device have the same keys in the same order.
    usual, usual_tail = np.full(_AT_ONCE, -1), np.zeros(_AT_ONCE, np.uint64)
    usual_size = np.zeros(_AT_ONCE, np.int64)
    place, own = 0, -1
    for pair in range(len(pairs)):
        line, begin, sign = pairs[pair, _LINE], pairs[pair, _BEGIN], pairs[pair, _SIGN]
        place, own = (place + 1, own) if line == own else (0, line)
        size = sign - begin
        if size < 1:
            continue
        tail = words[sign - _WORD] >> _UNLIKE[min(size, _WORD)]
        slot = place % _AT_ONCE
        if size <= _WORD and usual_tail[slot] == tail and usual_size[slot] == size:
            number = usual[slot]
        else:
            number = _number_of(words, begin, size, tail, names)
            usual[slot], usual_tail[slot], usual_size[slot] = number, tail, size
        if number < 0 or seen[number] == line:
            continue
        seen[number] = line
        end, around, start = pairs[pair, _END], pairs[pair, _AROUND], sign + 1
        last = min(start + _BLANKS, end)
        while start < last and (data[start] == _BLANK or data[start] == around):
            start += 1
        last = max(end - _BLANKS, start)
        while end > last and (data[end - 1] == _BLANK or data[end - 1] == around):
            end -= 1
        view(words, start, end - start, 0, views, number, line)


@compiled
def _joined(words: Words, pairs: Pairs, names: _Names) -> int:
    """Keep pairs whose key has a name; any other belongs to the value of the pair before it."""
    count = 0
    for pair in range(len(pairs)):
        begin, sign = pairs[pair, _BEGIN], pairs[pair, _SIGN]
        size = sign - begin
        tail = words[sign - _WORD] >> _UNLIKE[min(max(size, 1), _WORD)]
        if _number_of(words, begin, size, tail, names) >= 0:
            end, around = pairs[pair, _END], pairs[pair, _AROUND]
            _note(pairs, count, pairs[pair, _LINE], begin, sign, end, around)
            count += 1
        elif count > 0 and pairs[count - 1, _LINE] == pairs[pair, _LINE]:
            pairs[count - 1, _END] = pairs[pair, _END]
    return count


@inner
def _number_of(words: Words, begin: int, size: int, tail: int, names: _Names) -> int:
    """Return the number of the name that stands at a place and has so many bytes; -1 is none."""
    number: int = names.heads[(tail * _SPREAD) >> _BUCKET]
    while number >= 0:
        edge, alike = names.edges[number], names.tails[number] == tail
        alike = alike and names.edges[number + 1] - edge == size
        if alike and _begins(words, begin, names.words, edge, size - _WORD):
            return number
        number = names.nexts[number]
    return number


@inner
def _begins(words: Words, begin: int, names: Words, edge: int, size: int) -> bool:
    """Tell whether what a name has before its last word stands from a place on."""
    for place in range(0, size, _WORD):
        if words[begin + place] != names[edge + place]:
            return False
    return True


@compiled
def _delimited(
    data: Bytes,
    at: Signs,
    lines: Places,
    starts: Places,
    ends: Places,
    pairs: Pairs,
    mark: int,
    quotes: bool,
    loose: bool,
) -> int:
    """Find pairs between delimiters of which a value may hold some between quotes.

    A value is quoted from a quote behind ``=`` to the next one in its line. A quote elsewhere, as
    inside a browser's name, opens nothing. Brackets around all pairs belong to none of them.
    """
    count, number = 0, 0
    for own in range(len(lines)):
        begin, end, sign, first = starts[own], ends[own], -1, count
        while at[number] < begin:
            number += 1
        place = begin
        while place < end:
            place = at[number]
            number += 1
            here = data[place]
            if place == end or here == mark:
                if sign >= 0:
                    begin = _behind_blanks(data, begin)
                    if quotes and count == first:
                        begin = _inside(data, begin, sign)
                    stop = _before_bracket(data, sign, end) if quotes and place == end else place
                    _note(pairs, count, lines[own], begin, sign, stop, _QUOTE)
                    count += 1
                elif loose and count > first and data[pairs[count - 1, _END] - 1] != _QUOTE:
                    pairs[count - 1, _END] = place
                begin, sign = place + 1, -1
            elif here == _EQUALS:
                if sign < 0:
                    sign = place
                if quotes and data[place + 1] == _QUOTE:
                    close = number + 1
                    while at[close] < end and data[at[close]] != _QUOTE:
                        close += 1
                    if at[close] < end:
                        number = close + 1
    return count


@inner
def _note(
    pairs: Pairs, number: int, line: int, begin: int, sign: int, end: int, around: int
) -> None:
    """Fill a row; a tuple would be made for each first."""
    pairs[number, _LINE] = line
    pairs[number, _BEGIN] = begin
    pairs[number, _SIGN] = sign
    pairs[number, _END] = end
    pairs[number, _AROUND] = around


@inner
def _behind_blanks(data: Bytes, begin: int) -> int:
    """Return where a key begins behind its delimiter: some set a blank there."""
    last = begin + _BLANKS
    while begin < last and data[begin] == _BLANK:
        begin += 1
    return begin


@inner
def _inside(data: Bytes, begin: int, sign: int) -> int:
    """Return where a key begins behind a bracket, and behind a name in it (RFC 5424, 6.3)."""
    behind = -1
    for place in range(sign - 1, begin - 1, -1):
        if data[place] == _OPEN:
            return max(place + 1, behind)
        if data[place] == _BLANK and behind < 0:
            behind = place + 1
    return begin


@inner
def _before_bracket(data: Bytes, sign: int, end: int) -> int:
    """Return where the last value of a line ends: a bracket behind its quote is none of it."""
    stop = end
    while data[stop - 1] == _BLANK and stop - 1 > sign:
        stop -= 1
    closed = data[stop - 1] == _CLOSE and data[stop - 2] == _QUOTE and stop - 2 > sign
    return stop - 1 if closed else end


@compiled
def _behind_priorities(data: Bytes, starts: Places) -> Places:
    """Return where lines begin, behind the priority that a relay may have set: ``<13>``."""
    heads = starts.copy()
    for line in range(len(starts)):
        if data[starts[line]] == _LESS:
            for size in range(2, 5):
                if data[starts[line] + size] == _MORE:
                    heads[line] += size + 1
                    break
    return heads


@compiled
def _spaced(
    data: Bytes,
    at: Signs,
    lines: Places,
    starts: Places,
    heads: Places,
    ends: Places,
    pairs: Pairs,
) -> int:
    """Find pairs between blanks, a value going on until the next key.

    What stands before a head ends values as keys do, and is none.
    """
    count, number = 0, 0
    for own in range(len(lines)):
        start, end, ended = starts[own], ends[own], count
        while at[number] < start:
            number += 1
        while at[number] < end:
            place = at[number]
            number += 1
            lead = place - 1
            while lead >= start and _NAME[data[lead]]:
                lead -= 1
            if lead + 1 == place:
                continue
            led = data[lead]
            if led == _BLANK:
                # What began before a key behind a blank ends with that.
                pairs[ended:count, _END] = lead
                ended = count
            if lead + 1 >= heads[own] and led in (_BLANK, _PIPE, _TAB):
                _note(pairs, count, lines[own], lead + 1, place, end, _BLANK)
                count += 1
    return count


@compiled
def _headed(
    data: Bytes, fifths: Places, ends: Places, heads: Places, marks: Places, tab: int
) -> None:
    """Tell where pairs of LEEF lines begin, behind five or six header parts, and what is between.

    Pairs stand between tabs; version 2.0 may name another delimiter, as a sign or in hex, in a
    sixth part. Some devices go on with ``|``; relays may have made blanks of tabs. ``tab`` is 0
    where no line has one.
    """
    for line in range(len(fifths)):
        fifth, end = fifths[line], ends[line]
        sixth = _next(data, _PIPE, fifth + 1, end)
        head, mark = fifth + 1, _NO_MARK
        # A part that holds a pair is no header.
        if sixth < end and _next(data, _EQUALS, fifth, sixth) == sixth:
            head, mark = sixth + 1, _delimiter(data, fifth + 1, sixth)
        if mark == _NO_MARK and tab and _next(data, tab, head, end) < end:
            mark = tab
        elif mark == _NO_MARK and _next(data, _PIPE, head, end) < end:
            mark = _PIPE
        heads[line], marks[line] = min(head, end), mark


@inner
def _delimiter(data: Bytes, start: int, end: int) -> int:
    """Return the delimiter that a part of a header states, as a sign or in hex."""
    size = end - start
    if size == 1 and not _LETTER[data[start]]:
        return int(data[start])
    if 3 <= size <= 6 and (data[start] == _X or data[start + 1] == _X):
        high, low = _HEX[data[end - 2]], _HEX[data[end - 1]]
        if 0 <= high < 8 and low >= 0:
            return int(16 * high + low)
    return _NO_MARK


@inner
def _next(data: Bytes, sign: int, place: int, end: int) -> int:
    """Return where a sign stands from a place on, the end where nowhere before it."""
    while place < end and data[place] != sign:
        place += 1
    return min(place, end)
