"""Times the dashboard in Chromium on a store with millions of usage rows.

    python -m benchmarks.dashboard --rows 5000000

The store is made by a real scan of a generated log in which every request goes to the catalogue
and 6 000 people spread over half a year, so that few lines fall into one row of usage.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import duckdb
from playwright.sync_api import Browser, Page

from benchmarks import generate
from benchmarks.scan import DATA
from tests.browser import chromium, rest, served

ROWS = 5_000_000
DAYS = 182
PEOPLE = 6_000
LINES_A_ROW = 4.4
"""Measured: so many lines make one row (day, host, actor, source) with this mix of visits."""

FILTER = "Stage at least"
CHOICES = ["workgroup", "division", "trial", "any use"]

_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_NEXT_RUN = """() => {
  window.nextRun = new Promise(done => {
    const app = document.querySelector('[data-testid=stApp]');
    let ran = false;
    new MutationObserver((_, watcher) => {
      const state = app.dataset.testScriptState;
      ran = ran || state === 'running';
      if (ran && state === 'notRunning') {
        watcher.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
      }
    }).observe(app, {attributes: true});
  });
}"""
"""Promises the moment when the page has run once more and has been painted."""


def main() -> None:
    """Build the store unless it is there, then print one Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--store", type=Path, help="time this store instead of a generated one")
    given = parser.parse_args()
    store = given.store or prepare(given.rows)
    print(f"\n{size_of(store)}\n\n| what | ms |\n|---|---:|")
    with served(store) as address, chromium() as browser:
        for what, seconds in timings(address, browser).items():
            print(f"| {what} | {seconds * 1000:,.0f} |", flush=True)


def prepare(rows: int) -> Path:
    """Generate and scan a log that fills about ``rows`` rows of usage; returns the store."""
    folder = DATA / f"dashboard-{rows}"
    store = folder / "store"
    if not (store / "findings.duckdb").exists():
        folder.mkdir(parents=True, exist_ok=True)
        lines = int(rows * LINES_A_ROW)
        mix = generate.make_mix(lines, DAYS, catalogue_share=1.0, desks=(PEOPLE, PEOPLE))
        config = generate.write_company(folder, mix)
        log = folder / "access.log"
        generate.write_log("squid", log, mix)
        script = Path(sys.executable).with_name("sundial")
        command = [script, "scan", log, "--config", config, "--store", store]
        subprocess.run(list(map(str, command)), check=True)
        log.unlink()
    return store


def size_of(store: Path) -> str:
    """Say how many rows of usage the agent holds and how large the published file is."""
    size = (store / "findings.duckdb").stat().st_size / 1e6
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM usage").fetchone()
    rows = found[0] if found else 0
    return f"{rows:,} rows of usage, {size:,.0f} MB published"


def timings(address: str, browser: Browser) -> dict[str, float]:
    """Measure in seconds: two readers, and a filter chosen with the table closed and open."""
    _, first = open_map(browser, address)
    page, second = open_map(browser, address)
    paint = page.evaluate(_FIRST_PAINT) / 1000
    chosen = [choose(page, choice) for choice in CHOICES]
    page, _ = open_map(browser, f"{address}/?table=true")
    beside = [choose(page, choice) for choice in CHOICES]
    return {
        "map at rest, first reader after the start": first,
        "first paint, second reader (empty browser cache)": paint,
        "map at rest, second reader (empty browser cache)": second,
        f"filter {FILTER!r}, median of {len(chosen)}": median(chosen),
        f"filter {FILTER!r}, slowest": max(chosen),
        f"filter {FILTER!r}, table open, median of {len(beside)}": median(beside),
        f"filter {FILTER!r}, table open, slowest": max(beside),
    }


def open_map(browser: Browser, address: str) -> tuple[Page, float]:
    """Open the adoption map as a new reader; returns the page and the seconds until it rests."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    start = time.perf_counter()
    page.goto(address)
    rest(page)
    return page, time.perf_counter() - start


def choose(page: Page, choice: str) -> float:
    """Choose a filter and return the seconds from the click until the page is painted again."""
    page.get_by_role("combobox", name=FILTER).click()
    option = page.get_by_role("option", name=choice)
    option.wait_for()
    page.evaluate(_NEXT_RUN)
    start: float = page.evaluate("performance.now()")
    option.click()
    painted: float = page.evaluate("window.nextRun")
    return (painted - start) / 1000


if __name__ == "__main__":
    main()
