"""ClientHellos read many at once are what they are when read one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent import first_words, greetings
from agent.packet_files import PADDING
from tests import wires

NAMES = st.sampled_from(["app.example.com", "A.Example", "a", "no name", "", None, "x" * 260])
EXTENSIONS = st.builds(
    wires.extension,
    st.sampled_from([0, 0, 10, 21, 0xFE0D]),
    st.sampled_from(
        [b"", b"\0\0", b"\0\x04\0\0\1b", b"\0\x04\1\0\1b", b"\0\x09\0\0\1b", bytes(90)]
    ),
)
HELLOS = st.builds(
    lambda name, more, padding, size: wires.records(
        wires.client_hello(name, *more, padding=padding), size
    ),
    NAMES,
    st.lists(EXTENSIONS, max_size=3),
    st.sampled_from([0, 0, 0, 700]),
    st.sampled_from([1 << 14, 1 << 14, 100]),
)


def changed(segment: bytes, where: int, byte: int, cut: int, behind: bytes) -> bytes:
    """Return a segment with one byte changed, its end cut off, and something behind it."""
    begun = bytearray(segment + behind)
    if where < len(begun):
        begun[where] = byte
    return bytes(begun[: len(begun) - cut])


SEGMENTS = st.one_of(
    HELLOS,
    st.builds(
        changed,
        HELLOS,
        st.integers(0, 140),
        st.integers(0, 255),
        st.integers(0, 5),
        st.sampled_from([b"", b"\x14\x03\x03\0\x01\x01", b"\x16\x03\x01"]),
    ),
    st.binary(max_size=60),
)


def together(segments: list[bytes]) -> list[first_words.Said | None]:
    data = np.frombuffer(b"".join(segments) + bytes(PADDING), np.uint8)
    end = np.cumsum([len(segment) for segment in segments], dtype=np.int64)
    at = end - np.array([len(segment) for segment in segments], np.int64)
    return greetings.heard(data, at, end)


def test_usual_greetings_need_nobody_else() -> None:
    usual = [
        wires.records(wires.client_hello("App.Example.com", padding=padding))
        for padding in (0, 900)
    ]
    usual.append(wires.records(wires.client_hello("b.example", wires.extension(0xFE0D, b"hide"))))
    said = first_words.Said
    name = said("app.example.com")
    assert together(usual) == [name, name, said("b.example", encrypted=True)]
    assert together([]) == []


@settings(max_examples=400, deadline=None)
@given(st.lists(SEGMENTS, max_size=6))
@example([wires.records(wires.client_hello("a", *[wires.extension(10, b"")] * 60))])
def test_many_at_once_say_what_each_says_by_itself(segments: list[bytes]) -> None:
    for segment, said in zip(segments, together(segments), strict=True):
        if said is not None:
            assert said == first_words.hello_of_records(segment)
            assert not first_words.goes_on(segment)


@settings(max_examples=200, deadline=None)
@given(SEGMENTS)
def test_what_goes_on_is_not_whole(segment: bytes) -> None:
    said = first_words.hello_of_records(segment)
    assert not (said is not None and said.whole and first_words.goes_on(segment))
