"""A table that an operator keeps: its columns by the role they play, and every problem of its rows.

No message quotes a login or a mail address: it names the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from agent import csv_cells, ldif, workbook
from agent.csv_cells import Row, plain
from agent.errors import LogError, Problem, nearest

MOST_BYTES: Final = 1 << 27
"""Bytes of a file: a hundred thousand people with a thousand characters each."""

_ALIKE: Final = 5
"""Problems of one kind that are shown line by line."""

_Row = TypeVar("_Row")


class BadRowError(Exception):
    """One row that cannot be used, by the role of the cell that is to blame."""

    def __init__(self, role: str, message: str) -> None:
        super().__init__(message)
        self.role = role


@dataclass(slots=True)
class Sheet:
    """The rows of a file by role, and every problem met on the way."""

    where: str
    headers: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    """Role to the header that was taken for it."""
    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Line, and cell by role."""
    problems: list[Problem] = field(default_factory=list)
    fatal: bool = False

    def read(self, row: Callable[[int, Mapping[str, str]], _Row]) -> Iterator[_Row]:
        """Read every row; one for which ``row`` raises BadRowError becomes a problem."""
        for line, cells in self.rows:
            try:
                yield row(line, cells)
            except BadRowError as error:
                self.leave_out(line, error.role, str(error))

    def warn(self, line: int, role: str | None, message: str) -> None:
        """Record a problem that costs no row."""
        key = self.columns.get(role) if role else None
        self.problems.append(Problem(self.where, message, key, line))

    def leave_out(self, line: int, role: str | None, message: str) -> None:
        """Record a problem that costs its row."""
        self.warn(line, role, f"{message} The row is left out.")

    def fail(self, message: str, line: int | None = None, key: str | None = None) -> None:
        """Record a problem that costs the whole file."""
        self.problems.append(Problem(self.where, message, key, line))
        self.fatal = True

    def require(self, role: str, meaning: str, other: str | None = None) -> None:
        """Fail where neither a role nor the ``other`` one has a column."""
        # A column that was asked for by name and is not there has been reported already.
        if role in self.columns or other in self.columns or self.fatal:
            return
        self.fail(
            f"no column for {meaning} among {_quoted(self.headers)}. "
            f'Name it in columns: {role} = "..." with the header as the file has it.'
        )

    def stop_if_fatal(self) -> None:
        """Raise LogError with every problem so far, if one of them costs the file."""
        if self.fatal:
            raise LogError(self.in_order())

    def in_order(self) -> tuple[Problem, ...]:
        """Return the problems by line; of those that say the same, the first few and a count."""
        said: Counter[tuple[str | None, str]] = Counter()
        shown: list[Problem] = []
        for problem in sorted(self.problems, key=lambda problem: problem.line or 0):
            what = (problem.key, problem.message)
            said[what] += 1
            if said[what] <= _ALIKE:
                shown.append(problem)
        shown += [
            Problem(self.where, f"the same on {many - _ALIKE} more lines: {message}", key)
            for (key, message), many in said.items()
            if many > _ALIKE
        ]
        return tuple(shown)


def read_sheet(
    path: Path, known: Mapping[str, tuple[str, ...]], columns: Mapping[str, str]
) -> Sheet:
    """Read a CSV, LDIF or XLSX file; kind, encoding, separator and headers are found out from it.

    ``known`` maps each role to the headers it goes by, ``columns`` the roles that were named by
    hand to theirs. Raises LogError when the file cannot be read or holds nothing; what else is
    wrong is recorded.
    """
    sheet = Sheet(str(path))
    rows = _rows(path, [*sum(known.values(), ()), *columns.values()])
    if not rows:
        sheet.fail("is empty. The first row must name the columns.")
        sheet.stop_if_fatal()
    (_, sheet.headers), *body = rows
    places = _places(sheet, known, columns)
    for line, cells in body:
        if any(cells[len(sheet.headers) :]):
            sheet.leave_out(
                line,
                None,
                f"{len(cells)} fields under {len(sheet.headers)} headers. "
                "Put quotes around a value that holds the separator.",
            )
        else:
            padded = cells + [""] * (len(sheet.headers) - len(cells))
            sheet.rows.append((line, {role: padded[at] for role, at in places.items()}))
    return sheet


def _rows(path: Path, headers: list[str]) -> list[Row]:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        text = f"cannot be read: {error.strerror}. Give the path of a CSV, XLSX or LDIF file."
        raise LogError(Problem(str(path), text)) from error
    if len(raw) > MOST_BYTES:
        text = f"is larger than {MOST_BYTES >> 20} MB. Export fewer columns."
        raise LogError(Problem(str(path), text))
    if raw.startswith(b"PK"):
        return workbook.read_rows(path, raw)
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        text = "is an old workbook, or one with a password. Save it as XLSX without one."
        raise LogError(Problem(str(path), text))
    text = csv_cells.text_of(path, raw)
    if ldif.is_ldif(text):
        return ldif.read_rows(path, text, headers)
    return csv_cells.read_rows(path, text, headers)


def _places(
    sheet: Sheet, known: Mapping[str, tuple[str, ...]], columns: Mapping[str, str]
) -> dict[str, int]:
    """Return the place of each role's column; asked-for headers first, then well-known ones."""
    headers = [plain(header) for header in sheet.headers]
    places = _named(sheet, headers, known, columns)
    for role in (role for role in known if role not in columns):
        at = next((headers.index(name) for name in known[role] if name in headers), None)
        if at is not None and at not in places.values():
            places[role] = at
    for role in known:
        if role in places:
            sheet.columns[role] = sheet.headers[places[role]]
            if headers.count(headers[places[role]]) > 1:
                sheet.fail(f'two columns are called "{sheet.columns[role]}". Rename one.')
    return places


def _named(
    sheet: Sheet, headers: list[str], known: Iterable[str], columns: Mapping[str, str]
) -> dict[str, int]:
    """Return the places of the columns that were named by hand."""
    roles, places = list(known), dict[str, int]()
    for role in sorted(columns, key=lambda role: (role in roles, role)):
        name = columns[role]
        if role not in roles:
            sheet.fail(f"unknown key.{nearest(role, roles)}", key=f"columns.{role}")
        elif plain(name) in headers:
            places[role] = headers.index(plain(name))
        else:
            hint = nearest(name, sheet.headers)
            text = f'no column "{name}" among {_quoted(sheet.headers)}.{hint}'
            sheet.fail(text, key=f"columns.{role}")
    return places


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
