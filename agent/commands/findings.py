"""What a store holds: see it in a browser, ask what is wrong with it, try it with a made-up one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent import demo as demo_company
from agent import doctor as physician
from agent import rulebook
from agent import scan as flow
from agent.commands.options import STORE, Json, Store
from agent.settings import load_settings
from agent.terminal import plain, print_rows, progress, steps, talk, write


def doctor(store: Store = STORE, json_lines: Json = False) -> None:
    """Say what is wrong with a store and its sources, each with a cure; for cron.

    It looks at silent sources, lines that cannot be read, clocks, key, permissions, version, disk,
    directory and coverage, and writes nothing. Exit code 0: nothing to look at; 1: something.

    Example: sundial doctor --store sundial-store || mail -s Sundial it@example.com
    """
    found = physician.examine(store, datetime.now(UTC))
    if json_lines:
        print_rows(asdict(one) for one in found)
    else:
        write(map(plain, found))
    many = (
        "1 thing" if len(found) == 1 else f"{len(found) or 'Nothing'}{' things' if found else ''}"
    )
    talk.print(f"{many} to look at.")
    if found:
        raise typer.Exit(1)


def dashboard(
    store: Store = STORE,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Show the findings of a store in a browser.

    Example: sundial dashboard --store sundial-store
    """
    where = ["--store", str(store), "--address", address, "--port", str(port)]
    command = [sys.executable, "-m", "dashboard", *where, *([] if browser else ["--no-browser"])]
    talk.print(f"Dashboard on http://{address}:{port}  (end it with Ctrl-C)")
    if os.name == "posix":
        # The dashboard takes this process over, so that whoever ends the one ends the other.
        os.execv(sys.executable, command)  # noqa: S606 - our own module, and no shell
    try:
        code = subprocess.call(command)
    except KeyboardInterrupt:
        code = 0
    if code:
        raise typer.Exit(1)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write the company.")] = Path(
        "demo-company"
    ),
    weeks: Annotated[int, typer.Option(min=1, help="Weeks of its history.")] = 26,
    port: Annotated[int, typer.Option(help="Port of the dashboard.")] = 8501,
    show: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Open the dashboard.")
    ] = True,
) -> None:
    """Write a made-up company with known adoption, scan its logs and show the findings.

    Example: sundial demo
    """
    with steps() as tell:
        demo_company.write_demo(folder, weeks=weeks, progress=tell)
    talk.print(f"{folder}: logs, people.csv, subnets.csv and sundial.toml of a made-up company.")
    store = folder / "store"
    settings = load_settings(folder / "sundial.toml")
    with progress() as tell_scan:
        book = rulebook.load_rules()
        report = flow.scan([folder / "logs"], store, settings, book, progress=tell_scan)
    talk.print(f"{report.lines:,} lines scanned in {report.seconds:.1f} s; findings in {store}.")
    if show:
        dashboard(store, port=port)
