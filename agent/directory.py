"""Who works where: a company's directory read into persons, their spellings and departments."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from agent.csv_cells import MANY
from agent.dates import puts_day_first, read_date
from agent.errors import LogError, Problem
from agent.exports import Exports, load_exports
from agent.pseudonyms import canonical, local_part
from agent.sheet import BadRowError, Sheet, read_sheet
from agent.units import Unit, below, named, unit_of

ALWAYS: Final = date.min
"""The open beginning of an interval."""
FOREVER: Final = date.max
"""The open end of an interval."""
KINDS: Final = ("person", "guest", "service", "left")
"""Whose account it may be; ``left`` is an account that is switched off."""

_DAY: Final = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)(?!\d)")
_LONGEST: Final = 200
"""Characters of a department; more are a text that got into the wrong column."""
# https://learn.microsoft.com/troubleshoot/windows-server/active-directory/useraccountcontrol-manipulate-account-properties
_DISABLED: Final = 0x0002
_MACHINE: Final = 0x0800 | 0x1000 | 0x2000


class Stay(NamedTuple):
    """A department and the half-open interval of days on which somebody belongs to it."""

    department: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Person:
    """One human being: the spellings that mean nobody else, and the departments in order.

    Whoever is a guest or a service has spellings only, and so does an account that is switched off
    and does not say since when: no department counts them.
    """

    spellings: tuple[str, ...]
    stays: tuple[Stay, ...]
    kind: str = KINDS[0]
    also: tuple[Stay, ...] = ()
    """Further units (dotted line), for which the person is not counted."""


@dataclass(frozen=True, slots=True)
class Directory:
    """What a directory says, and which of its rows were left out."""

    where: str
    columns: Mapping[str, str]
    """Role (login, mail, department, from, to ...) to the header that was taken for it."""
    people: tuple[Person, ...]
    problems: tuple[Problem, ...]
    export: str = ""
    """Whose export it looks like."""
    units: tuple[Unit, ...] = ()
    """The tree: every unit that a row names, from the top down, whatever level findings use."""
    days: tuple[date, ...] = ()
    """The days of the snapshots that it was put together from; one file needs none."""
    above: Mapping[str, str] = field(default_factory=dict)
    """Department, as findings call it, to the one above it; the newest snapshot decides."""


class _Entry(NamedTuple):
    sheet: Sheet
    at: int
    """Which snapshot it is of."""
    line: int
    login: str
    mails: tuple[str, ...]
    kind: str
    stay: Stay | None
    also: tuple[Stay, ...]


_Dated = tuple[Stay, _Entry]
"""When somebody was in a department, and the row that says so."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the rows of one snapshot."""

    sheet: Sheet
    at: int
    day_first: bool
    level: int | None
    parents: Mapping[str, str]
    known: Exports

    def entry(self, line: int, cells: Mapping[str, str]) -> _Entry:
        """Read a row; raises BadRowError where it names nobody, or nothing that they belong to."""
        login, mails = canonical(cells.get("login", "")), _mails(cells)
        if not login and not mails:
            raise BadRowError("login", "neither login nor mail.")
        kind = _kind(cells, self.known)
        first = read_date(cells, "from", ALWAYS, day_first=self.day_first)
        last = read_date(cells, "to", FOREVER, day_first=self.day_first)
        if first > last:
            raise BadRowError("from", f'"{first}" is after the end, "{last}".')
        end = last if last == FOREVER else last + timedelta(days=1)
        units = [self.unit(text) for text in cells.get("department", "").split(MANY)]
        units = [unit for unit in units if unit] or [unit_of(cells.get("path", ""))]
        units += [self.unit(text) for text in re.split(f"[;{MANY}]", cells.get("also", ""))]
        names = [self.name(unit) for unit in units if unit]
        if any(len(name) > _LONGEST for name in names):
            raise BadRowError("department", f"a name of more than {_LONGEST} characters.")
        stays = [Stay(name, first, end) for name in names]
        if kind in {"guest", "service"} or (kind == "left" and end == FOREVER):
            return _Entry(self.sheet, self.at, line, login, mails, kind, None, ())
        if not units[0]:
            raise BadRowError("department", "no department.")
        if self.known.says("no", cells.get("primary", "")):
            return _Entry(self.sheet, self.at, line, login, mails, kind, None, tuple(stays))
        return _Entry(self.sheet, self.at, line, login, mails, kind, stays[0], tuple(stays[1:]))

    def unit(self, text: str) -> Unit:
        """Return where a department stands; without a level, its name is not taken apart."""
        text = text.strip()
        if not text:
            return ()
        if text in self.parents:
            return below(self.parents, text)
        return unit_of(text) if self.level else (text,)

    def name(self, unit: Unit) -> str:
        """Return what findings call a unit."""
        return (
            unit[-1] if self.level is None and unit[-1] in self.parents else named(unit, self.level)
        )


