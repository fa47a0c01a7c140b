"""What a directory or an address plan was understood to say, before a scan believes it.

People are counted; who they are is told only where that is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from agent import people

Row = dict[str, Any]
_NOUNS: Final = {
    "person": ("person", "people"),
    "guest": ("guest", "guests"),
    "service": ("service account", "service accounts"),
    "left": ("switched off", "switched off"),
}
_MOST: Final = 20
"""Departments that are listed for eyes; JSON has them all."""


def understood(
    path: Path,
    columns: Mapping[str, str],
    level: int | None,
    today: date,
    *,
    show: bool = False,
) -> Row:
    """Return what is in a directory or a list of subnets; clear names only with ``show``.

    Raises LogError where a scan could not use it.
    """
    if people.holds_ranges(path):
        return _plan(people.read_subnets(path))
    return _directory(people.read_directory(path, columns or None, level), today, show=show)


def sentences(row: Row) -> Iterator[str]:
    """Yield the lines for eyes."""
    columns = ", ".join(f"{role} = {header}" for role, header in row["columns"].items())
    if row["holds"] == "subnets":
        yield f"{row['file']}: {_many(row['ranges'], 'range')}, {row['shared']:,} of them shared"
        yield f"  columns: {columns}"
        yield f"  without a department: {row['unplaced']:,}; people stated: {row['people']:,}"
    else:
        yield f"{row['file']}: {_many(row['people'])} in a department today; {row['export']}"
        yield f"  columns: {columns}"
        counts = ", ".join(_many(many, *_NOUNS[kind]) for kind, many in row["accounts"].items())
        yield f"  accounts: {counts}"
        dates = f"dates from {row['first']} to {row['last']}" if row["first"] else "no dates"
        changes = (("joins", "join"), ("moves", "move"), ("ends", "end"))
        told = ", ".join(_many(row[key], one, key) for key, one in changes)
        yield f"  history: {told}, {dates}"
        if row["snapshots"]:
            yield f"  snapshots: {', '.join(row['snapshots'])}"
        if row["dotted"]:
            yield f"  dotted lines: {_many(row['dotted'])} with further units, not counted there"
        if row["depth"] > 1:
            yield f"  tree: {_many(row['units'], 'unit')}, {row['depth']} levels; --level takes one"
    most = sorted(row["departments"].items(), key=lambda pair: (-pair[1], pair[0]))
    units = ("range", "ranges") if row["holds"] == "subnets" else ("person", "people")
    yield f"  departments: {len(most):,}"
    yield from (f"    {name}: {_many(many, *units)}" for name, many in most[:_MOST])
    if len(most) > _MOST:
        yield f"    and {len(most) - _MOST:,} more; --json lists them all"
    for person in row.get("who", ()):
        stays = "; ".join(
            f"{stay['department']} ({stay['from'] or 'ever'} to {stay['to'] or 'now'})"
            for stay in person["stays"]
        )
        yield f"  {', '.join(person['names'])} ({person['kind']}): {stays or 'no department'}"


def _many(count: int, one: str = "person", more: str = "") -> str:
    """Return a count with its noun.

    >>> _many(1), _many(1200), _many(2, "range")
    ('1 person', '1,200 people', '2 ranges')
    """
    several = more or ("people" if one == "person" else f"{one}s")
    return f"{count:,} {one if count == 1 else several}"


def _directory(found: people.Directory, today: date, *, show: bool) -> Row:
    stays = [stay for person in found.people for stay in person.stays]
    dates = {day for stay in stays for day in stay[1:]} - {people.ALWAYS, people.FOREVER}
    departments = {stay.department: 0 for stay in stays}
    now = [stay.department for stay in stays if stay.valid_from <= today < stay.valid_to]
    row: Row = {
        "file": found.where,
        "holds": "directory",
        "export": found.export,
        "columns": dict(found.columns),
        "people": len(now),
        "accounts": dict(Counter(person.kind for person in found.people)),
        "departments": {**departments, **Counter(now)},
        "units": len(found.units),
        "depth": max(map(len, found.units), default=0),
        "joins": sum(
            person.stays[0].valid_from > people.ALWAYS for person in found.people if person.stays
        ),
        "moves": sum(max(0, len(person.stays) - 1) for person in found.people),
        "ends": sum(
            person.stays[-1].valid_to < people.FOREVER for person in found.people if person.stays
        ),
        "dotted": sum(bool(person.also) for person in found.people),
        "first": str(min(dates)) if dates else None,
        "last": str(max(dates)) if dates else None,
        "snapshots": list(map(str, found.days)),
        "problems": list(map(str, found.problems)),
    }
    if show:
        row["who"] = list(map(_who, found.people))
    return row


def _who(person: people.Person) -> Row:
    return {
        "names": list(person.spellings),
        "kind": person.kind,
        "stays": [_stay(stay) for stay in person.stays],
        "also": [_stay(stay) for stay in person.also],
    }


def _stay(stay: people.Stay) -> Row:
    return {
        "department": stay.department,
        "from": None if stay.valid_from == people.ALWAYS else str(stay.valid_from),
        # The last day, as a directory has it.
        "to": None if stay.valid_to == people.FOREVER else str(stay.valid_to - timedelta(days=1)),
    }


def _plan(found: people.Subnets) -> Row:
    return {
        "file": found.where,
        "holds": "subnets",
        "columns": dict(found.columns),
        "ranges": len(found.rows),
        "shared": sum(row.shared for row in found.rows),
        "unplaced": sum(row.department is None for row in found.rows),
        "departments": dict(Counter(row.department for row in found.rows if row.department)),
        "sites": sorted({row.site for row in found.rows if row.site}),
        "people": sum(row.people or 0 for row in found.rows),
        "problems": list(map(str, found.problems)),
    }
