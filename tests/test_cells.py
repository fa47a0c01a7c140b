"""Cells that are cut for a whole text at once are those that one cuts line by line."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import cells, relays
from agent.spans import Text

SIGNS = st.sampled_from(
    ["a", "é", "twelve bytes and more", *' ,;\t"\\|', '""', '\\"', '","', ", ", "app.example.com"]
)
LINE = st.lists(SIGNS, max_size=14).map("".join)


def by_hand(line: str, delimiter: str) -> list[str]:
    """The cells of one line; signs that no line has stand for what is hidden meanwhile."""
    parts = line.replace('\\"', "\0").split('"')
    parts[1::2] = [part.replace(delimiter, "\1").replace(" ", "\2") for part in parts[1::2]]
    first, *others = "\3".join(parts).split(delimiter)
    found = [first, *(cell.removeprefix(" ") for cell in others)]
    shown = str.maketrans({"\0": "", "\1": delimiter, "\2": " ", "\3": ""})
    return [cell.translate(shown) for cell in found]


def found(
    text: Text,
    delimiter: str,
    numbers: Sequence[int],
    *,
    quotes: bool = True,
    tabs: bool = False,
) -> list[tuple[int, list[str]]]:
    """How many cells each line has, and those asked for."""
    counts, columns = cells.columns(text, delimiter, numbers, quotes=quotes, tabs=tabs)
    for column in columns:
        column.validate(full=True)
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return [(count, list(row)) for count, row in zip(counts.to_pylist(), rows, strict=True)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@settings(max_examples=100, deadline=None)
@given(
    st.lists(LINE, max_size=4), st.lists(st.integers(1, 16), min_size=1, max_size=5, unique=True)
)
def test_cells_are_those_of_each_line(delimiter: str, lines: list[str], numbers: list[int]) -> None:
    expected = []
    for line in lines:
        own = by_hand(line, delimiter)
        count = 0 if line.count('"') % 2 else len(own)
        expected.append((count, [(own + [""] * 16)[number - 1] for number in numbers]))
    text = Text("".join(f"{line}\n" for line in lines).encode())
    assert found(text, delimiter, numbers) == expected


def padded(line: str) -> list[str]:
    """The cells between blanks; what stands between quotes is one, even if that is nothing."""
    hidden = line.replace('\\"', "\0").split('"')
    hidden[1::2] = [part.replace(" ", "\2") for part in hidden[1::2]]
    shown = str.maketrans({"\0": "", "\2": " ", "\3": ""})
    return [cell.translate(shown) for cell in "\3".join(hidden).split(" ") if cell]


@pytest.mark.parametrize("cut", ["blanks", "w3c", "plain"])
@settings(max_examples=100, deadline=None)
@given(st.lists(LINE, max_size=4))
def test_blanks_between_cells_may_be_padding(cut: str, lines: list[str]) -> None:
    """Lines of W3C that hold a tab have tabs between cells, and no padding."""
    expected = []
    for line in lines:
        if cut == "w3c" and "\t" in line:
            own = by_hand(line, "\t")
        elif cut == "plain":
            own = [cell for cell in line.split(" ") if cell]
        else:
            own = padded(line)
        count = 0 if cut != "plain" and line.count('"') % 2 else len(own)
        expected.append((count, (own + [""] * 8)[:8]))
    text = Text("".join(f"{line}\n" for line in lines).encode())
    how = {"quotes": cut != "plain", "tabs": cut == "w3c"}
    assert found(text, " ", range(1, 9), **how) == expected


def test_an_open_quote_spoils_its_own_line_only() -> None:
    text = Text(b'a,"b\nc,d\n')
    assert found(text, ",", [1, 2]) == [(0, ["a", "b"]), (2, ["c", "d"])]


def test_a_prefix_is_no_cell() -> None:
    """A relay may write a comma into its own time."""
    text = Text(b'2026-01-01 09:00:00,123Z gw fw: 1,"a, b"\n1,2\n  3,4\n')
    expected = [["1", "a, b"], ["1", "2"], ["3", "4"]]
    assert found(relays.behind(text), ",", [1, 2]) == [(2, row) for row in expected]
