"""Which day a date of an operator's table means, also where only the whole table can tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from agent.sheet import BadRowError, Sheet

_MONTHS: Final = 12
_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ][0-9].*)?")
_DOTTED: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: [0-9].*)?")
_SLASHED: Final = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})(?: [0-9].*)?")


def read_date(cells: Mapping[str, str], role: str, empty: date, *, day_first: bool) -> date:
    """Return the date in the cell of a role, ``empty`` where it holds none.

    Raises BadRowError for anything else.
    """
    text = cells.get(role, "")
    if not text:
        return empty
    parts: Sequence[str] = ("0", "0", "0")
    if found := _ISO.fullmatch(text):
        parts = found.groups()
    elif found := _DOTTED.fullmatch(text):
        parts = found[3], found[2], found[1]
    elif found := _SLASHED.fullmatch(text):
        parts = (found[3], found[2], found[1]) if day_first else (found[3], found[1], found[2])
    try:
        return date(*map(int, parts))
    except ValueError:
        raise BadRowError(role, f'"{text}" is no date. Write it as 2026-03-31.') from None


def puts_day_first(sheet: Sheet, roles: Sequence[str]) -> bool:
    """Decide over all dates of a table whether 03/04/2026 is in April.

    Raises LogError where they contradict each other or leave it open.
    """
    lines: dict[str, int] = {}
    for line, cells in sheet.rows:
        for role in roles:
            if order := _order(cells.get(role, "")):
                lines.setdefault(order, line)
    if "day" in lines and "month" in lines:
        sheet.fail(
            f"dates put the day first (line {lines['day']}) and the month first "
            f"(line {lines['month']}). Write them as 2026-03-31."
        )
    elif set(lines) == {"open"}:
        sheet.fail(
            "dates can be read day first and month first, and none of them decides it. "
            "Write them as 2026-03-31.",
            lines["open"],
        )
    sheet.stop_if_fatal()
    return "day" in lines


def _order(text: str) -> str:
    """Tell what comes first in a date: ``day``, ``month``, or ``open``; empty for no matter."""
    found = _SLASHED.fullmatch(text)
    if found is None:
        return ""
    first, second = int(found[1]), int(found[2])
    if first == second or min(first, second) > _MONTHS:
        return ""
    return "day" if first > _MONTHS else "month" if second > _MONTHS else "open"
