"""Finds a few signs in a text, as many bytes at a time as a processor compares at once.

Most of a log line is of no interest to whoever cuts it: who has the places of its delimiters need
not look at the rest, and hands on views of what stands between them.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

from agent.compiled import Part, compiled, generated, inner
from agent.spans import HALF, INLINE, KEPT, PAD, Bytes, Text, Words

Signs = NDArray[np.int32]
"""Places in a text, in order."""
_STEP = PAD
"""Bytes that are compared at once; so many lie around a text, so that none of it is left over."""
_MOST = 5
_NONE = np.uint32(0)
_ONE = np.uint32(1)


def places(text: Text, signs: str) -> Signs:
    """Return where some ASCII signs stand, and where lines end: up to four signs."""
    wanted = [*map(ord, signs), *[ord("\n")] * (_MOST - len(signs))]
    found = np.empty(len(text.array), np.int32)
    return found[: _places(text.array, np.array(wanted, np.uint8), found)]


@compiled
def _places(data: Bytes, wanted: Bytes, found: Signs) -> int:
    one, two, three, four, five = wanted[0], wanted[1], wanted[2], wanted[3], wanted[4]
    count = 0
    for start in range(0, len(data) - _STEP + 1, _STEP):
        left = _which(data, start, one, two, three, four, five)
        while left != _NONE:
            found[count] = start + _lowest(left)
            count += 1
            left &= left - _ONE
    return count


@generated
def _which(
    _: Part, data: Part, start: Part, one: Part, two: Part, three: Part, four: Part, five: Part
) -> Part:
    """Return a bit for each byte from a place on: whether it is one of five signs."""

    def generate(context: Part, builder: Part, signature: Part, given: Part) -> Part:
        many, number = ir.VectorType(ir.IntType(8), _STEP), ir.IntType(32)
        nothing, everywhere = many(ir.Undefined), ir.VectorType(number, _STEP)([0] * _STEP)
        array = context.make_array(signature.args[0])(context, builder, given[0])
        place = builder.bitcast(builder.gep(array.data, [given[1]]), many.as_pointer())
        text, found = builder.load(place, align=1), None
        for sign in given[2:]:
            alone = builder.insert_element(nothing, sign, number(0))
            spread = builder.shuffle_vector(alone, nothing, everywhere)
            same = builder.icmp_unsigned("==", text, spread)
            found = same if found is None else builder.or_(found, same)
        return builder.bitcast(found, number)

    return types.uint32(data, start, one, two, three, four, five), generate


@generated
def _lowest(_: Part, bits: Part) -> Part:
    """Return the number of the lowest bit that is set."""

    def generate(_: Part, builder: Part, __: Part, given: Part) -> Part:
        return builder.zext(builder.cttz(given[0], ir.IntType(1)(0)), ir.IntType(64))

    return types.int64(bits), generate


@inner
def view(
    words: Words, start: int, size: int, buffer: int, views: Words, column: int, row: int
) -> None:
    """Make a view of some bytes of one of the buffers of an Arrow column.

    It is of two words: length and first four bytes, and which buffer and where in it; or up to
    twelve bytes themselves (Arrow columnar format, "Variable-size Binary View Layout").
    """
    views[column, row, 0] = np.uint64(size) | (words[start] & KEPT[min(size, 4)]) << HALF
    if size > INLINE:
        views[column, row, 1] = np.uint64(buffer) | np.uint64(start) << HALF
    elif size > 4:
        views[column, row, 1] = words[start + 4] & KEPT[size - 4]