def read_directory(
    path: Path, columns: Mapping[str, str] | None = None, level: int | None = None
) -> Directory:
    """Read a directory (CSV, XLSX, LDIF), or a folder of its snapshots, each dated by its name.

    ``columns`` maps roles as login, mail, department, from and to to headers of the file; what it
    leaves out is known or guessed. ``to`` is the last day in a department, and on the day of a
    move the new department counts. ``level`` is how far down the tree a department is told apart:
    1 for the top. Between two snapshots the earlier one holds, unless the later one has a date.
    Rows that cannot be used are left out and named in ``problems``. Raises LogError when a file
    cannot be used at all; days on which it puts one person into two departments count for neither.
    """
    known = load_exports()
    files = _snapshots(path)
    read = [_read(file, columns or {}, level, at, known) for at, file in enumerate(files.values())]
    days = tuple(files) if len(files) > 1 else ()
    sheets = [sheet for sheet, *_ in read]
    people = _people([entry for _, entries, *_ in read for entry in entries], days)
    if not any(person.stays for person in people):
        sheets[-1].fail("no row names a person and a department, so nobody could be placed.")
    problems = tuple(problem for sheet in sheets for problem in sheet.in_order())
    if any(sheet.fatal for sheet in sheets):
        raise LogError(problems)
    newest = sheets[-1]
    return Directory(
        str(path),
        newest.columns,
        people,
        problems,
        known.name(newest.headers),
        tuple(sorted({unit for _, _, units, _ in read for unit in units})),
        days,
        {name: parent for *_, above in read for name, parent in above.items()},
    )


def _snapshots(path: Path) -> dict[date, Path]:
    """Return the files of a directory by their day; a single one needs none in its name."""
    if not path.is_dir():
        return {ALWAYS: path}
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
    if not files:
        raise LogError(Problem(str(path), "cannot be read: it holds no file."))
    if len(files) == 1:
        return {ALWAYS: files[0]}
    found: dict[date, Path] = {}
    problems: list[Problem] = []
    for file in files:
        digits = _DAY.search(file.name)
        try:
            day = date(*map(int, digits.groups() if digits else (0, 0, 0)))
        except ValueError:
            text = "has no day in its name. Call it as people-2026-03-31.csv."
            problems.append(Problem(str(file), text))
            continue
        if day in found:
            text = f"is of the same day as {found[day].name}. Keep one of them."
            problems.append(Problem(str(file), text))
        found[day] = file
    if problems:
        raise LogError(problems)
    return dict(sorted(found.items()))


def _read(
    path: Path, columns: Mapping[str, str], level: int | None, at: int, known: Exports
) -> tuple[Sheet, list[_Entry], set[Unit], dict[str, str]]:
    sheet = read_sheet(path, known.headers, columns)
    sheet.require("department", "the department", other="path")
    if not sheet.columns.keys() & {"login", "principal"}:
        sheet.require("login", "the login or mail", other="mail")
    sheet.stop_if_fatal()
    day_first = puts_day_first(sheet, ("from", "to"))
    sheet.rows = [row for row in sheet.rows if not _is_nobodys(row[1], known)]
    reader = _Reader(sheet, at, day_first, level, _parents(sheet), known)
    entries = _once(sheet, sheet.read(reader.entry))
    texts = {cells.get("department", "") for _, cells in sheet.rows}
    units = {reader.unit(one) for text in texts for one in text.split(MANY)}
    units |= {
        unit_of(cells["path"])
        for _, cells in sheet.rows
        if cells.get("path") and not cells.get("department")
    }
    units.discard(())
    steps = {unit[:depth] for unit in units for depth in range(2, len(unit[:level]) + 1)}
    above = {reader.name(unit): reader.name(unit[:-1]) for unit in sorted(steps)}
    return sheet, entries, units, {name: up for name, up in above.items() if name != up}


def _parents(sheet: Sheet) -> dict[str, str]:
    """Return which unit is above each department, as the rows say."""
    found: dict[str, tuple[str, int]] = {}
    for line, cells in sheet.rows:
        department, parent = cells.get("department", ""), cells.get("parent", "")
        if not department or not parent or department == parent:
            continue
        earlier, where = found.setdefault(department, (parent, line))
        if earlier != parent:
            text = f'line {where} puts "{department}" below "{earlier}". That is taken.'
            sheet.warn(line, "parent", text)
    return {department: parent for department, (parent, _) in found.items()}


