"""A real dashboard in a real Chromium: served on loopback, opened, waited for until it rests."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers import START_SECONDS, find_program, free_port

ARGUMENTS = [
    "--no-sandbox",  # Chromium refuses its sandbox to root, which continuous integration is
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RESTING = "[data-testid=stApp][data-test-script-state=notRunning]"
"""Streamlit marks its page so when no script runs any more."""


@contextmanager
def served(store: Path) -> Iterator[str]:
    """Serve the dashboard of a store until the block ends; yields its address.

    Raises RuntimeError with the server's output when it does not come up.
    """
    port = free_port()
    log = store / "dashboard.log"
    command = [sys.executable, "-m", "dashboard", "--store", str(store), "--port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen([*command, "--no-browser"], stdout=sink, stderr=sink)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(address, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):  # noqa: S310 (ours)
                return
        except OSError:
            time.sleep(0.1)
    message = f"the dashboard did not come up:\n{log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)


@contextmanager
def chromium(program: Path | None = None) -> Iterator[Browser]:
    """Run Debian's Chromium without a window; raises RuntimeError where there is none."""
    program = program or find_program("chromium")
    if program is None:
        message = "chromium is missing: apt-get install chromium"
        raise RuntimeError(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def rest(page: Page) -> None:
    """Wait until the page has its title, no script runs and no skeleton waits for content."""
    page.locator("[data-testid=stMain]").get_by_role("heading").first.wait_for()
    page.locator(RESTING).wait_for()
    page.locator("[data-testid=stSkeleton]").first.wait_for(state="detached")
