"""The adoption model once more, in plain Python, so that it can contradict the SQL it checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.demo.scenario import Bools

# The thresholds of the adoption model are written out a second time on purpose: a check that reads
# the numbers it checks would agree with any of them.
FLOOR: Final = 0.5
HOLD: Final = 0.7
RANK: Final = ("none", "trial", "workgroup", "division")


def stage_history(
    active: Sequence[int], regular: Sequence[int], covered: Sequence[int], visible: Sequence[bool]
) -> list[str]:
    """Name the stage of one app in one department for every week, by the adoption model.

    All sequences have one entry a week. A stage is entered when its condition holds for two
    weeks running, and left after four weeks below 0.7 of it. What once was a workgroup is stalled
    after four weeks below half of its peak; what once was three people is abandoned after six
    weeks below a tenth. Weeks that are not visible stop every clock.

    >>> stage_history([0, 1, 1, 0], [0, 0, 1, 1], [20] * 4, [True, True, True, False])
    ['none', 'none', 'trial', 'not visible']
    """
    stages: list[str] = []
    base = reached = peak = low = faded = gone = 0
    above = [0, 0, 0, 0]
    for now, people, of, sees in zip(active, regular, covered, visible, strict=True):
        if not sees:
            stages.append("not visible")
            continue
        peak = max(peak, people)
        met, held = _conditions(now, people, of, 1.0), _conditions(now, people, of, HOLD)
        above = [run + 1 if ok else 0 for run, ok in zip(above, met, strict=True)]
        entered = max(rank for rank in range(4) if rank == 0 or above[rank] >= 2)
        low = 0 if held[base] else low + 1
        if entered > base:
            base, low = entered, 0
        elif low >= 4:
            base, low = max(rank for rank in range(base) if held[rank]), 0
        reached = max(reached, base)
        faded = faded + 1 if people < peak / 2 else 0
        gone = gone + 1 if people < peak / 10 else 0
        if reached >= 1 and peak >= 3 and gone >= 6:
            stages.append("abandoned")
        elif reached >= 2 and faded >= 4:
            stages.append("stalled")
        else:
            stages.append(RANK[base])
    return stages


def _conditions(active: int, regular: int, covered: int, factor: float) -> list[bool]:
    """Tell for each rank whether its threshold, times the factor, is met."""
    share = regular / covered if covered else 0.0
    team = regular >= 3 * factor
    habit = share >= 0.30 * factor and regular >= 5 * factor
    if covered < 8:
        team = team or share >= 0.40 * factor
        habit = share >= 0.60 * factor
    return [True, active >= factor, team, habit]


def count_regular(used: Bools, visible: Sequence[bool]) -> list[int]:
    """Count who was active in at least two of the last four visible weeks; 0 in a dark week."""
    weeks = np.flatnonzero(np.array(visible))
    seen = np.pad(used[:, weeks].astype(np.int64), ((0, 0), (3, 0)))
    window = np.stack([seen[:, lag : lag + len(weeks)] for lag in range(4)]).sum(axis=0)
    result = np.zeros(used.shape[1], dtype=np.int64)
    result[weeks] = (window >= 2).sum(axis=0)
    return list(result.tolist())
