"""From the bytes of a CSV export to rows of clean cells: finds out its encoding and separator."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.errors import LogError, Problem

Row = tuple[int, list[str]]
"""The line on which a row begins, and its cells."""
MANY: Final = "\x1f"
"""Stands between the values of a cell that has several; no clean cell holds it otherwise."""
MOST_CHARACTERS: Final = 131_072
"""Characters of one value, the limit of module csv; more are no name, mail or department."""


def read_rows(path: Path, text: str, headers: Iterable[str]) -> list[Row]:
    """Return the rows that hold anything, the one of the headers first.

    ``headers`` are the names that the first row may have; the separator that finds most of them is
    taken. Raises LogError when the text is no CSV.
    """
    separator = _separator(text, headers)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            cleaned = [clean(cell) for cell in cells]
            if any(cleaned) and not (line == 1 and cleaned[0].casefold().startswith("sep=")):
                rows.append((line, cleaned))
            line = reader.line_num + 1
    except csv.Error as error:
        # Reading on would swallow every later row into one field, in silence.
        message = "a quote that opens here is not closed as it should be."
        if "limit" in str(error):
            message = f"a value of more than {MOST_CHARACTERS} characters. Export it without."
        raise LogError(Problem(str(path), message, line=line)) from error
    return rows


def plain(header: str) -> str:
    """Return what makes two headers the same: letters and digits, whatever their case.

    >>> plain(" E-Mail"), plain("#")
    ('email', '#')
    """
    header = clean(header).casefold()
    return "".join(letter for letter in header if letter.isalnum()) or header


def text_of(path: Path, raw: bytes) -> str:
    """Return bytes as the text that they are; raises LogError where they are none."""
    try:
        text = _decode(raw)
    except UnicodeDecodeError:
        text = "\0"
    if re.search(r"[\x00-\x08\x0e-\x1f]", text[:4096].rstrip("\x1a")):
        raise LogError(Problem(str(path), "is no text file. Export it as CSV (UTF-8)."))
    return text.rstrip("\x1a")


def _decode(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    # Without a mark, the header row still gives UTF-16 away: every other byte of it is zero.
    head = raw[:64]
    if len(head) > 1 and not any(head[1::2]):
        return raw.decode("utf-16-le")
    if len(head) > 1 and not any(head[::2]):
        return raw.decode("utf-16-be")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _separator(text: str, headers: Iterable[str]) -> str:
    """Choose the separator that finds the most known headers, then the most columns."""
    if named := re.match(r"sep=([,;\t|])\r?\n", text, re.IGNORECASE):
        return named[1]
    known = set(map(plain, headers))
    head = text.lstrip()

    def found(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader(io.StringIO(head, newline=""), delimiter=separator), [])
        except csv.Error:
            return 0, 0
        return len(known.intersection(map(plain, cells))), len(cells)

    return max(",;\t|", key=found)


def clean(cell: str) -> str:
    """Drop what no reader sees: control, direction and zero-width characters, double blanks."""
    if not (cell.isascii() and cell.isprintable()):
        kinds = ((letter, unicodedata.category(letter)) for letter in cell)
        visible = (" " if kind == "Cc" else letter for letter, kind in kinds if kind != "Cf")
        cell = unicodedata.normalize("NFC", "".join(visible))
    return " ".join(cell.split())
