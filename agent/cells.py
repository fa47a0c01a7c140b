r"""Cuts lines at a delimiter, which may stand inside quotes: a column for each cell asked for.

Quotes are dropped wherever they stand, with what escapes them (``""`` and ``\"``), and so is one
blank behind a delimiter. A quote that is left open spoils its own line only. Where blanks stand
between cells, several are padding.

Here every sign of a log is looked at, so this is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from agent import signs
from agent.compiled import compiled, inner
from agent.signs import Signs, view
from agent.spans import PAD, Bytes, Places, Text, Words, words_of

_TAB, _BLANK, _QUOTE, _ESCAPE = map(ord, '\t "\\')
_NOT_ASKED = -1


def columns(
    text: Text, delimiter: str, numbers: Sequence[int], *, quotes: bool = True, tabs: bool = False
) -> tuple[pa.Array, list[pa.Array]]:
    """Return how many cells each line has, and a column for each of some of them.

    Cells are counted from 1 on; one that a line does not have is empty. A line with a quote that is
    left open has 0 cells. ``quotes`` may stand around a cell; ``tabs`` are the delimiters of lines
    that hold one.
    """
    at = signs.places(text, delimiter + '"\\' * quotes + "\t" * tabs)
    asked = np.full(max([0, *numbers]) + 1, _NOT_ASKED)
    asked[list(numbers)] = range(len(numbers))
    counts = np.empty(len(text.starts), np.int32)
    views = np.zeros((len(numbers), len(text.starts), 2), np.uint64)
    # What stands between quotes in the middle of a cell is written anew without them.
    clean = np.empty(len(text.array) + PAD if quotes else PAD, np.uint8)
    size = _cut(
        text.array, text.words, at, text.starts, text.ends, asked, counts, views,
        clean, words_of(clean), ord(delimiter), tabs,
    )  # fmt: skip
    found = pa.Array.from_buffers(pa.int32(), len(counts), [None, pa.py_buffer(counts)])
    cleaned = clean[:size].tobytes()
    return found, [text.viewed(own, cleaned) for own in views]


@compiled
def _cut(
    data: Bytes,
    words: Words,
    at: Signs,
    starts: Places,
    ends: Places,
    asked: Places,
    counts: Signs,
    views: Words,
    clean: Bytes,
    clean_words: Words,
    usual: int,
    tabs: bool,
) -> int:
    """Count the cells of each line and view those asked for; return how much had to be cleaned."""
    number, size = 0, 0
    for line in range(len(starts)):
        start, end = starts[line], ends[line]
        while at[number] < start:
            number += 1
        mark = _TAB if tabs and _holds_tab(data, at, number, end) else usual
        count, quotes, opened, escapes, place = 0, 0, 0, 0, start - 1
        while place < end:
            place = at[number]
            number += 1
            here = data[place]
            if place < end:
                if here == _QUOTE:
                    quotes += 1
                    opened += 1
                    continue
                if here == _ESCAPE:
                    if data[place + 1] == _QUOTE:
                        # Neither is part of the cell, and this quote neither opens nor closes one.
                        quotes += 1
                        escapes += 1
                        number += 1
                    continue
                if opened % 2 or here != mark:
                    continue
            if mark == _BLANK and place == start:
                start = place + 1
                continue
            count += 1
            slot = asked[count] if count < len(asked) else _NOT_ASKED
            if slot != _NOT_ASKED:
                whole = opened == 2 and data[start] == _QUOTE and data[place - 1] == _QUOTE
                if escapes or (opened and not whole):
                    first = size
                    for own in range(start, place):
                        escaped = data[own] == _ESCAPE and data[own + 1] == _QUOTE
                        if not escaped and data[own] != _QUOTE:
                            clean[size] = data[own]
                            size += 1
                    view(clean_words, first, size - first, 1, views, slot, line)
                elif whole:
                    view(words, start + 1, place - start - 2, 0, views, slot, line)
                else:
                    view(words, start, place - start, 0, views, slot, line)
            start, opened, escapes = place + 1, 0, 0
            if mark != _BLANK and data[start] == _BLANK:
                start += 1
        counts[line] = 0 if quotes % 2 else count
    return size


@inner
def _holds_tab(data: Bytes, at: Signs, number: int, end: int) -> bool:
    """Tell whether one of the signs of a line is a tab."""
    while at[number] < end:
        if data[at[number]] == _TAB:
            return True
        number += 1
    return False
