"""How the door speaks: data to standard output, talk to standard error, a bar while people look.

Whatever comes from a log is hostile, and leaves as one line that cannot steer a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agent import intake

talk = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def plain(text: object) -> str:
    """Return a text as one line that cannot steer a terminal: names come from hostile logs."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def print_rows(rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON, one a line."""
    write(json.dumps(row, default=str) for row in rows)


def write(lines: Iterable[str]) -> None:
    """Write data to standard output; a reader such as head may have seen enough."""
    try:
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


@contextmanager
def progress() -> Iterator[Any]:
    """Show a bar with lines a second and the time left when a person is looking."""
    if not talk.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description:32.32}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=talk, transient=True) as bar:
        task = bar.add_task("starting", total=None, speed="")

        def show(report: intake.Report) -> None:
            speed = report.lines / max(0.001, time.monotonic() - began)
            name = plain(report.file) if report.stage == "reading" else f"{report.stage} findings"
            bar.update(
                task,
                description=name,
                total=report.bytes_total or 1,
                completed=report.bytes_done,
                speed=f"{speed:,.0f} lines/s",
            )

        yield show


@contextmanager
def steps() -> Iterator[Any]:
    """Show steps of unlike length as one bar."""
    if not talk.is_terminal:
        yield None
        return
    with Progress(
        TextColumn("{task.description:32.32}"), BarColumn(), console=talk, transient=True
    ) as bar:
        task = bar.add_task("writing a company")

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


@contextmanager
def counter(interface: str) -> Iterator[Any]:
    """Show how many packets were captured so far when a person is looking."""
    if not talk.is_terminal:
        yield lambda _packets, _seconds: None
        return
    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=talk, transient=True) as bar:
        task = bar.add_task(f"listening on {interface}", total=None, said="")

        def show(packets: int, seconds: float) -> None:
            bar.update(task, said=f"{packets:,} packets in {seconds:.0f} s; Ctrl-C stores them")

        yield show
