"""How sure a finding is: odds of rules/confidence.toml, one for each kind of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from agent import shipped
from agent.errors import Problem, RulesError, unknown_key

KINDS: Final = ("exact", "own", "suffix", "alias", "guessed")
"""How a host may have been understood: named by an entry, by one of the operator's own, below a
named host, as a name that stands for another, or by nothing that an entry says."""
_NEEDED: Final = {"rule": KINDS, "days": ("1",), "agree": ("kinds",)}


@dataclass(frozen=True, slots=True)
class Confidence:
    """Odds that a finding holds; those of what was seen are multiplied."""

    rule: Mapping[str, float]
    """Kind of rule to the odds after one day in one kind of log."""
    days: Mapping[int, float]
    """Number of days, from which on, to a factor; 1 is among them."""
    agree: float
    """Factor where DNS and another kind of log both saw it."""

    def chance(self, rule: str, days: int, *, agree: bool) -> float:
        """Return how probable a finding is, 0 to 1.

        >>> round(load_confidence().chance("exact", 12, agree=True), 2)
        0.98
        """
        odds = self.rule[rule] * self.days[max(least for least in self.days if least <= days)]
        odds *= self.agree if agree else 1.0
        return odds / (1 + odds)


def load_confidence(path: Path | Traversable | None = None) -> Confidence:
    """Read the odds, by default the shipped ones. Raises RulesError with every problem."""
    where, tables = shipped.tables("confidence.toml", path)
    problems = [Problem(where, message, key=key) for key, message in _faults(tables)]
    if problems:
        raise RulesError(problems)
    return Confidence(
        rule={kind: float(tables["rule"][kind]) for kind in KINDS},
        days={int(least): float(odds) for least, odds in tables["days"].items()},
        agree=float(tables["agree"]["kinds"]),
    )


def _faults(tables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name each key with what is wrong about it."""
    for table in tables:
        if table not in _NEEDED:
            yield table, unknown_key(table, _NEEDED)
    for name, needed in _NEEDED.items():
        held = tables.get(name, {})
        for key in needed:
            if key not in held:
                yield f"{name}.{key}", "missing. Take it from the shipped file."
        for key, odds in held.items():
            if name != "days" and key not in needed:
                yield f"{name}.{key}", unknown_key(key, needed)
            elif name == "days" and not (key.isdecimal() and int(key)):
                yield f"{name}.{key}", "expected a number of days from 1."
            elif isinstance(odds, bool) or not isinstance(odds, int | float) or odds <= 0:
                yield f"{name}.{key}", f"expected odds above 0, found {odds!r}."