def _is_nobodys(cells: Mapping[str, str], known: Exports) -> bool:
    """Tell whether a row is of something that never signs in, as a group or a unit."""
    return any(known.says("none", name) for name in re.split(f"[;,{MANY}]", cells.get("class", "")))


def _kind(cells: Mapping[str, str], known: Exports) -> str:
    """Tell whose account a row is of."""
    kinds = re.split(f"[;,{MANY}]", MANY.join((cells.get("kind", ""), cells.get("class", ""))))
    flags = int(cells["flags"]) if re.fullmatch("[0-9]{1,10}", cells.get("flags", "")) else 0
    logins = [cells.get(role, "").casefold() for role in ("login", "principal", "mail")]
    if (
        flags & _MACHINE
        or any(known.says("service", kind) for kind in kinds)
        or any(login.endswith(known.logins["service_ends"]) for login in logins)
    ):
        return "service"
    if any(known.says("guest", kind) for kind in kinds) or any(
        mark in login for login in logins for mark in known.logins["guest_has"]
    ):
        return "guest"
    return "left" if flags & _DISABLED or known.says("left", cells.get("status", "")) else "person"


def _mails(cells: Mapping[str, str]) -> tuple[str, ...]:
    """Return every further name of an account, the best first."""
    texts = [cells.get("mail", "").replace(";", MANY), cells.get("principal", "")]
    # Exchange writes SMTP: before the first address and smtp: before others; X500: is no name.
    texts += (
        re.sub("^smtp:", "", text.strip(), flags=re.IGNORECASE)
        for text in re.split(f"[;,{MANY}]", cells.get("aliases", ""))
    )
    mails = (canonical(mail) for text in texts for mail in text.split(MANY) if ":" not in mail)
    return tuple(dict.fromkeys(mail for mail in mails if mail))


def _once(sheet: Sheet, entries: Iterable[_Entry]) -> list[_Entry]:
    seen: dict[tuple[object, ...], _Entry] = {}
    for entry in entries:
        earlier = seen.setdefault(entry[3:], entry)
        if earlier is not entry:
            sheet.leave_out(entry.line, None, f"says the same as line {earlier.line}.")
    return list(seen.values())


def _people(entries: Sequence[_Entry], days: Sequence[date]) -> tuple[Person, ...]:
    """Join the rows of each person; a mail address that two logins claim identifies nobody."""
    claims = _claims(entries)
    disputed = {mail for mail, logins in claims.items() if len(logins) > 1}
    for mail in sorted(disputed):
        first, second, *_ = sorted(claims[mail].values(), key=lambda entry: (entry.at, entry.line))
        place = "" if first.sheet is second.sheet else f"{first.sheet.where}, "
        second.sheet.warn(
            second.line,
            "mail",
            f"{place}line {first.line} gives this address to another login. "
            "It identifies neither of them.",
        )
    mine: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        own = [mail for mail in entry.mails if mail not in disputed]
        if not entry.login and not own:
            text = "more than one login claims this address."
            entry.sheet.leave_out(entry.line, "mail", text)
        else:
            logins = (login for mail in own for login in claims.get(mail, ()))
            mine[entry.login or next(logins, own[0] if own else "")].append(entry)
    spellings = _spellings(mine, disputed)
    return tuple(_person(spellings[name], rows, days) for name, rows in sorted(mine.items()))


def _person(spellings: tuple[str, ...], rows: Sequence[_Entry], days: Sequence[date]) -> Person:
    newest = max(rows, key=lambda entry: (entry.at, entry.line))
    also = {cut for entry in rows for stay in entry.also if (cut := _cut(stay, entry.at, days))}
    return Person(spellings, _stays(_dated(rows, days)), newest.kind, _joined(also))


def _dated(rows: Sequence[_Entry], days: Sequence[date]) -> list[_Dated]:
    """Bound what each snapshot says by its own day and that of the next one.

    A date in the next snapshot that falls between the two says better when things changed.
    """
    stated = [(entry.stay, entry) for entry in rows if entry.stay]
    if not days:
        return stated
    found: list[_Dated] = []
    for stay, entry in stated:
        changes = (day for later, its in stated if its.at == entry.at + 1 for day in later[1:])
        if cut := _cut(stay, entry.at, days, changes):
            found.append((cut, entry))
    return found


