"""Turns values into words: numbers, dates, names and the sentences that every page speaks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

THIN = "\u2009"
NARROW = "\u202f"
MINUS = "\u2212"
STAGES = ("trial", "workgroup", "division")
"""Stages that count as adoption, from least to most."""
MARKS = {
    "trial": "·",
    "workgroup": "▪",
    "division": "■",
    "stalled": "▽",
    "abandoned": "×",
    "not visible": "▨",
}
_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")
_LINK_STARTS = re.compile(r"(?i)(https?\\:|www|\\@)")
_PAGE = re.compile(r"https://[A-Za-z0-9.-]+(?:/[!-~]*)?")
_JOINER = "\u2060"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(value: object) -> str:
    r"""Return a value as one line of visible text, every hidden character shown as ``\ufffd``.

    Control, bidirectional, zero-width and unassigned characters can make one name look like
    another; a log may hold any of them.

    >>> safe("moc.live\u202eevil\n")
    'moc.live�evil�'
    """
    text = str(value)
    if text.isprintable():  # so nearly all are, and a table has tens of thousands
        return text
    return "".join("�" if unicodedata.category(mark)[0] == "C" else mark for mark in text)


def md(value: object) -> str:
    r"""Escape a value for Markdown, so that it is shown as it is and never becomes a link.

    >>> md("![x](//evil.example)")
    '\\!\\[x\\]\\(\\/\\/evil\\.example\\)'
    """
    escaped = _MARKDOWN.sub(r"\\\1", safe(value))
    # Bare addresses are linked after escapes are read; a word joiner breaks them up.
    return _LINK_STARTS.sub(lambda found: found[0] + _JOINER, escaped)


def cell(value: object) -> object:
    """Return a value as a table or file may hold it: text made visible, the rest untouched."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(safe(part) for part in value if part is not None)
    return value


def page(value: object) -> str | None:
    """Return a plain https address, None for anything else that a link might be made of.

    >>> page("https://example.com/trust"), page("javascript:alert(1)"), page("https://a@b.example")
    ('https://example.com/trust', None, None)
    """
    return value if isinstance(value, str) and _PAGE.fullmatch(value) else None


def csv_cell(value: object) -> object:
    """Return a value for a CSV file; text that a spreadsheet would run gets a leading quote.

    >>> csv_cell("=cmd|calc")
    "'=cmd|calc"
    """
    made = cell(value)
    if isinstance(made, str) and made.lstrip(" �").startswith(_FORMULA):
        return f"'{made}"
    return made


_smallest = 5


def told_from(k: int) -> None:
    """Set from how many people on a count is published; smaller ones come as None."""
    global _smallest  # noqa: PLW0603 - one store a server, and every sentence says it
    _smallest = k


def few() -> str:
    """Say a count that is too small to be published."""
    return f"< {_smallest}"


def people(count: float | None) -> str:
    """Say a count of people; None is not published, for its group or its department is too small.

    >>> people(1204), people(None)
    ('1\u2009204', 'too few to tell')
    """
    return "too few to tell" if count is None else number(count)


def number(value: float | None) -> str:
    """Say a whole number with thin spaces between thousands, a dash for the unknown."""
    return "–" if value is None else f"{round(value):,}".replace(",", THIN)


def signed(value: int) -> str:
    """Say a difference with its sign.

    >>> signed(2), signed(-3) == MINUS + "3"
    ('+2', True)
    """
    return f"{value:+d}".replace("-", MINUS)


def share(value: float | None) -> str:
    """Say a share of one in whole per cent; what is there but rounds to nothing says so."""
    if value is None:
        return "–"
    return f"< 1{NARROW}%" if 0 < value < 0.005 else f"{round(value * 100)}{NARROW}%"


def size(value: int | None) -> str:
    """Say a number of bytes; None is what the logs do not tell."""
    if value is None:
        return "not in these logs"
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f}{NARROW}{unit}"
        amount /= 1000
    return f"{amount:.1f}{NARROW}TB"


def day(value: date | datetime | None) -> str:
    """Say a day; a week is said by its Monday."""
    return "–" if value is None else f"{value.day} {value:%b %Y}"


def some(count: int, one: str, many: str | None = None) -> str:
    """Say how many there are of something.

    >>> some(1, "week"), some(3, "person", "people")
    ('1 week', '3 people')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def stage(name: str) -> str:
    """Say a stage with its mark in front."""
    return f"{MARKS[name]} {name}" if name in MARKS else "no stage"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Join names for a sentence and count what does not fit."""
    rest = len(names) - most
    if rest > 1:
        return f"{', '.join(names[:most])} and {rest} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "–"


