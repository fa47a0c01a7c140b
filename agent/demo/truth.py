"""What Sundial should find in the logs, worked out from the plan and never from the logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.demo.performance import Show, Written
from agent.demo.scenario import Bools
from agent.demo.stages import FLOOR, count_regular, stage_history

Departments = dict[str, dict[str, Any]]
Adoption = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Truth:
    """What Sundial should find in the logs; ``truth.json`` holds the same, key for key."""

    seed: int
    first_day: str
    last_day: str
    weeks: list[str]
    """Every Monday; each list of numbers below has one entry a week."""
    departments: Departments
    """site, basis, headcount, covered, visible."""
    adoption: Adoption
    """app → department → active, regular, stage (one a week), history (changes only)."""
    company: dict[str, dict[str, Any]]
    """app → active, regular, covered, company_wide (one a week), tipping_point."""
    gaps: list[dict[str, str]]
    """source, first and last silent day, why."""
    embedded_only: list[str]
    """Apps met on other people's pages or by machines only: they have no adopters."""
    refused: dict[str, int]
    """app → requests that a proxy refused."""
    unknown: dict[str, dict[str, int]]
    """Uncatalogued host → department → people at its peak."""
    hosts: dict[str, dict[str, str]]
    """Every catalogued host in the logs → app and evidence."""
    files: dict[str, int]
    """Path below the folder → lines."""
    unreadable: int
    """Lines that were torn by a crash, as happens."""


def find_truth(show: Show, written: Written) -> Truth:
    """Say what Sundial should find in a performance of which this was written."""
    story = show.story
    mondays = [str(show.day(week)) for week in range(show.weeks)]
    departments = _departments(show)
    adoption = _adoption(show, departments, mondays)
    beside = {host.app for host in story.hosts if host.app and host.evidence != "use"}
    return Truth(
        seed=show.seed,
        first_day=mondays[0],
        last_day=str(show.day(show.weeks, -1)),
        weeks=mondays,
        departments=departments,
        adoption=adoption,
        company=_company(adoption, departments, mondays),
        gaps=_gaps(show),
        embedded_only=sorted(app for app in beside if app not in story.raw["app"]),
        refused=written.refused,
        unknown=_unknown(show),
        hosts={
            host.name: {"app": host.app, "evidence": host.evidence}
            for host in story.hosts
            if host.app and host.evidence
        },
        files=written.lines,
        unreadable=written.torn,
    )


def _departments(show: Show) -> Departments:
    known = ~show.cast.external[:, None]
    result: Departments = {}
    for number, department in enumerate(show.story.departments):
        here = show.cast.department[:, : show.weeks] == number
        headcount = (here & known).sum(axis=0).tolist()
        covered = (here & show.plan.seen[:, : show.weeks]).sum(axis=0).tolist()
        result[department.name] = {
            "site": department.site,
            "basis": "person" if department.directory else "address",
            "headcount": headcount,
            "covered": covered,
            "visible": [c / h >= FLOOR for c, h in zip(covered, headcount, strict=True)],
        }
    return result


def _adoption(show: Show, departments: Departments, mondays: Sequence[str]) -> Adoption:
    result: Adoption = {}
    for number, app in enumerate(show.story.apps):
        if not app.catalogued:
            continue
        for where, (name, department) in enumerate(departments.items()):
            used = _used(show, number, where)
            if not used.any():
                continue
            active = used.sum(axis=0).tolist()
            regular = count_regular(used, department["visible"])
            stages = stage_history(active, regular, department["covered"], department["visible"])
            result.setdefault(app.app, {})[name] = {
                "active": active,
                "regular": regular,
                "stage": stages,
                "history": _history(stages, mondays),
            }
    return result


def _used(show: Show, app: int, department: int) -> Bools:
    """Tell who of a department used an app in which week: shape (people, weeks)."""
    here = show.cast.department[:, : show.weeks] == department
    result: Bools = show.plan.used[app, :, : show.weeks] & here
    return result


def _history(stages: Sequence[str], mondays: Sequence[str]) -> list[dict[str, str]]:
    """Keep the weeks in which the stage changed."""
    pairs = zip(["none", *stages], stages, mondays, strict=False)
    return [{"week": week, "stage": now} for before, now, week in pairs if now != before]


def _company(
    adoption: Adoption, departments: Departments, mondays: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Add the visible departments up: company-wide and the tipping point by their rules."""
    weeks = len(mondays)
    covered = [
        sum(d["covered"][week] for d in departments.values() if d["visible"][week])
        for week in range(weeks)
    ]
    visible = [sum(d["visible"][week] for d in departments.values()) for week in range(weeks)]
    result: dict[str, dict[str, Any]] = {}
    for app, places in adoption.items():
        active, regular = (
            [sum(place[key][week] for place in places.values()) for week in range(weeks)]
            for key in ("active", "regular")
        )
        stages = [[place["stage"][week] for place in places.values()] for week in range(weeks)]
        teams = [sum(stage in {"workgroup", "division"} for stage in now) for now in stages]
        habits = [now.count("division") for now in stages]
        tipped = [week for week in range(weeks) if habits[week] >= 1 or teams[week] >= 3]
        result[app] = {
            "active": active,
            "regular": regular,
            "covered": covered,
            "company_wide": [
                habits[week] * 2 >= visible[week] > 0 or regular[week] >= 0.40 * covered[week] > 0
                for week in range(weeks)
            ],
            "tipping_point": mondays[tipped[0]] if tipped else None,
        }
    return result


def _gaps(show: Show) -> list[dict[str, str]]:
    return [
        {
            "source": gap["source"],
            "first": str(show.day(gap["week"] - 1)),
            "last": str(show.day(gap["week"] - 1 + gap["weeks"], -1)),
            "why": gap["why"],
        }
        for gap in show.story.raw["gap"]
        if gap["week"] <= show.weeks
    ]


def _unknown(show: Show) -> dict[str, dict[str, int]]:
    return {
        app.app: {
            show.story.departments[where].name: int(_used(show, number, where).sum(axis=0).max())
            for where in app.use
        }
        for number, app in enumerate(show.story.apps)
        if not app.catalogued
    }
