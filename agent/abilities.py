"""What each log format can tell, read off its rules: the table that people choose a log by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from agent.model import Field, Format

TOLD: Final = {
    "client": "client",
    "user": "user",
    "host": "host",
    "bytes_out": "bytes out",
    "bytes_in": "bytes in",
    "blocked": "verdict",
    "user_agent": "agent",
    "department": "department",
}
"""The fields that not every log has, with the heading of each."""
TITLES: Final = ("format", "kind", "time zone", *TOLD.values(), "CNAME", "what it is")
_MARK: Final = {True: "yes", None: "some", False: "-"}


def row(one: Format) -> dict[str, Any]:
    """Return what a format can tell: a field is true where any of its lines can have it.

    ``partly`` names those that only some kinds of its lines have. ``time_zone`` lists how its times
    may be written: ``stated`` (also epochs), a vendor's fixed zone, ``yours`` (no zone: that of the
    source), ``none`` (no time at all: the day of the file).
    """
    return {
        "format": one.name,
        "title": one.title,
        "vendor": one.vendor,
        "kind": one.kind,
        "cut": one.cut,
        "evidence": one.evidence,
        "time_zone": zones(one),
        **{name: one.gives(name) for name in TOLD},
        "alias": one.tells("alias"),
        "partly": [name for name in TOLD if _tells(one, name) is None],
        "url": one.url,
    }


def cells(one: Format) -> list[str]:
    """Return the row of a format as people read it, in the order of ``TITLES``."""
    marks = [_MARK[_tells(one, name)] for name in TOLD]
    marks.append(_MARK[one.tells("alias")])
    return [one.name, one.kind, " or ".join(zones(one)), *marks, one.title]


def zones(one: Format) -> list[str]:
    """Return how the times of a format may state their zone, in the order they are tried."""
    found = [zone for shape in _counted(one) for field in shape for zone in _zones(field)]
    return list(dict.fromkeys(found))


def markdown(formats: Iterable[Format]) -> str:
    """Return the table of some formats as a page of Markdown."""
    known = list(formats)
    rows = [f"| {' | '.join(_escaped(cells(one)))} |" for one in known]
    rule = f"|{'---|' * len(TITLES)}"
    return "\n".join([_PAGE.format(count=len(known)), f"| {' | '.join(TITLES)} |", rule, *rows, ""])


_PAGE = """\
# What each log format can tell

Generated from `rules/formats` by `pytest tests/test_abilities.py --bless`; `sundial formats` prints
the same of the formats that you have, with your own. {count} formats.

*yes*: a line can say it; *some*: only some kinds of its lines can; *-*: this log never says it, and
no setting of Sundial can bring it back. *Time zone*: *stated* in the log (also as seconds since
1970), fixed by the vendor, or *yours*: the log does not say, so give the zone of the source
(`--timezone`). *Department*: the log names the user's department, which is taken where your
directory does not know the user. *CNAME*: it shows which name an answer leads to, so that a host
under a customer's own name is told by its vendor's.
"""


def _escaped(texts: Sequence[str]) -> list[str]:
    return [text.replace("|", "\\|") for text in texts]


def _counted(one: Format) -> list[list[Field]]:
    """Return the time fields of each kind of lines that is counted."""
    shapes = (shape for shape in one.shapes if not shape.repeats)
    return [[field for field in shape.fields if field.name == "ts"] for shape in shapes]


def _zones(field: Field) -> Iterable[str]:
    """Name what one way of reading a time makes of its zone."""
    bare = field.zone or "yours"
    if field.transform == "epoch":
        yield "stated"
    elif field.transform == "day":
        yield "none"
    elif field.transform in {"iso", "stamp"}:
        yield from ("stated", bare)
    else:
        if any("%z" in form for form in field.formats):
            yield "stated"
        if any("%z" not in form for form in field.formats):
            yield bare


def _tells(one: Format, name: str) -> bool | None:
    """Tell whether all counted kinds of lines can have a field; None for some of them."""
    shapes = [shape for shape in one.shapes if not shape.repeats]
    gives = [any(field.name == name and field.sources for field in s.fields) for s in shapes]
    return True if all(gives) and gives else None if any(gives) else False
