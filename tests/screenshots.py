"""Takes the pictures that README shows: every page, from a demo company that was really scanned.

python -m tests.screenshots [FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.browser import chromium, rest, served
from tests.conftest import run_command_line

PAGES = ["", "app", "department", "unknown-hosts", "data-health"]
"""Addresses of the pages; the empty one is the adoption map."""

SHOTS = {
    "": (1440, 900, "light"),
    "-dark": (1440, 900, "dark"),
    "-medium": (1024, 768, "light"),
    "-narrow": (390, 844, "light"),
}
"""What a file is called after its page, with width, height and day or night."""


def main() -> None:
    """Write one PNG for each page, size and light."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        take_pictures(scanned_demo(Path(temporary)), folder)


def scanned_demo(folder: Path) -> Path:
    """Write a demo company and scan it; returns its store."""
    from agent.demo import write_demo

    write_demo(folder)
    store = folder / "store"
    config = folder / "sundial.toml"
    run_command_line("scan", folder / "logs", "--config", config, "--store", store)
    return store


def take_pictures(store: Path, folder: Path) -> None:
    """Open every page of a store in every size and light, and write what it looks like at rest."""
    with served(store) as address, chromium() as browser:
        for name in PAGES:
            for suffix, (width, height, scheme) in SHOTS.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                page.goto(f"{address}/{name}")
                rest(page)
                # Charts draw themselves in for a moment after their data is there.
                page.wait_for_timeout(1500)
                page.screenshot(path=folder / f"{name or 'adoption-map'}{suffix}.png")
                page.close()


if __name__ == "__main__":
    main()
