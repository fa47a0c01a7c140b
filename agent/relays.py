"""Tells where the line of a device begins behind what a relay has set before it.

That is a priority, a time, and who sent what: headers of RFC 3164 and RFC 5424, as relays write
them. ``agent.parse`` has the same as a pattern, for a few lines. A pattern takes about as long for
each line as all pairs in it, so this is compiled.
"""

from __future__ import annotations

import numpy as np

from agent.compiled import compiled, inner
from agent.spans import Bytes, Places, Text

_TAB, _BLANK, _DASH, _POINT, _COMMA, _COLON, _PLUS = map(ord, "\t -.,:+")
_LESS, _MORE, _OPEN, _CLOSE, _EQUALS, _QUOTE, _ONE, _T = map(ord, '<>[]="1T')
_DIGIT, _WORD, _HOST, _PROGRAM, _HEX, _SIX, _SPACE, _UPPER, _LOWER, _ZULU = (
    1 << n for n in range(10)
)
_NEITHER = -1


def _kinds() -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return for each byte which kinds of signs it is."""
    digits, lower = "0123456789", "abcdefghijklmnopqrstuvwxyz"
    word = f"{digits}{lower}{lower.upper()}_"
    found = np.zeros(256, np.int32)
    for kind, signs in {
        _DIGIT: digits,
        _WORD: word,
        _HOST: f"{word}.:-",
        _PROGRAM: f"{word}./()-",
        _HEX: f"{digits}abcdef",
        _SIX: f"{digits}abcdef:.",
        _SPACE: "\t\n\f\r ",
        _UPPER: lower.upper(),
        _LOWER: lower,
        _ZULU: "Zz",
    }.items():
        found[[ord(sign) for sign in signs]] |= kind
    return found


_KINDS = _kinds()


def behind(text: Text) -> Text:
    """Return the text with each line going on behind what a relay has set, and behind blanks."""
    return text.beginning(_behind(text.array, text.starts, text.ends))


@compiled
def _behind(data: Bytes, starts: Places, ends: Places) -> Places:
    found = starts.copy()
    for line in range(len(starts)):
        start = starts[line]
        priority = _priority(data, start)
        stamp = _stamp(data, max(start, priority))
        if stamp != _NEITHER:
            found[line] = _sender(data, stamp, ends[line])
        elif priority != _NEITHER:
            found[line] = priority
        found[line] = _over(data, found[line], _BLANK)
    return found


@inner
def _over(data: Bytes, place: int, sign: int) -> int:
    """Return the place behind all of a sign. The line feed behind each line is no sign."""
    while data[place] == sign:
        place += 1
    return place


@inner
def _run(data: Bytes, place: int, kind: int) -> int:
    """Return the place behind all signs of a kind."""
    while _KINDS[data[place]] & kind:
        place += 1
    return place


@inner
def _priority(data: Bytes, start: int) -> int:
    """Return the place behind a priority, as ``<134>``, ``<134> ``, or ``123 <134>1 ``."""
    place = _run(data, start, _DIGIT)
    if place > start:
        if data[place] != _BLANK:
            return _NEITHER
        place += 1
    if data[place] != _LESS:
        return _NEITHER
    more = _run(data, place + 1, _DIGIT)
    if not 1 <= more - place - 1 <= 3 or data[more] != _MORE:
        return _NEITHER
    version = data[more + 1] == _ONE and data[more + 2] == _BLANK
    return _over(data, more + 3 if version else more + 1, _BLANK)


@inner
def _digits(data: Bytes, place: int, many: int) -> bool:
    """Tell whether so many digits stand at a place."""
    for number in range(many):
        if not _KINDS[data[place + number]] & _DIGIT:
            return False
    return True


@inner
def _clock(data: Bytes, place: int) -> bool:
    """Tell whether ``09:00:00`` stands at a place."""
    if not _digits(data, place, 2) or data[place + 2] != _COLON:
        return False
    return _digits(data, place + 3, 2) and data[place + 5] == _COLON and _digits(data, place + 6, 2)


@inner
def _stamp(data: Bytes, place: int) -> int:
    """Return the place behind a time and what parts it from the rest."""
    place = _iso(data, place) if _digits(data, place, 4) else _bsd(data, place)
    if place == _NEITHER:
        return _NEITHER
    if data[place] == _COLON:
        place += 1
    rest = place
    while data[rest] in (_BLANK, _TAB):
        rest += 1
    return rest if rest > place else _NEITHER


@inner
def _iso(data: Bytes, place: int) -> int:
    """Return the place behind ``2026-01-01T09:00:00.123+01:00`` and the like."""
    if data[place + 4] != _DASH or data[place + 7] != _DASH:
        return _NEITHER
    if not _digits(data, place + 5, 2) or not _digits(data, place + 8, 2):
        return _NEITHER
    if data[place + 10] not in (_T, _BLANK) or not _clock(data, place + 11):
        return _NEITHER
    place += 19
    if data[place] in (_POINT, _COMMA) and _digits(data, place + 1, 1):
        place = _run(data, place + 1, _DIGIT)
    if _KINDS[data[place]] & _ZULU:
        return place + 1
    if data[place] in (_PLUS, _DASH) and _digits(data, place + 1, 2):
        minutes = place + 4 if data[place + 3] == _COLON else place + 3
        if _digits(data, minutes, 2):
            return minutes + 2
    return place


@inner
def _bsd(data: Bytes, place: int) -> int:
    """Return the place behind ``Jan  1 09:00:00`` and the like."""
    letters = _KINDS[data[place]] & _UPPER and _KINDS[data[place + 1]] & _LOWER
    if not letters or not _KINDS[data[place + 2]] & _LOWER or data[place + 3] != _BLANK:
        return _NEITHER
    place += 5 if data[place + 4] == _BLANK else 4
    day = _run(data, place, _DIGIT)
    if not 1 <= day - place <= 2 or data[day] != _BLANK:
        return _NEITHER
    place = day + 1
    if _digits(data, place, 4) and data[place + 4] == _BLANK:
        place += 5
    if not _clock(data, place):
        return _NEITHER
    place += 8
    if data[place] == _POINT and _digits(data, place + 1, 1):
        place = _run(data, place + 1, _DIGIT)
    return place


@inner
def _sender(data: Bytes, place: int, end: int) -> int:
    """Return the place behind a host and a program, as far as they are named."""
    host = _host(data, place)
    if host != _NEITHER:
        program = _program(data, host + 1)
        if program != _NEITHER:
            return program
    program = _program(data, place)
    if program != _NEITHER:
        return program
    if host == _NEITHER:
        return place
    structured = _structured(data, host + 1, end)
    return structured if structured != _NEITHER else host + 1


@inner
def _host(data: Bytes, place: int) -> int:
    """Return where a blank stands behind a name or an address."""
    kind = _KINDS[data[place]]
    if kind & _WORD and not kind & _DIGIT:
        stop = _run(data, place, _HOST)
        return stop if data[stop] == _BLANK else _NEITHER
    if data[place] == _OPEN:
        stop = _run(data, place + 1, _HOST)
        if stop == place + 1 or data[stop] != _CLOSE or data[stop + 1] != _BLANK:
            return _NEITHER
        return stop + 1
    stop = _run(data, place, _HEX)
    if data[stop] == _COLON:
        six = _run(data, stop + 1, _SIX)
        return six if six > stop + 1 and data[six] == _BLANK else _NEITHER
    for part in range(4):
        stop = _run(data, place, _DIGIT)
        if stop == place or (part < 3 and data[stop] != _POINT):
            return _NEITHER
        place = stop + 1
    return stop if data[stop] == _BLANK else _NEITHER


@inner
def _program(data: Bytes, place: int) -> int:
    """Return the place behind ``squid[7]: `` and the like."""
    stop = _run(data, place, _PROGRAM)
    if stop == place:
        return _NEITHER
    if data[stop] == _OPEN:
        number = _run(data, stop + 1, _DIGIT)
        if number > stop + 1 and data[number] == _CLOSE:
            stop = number + 1
    return stop + 2 if data[stop] == _COLON and data[stop + 1] == _BLANK else _NEITHER


@inner
def _structured(data: Bytes, place: int, end: int) -> int:
    """Return the place behind program, process, message and structured data of RFC 5424."""
    for _ in range(3):
        stop = place
        while not _KINDS[data[stop]] & _SPACE:
            stop += 1
        if stop == place or data[stop] != _BLANK:
            return _NEITHER
        place = stop + 1
    if data[place] == _DASH:
        return place + 2 if data[place + 1] == _BLANK else _NEITHER
    if data[place] != _OPEN:
        return _NEITHER
    place += 1
    # What begins with a pair instead of a name is the device's own.
    while place < end and data[place] not in (_CLOSE, _BLANK):
        if data[place] in (_EQUALS, _QUOTE):
            return _NEITHER
        place += 1
    while place < end and data[place] != _CLOSE:
        place += 1
    return place + 2 if place < end and data[place + 1] == _BLANK else _NEITHER
