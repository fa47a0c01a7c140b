"""The loop over all bytes of a JSON document that ``agent.elements`` lays out as lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.compiled import compiled

_NEWLINE, _BLANK, _QUOTE, _ESCAPE, _COMMA = map(ord, '\n "\\,')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = map(ord, "{}[]")
_BASE, _DEPTH, _INSIDE, _QUOTED, _ESCAPED, _SIZE = range(6)
_ENDLESS = 65_536
"""Bytes; no event is longer, so a document that seems to have one is broken there."""


def begun(base: int) -> NDArray[np.int64]:
    """Return the state before the first byte of a document."""
    return np.array([base, 0, base == 0, 0, 0, 0], np.int64)


@compiled
def level_out(data: NDArray[np.uint8], state: NDArray[np.int64]) -> None:
    """Change a stretch of a document in its place.

    ``state`` holds how many brackets are around an event, how many are open, whether the list of
    events is, whether a text is and an escape in it, and how long the event is so far; it goes on
    with the next stretch.
    """
    base, depth, inside = state[_BASE], state[_DEPTH], state[_INSIDE]
    quoted, escaped, size = state[_QUOTED], state[_ESCAPED], state[_SIZE]
    for place in range(len(data)):
        here = data[place]
        size += 1
        if here == _NEWLINE:
            # No text goes over a line end, whatever is broken.
            quoted = escaped = 0
            opens = place + 1 < len(data) and data[place + 1] == _OPEN
            if opens and (size > _ENDLESS or (depth == 0 and base == 1)):
                depth, inside, size = base, 1, 0
            elif depth > 0:
                data[place] = _BLANK
            else:
                size = 0
            continue
        around = depth < base or not inside
        if quoted:
            if escaped:
                escaped = 0
            elif here == _ESCAPE:
                escaped = 1
            elif here == _QUOTE:
                quoted = 0
        elif here == _QUOTE:
            quoted = 1
        elif here in (_OPEN, _OPEN_LIST):
            depth += 1
            if depth == base:
                inside, size = here == _OPEN_LIST, 0
        elif here in (_CLOSE, _CLOSE_LIST):
            around = around or (depth <= base and base > 0)
            inside = inside and (depth != base or base == 0)
            depth = max(depth - 1, 0)
        elif here == _COMMA and depth == base and inside and base > 0:
            data[place], size = _NEWLINE, 0
            continue
        if around:
            data[place] = _BLANK
    state[_DEPTH], state[_INSIDE] = depth, inside
    state[_QUOTED], state[_ESCAPED], state[_SIZE] = quoted, escaped, size
