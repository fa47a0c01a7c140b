"""A text as one array of bytes, and Arrow columns of what stands at places in it, uncopied."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agent.model import Clean

Places = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

_PIECE = 1 << 20
"""Bytes."""
PAD = 32
"""Bytes around the text, so that words may be read before its start and past its end."""
INLINE = 12
"""Bytes that an Arrow view of a text holds by itself."""
_LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
KEPT = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)
"""What is kept of a word of which only some bytes count."""


class Text:
    """Lines of UTF-8, as places in an array of bytes; a line feed stands before and behind each."""

    def __init__(self, clean: Clean | memoryview) -> None:
        """Take a text in which each line ends with a line feed."""
        self.data = b"".join((bytes(PAD - 1), b"\n", clean, bytes(PAD)))
        self.array: Bytes = np.frombuffer(self.data, np.uint8)
        self.words = words_of(self.data)
        feeds = np.flatnonzero(self.array == ord("\n"))
        self.starts, self.ends = feeds[:-1] + 1, feeds[1:]

    def replaced(self, old: bytes, new: bytes) -> Text:
        """Return the text with something in place of something else of the same length.

        A line feed is no part of that.
        """
        return Text(self.data[PAD:-PAD].replace(old, new)).beginning(self.starts)

    def beginning(self, starts: Places) -> Text:
        """Return the text with lines that begin later."""
        found = copy(self)
        found.starts = starts
        return found

    def column(self, starts: Places, ends: Places) -> pa.Array:
        """Return what stands between places as an Arrow column of views of this text.

        A view is of 16 bytes: length, first four bytes, number of the buffer, offset in it, or up
        to twelve bytes themselves (Arrow columnar format, "Variable-size Binary View Layout").
        """
        sizes = ends - starts
        first, last = self.words[starts], self.words[starts + 4]
        short = sizes <= INLINE
        first = np.where(short, first & KEPT[np.minimum(sizes, 4)], first & _LOW)
        kept = last & KEPT[np.clip(sizes - 4, 0, 8)]
        views = np.empty((len(starts), 2), np.uint64)
        views[:, 0] = sizes.astype(np.uint64) | first << HALF
        views[:, 1] = np.where(short, kept, starts.astype(np.uint64) << HALF)
        return self.viewed(views)

    def viewed(self, views: NDArray[np.generic], cleaned: bytes = b"") -> pa.Array:
        """Return views of this text, a row of 16 bytes each, as an Arrow column.

        Those of buffer 1 are of what was ``cleaned``.
        """
        # Not pa.array: it imports pandas, which takes longer than many a scan.
        buffers = [None, pa.py_buffer(views), pa.py_buffer(self.data), pa.py_buffer(cleaned)]
        return pa.Array.from_buffers(pa.string_view(), len(views), buffers)


def words_of(data: bytes | Bytes) -> Words:
    """Return the eight bytes from each byte on, as one number."""
    return np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))


def pieces(clean: Clean) -> Iterator[Text]:
    """Yield a text in pieces of whole lines that a processor's cache holds; at least one."""
    start, view = 0, memoryview(clean)
    while len(clean) - start > _PIECE:
        end = clean.rfind(b"\n", start, start + _PIECE) + 1 or clean.find(b"\n", start) + 1
        yield Text(view[start:end])
        start = end
    yield Text(view[start:])


def joined(column: pa.ChunkedArray) -> bytes:
    """Return the texts of an Arrow column as lines of one text."""
    return "".join(f"{text}\n" for text in column.to_pylist()).encode()
