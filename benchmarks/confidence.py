"""Holds the confidence of findings against the demo company, whose truth is known.

    python -m benchmarks.confidence

Prints a Markdown table and writes the curve to benchmarks/confidence.svg. The demo is looked at in
slices, as if the logs had been worse than they are: some days only, one kind of log only; and with
a catalogue that knows less, as if every host of an app meant use. A slice is four weeks long, and a
finding in it is right when somebody of the department used the app in two of these weeks or more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from agent import sql
from agent.confidence import Confidence, load_confidence
from agent.demo import write_demo

HERE = Path(__file__).parent
DATA = HERE / "data" / "confidence"
SCALE = 0.05
"""Share of the demo's requests; the same people use the same apps on the same days."""
THINNED = (1, 2, 5, 10)
"""One day in so many is kept."""
LOGS = {"all": "true", "DNS only": "dns", "no DNS": "NOT dns"}
KNOWN = {"exact": "evidence = 'use'", "guessed": "true"}
"""What is known of hosts: what the catalogue says, or that they belong to the app and no more."""
TEST = 2
"""Apps are in so many halves: of one the odds are learned, with the others they are tested."""

FEW = 20
"""Findings below which the curve has no point: a handful is right or wrong by chance."""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {whole}" width="{whole}">
<style>
text {{ font: 11px sans-serif; fill: #334155; }}
.middle {{ text-anchor: middle; }}
.end {{ text-anchor: end; }}
circle {{ fill-opacity: 0.65; }}
.exact {{ fill: #0f766e; }}
.guessed {{ fill: #b45309; }}
</style>
<rect width="{whole}" height="{whole}" fill="#ffffff"/>
<rect x="{edge}" y="{edge}" width="{side}" height="{side}" fill="none" stroke="#cbd5e1"/>
<path d="M{edge} {end}L{end} {edge}" stroke="#94a3b8" stroke-dasharray="4 4"/>
<text x="{edge}" y="22">how often it was right, by confidence</text>
<text x="{end}" y="22" class="end"><tspan class="exact">● catalogue</tspan> \
<tspan class="guessed">● guessed</tspan></text>
{dots}
</svg>
"""

# A row for each day, app, department, kind of log and evidence.
SEEN = """
CREATE TEMP TABLE seen AS
SELECT DISTINCT used.day, host.app, member.department, kind = 'dns' AS dns, host.evidence
FROM used
JOIN host USING (host_id)
JOIN source USING (source_id)
JOIN published.sources USING (source)
JOIN membership AS member
    ON member.actor_id = used.actor_id AND member.unit <> 'shared'
    AND used.day >= member.valid_from AND used.day < member.valid_to
JOIN published.departments AS place
    ON place.department = member.department AND place.basis = member.unit
WHERE used.requests > used.blocked AND host.app <> '' AND member.department <> '(unknown)'
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """Findings of which all the same is known."""

    rule: str
    days: int
    agree: bool
    learned: bool
    """Whether the odds were taken from them."""


def main() -> None:
    """Scan the demo company, look at it in slices, and print how often findings were right."""
    store = scanned()
    truth = json.loads((DATA / "truth.json").read_text(encoding="utf-8"))
    odds = load_confidence()
    right: Counter[Cell] = Counter()
    every: Counter[Cell] = Counter()
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        con.execute(f"ATTACH '{store / 'findings.duckdb'}' AS published (READ_ONLY)")
        con.execute(sql.script("behind.sql"))
        con.execute(SEEN)
        for cell, holds in findings(con, truth, odds):
            every[cell] += 1
            right[cell] += holds
    print(table(odds, every, right))
    (HERE / "confidence.svg").write_text(curve(odds, every, right), encoding="utf-8")


def scanned() -> Path:
    """Write the demo company and scan it, unless an earlier run did; return its store."""
    store = DATA / "store"
    if not (store / "findings.duckdb").exists():
        write_demo(DATA, scale=SCALE)
        sundial = str(Path(sys.executable).with_name("sundial"))
        where = ["--config", str(DATA / "sundial.toml"), "--store", str(store)]
        subprocess.run([sundial, "scan", str(DATA / "logs"), *where], check=False)
    return store


def findings(
    con: duckdb.DuckDBPyConnection, truth: dict[str, Any], odds: Confidence
) -> Iterator[tuple[Cell, bool]]:
    """Yield what is found in each slice, and whether it is right."""
    asked = """SELECT app, department, count(DISTINCT day), count(DISTINCT dns) = 2 FROM seen
               WHERE day >= $since AND day < $until AND hash(day) % $every = 0
                   AND {logs} AND {known}
               GROUP BY ALL"""
    for week, monday in list(enumerate(truth["weeks"]))[3::2]:
        until = date.fromisoformat(monday) + timedelta(days=7)
        for every in THINNED:
            given = {"since": until - timedelta(days=28), "until": until, "every": every}
            for logs in LOGS.values():
                for rule, known in KNOWN.items():
                    rows = con.execute(asked.format(logs=logs, known=known), given).fetchall()
                    for app, department, days, agree in rows:
                        if not truth["departments"][department]["visible"][week]:
                            continue
                        lived = truth["adoption"].get(app, {}).get(department)
                        step = max(least for least in odds.days if least <= days)
                        learned = zlib.crc32(app.encode()) % TEST == 0
                        holds = bool(lived and lived["regular"][week])
                        yield Cell(rule, step, agree, learned), holds


def table(odds: Confidence, every: Counter[Cell], right: Counter[Cell]) -> str:
    """Return the confidence of each kind of evidence beside how often it was right."""
    lines = [
        "| rule | days from | kinds agree | confidence | right, tested | findings | learned |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for rule in KNOWN:
        for days in odds.days:
            for agree in (False, True):
                test, learn = (Cell(rule, days, agree, learned) for learned in (False, True))
                sure = odds.chance(rule, days, agree=agree)
                lines.append(
                    f"| {rule} | {days} | {'yes' if agree else 'no'} | {sure:.0%} "
                    f"| {right[test] / max(1, every[test]):.0%} | {every[test]:,} "
                    f"| {right[learn] / max(1, every[learn]):.0%} |"
                )
    off = sum(
        abs(right[cell] - every[cell] * odds.chance(cell.rule, cell.days, agree=cell.agree))
        for cell in every
        if not cell.learned
    )
    total = sum(count for cell, count in every.items() if not cell.learned)
    lines += ["", f"Over all {total:,} tested findings the confidence is {off / total:.1%} off."]
    return "\n".join(lines)


def curve(odds: Confidence, every: Counter[Cell], right: Counter[Cell]) -> str:
    """Return confidence against how often it was right, on the tested half, as SVG."""
    side, edge = 360, 48
    dots = []
    for cell, count in sorted(every.items(), key=lambda pair: -pair[1]):
        if cell.learned or count < FEW:
            continue
        x = edge + side * odds.chance(cell.rule, cell.days, agree=cell.agree)
        y = edge + side * (1 - right[cell] / count)
        size = 3 + min(9, count**0.5 / 8)
        dots.append(f'<circle class="{cell.rule}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>')
    for part in range(0, 101, 25):
        x, y = edge + side * part / 100, edge + side * (1 - part / 100)
        dots.append(f'<text x="{x:.0f}" y="{edge + side + 18}" class="middle">{part} %</text>')
        dots.append(f'<text x="{edge - 6}" y="{y + 4:.0f}" class="end">{part} %</text>')
    return SVG.format(
        whole=side + 2 * edge, edge=edge, side=side, end=edge + side, dots="\n".join(dots)
    )


if __name__ == "__main__":
    main()
