"""The first sheet of an XLSX workbook as rows of clean cells, measured before it is laid out.

calamine lays a sheet out as one grid, from its first cell to its last, and copies a shared text
into every cell that names it; a few bytes can ask for all memory. So each part is unpacked here up
to a limit and counted, and the library gets what was counted. The layout is that of ECMA-376.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from agent.csv_cells import Row, clean
from agent.errors import LogError, Problem

_MOST_PARTS: Final = 1000
_MOST_BYTES: Final = 1 << 27
"""Bytes that the parts of a workbook may have together."""
_MOST_CELLS: Final = 5_000_000
"""Cells of the grid: a hundred thousand people in fifty columns."""
_MOST_TEXT: Final = 1 << 26
"""Characters in all cells together."""
_SHEET: Final = re.compile(r"xl/worksheets/[^/]+\.xml")
_TEXTS: Final = "xl/sharedstrings.xml"
_OTHERS: Final = re.compile(
    r"\[content_types\]\.xml|_rels/\.rels|xl/(?:workbook|styles)\.xml|xl/(?:worksheets/)?_rels/[^/]+"
)
"""Parts that may hold no cell; what is neither of these is left out, wherever it is named."""
_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


class _TrapError(Exception):
    """A workbook that is not what somebody saved; the text says why."""


def read_rows(path: Path, raw: bytes) -> list[Row]:
    """Return the rows of the first visible sheet that hold anything, the one of the headers first.

    A formula counts as the value that was saved with it; a date becomes ISO 8601. Raises LogError
    when the bytes are no workbook, or would take more memory than a directory does.
    """
    try:
        safe = _measured(raw)
        with CalamineWorkbook.from_filelike(safe) as book:
            names = [
                sheet.name
                for sheet in book.sheets_metadata
                if sheet.typ == SheetTypeEnum.WorkSheet
                and sheet.visible == SheetVisibleEnum.Visible
            ]
            for name in names:
                sheet = book.get_sheet_by_name(name)
                first = sheet.start[0] + 1 if sheet.start else 1
                cells = ([_text(cell) for cell in row] for row in sheet.to_python())
                if rows := [(line, row) for line, row in enumerate(cells, first) if any(row)]:
                    return rows
    except _TrapError as error:
        raise LogError(Problem(str(path), f"{error}. Save the sheet as CSV (UTF-8).")) from None
    except (CalamineError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError,
            RuntimeError, expat.ExpatError, OSError, ValueError) as error:  # fmt: skip
        text = "is no workbook that can be read. Save it as XLSX without a password, or as CSV."
        raise LogError(Problem(str(path), text)) from error
    return []


def _text(cell: object) -> str:
    """Return a cell as a CSV would have it."""
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return clean(str(cell))


def _measured(raw: bytes) -> io.BytesIO:
    """Return the workbook packed anew from those parts that are needed and small enough."""
    safe, left = io.BytesIO(), _MOST_BYTES
    lengths: list[int] = []
    with zipfile.ZipFile(io.BytesIO(raw)) as parts, zipfile.ZipFile(safe, "w") as kept:
        infos = {info.filename.lower(): info for info in parts.infolist()}
        if len(infos) > _MOST_PARTS or "xl/workbook.xml" not in infos:
            raise _TrapError("is no workbook")
        if len(infos) < len(parts.infolist()):
            raise _TrapError("holds two parts of one name, as no workbook does")
        # Sheets point into the shared texts, so those come first.
        for name, info in sorted(infos.items(), key=lambda pair: pair[0] != _TEXTS):
            if name != _TEXTS and not _SHEET.fullmatch(name) and not _OTHERS.fullmatch(name):
                continue
            with parts.open(info) as part:
                content = part.read(left + 1)
            left -= len(content)
            if left < 0:
                raise _TrapError(f"unpacks to more than {_MOST_BYTES >> 20} MB")
            if name == _TEXTS:
                lengths = _Meter().texts(content)
            elif _SHEET.fullmatch(name):
                _Meter().sheet(content, lengths)
            kept.writestr(info.filename, content)
    safe.seek(0)
    return safe


class _Meter:
    """Counts what a part of a workbook will take, without keeping any of it."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._inside = ""
        self._lengths: list[int] = []
        self._known: list[int] | None = None
        self._row = self._column = self._rows = self._columns = self._text = 0
        self._shared = False
        self._value = ""

    def texts(self, content: bytes) -> list[int]:
        """Return the length of each shared text."""
        self._parser.Parse(content, True)  # noqa: FBT003 - expat has no name for it
        return self._lengths

    def sheet(self, content: bytes, lengths: list[int]) -> None:
        """Raise _TrapError where the grid of a sheet, or the text in it, is beyond measure."""
        self._known = lengths
        self._parser.Parse(content, True)  # noqa: FBT003 - expat has no name for it

    def _refuse(self, *_: object) -> None:
        raise _TrapError("holds an XML document type, as no workbook does")

    def _start(self, name: str, attributes: dict[str, Any]) -> None:
        self._inside = name.rpartition(" ")[2]
        if self._known is None:
            if self._inside == "si":
                self._lengths.append(0)
        elif self._inside == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), 0
        elif self._inside == "c":
            self._shared, self._value = attributes.get("t") == "s", ""
            self._column += 1
            if "r" in attributes:
                place = _CELL.fullmatch(attributes["r"].upper())
                if place is None:
                    raise _TrapError("names a cell as no workbook does")
                self._column = sum(
                    (ord(letter) - 64) * 26**power for power, letter in enumerate(place[1][::-1])
                )
                self._row = int(place[2])
            self._rows = max(self._rows, self._row)
            self._columns = max(self._columns, self._column)
            if self._rows * self._columns > _MOST_CELLS:
                raise _TrapError(f"spreads over {self._rows} rows and {self._columns} columns")

    def _characters(self, text: str) -> None:
        if self._known is None:
            if self._lengths:
                self._lengths[-1] += len(text)
            return
        if self._shared and self._inside == "v":
            self._value += text[:9]
        self._text += len(text)

    def _end(self, name: str) -> None:
        if self._known is not None and self._shared and name.rpartition(" ")[2] == "v":
            at = int(self._value or 0)
            self._text += self._known[at] if 0 <= at < len(self._known) else 0
        if self._text > _MOST_TEXT:
            raise _TrapError(f"holds more than {_MOST_TEXT >> 20} million characters")
        self._inside = ""
