"""Draws: rows in, an ECharts option out, with its height, its words and what each mark opens.

Names reach the reader through ``{b}``, which ECharts inserts as escaped text; no template and no
HTML is ever built from data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from dashboard import text
from dashboard.findings import Rows
from dashboard.theme import Palette

Option = dict[str, Any]
Target = tuple[str | None, str | None]
"""What a mark opens: an app, a department, or an app at a department."""

ROW = 33
NAMES = 172
NAMES_COMPACT = 128
BARS = 86
STAGED = frozenset(text.STAGES)


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart ready to show."""

    option: Option
    height: int
    alt: str
    targets: Mapping[str, Sequence[Target]] = field(default_factory=dict)
    """Per series id, what each of its marks opens, in the order of the data."""


def label(row: Mapping[str, Any]) -> str:
    """Return what stands in a cell of the map: the mark of the stage and the share in per cent.

    >>> label({"stage": "division", "share": 0.637})
    '■ 64'
    """
    mark = text.MARKS.get(row["stage"], "")
    if not mark and row.get("active_people", 0) is None:
        return text.few()
    if row["stage"] == "abandoned":
        return mark
    figure = round((row["share"] or 0) * 100)
    return f"{mark} {figure}" if figure else mark


@dataclass(frozen=True, slots=True)
class Matrix:
    """What a map shows: rows of coverage and rows of reach in their order, and their cells."""

    departments: Rows
    columns: Rows
    cells: Rows
    """Rows of weekly adoption; those of other departments and apps are left out."""


def frame(columns: Rows) -> tuple[int, int]:
    """Return the room in pixels above the map and right of it, so that no app's name is cut."""
    longest = max((len(row["name"]) for row in columns), default=0)
    last = max((len(row["name"]) for row in columns[-2:]), default=0)
    # A letter is about 7 pixels wide; at 52 degrees it takes 5.5 up and 4.3 to the right.
    return min(170, max(70, round(26 + 5.5 * longest))), min(120, max(44, round(4.3 * last)))


def tints(columns: Rows, paint: Palette) -> dict[str, str]:
    """Return a colour for each category of the apps, the same on every map of a page."""
    kinds = dict.fromkeys(row["filed"] for row in columns)
    return {kind: paint.categories[n % len(paint.categories)] for n, kind in enumerate(kinds)}