def of_covered(row: Mapping[str, Any]) -> str:
    """Say regular people of covered people, and on which ground they were counted."""
    said = f"{people(row['regular_people'])} of {people(row['covered_people'])} covered people"
    return f"about {said}, by address," if row.get("basis") == "address" else said


def ago(first: date | None, week: date, since: str = "ago") -> str:
    """Say how long before a week something was first seen; ``since`` fits weeks that are past."""
    if first is None:
        return "never seen"
    weeks = (week - first).days // 7
    if weeks <= 0:
        return "first seen this week" if since == "ago" else "first seen that week"
    return f"first seen {some(weeks, 'week')} {since}"


def adoption(app: str, department: str, row: Mapping[str, Any]) -> str:
    """Tell the state of an app in a department in one sentence with its numbers.

    The row is one of ``adoption_weekly`` with the department's ``basis``.
    """
    app, department, name = safe(app), safe(department), row["stage"]
    tail = f"{ago(row['first_week'], row['week'])}."
    counted = f"{of_covered(row)} in the last four weeks"
    if name == "not visible" or not row["visible"]:
        if row.get("lit"):
            return (
                f"{app} is not visible in {department}: a source that saw most of its people is "
                f"silent, {ago(row['first_week'], row['week'])}."
            )
        return unseen(department, row)
    if name in STAGES:
        verb = "reached" if name != "trial" else "is on"
        return f"{app} {verb} {name} in {department}: {counted}, {tail}"
    peak = people(row["peak_people"])
    if name == "stalled":
        return f"{app} stalled in {department}: {counted}, {peak} at its peak, {tail}"
    if name == "abandoned":
        return f"{app} was abandoned in {department}: {counted}, {peak} at its peak, {tail}"
    return f"{app} has no stage in {department}: {counted}, {tail}"


def unseen(department: str, row: Mapping[str, Any]) -> str:
    """Tell that the logs do not show a department, and since when."""
    department, last = safe(department), row.get("last_visible")
    seen = people(row["covered_people"])
    of = "" if row.get("headcount") is None else f" of {people(row['headcount'])}"
    since = f" since the week of {day(last + timedelta(weeks=1))}" if last else ""
    return f"{department} is not visible{since}: the logs saw {seen}{of} people in this week."


def change(row: Mapping[str, Any], bold: str = "") -> str:
    """Tell one change of the last weeks; names are escaped for Markdown when ``bold`` is ``**``."""
    escape = md if bold else safe
    app = f"{bold}{escape(row['name'])}{bold}"
    where = f" in {bold}{escape(row['department'])}{bold}" if row["department"] else ""
    counted = f"{people(row['people'])} of {people(row['covered_people'])} covered people"
    first, when = ago(row["first_week"], row["week"], "before"), f"the week of {day(row['week'])}"
    match row["kind"]:
        case "new":
            who = (
                f"{few()} people"
                if row["people"] is None
                else some(row["people"], "person", "people")
            )
            return f"{app} is new{where}: {who}, since the week of {day(row['first_week'])}."
        case "abandoned":
            return f"{app} was abandoned{where} in {when}: {counted}, {first}."
        case "company_wide":
            return f"{app} became company-wide in {when}: {counted}, {first}."
        case "stage_up":
            return f"{app} reached {row['stage']}{where}: {counted}, {first}."
        case _:
            return f"{app} went back to {row['stage']}{where}: {counted}, {first}."


def company(app: str, row: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """Tell how far an app has spread in the company, from a row of ``adoption_company``."""
    counted = (
        "too few people to tell"
        if row["regular_people"] is None
        else f"{people(row['regular_people'])} of {people(row['covered_people'])} covered people"
    )
    state = "company-wide" if row["company_wide"] else "not company-wide"
    first = min((past["first_week"] for past in history if past["first_week"]), default=None)
    tip = row["tipping_point"]
    tipped = f" Its tipping point was the week of {day(tip)}." if tip else ""
    return (
        f"{safe(app)} is {state}: {counted} in the last four weeks, division in "
        f"{row['departments_division']} and active in {row['departments_active']} of "
        f"{some(row['departments_visible'], 'visible department')}, {ago(first, row['week'])}."
        f"{tipped}"
    )
