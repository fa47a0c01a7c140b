"""One performance of the story: what is fixed before the writing begins, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from agent.demo.cast import Cast
from agent.demo.plan import Plan
from agent.demo.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Show:
    """What stays the same while the story is written down."""

    folder: Path
    story: Scenario
    cast: Cast
    plan: Plan
    first_day: date
    """A Monday."""
    weeks: int
    seed: int
    scale: float

    def day(self, week: int, days: int = 0) -> date:
        """Return the Monday of a week, which counts from 0, or a day after it."""
        return self.first_day + timedelta(weeks=week, days=days)


class Written(NamedTuple):
    """What went into the log files."""

    lines: dict[str, int]
    """Path below the folder → lines."""
    refused: dict[str, int]
    """App → requests."""
    torn: int
