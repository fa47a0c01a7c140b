"""Who works where: a company's directory read into persons, their spellings and departments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from agent.dates import puts_day_first, read_date
from agent.errors import Problem
from agent.pseudonyms import canonical, local_part
from agent.sheet import DEPARTMENT_HEADERS, BadRowError, Sheet, read_sheet

ALWAYS: Final = date.min
"""The open beginning of an interval."""
FOREVER: Final = date.max
"""The open end of an interval."""

_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "login": ("login", "samaccountname", "userprincipalname", "user", "username", "uid"),
    "mail": ("mail", "email", "emailaddress"),
    "department": DEPARTMENT_HEADERS,
    "from": ("from", "start", "startdate", "hiredate", "validfrom"),
    "to": ("to", "end", "enddate", "leavedate", "validto"),
}


class Stay(NamedTuple):
    """A department and the half-open interval of days on which somebody belongs to it."""

    department: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Person:
    """One human being: the spellings that mean nobody else, and the departments in order."""

    spellings: tuple[str, ...]
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """What a directory file says, and which of its rows were left out."""

    where: str
    columns: Mapping[str, str]
    """Role (login, mail, department, from, to) to the header that was taken for it."""
    people: tuple[Person, ...]
    problems: tuple[Problem, ...]


class _Entry(NamedTuple):
    line: int
    login: str
    mail: str
    stay: Stay


def read_directory(path: Path, columns: Mapping[str, str] | None = None) -> Directory:
    """Read a directory CSV with one row for each person and department.

    ``columns`` maps login, mail, department, from and to to headers of the file; what it leaves
    out is guessed. ``to`` is the last day in a department, and on the day of a move the new
    department counts. Rows that cannot be used are left out and named in ``problems``. Raises
    LogError when the file cannot be used at all or puts one person into two departments at once.
    """
    sheet = read_sheet(path, _HEADERS, columns or {})
    sheet.require("department", "the department")
    sheet.require("login", "the login or mail", other="mail")
    sheet.stop_if_fatal()
    day_first = puts_day_first(sheet, ("from", "to"))
    entries = sheet.read(lambda line, cells: _entry(line, cells, day_first=day_first))
    people = _people(sheet, _once(sheet, entries))
    if not people:
        sheet.fail("no row names a person and a department, so nobody could be placed.")
    sheet.stop_if_fatal()
    return Directory(sheet.where, sheet.columns, people, sheet.in_order())


def _entry(line: int, cells: Mapping[str, str], *, day_first: bool) -> _Entry:
    login, mail, department = (cells.get(role, "") for role in ("login", "mail", "department"))
    if not login and not mail:
        raise BadRowError("login", "neither login nor mail.")
    if not department:
        raise BadRowError("department", "no department.")
    first = read_date(cells, "from", ALWAYS, day_first=day_first)
    last = read_date(cells, "to", FOREVER, day_first=day_first)
    if first > last:
        raise BadRowError("from", f'"{first}" is after the end, "{last}".')
    end = last if last == FOREVER else last + timedelta(days=1)
    return _Entry(line, canonical(login), canonical(mail), Stay(department, first, end))


def _once(sheet: Sheet, entries: Iterable[_Entry]) -> list[_Entry]:
    seen: dict[tuple[str, str, Stay], _Entry] = {}
    for entry in entries:
        earlier = seen.setdefault(entry[1:], entry)
        if earlier is not entry:
            sheet.leave_out(entry.line, None, f"says the same as line {earlier.line}.")
    return list(seen.values())


def _people(sheet: Sheet, entries: Sequence[_Entry]) -> tuple[Person, ...]:
    """Join the rows of each person; a mail address that two logins claim identifies nobody."""
    claims = _claims(entries)
    disputed = {mail for mail, logins in claims.items() if len(logins) > 1}
    for mail in sorted(disputed):
        first, second, *_ = sorted(claims[mail].values())
        sheet.warn(
            second,
            "mail",
            f"line {first} gives this address to another login. It identifies neither of them.",
        )
    mine: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        if not entry.login and entry.mail in disputed:
            sheet.leave_out(entry.line, "mail", "more than one login claims this address.")
        else:
            mine[entry.login or next(iter(claims.get(entry.mail, ())), entry.mail)].append(entry)
    spellings = _spellings(mine, disputed)
    return tuple(
        Person(spellings[name], _stays(sheet, rows)) for name, rows in sorted(mine.items())
    )


def _claims(entries: Iterable[_Entry]) -> dict[str, dict[str, int]]:
    """Return which logins have a spelling, with the first line of each."""
    claims: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in entries:
        if entry.login:
            claims[entry.login].setdefault(entry.login, entry.line)
            if entry.mail:
                claims[entry.mail].setdefault(entry.login, entry.line)
    return claims


def _spellings(
    people: Mapping[str, Sequence[_Entry]], disputed: set[str]
) -> dict[str, tuple[str, ...]]:
    """Give each person their login, mails and local parts, as far as those are theirs alone."""
    whole = {
        name: {name} | {entry.mail for entry in rows if entry.mail} - disputed
        for name, rows in people.items()
    }
    taken = disputed.union(*whole.values())
    owners: dict[str, set[str]] = defaultdict(set)
    for name, rows in people.items():
        for spelling in (name, *(entry.mail for entry in rows)):
            if local := local_part(spelling):
                owners[local].add(name)
    for local, names in owners.items():
        if len(names) == 1 and local not in taken:
            whole[next(iter(names))].add(local)
    return {name: tuple(sorted(spellings)) for name, spellings in whole.items()}


def _stays(sheet: Sheet, entries: Sequence[_Entry]) -> tuple[Stay, ...]:
    """Put the departments of one person in order; two at once are a fatal problem."""
    stays: list[Stay] = []
    line = 0
    for entry in sorted(entries, key=lambda entry: (*entry.stay[1:], entry.line)):
        stay = entry.stay
        last = stays[-1] if stays else None
        if last and last.department == stay.department and stay.valid_from <= last.valid_to:
            stays[-1] = last._replace(valid_to=max(last.valid_to, stay.valid_to))
        elif last and _moves_that_day(last, stay):
            stays[-1:] = [last._replace(valid_to=stay.valid_from), stay]
        elif last and stay.valid_from < last.valid_to:
            sheet.fail(
                f'lines {line} and {entry.line} put one person into "{last.department}" and '
                f'"{stay.department}" at once. End one before the other begins.',
                entry.line,
            )
        else:
            stays.append(stay)
        line = entry.line
    return tuple(stays)


def _moves_that_day(last: Stay, stay: Stay) -> bool:
    """Tell whether the old department ends on the very day on which the new one begins."""
    return (
        last.valid_to < FOREVER
        and stay.valid_from == last.valid_to - timedelta(days=1)
        and last.valid_from < stay.valid_from
    )