def _cut(stay: Stay, at: int, days: Sequence[date], changes: Iterable[date] = ()) -> Stay | None:
    """Cut a stay to the time of its snapshot, which ends early where the next states a change."""
    if not days:
        return stay
    begin = days[at] if at else ALWAYS
    until = days[at + 1] if at + 1 < len(days) else FOREVER
    until = min((day for day in changes if days[at] < day < until), default=until)
    if at and days[at - 1] < stay.valid_from < begin:
        begin = stay.valid_from
    cut = stay._replace(valid_from=max(stay.valid_from, begin), valid_to=min(stay.valid_to, until))
    return cut if cut.valid_from < cut.valid_to else None


def _claims(entries: Iterable[_Entry]) -> dict[str, dict[str, _Entry]]:
    """Return which logins have a spelling, with the first row of each."""
    claims: dict[str, dict[str, _Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.login:
            for name in (entry.login, *entry.mails):
                claims[name].setdefault(entry.login, entry)
    return claims


def _spellings(
    people: Mapping[str, Sequence[_Entry]], disputed: set[str]
) -> dict[str, tuple[str, ...]]:
    """Give each person their login, mails and local parts, as far as those are theirs alone."""
    whole = {
        name: {name} | {mail for entry in rows for mail in entry.mails} - disputed
        for name, rows in people.items()
    }
    taken = disputed.union(*whole.values())
    owners: dict[str, set[str]] = defaultdict(set)
    for name, rows in people.items():
        for spelling in {name, *(mail for entry in rows for mail in entry.mails)}:
            if local := local_part(spelling):
                owners[local].add(name)
    for local, names in owners.items():
        if len(names) == 1 and local not in taken:
            whole[next(iter(names))].add(local)
    return {name: tuple(sorted(spellings)) for name, spellings in whole.items()}


def _stays(entries: Iterable[_Dated]) -> tuple[Stay, ...]:
    """Put the departments of one person in order; days in two at once count for neither."""
    rows = sorted(entries, key=lambda one: (*one[0][1:], one[1].at, one[1].line))
    rows = [(_moved(stay, rows), entry) for stay, entry in rows]
    _tell_conflicts(rows)
    turns: dict[date, Counter[str]] = defaultdict(Counter)
    for stay, _ in rows:
        turns[stay.valid_from][stay.department] += 1
        turns[stay.valid_to][stay.department] -= 1
    here, stays = Counter[str](), list[Stay]()
    for day, then in pairwise(sorted(turns)):
        here.update(turns[day])
        here = +here
        if len(here) != 1:
            continue
        (name,) = here
        if stays and (stays[-1].department, stays[-1].valid_to) == (name, day):
            day = stays.pop().valid_from  # noqa: PLW2901 - the stay goes on
        stays.append(Stay(name, day, then))
    return tuple(stays)


def _moved(stay: Stay, rows: Iterable[_Dated]) -> Stay:
    """Return a stay without its last day where another department begins on that very day."""
    if stay.valid_to == FOREVER:
        return stay
    last = stay.valid_to - timedelta(days=1)
    moves = any(
        other.valid_from == last and other.department != stay.department for other, _ in rows
    )
    return stay._replace(valid_to=last) if moves and stay.valid_from < last else stay


def _tell_conflicts(rows: Iterable[_Dated]) -> None:
    """Warn of each row that puts a person into a second department."""
    far: dict[str, _Dated] = {}
    for stay, entry in rows:
        rivals = [one for name, one in far.items() if name != stay.department]
        rival = max(rivals, key=lambda one: one[0].valid_to, default=None)
        if rival and stay.valid_from < rival[0].valid_to:
            entry.sheet.warn(
                entry.line,
                "department",
                f"lines {rival[1].line} and {entry.line} put one person into "
                f'"{rival[0].department}" and "{stay.department}" at once. Those days count for '
                "neither; end one before the other begins.",
            )
        if stay.department not in far or stay.valid_to > far[stay.department][0].valid_to:
            far[stay.department] = stay, entry


def _joined(stays: Iterable[Stay]) -> tuple[Stay, ...]:
    """Join what follows on itself; unlike departments may overlap."""
    found: list[Stay] = []
    for stay in sorted(stays):
        last = found[-1] if found else None
        if last and last.department == stay.department and stay.valid_from <= last.valid_to:
            found[-1] = last._replace(valid_to=max(last.valid_to, stay.valid_to))
        else:
            found.append(stay)
    return tuple(found)
