"""Which format a file is written in, judged by what each format makes of its first lines.

No file name and no guess by keyword: a format is tried on the lines themselves. Where two formats
read the same lines, the more specific one is taken: the one whose own samples the other reads, but
which does not read the other's. A generic layout is tried where no device's own format fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from agent.model import ASIDE, COLONS, HEADER_CELLS, PAIRED, UNNAMED, Format, Shape

LINES = 200
"""First lines of a file that are looked at."""
ENOUGH = 0.5
"""Share of lines that a format must accept; relays mix devices, so not all need to."""
TELLING = 0.05
"""Share of lines that must name a host to a generic format, where no device's own reads any: what
else a device writes about, only that would know."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one format makes of some lines: how many are events, named events, others, rejects."""

    events: int
    named: int
    others: int
    rejects: int
    lines: frozenset[int] = frozenset()
    """Numbers of the lines that are named events."""

    @property
    def total(self) -> int:
        """Lines looked at."""
        return self.events + self.others + self.rejects

    @property
    def fit(self) -> tuple[float, float, float]:
        """Shares that order candidates: lines accepted, events, events with a host name."""
        total = self.total or 1
        return (
            round((self.events + self.others) / total, 2),
            round(self.events / total, 2),
            round(self.named / total, 2),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The format of a file, or why there is none."""

    format: Format | None
    reason: str = ""
    also: tuple[Format, ...] = ()
    """Formats to try, in order, on the lines that ``format`` rejects: devices write several."""


Try = Callable[[Format, bytes], Tally]
"""Runs one format over some clean text; given by the caller, who owns the database."""


def detect(
    head: bytes, formats: Mapping[str, Format], attempt: Try, first: str | None = None
) -> Answer:
    """Return the format of a file from its first clean text.

    ``first`` names a format to try before all others; it is taken at once where it reads the lines
    well, since files of one source seldom change.
    """
    sample = _first_lines(head)
    if not sample.strip():
        return Answer(None, "holds no line yet")
    if first is not None and first in formats:
        tally = attempt(formats[first], sample)
        if tally.named and tally.rejects == 0:
            return Answer(formats[first], also=_also(formats[first], formats, {}, attempt))
    tallies: dict[str, Tally] = {}
    fitting: dict[str, Tally] = {}
    for generic in (False, True):
        if not fitting:
            tallies |= {
                name: attempt(candidate, sample)
                for name, candidate in formats.items()
                if candidate.generic is generic and _possible(candidate, sample)
            }
            fitting = _fitting(tallies, formats)
    if not fitting:
        return Answer(None, _why_none(tallies))
    best = max(tally.fit for tally in fitting.values())
    tied = [formats[name] for name, tally in fitting.items() if tally.fit == best]
    answer = _most_specific(tied, attempt)
    if answer.format is None:
        return answer
    return Answer(answer.format, also=_also(answer.format, formats, tallies, attempt))


def others(rejected: bytes, formats: Mapping[str, Format], attempt: Try) -> tuple[Format, ...]:
    """Return the formats that read some of the lines that a file's own formats reject."""
    tallies = {
        name: attempt(candidate, rejected)
        for name, candidate in formats.items()
        if not (candidate.header or candidate.generic) and _possible(candidate, rejected)
    }
    found = {name: tally for name, tally in tallies.items() if tally.named}
    return tuple(formats[name] for name in _in_order(found, formats, attempt))


def _fitting(tallies: Mapping[str, Tally], formats: Mapping[str, Format]) -> dict[str, Tally]:
    """Return the formats that read enough lines, alone or with others of their vendor."""
    useful = {name: tally for name, tally in tallies.items() if tally.events}
    strange = not any(tally.named for name, tally in useful.items() if not formats[name].generic)
    alone = {
        name: tally
        for name, tally in useful.items()
        if tally.fit[0] >= ENOUGH or (strange and formats[name].generic and tally.fit[2] >= TELLING)
    }
    if alone:
        return alone
    mixed = frozenset[int]().union(*(tally.lines for tally in useful.values()))
    if any(len(mixed) >= ENOUGH * tally.total for tally in useful.values()):
        return useful  # a relay that writes the lines of several devices into one file
    together: Counter[str] = Counter()
    for name, tally in useful.items():
        together[formats[name].vendor] += tally.events + tally.others
    return {
        name: tally
        for name, tally in useful.items()
        if together[formats[name].vendor] >= ENOUGH * tally.total
    }


def _also(
    main: Format, formats: Mapping[str, Format], tallies: Mapping[str, Tally], attempt: Try
) -> tuple[Format, ...]:
    """Return what else a file may hold: what its first lines hold, then the vendor's other formats.

    A format whose columns a header names cannot read single lines, and is left out.
    """
    named = {name: tally for name, tally in tallies.items() if tally.named and name != main.name}
    seen = _in_order({n: t for n, t in named.items() if not formats[n].header}, formats, attempt)
    kin = [name for name, one in formats.items() if one.vendor == main.vendor and not one.generic]
    names = dict.fromkeys([*seen, *kin])
    # Nor may a guess take what a device's own format leaves: a record that repeats another, say.
    # What a guess leaves, another may whose lines say themselves what is what.
    return tuple(
        found
        for found in map(formats.__getitem__, names)
        if found is not main
        and not found.header
        and (not found.generic or (main.generic and found.spoken))
    )


def _in_order(
    tallies: Mapping[str, Tally], formats: Mapping[str, Format], attempt: Try
) -> list[str]:
    """Return names of formats, the more specific first: what it leaves, the others may read."""
    taken = {
        name: sum(
            _reads(formats[name], formats[other], attempt) for other in tallies if other != name
        )
        for name in tallies
    }
    return sorted(tallies, key=lambda name: (taken[name], -tallies[name].named, name))


def _first_lines(head: bytes) -> bytes:
    """Return whole lines only, unless there is but one and it has no end yet."""
    cut = head.rfind(b"\n") + 1
    lines = (head[:cut] if cut else head + b"\n").split(b"\n")[:LINES]
    return b"\n".join(lines) + b"\n" if lines[-1] else b"\n".join(lines)


def _possible(candidate: Format, sample: bytes) -> bool:
    """Leave out formats that a glance rules out; trying costs milliseconds each."""
    if candidate.header not in {"", "first", UNNAMED}:
        return candidate.header.encode() in sample
    if candidate.cut == "json" and b"{" not in sample:
        return False
    if candidate.cut in {"cef", "leef"} and not candidate.starts:
        return f"{candidate.cut.upper()}:".encode() in sample
    if candidate.starts and not _any(candidate.starts, sample):
        return False
    return any(_shape_possible(candidate, shape, sample) for shape in candidate.shapes)


_PLACED = ASIDE.union(*HEADER_CELLS.values())
"""Cells that stand at a place instead of behind a name, as those found by a pattern do."""


def _shape_possible(candidate: Format, shape: Shape, sample: bytes) -> bool:
    """Tell whether some text can hold a line of a shape: its names, or enough delimiters."""
    if candidate.cut in {"blanks", "delimited"}:
        delimiter, least = candidate.delimiter.encode(), (shape.minimum or 1) - 1
        words = all(_any(pivot.tokens, sample) for pivot in shape.pivots)
        if not words or all(line.count(delimiter) < least for line in sample.split(b"\n")):
            return False
    if candidate.words:
        # Whether a device has a name for a cell shows when it is tried.
        signs = [colon for colon, _ in COLONS] if candidate.colons else ["="]
        return candidate.cut != "keyvalue" or _any(signs, sample)
    if candidate.cut not in {"json", *PAIRED} and candidate.header != "first":
        return True
    asked = [one.cells for one in shape.when if any(v[0] != "!" for v in one.values if v)]
    times = [field.sources for field in shape.fields if field.name == "ts"]
    placed = _PLACED.union(candidate.find)
    return all(_met(cells, sample, placed) for cells in asked) and (
        not times or any(not cells or _met(cells, sample, placed) for cells in times)
    )


def _met(cells: Sequence[str], sample: bytes, placed: Collection[str]) -> bool:
    """Tell whether the name of one of some cells stands in a text, as the end of its path.

    Those that have their place need none.
    """
    return any(cell in placed for cell in cells) or _any(map(_last_name, cells), sample)


def _any(words: Iterable[str], sample: bytes) -> bool:
    return any(word.encode() in sample for word in words)


def _last_name(cell: str) -> str:
    """Return the last name of a path.

    >>> _last_name("dns.queries[0].rrname"), _last_name('$."id.orig_h"'), _last_name("src")
    ('rrname', 'id.orig_h', 'src')
    """
    if cell.endswith('"'):
        return cell[:-1].rpartition('"')[2]
    return cell.rpartition(".")[2].partition("[")[0]


def _most_specific(tied: Sequence[Format], attempt: Try) -> Answer:
    """Return the format whose samples the others read, but which does not read theirs."""
    if len(tied) == 1:
        return Answer(tied[0])
    reads = {
        (one.name, other.name): _reads(one, other, attempt) for one, other in permutations(tied, 2)
    }
    if not any(reads.values()):
        # Each reads lines of its own, so whichever comes first, the others read what is left.
        return Answer(min(tied, key=lambda one: one.name))
    winners = [
        one
        for one in tied
        if all(
            reads[other.name, one.name] and not reads[one.name, other.name]
            for other in tied
            if other is not one
        )
    ]
    if len(winners) == 1:
        return Answer(winners[0])
    names = " and ".join(sorted(one.name for one in tied))
    return Answer(None, f"reads equally well as {names}; say which with --format")


def _reads(reader: Format, writer: Format, attempt: Try) -> bool:
    """Tell whether one format makes events of another's samples."""
    lines = [
        f"{sample.header}\n{sample.line}\n" if sample.header else f"{sample.line}\n"
        for sample in writer.samples
        if isinstance(sample.event, dict)
    ]
    return any(attempt(reader, line.encode()).named for line in lines)


def _why_none(tallies: Mapping[str, Tally]) -> str:
    useful = [name for name, tally in tallies.items() if tally.events]
    near = max(useful, key=lambda name: tallies[name].fit, default=None)
    if near is None:
        known = "see 'sundial formats', or name one with --format"
        return f"is in no format that is known here; {known}"
    tally = tallies[near]
    return (
        f"comes nearest to {near}, which reads {tally.events} of its first {tally.total} lines; "
        f"force it with --format {near}"
    )
