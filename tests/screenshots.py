"""Takes the pictures that README shows: every page, from a demo company that was really scanned.

python -m tests.screenshots [FOLDER] [--every-size]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from PIL import Image

from tests.browser import chromium, rest, served
from tests.conftest import run_command_line

PAGES = ["", "app", "department", "unknown-hosts", "data-health"]
"""Addresses of the pages; the empty one is the adoption map."""

SIZES = {
    "": (1440, 900, "light"),
    "-dark": (1440, 900, "dark"),
    "-medium": (1024, 768, "light"),
    "-narrow": (390, 844, "light"),
}
"""What a file is called after its page, with width, height and day or night."""

SHOWN = [*((page, "") for page in PAGES), ("", "-dark")]
"""Page and size of what README shows; the other sizes are for whoever changes a page."""


def main() -> None:
    """Write one PNG for each picture of README, or for every page in every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs"))
    parser.add_argument("--every-size", action="store_true", help="narrow, medium and dark too")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        store = scanned_demo(Path(temporary))
        take_pictures(store, asked.folder, product(PAGES, SIZES) if asked.every_size else SHOWN)


def scanned_demo(folder: Path) -> Path:
    """Write a demo company and scan it; returns its store."""
    from agent.demo import write_demo

    write_demo(folder)
    store = folder / "store"
    config = folder / "sundial.toml"
    run_command_line("scan", folder / "logs", "--config", config, "--store", store)
    return store


def picture_name(page: str, size: str) -> str:
    """Return what the picture of a page in a size is called.

    >>> picture_name("", "-dark")
    'adoption-map-dark.png'
    """
    return f"{page or 'adoption-map'}{size}.png"


def take_pictures(store: Path, folder: Path, pictures: Iterable[tuple[str, str]]) -> None:
    """Open pages of a store, each in its size and light, and write what they look like at rest."""
    with served(store) as address, chromium() as browser:
        for name, size in pictures:
            width, height, scheme = SIZES[size]
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page.goto(f"{address}/{name}")
            rest(page)
            # Charts draw themselves in for a moment after their data is there.
            page.wait_for_timeout(1500)
            file = folder / picture_name(name, size)
            page.screenshot(path=file)
            page.close()
            # A page has few colours, and everybody who clones carries its picture.
            with Image.open(file) as taken:
                taken.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main()
