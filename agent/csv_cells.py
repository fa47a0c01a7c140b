"""From the bytes of a CSV export to rows of clean cells: finds out its encoding and separator."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from agent.errors import LogError, Problem

Row = tuple[int, list[str]]
"""The line on which a row begins, and its cells."""


def read_rows(path: Path, headers: Iterable[str]) -> list[Row]:
    """Return the rows that hold anything, the one of the headers first.

    ``headers`` are the names that the first row may have; the separator that finds most of them is
    taken. Raises LogError when the file cannot be read or is no CSV.
    """
    text = _text(path)
    separator = _separator(text, headers)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            cleaned = [_clean(cell) for cell in cells]
            if any(cleaned) and not (line == 1 and cleaned[0].casefold().startswith("sep=")):
                rows.append((line, cleaned))
            line = reader.line_num + 1
    except csv.Error as error:
        # Reading on would swallow every later row into one field, in silence.
        message = "a quote that opens here is not closed as it should be."
        raise LogError(Problem(str(path), message, line=line)) from error
    return rows


def plain(header: str) -> str:
    """Return what makes two headers the same: letters and digits, whatever their case.

    >>> plain(" E-Mail"), plain("#")
    ('email', '#')
    """
    header = _clean(header).casefold()
    return "".join(letter for letter in header if letter.isalnum()) or header


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        text = f"cannot be read: {error.strerror}. Give the path of a CSV file."
        raise LogError(Problem(str(path), text)) from error
    try:
        text = _decode(raw)
    except UnicodeDecodeError:
        text = "\0"
    if re.search(r"[\x00-\x08\x0e-\x1f]", text[:4096].rstrip("\x1a")):
        cure = "Save the sheet" if raw.startswith(b"PK") else "Export it"
        raise LogError(Problem(str(path), f"is no text file. {cure} as CSV (UTF-8)."))
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


def _clean(cell: str) -> str:
    """Drop what no reader sees: control, direction and zero-width characters, double blanks."""
    if not (cell.isascii() and cell.isprintable()):
        kinds = ((letter, unicodedata.category(letter)) for letter in cell)
        visible = (" " if kind == "Cc" else letter for letter, kind in kinds if kind != "Cf")
        cell = unicodedata.normalize("NFC", "".join(visible))
    return " ".join(cell.split())