def adoption_map(
    matrix: Matrix, tint: Mapping[str, str], paint: Palette, *, compact: bool = False
) -> Picture:
    """Draw departments against apps: share as tone, stage as mark, the unseen hatched.

    ``tint`` has a colour for each category; ``compact`` is for narrower screens.
    """
    departments, columns = matrix.departments, matrix.columns
    across = {row["app"]: place for place, row in enumerate(columns)}
    down = {row["department"]: place for place, row in enumerate(departments)}
    visible = {row["department"] for row in departments if row["visible"]}
    known = {(row["app"], row["department"]): row for row in matrix.cells}
    seen: list[Option] = []
    opens: list[Target] = []
    for (app, department), row in known.items():
        if app in across and department in visible and row["visible"]:
            sentence = text.adoption(columns[across[app]]["name"], department, row)
            place = [across[app], down[department], round(100 * (row["share"] or 0))]
            seen.append(_cell(place, sentence, row, paint))
            opens.append((app, department))
    unseen = [row for row in departments if not row["visible"]]
    hidden = [
        _unseen(row, across[column["app"]], down[row["department"]], column["name"], paint)
        for row in unseen
        for column in columns
    ]
    kinds = list(dict.fromkeys(row["filed"] for row in columns))
    width = NAMES_COMPACT if compact else NAMES
    start = width + BARS
    head, right = frame(columns)
    wide = [row for row in columns if row["company_wide"]]
    names = [_row_head(row, down, width, paint) for row in departments]
    body = ROW * len(departments)
    legend = 20 * (1 + sum(len(kind) + 5 for kind in kinds) // (55 if compact else 105))
    series = [
        _choosable("cells", 0, seen, paint),
        _choosable("hidden", 0, hidden, paint),
        _choosable("apps", 1, [_app_head(row, across, tint, paint) for row in columns], paint),
        _heat("wide", 2, [_band(row, across, paint) for row in wide], paint),
        _choosable("departments", 3, names, paint),
        *_coverage_bars(departments, paint),
        *({"type": "scatter", "name": kind, "data": [], "xAxisIndex": 0, "yAxisIndex": 0,
           "itemStyle": {"color": tint[kind]}} for kind in kinds),
    ]  # fmt: skip
    grids = [
        {"left": start, "right": right, "top": head + 8, "height": body},
        {"left": start, "right": right, "top": 0, "height": head},
        {"left": start, "right": right, "top": head, "height": 5},
        {"left": 0, "width": width, "top": head + 8, "height": body},
        {"left": width + 4, "width": 40, "top": head + 8, "height": body},
    ]
    apps = [row["app"] for row in columns]
    rows = [row["department"] for row in departments]
    option: Option = {
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": _tooltip(paint),
        "grid": grids,
        "xAxis": [_bare(0, apps), _bare(1, apps), _bare(2, apps), _bare(3, [""]),
                  {**_bare(4, []), "type": "value", "min": 0, "max": 1}],
        "yAxis": [{**_bare(0, rows), **_ruled(paint)}, _bare(1, [""]), _bare(2, [""]),
                  {**_bare(3, rows), **_ruled(paint)}, {**_bare(4, rows), "inverse": True}],
        "legend": {"data": kinds, "bottom": 0, "left": 0 if compact else start,
                   "right": right, "icon": "circle", "itemWidth": 8, "itemHeight": 8,
                   "itemGap": 14, "selectedMode": False,
                   "textStyle": {"color": paint.soft, "fontSize": 12}},
        "series": series,
    }  # fmt: skip
    alt = (
        f"Heat map of {len(departments)} departments and {len(columns)} apps. Tone is the share "
        "of covered people who use an app regularly, the mark is the stage. "
        f"Not visible: {text.listed([row['department'] for row in unseen])}."
    )
    targets: dict[str, Sequence[Target]] = {
        "cells": opens,
        "hidden": [(column["app"], row["department"]) for row in unseen for column in columns],
        "apps": [(row["app"], None) for row in columns],
        "departments": [(None, row["department"]) for row in departments],
    }
    return Picture(option, head + 8 + body + legend + 12, alt, targets)


def spread(history: Rows, coverage: Rows, top: float, paint: Palette) -> Picture:
    """Draw one department's share over the weeks with its stages and a band of coverage.

    ``history`` is oldest first, ``coverage`` has every week of the span for the department, and
    ``top`` is the largest share drawn.
    """
    by_week = {row["week"]: row for row in history}
    weeks = [row["week"] for row in coverage]
    names = [text.day(week) for week in weeks]
    shares = [_share_of(by_week.get(row["week"]), row) for row in coverage]
    marks = [
        {"name": f"{text.stage(row['stage'])} since {text.day(row['week'])}",
         "value": [text.day(row["week"]), row["share"]], "symbolSize": 9,
         "label": {"formatter": text.MARKS[row["stage"]]}}
        for before, row in zip([None, *history], history, strict=False)
        if row["share"] is not None and row["stage"] in STAGED
        and (before is None or before["stage"] != row["stage"])
    ]  # fmt: skip
    last = history[-1]
    option: Option = {
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": _tooltip(paint),
        "grid": [{"left": 4, "right": 46, "top": 16, "height": 74},
                 {"left": 4, "right": 46, "top": 95, "height": 7}],
        "xAxis": [{**_bare(0, names), "boundaryGap": False, "show": True,
                   "axisLine": {"lineStyle": {"color": paint.line}}, "axisTick": {"show": False},
                   "axisLabel": {"show": False}},
                  {**_bare(1, names), "show": True, "axisLine": {"show": False},
                   "axisTick": {"show": False}, "axisLabel": _ends(names, paint)}],
        "yAxis": [{**_bare(0, []), "type": "value", "min": 0, "max": max(top, 0.1)},
                  {**_bare(1, []), "type": "value", "min": 0, "max": 1}],
        "series": [
            {"id": "share", "type": "line", "data": shares, "symbol": "none", "silent": True,
             "lineStyle": {"color": paint.accent, "width": 2}, "connectNulls": False,
             "areaStyle": {"color": paint.accent, "opacity": 0.12},
             "endLabel": {"show": last["share"] is not None, "color": paint.ink, "fontSize": 13,
                          "formatter": text.share(last["share"]), "distance": 5}},
            {"id": "marks", "type": "scatter", "data": marks, "symbol": "circle",
             "itemStyle": {"color": paint.accent},
             "label": {"show": True, "position": "top", "distance": 2, "color": paint.ink}},
            {"id": "coverage", "type": "bar", "xAxisIndex": 1, "yAxisIndex": 1, "barWidth": "96%",
             "data": [_band_of(row, paint) for row in coverage]},
        ],
    }  # fmt: skip
    first, name = history[0], last["department"]
    alt = (
        f"Share of {name} over {len(weeks)} weeks, first used in the week of "
        f"{text.day(first['first_week'])}, now {text.share(last['share'])}, {last['stage']}."
    )
    return Picture(option, 128, alt)


def arrivals(history: Rows, weeks: Sequence[date], paint: Palette) -> Picture:
    """Draw in which order departments arrived at an app: a dot each on the axis of ``weeks``."""
    firsts: dict[str, date] = {}
    for row in history:
        if row["first_week"] is not None:
            firsts.setdefault(row["department"], row["first_week"])
    order = sorted(firsts, key=lambda name: (firsts[name], name))
    data = [
        {"name": f"{text.safe(name)}: first use in the week of {text.day(firsts[name])}",
         "value": [firsts[name].isoformat(), place]}
        for place, name in enumerate(order)
    ]  # fmt: skip
    option: Option = {
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": _tooltip(paint),
        "grid": {"left": 2, "right": 24, "top": 6, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "time", "min": weeks[0].isoformat(), "max": weeks[-1].isoformat(),
                  "minInterval": 28 * 24 * 3600 * 1000,
                  "axisLabel": {"color": paint.soft, "hideOverlap": True, "formatter": {
                      "year": "{yyyy}", "month": "{MMM} {yyyy}", "day": "{d} {MMM}"}},
                  "splitLine": {"show": True, "lineStyle": {"color": paint.line}},
                  "axisLine": {"lineStyle": {"color": paint.line}}},
        "yAxis": {"type": "category", "data": [text.safe(name) for name in order],
                  "inverse": True, "axisLabel": {"color": paint.ink, "interval": 0, "width": 140,
                                "overflow": "truncate"},
                  "axisTick": {"show": False}, "axisLine": {"show": False},
                  "splitLine": {"show": True, "lineStyle": {"color": paint.line}}},
        "series": [{"type": "scatter", "data": data, "symbolSize": 11,
                    "itemStyle": {"color": paint.accent}}],
    }  # fmt: skip
    told = text.listed([f"{name} ({text.day(firsts[name])})" for name in order], 12)
    return Picture(option, 40 + 24 * len(order), f"Order of arrival: {told}.")


def coverage_strip(history: Rows, paint: Palette) -> Picture:
    """Draw which share of each department the logs saw in each week; hatched is not visible."""
    weeks = sorted({row["week"] for row in history})
    order = sorted({row["department"] for row in history}, key=str.lower)
    data = [
        {
            "value": [weeks.index(row["week"]), order.index(row["department"]), 1],
            "name": _coverage_words(row),
            "itemStyle": _unseen_style(paint) if not row["visible"]
            else {"color": paint.tone(0.7 * (1 if row["coverage"] is None else row["coverage"]))},
        }
        for row in history
    ]  # fmt: skip
    names = [text.day(week) for week in weeks]
    height = 24 * len(order)
    option = _strip("coverage", names, order, data, paint)
    blind = sorted({row["department"] for row in history if not row["visible"]})
    alt = f"Coverage of {len(order)} departments in {len(weeks)} weeks. " + (
        f"Not visible in some weeks: {text.listed(blind, 6)}." if blind else "All were visible."
    )
    return Picture(option, height + 40, alt)


def ledger_strip(ledger: Rows, paint: Palette) -> Picture:
    """Draw how many of those expected each source saw on any day; hatched is a day of silence."""
    days = sorted({row["day"] for row in ledger})
    order = sorted({row["source"] for row in ledger}, key=str.lower)
    data: list[Option] = []
    silent: set[str] = set()
    lines = sorted(ledger, key=lambda row: (row["source"].lower(), row["source"], row["day"]))
    for (source, day), rows in groupby(lines, itemgetter("source", "day")):
        own = list(rows)
        what = _counted(own)
        seen = sum(row[what] or 0 for row in own)
        expected = sum(row[f"expected_{what}"] or row[what] or 0 for row in own)
        style: Option = {"color": paint.line}
        if _is_silent(own):
            silent.add(source)
            style = _unseen_style(paint)
        elif expected:
            style = {"color": paint.tone(0.7 * min(1, seen / expected))}
        data.append({
            "value": [days.index(day), order.index(source), 1],
            "name": _ledger_words(source, day, own),
            "itemStyle": style,
        })  # fmt: skip
    names = [text.day(day) for day in days]
    option = _strip("ledger", names, order, data, paint)
    told = (
        f"Silent on some days: {text.listed(sorted(silent), 6)}." if silent else "None was silent."
    )
    alt = (
        f"People seen by {text.some(len(order), 'source')} on {text.some(len(days), 'day')}. {told}"
    )
    return Picture(option, 24 * len(order) + 40, alt)


def _counted(own: Rows) -> str:
    """Name what a source is measured by: people, or clients where it tells no person apart."""
    told = any(row["people"] or row["expected_people"] for row in own)
    return "people" if told else "clients"


def _is_silent(own: Rows) -> bool:
    """Tell whether no row has a request; requests of a few people are not told, but are there."""
    return all(row["requests"] == 0 for row in own)


def _told(counts: Iterable[int | None]) -> int | None:
    """Add up the counts that are told; None where there are only others, and zeros."""
    known = list(counts)
    total = sum(count or 0 for count in known)
    return total if total or None not in known else None


def _ledger_words(source: str, day: date, own: Rows) -> str:
    what = _counted(own)
    expected = sum(row[f"expected_{what}"] or 0 for row in own)
    when = f"{text.safe(source)} on {text.day(day)}"
    if _is_silent(own):
        due = f", {text.people(expected)} {what} expected" if expected else ""
        return f"{when}: silent{due}."
    of = f" of {text.people(expected)} expected" if expected else ""
    said = f"{when}: {text.people(_told(row[what] for row in own))}{of} {what}"
    return f"{said}." if what == "people" else f"{said}, nobody told apart."


def _strip(
    series: str, columns: Sequence[str], order: Sequence[str], data: list[Option], paint: Palette
) -> Option:
    return {
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": _tooltip(paint),
        "grid": {"left": 2, "right": 30, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "category", "data": list(columns), "axisTick": {"show": False},
                  "axisLine": {"show": False},
                  "axisLabel": {"color": paint.soft, "hideOverlap": True}},
        "yAxis": {"type": "category", "data": [text.safe(name) for name in order],
                  "inverse": True, "axisTick": {"show": False}, "axisLine": {"show": False},
                  "axisLabel": {"color": paint.ink, "interval": 0, "width": 140,
                                "overflow": "truncate"}},
        "series": [{**_heat(series, 0, data, paint), "label": {"show": False}}],
    }  # fmt: skip


def _tooltip(paint: Palette) -> Option:
    return {
        "trigger": "item",
        "formatter": "{b}",
        "confine": True,
        "backgroundColor": paint.ground,
        "borderColor": paint.line,
        "textStyle": {"color": paint.ink, "fontSize": 13},
        "extraCssText": "white-space: normal; max-width: 320px;",
    }


def _bare(grid: int, names: Sequence[str]) -> Option:
    return {"type": "category", "gridIndex": grid, "data": list(names), "show": False}


def _ruled(paint: Palette) -> Option:
    hide = {"show": False}
    lines = {"show": True, "lineStyle": {"color": paint.line}}
    return {"show": True, "inverse": True, "axisLine": hide, "axisTick": hide, "axisLabel": hide,
            "splitLine": lines}  # fmt: skip


def _heat(series: str, grid: int, data: list[Option], paint: Palette) -> Option:
    return {
        "id": series,
        "type": "heatmap",
        "xAxisIndex": grid,
        "yAxisIndex": grid,
        "data": data,
        "label": {"show": True, "fontSize": 12},
        "itemStyle": {"borderColor": paint.ground, "borderWidth": 1},
        "emphasis": {"itemStyle": {"borderColor": paint.ink, "borderWidth": 1}},
    }


def _choosable(series: str, grid: int, data: list[Option], paint: Palette) -> Option:
    return {
        **_heat(series, grid, data, paint),
        "selectedMode": "single",
        "cursor": "pointer",
        "select": {"itemStyle": {"borderColor": paint.accent, "borderWidth": 2}},
    }


def _cell(place: list[int], sentence: str, row: Mapping[str, Any], paint: Palette) -> Option:
    part = row["share"] or 0.0
    blank = part == 0 and row["stage"] not in text.MARKS
    return {
        "value": place,
        "name": sentence,
        "itemStyle": {"color": "transparent" if blank else paint.tone(part)},
        "label": {"formatter": label(row), "color": paint.on_tone(part)},
    }


def _unseen_style(paint: Palette) -> Option:
    return {
        "color": paint.unseen,
        "decal": {
            "symbol": "rect",
            "dashArrayX": [1, 0],
            "dashArrayY": [2, 5],
            "rotation": -0.7854,
            "color": paint.hatch,
        },
    }


def _unseen(row: Mapping[str, Any], x: int, y: int, app: str, paint: Palette) -> Option:
    last = row["last_visible"]
    since = f" since the week of {text.day(last + timedelta(weeks=1))}" if last else ""
    words: Option = {"show": False}
    if x == 0:
        words = {"show": True, "position": "insideLeft", "distance": 6,
                 "color": paint.ink, "fontSize": 12,
                 "formatter": f"not visible{since}: too few logs", "padding": [3, 6],
                 "backgroundColor": paint.ground, "borderRadius": 3}  # fmt: skip
    return {
        "value": [x, y, 0],
        "name": f"{text.safe(app)}: {text.unseen(row['department'], row)}",
        "itemStyle": {**_unseen_style(paint), "borderWidth": 0},
        "label": words,
    }


def _app_head(
    row: Mapping[str, Any], across: Mapping[str, int], tint: Mapping[str, str], paint: Palette
) -> Option:
    return {
        "value": [across[row["app"]], 0, 1],
        "name": text.safe(row["name"]),
        "itemStyle": {"color": "transparent", "borderWidth": 0},
        "label": {
            "formatter": "{dot|●} {b}",
            "rich": {"dot": {"color": tint[row["filed"]], "fontSize": 10}},
            "rotate": 52,
            "align": "left",
            "verticalAlign": "bottom",
            "position": ["30%", "97%"],
            "width": 186,
            "overflow": "truncate",
            "color": paint.ink,
            "fontSize": 13,
        },
    }


def _band(row: Mapping[str, Any], across: Mapping[str, int], paint: Palette) -> Option:
    return {
        "value": [across[row["app"]], 0, 1],
        "name": (
            f"{text.safe(row['name'])} is company-wide: division in "
            f"{row['departments_division']} of {row['departments_visible']} visible departments, "
            f"{text.people(row['regular_people'])} of {text.people(row['covered_people'])} people."
        ),
        "itemStyle": {"color": paint.accent},
        "label": {"show": False},
    }


def _row_head(
    row: Mapping[str, Any], down: Mapping[str, int], width: int, paint: Palette
) -> Option:
    return {
        "value": [0, down[row["department"]], 1],
        "name": text.safe(row["department"]),
        "itemStyle": {"color": "transparent", "borderWidth": 0},
        "label": {
            "formatter": "{b}",
            "position": "insideLeft",
            "distance": 2,
            "width": width - 8,
            "overflow": "truncate",
            "color": paint.ink,
            "fontSize": 14,
        },
    }


def _coverage_bars(departments: Rows, paint: Palette) -> list[Option]:
    bars: list[Option] = []
    rest: list[Option] = []
    for row in departments:
        part = min(1.0, row["coverage"] or 0.0)
        words = {"name": _coverage_words(row)}
        bars.append({"value": part, **words})
        rest.append({
            "value": 1.0 - part, **words,
            "label": {"formatter": text.people(row["covered_people"])},
            "itemStyle": {"color": "transparent" if row["coverage"] is None else paint.line},
        })  # fmt: skip
    common: Option = {"type": "bar", "stack": "coverage", "xAxisIndex": 4, "yAxisIndex": 4}
    return [
        {**common, "id": "covered", "data": bars, "barWidth": 8,
         "itemStyle": {"color": paint.soft}},
        {**common, "id": "uncovered", "data": rest,
         "label": {"show": True, "position": "right", "distance": 5, "color": paint.soft,
                   "fontSize": 12}},
    ]  # fmt: skip


def _coverage_words(row: Mapping[str, Any]) -> str:
    name, seen = text.safe(row["department"]), text.people(row["covered_people"])
    when = f" in the week of {text.day(row['week'])}" if "week" in row else ""
    if row["headcount"] is None:
        return f"{name}: the logs saw {seen} people{when}; the headcount is not known."
    state = "" if row["visible"] else ", too few to show"
    return (
        f"{name}: the logs saw {seen} of {text.people(row['headcount'])} people"
        f" ({text.share(row['coverage'])}){when}{state}."
    )


def _share_of(row: Mapping[str, Any] | None, coverage: Mapping[str, Any]) -> float | None:
    # Before the first use the share is nothing where the logs could see, unknown where not.
    if row is None:
        return 0.0 if coverage["visible"] else None
    return cast("float | None", row["share"])


def _band_of(row: Mapping[str, Any], paint: Palette) -> Option:
    part = 1.0 if row["coverage"] is None else row["coverage"]
    style = {"color": paint.tone(part * 0.6)} if row["visible"] else _unseen_style(paint)
    return {"value": 1, "name": _coverage_words(row), "itemStyle": style}


def _ends(names: Sequence[str], paint: Palette) -> Option:
    return {
        "color": paint.soft,
        "fontSize": 11,
        "interval": max(0, len(names) - 2),
        "showMinLabel": True,
        "showMaxLabel": True,
        "alignMinLabel": "left",
        "alignMaxLabel": "right",
    }
