"""Columns without a header: told by their cells, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from agent import detect, formats, looks, reading, rulebook, scan
from agent.settings import Settings

KNOWN = formats.load_formats()
SITES = ("app.example.com", "www.example.org", "files.example.net", "h3.example.com")
SIGNS = {",": "", ";": "_semicolon", "\t": "_tab", "|": "_pipe"}


def table(*columns: tuple[str, ...]) -> list[list[str]]:
    """Return as many rows as the longest column has cells; shorter ones begin again."""
    many = max(map(len, columns))
    return [[cells[row % len(cells)] for cells in columns] for row in range(many)]


TIMES = tuple(f"2026-01-01 09:00:{second:02}" for second in range(12))
CLIENTS = tuple(f"192.0.2.{number}" for number in range(10, 22))


@pytest.mark.parametrize("sign", SIGNS)
def test_a_log_without_a_header_is_read(sign: str) -> None:
    """Each row names its time, who asked and for what, whatever stands between the cells."""
    rows = table(TIMES, CLIENTS, ("GET", "CONNECT"), SITES, ("10", "200"))
    text = "".join(f"{sign.join(row)}\n" for row in rows).encode()
    con: duckdb.DuckDBPyConnection = reading.connect()
    found = detect.detect(text, KNOWN, reading.attempt(con, text))
    assert found.format is not None
    assert found.format.name == f"generic_columns{SIGNS[sign]}"
    tally = reading.attempt(con, text)(found.format, text)
    assert (tally.named, tally.rejects) == (12, 0)


def test_a_scan_says_that_it_guesses(tmp_path: Path) -> None:
    """Once for each folder, and not where somebody names the format."""
    rows = table(TIMES, CLIENTS, SITES, ("200",))
    for name in ("a.log", "b.log"):
        text = "".join(f"{'|'.join(row)}\n" for row in rows)
        (tmp_path / name).write_text(text.replace("09:00", "09:01") if name == "b.log" else text)
    book = rulebook.load_rules()
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    found = scan.scan(logs, tmp_path / "one", Settings(), book)
    assert (found.events, found.rejects) == (24, 0)
    (note,) = found.notes
    assert str(note).startswith("a.log: is read as generic_columns_pipe: a guess;")
    assert scan.scan(logs, tmp_path / "one", Settings(), book).notes == []
    named = replace(Settings(), format="generic_columns_pipe")
    assert scan.scan(logs, tmp_path / "two", named, book).notes == []


def test_of_two_addresses_the_one_inside_asked() -> None:
    """What a proxy in front is called, or a server, is no client."""
    rows = table(TIMES, ("203.0.113.9",), ("10.1.2.3", "10.1.2.4"), SITES)
    assert looks.columns(rows)[2] == "client_address"


def test_of_two_columns_of_sites_the_one_that_differs_most_was_asked_for() -> None:
    """A referrer or a device of its own name comes again and again."""
    referrer = ("https://www.example.org/", "https://app.example.com/")
    assert looks.columns(table(TIMES, CLIENTS, referrer, SITES))[3] == "host"
    assert looks.columns(table(TIMES, CLIENTS, ("gw.example.org",), SITES))[2:] == ("", "host")


@pytest.mark.parametrize(
    "rows",
    [
        table(TIMES, CLIENTS, ("john.smith", "ann.meyer")),
        table(TIMES, CLIENTS, ("report.pdf", "index.js", "setup.py")),
        table(TIMES, CLIENTS, tuple(f"pc{n}.corp.example.com" for n in range(12))),
        table(TIMES, SITES),
        table(CLIENTS, SITES),
        table(("Time", *TIMES), ("Client", *CLIENTS), ("Site", *SITES * 3)),
        [],
    ],
    ids=("names", "files", "own machines", "nobody", "no time", "a header", "nothing"),
)
def test_what_may_be_something_else_is_left(rows: list[list[str]]) -> None:
    """No guess where a person, a file or a machine may be meant, or a header tells."""
    assert looks.columns(rows) == ()


def test_half_a_table_of_odd_cells_is_no_table() -> None:
    """A column is what nearly all of its cells look like."""
    rows = table(TIMES, CLIENTS, SITES)
    assert looks.columns(rows) == ("time", "client_address", "host")
    odd = [[*row[:2], "three words here"] if n % 4 == 0 else row for n, row in enumerate(rows)]
    assert looks.columns(odd) == ()
