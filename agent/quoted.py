r"""Cuts lines at a delimiter that may stand inside quotes: a list of cells for each line.

Quotes are dropped wherever they stand, with what escapes them (``""`` and ``\"``), and so is one
blank behind a delimiter. A quote that is left open spoils its own line only.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agent.compiled import compiled
from agent.spans import Bytes, Places, Text

_Edges = NDArray[np.int32]
_BLANK, _QUOTE, _ESCAPE = map(ord, ' "\\')
ALL = 1 << 20
"""More cells than any line has."""


def cells(text: Text, delimiter: str, most: int = ALL) -> pa.Array:
    """Return the cells of each line of a text, at most so many: ``list<string>``, a row each."""
    mark = ord(delimiter)
    found = int(np.count_nonzero(text.array == mark))
    at_most = min(found, most * len(text.starts)) + len(text.starts)
    rows, edges = np.zeros(len(text.starts) + 1, np.int32), np.zeros(at_most + 1, np.int32)
    clean = np.empty(len(text.array), np.uint8)
    count = _cut(text.array, text.starts, text.ends, mark, most, clean, rows, edges)
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(clean)]
    values = pa.Array.from_buffers(pa.string(), count, buffers)
    lists = pa.list_(pa.string())
    return pa.Array.from_buffers(
        lists, len(rows) - 1, [None, pa.py_buffer(rows)], children=[values]
    )


@compiled
def _cut(
    data: Bytes,
    starts: Places,
    ends: Places,
    mark: int,
    most: int,
    clean: Bytes,
    rows: _Edges,
    edges: _Edges,
) -> int:
    """Fill the bytes of all cells, and where each line's cells and each cell's bytes end."""
    count, size = 0, 0
    for line in range(len(starts)):
        place, end, inside, last = starts[line], ends[line], False, count + most
        while place < end:
            here = data[place]
            place += 1
            if here == _ESCAPE and data[place] == _QUOTE:
                place += 1
            elif here == _QUOTE:
                inside = not inside
            elif here == mark and not inside:
                count += 1
                edges[count] = size
                if count == last:
                    break
                if data[place] == _BLANK:
                    place += 1
            else:
                clean[size] = here
                size += 1
        if count < last:
            count += 1
            edges[count] = size
        rows[line + 1] = count
    return count
