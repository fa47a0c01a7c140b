"""An invented company whose adoption is known, written as the log files that real programs write.

``demo.toml`` tells the story. Each room acts out one part of it: ``scenario`` reads it, ``cast``
finds the people, ``plan`` decides who uses what on which day, ``truth`` works out from that plan
what Sundial should find, and ``logs`` writes the plan, with everything else a network says all day,
as Squid, Zscaler, BIND and dnsmasq would.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from agent.demo.cast import cast_people
from agent.demo.logs import write_logs
from agent.demo.operator_files import write_operator_files
from agent.demo.performance import Show
from agent.demo.plan import make_plan
from agent.demo.scenario import LAST_DAY, STORY_WEEKS, read_scenario
from agent.demo.truth import Truth, find_truth
from agent.errors import LogError, Problem

__all__ = ["Truth", "write_demo"]


def write_demo(  # noqa: PLR0913 - each is a knob of its own, and all but one have a default
    folder: Path,
    *,
    weeks: int = STORY_WEEKS,
    seed: int = 7,
    end: date = LAST_DAY,
    scale: float = 1.0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Truth:
    """Write the demo company into ``folder``: logs, people, subnets, settings and the truth.

    The story begins ``weeks`` weeks before ``end``, a Sunday; fewer weeks tell its beginning.
    ``scale`` thins out what people ask for, not who uses what. The same arguments give the same
    bytes. ``progress`` is called with what is being done, how much is done, and of how much.
    Raises LogError when the folder holds something that is no demo.
    """
    if end.weekday() != 6 or weeks < 1:
        message = f"a demo ends on a Sunday and has at least one week, not {weeks} weeks to {end}"
        raise ValueError(message)
    _make_room(folder)
    tell = progress or (lambda _what, _done, _of: None)
    tell("casting the company", 0, weeks * 7)
    story, horizon = read_scenario(), max(weeks, STORY_WEEKS)
    cast = cast_people(story, horizon, np.random.default_rng([seed, 0]))
    plan = make_plan(story, cast, seed, horizon)
    first_day = end - timedelta(days=weeks * 7 - 1)
    show = Show(folder, story, cast, plan, first_day, weeks, seed, scale)
    truth = find_truth(show, write_logs(show, tell))
    write_operator_files(show)
    text = json.dumps(asdict(truth), indent=1)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    return truth


def _make_room(folder: Path) -> None:
    """Remove an earlier demo, file by file as its truth lists them; touch nothing else."""
    old = folder / "truth.json"
    if old.exists():
        for path in json.loads(old.read_text(encoding="utf-8"))["files"]:
            (folder / path).unlink(missing_ok=True)
    elif folder.exists() and any(folder.iterdir()):
        raise LogError(Problem(str(folder), "holds files that are no demo. Name a new folder."))
    folder.mkdir(parents=True, exist_ok=True)
