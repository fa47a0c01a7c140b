"""Starts the dashboard from a shell: ``python -m dashboard --store DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path

from dashboard.server import serve


def main() -> None:
    """Read the arguments and serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="folder with findings.duckdb")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--host-name", action="append", default=[], metavar="NAME",
                        help="a further name under which readers reach this server")  # fmt: skip
    said = parser.parse_args()
    serve(said.store, said.address, said.port, not said.no_browser, said.host_name)


if __name__ == "__main__":
    main()
