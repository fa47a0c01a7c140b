"""The door: commands, their help and exit codes, and the one place where errors become lines.

Data goes to standard output, talk to standard error. Exit codes: 0 done; 1 something could not be
read or stored; 2 wrong usage, settings or rules.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agent import demo as demo_company
from agent import intake, rulebook, sniff
from agent import scan as flow
from agent import show as showing
from agent.catalogue import Catalogue
from agent.errors import Problem, RulesError, SundialError
from agent.model import Format, Match
from agent.settings import check_zone, load_settings
from agent.version import VERSION

app = typer.Typer(
    name="sundial",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
talk = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

Store = Annotated[Path, typer.Option(help="Folder of the store.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
RulesFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules", help="Folder with apps/ and formats/ of your own, over ours; repeatable."
    ),
]
_STORE = Path("sundial-store")


def _version(asked: bool) -> None:
    if asked:
        print(VERSION)
        raise typer.Exit


@app.callback()
def sundial(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which departments adopted which social and collaboration SaaS, read from logs you have.

    First steps: 'sundial demo' shows it on a made-up company. Then
    'sundial scan /var/log/squid --people staff.csv --subnets subnets.csv' and 'sundial dashboard'.
    """


@app.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Logs and captures, or folders of them.")],
    *,
    store: Store = _STORE,
    config: Annotated[
        Path | None, typer.Option(help="Settings (sundial.toml): people, subnets, sources.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Directory CSV: login, mail, department, from, to.")
    ] = None,
    subnets: Annotated[
        Path | None, typer.Option(help="Subnets CSV: cidr, department, site, shared.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Name of a directory column, as login=sAMAccountName; repeatable."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Zone of your days, and of times that state none.")
    ] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Read all files as this format.")
    ] = None,
    rules: RulesFolders = None,
    json_lines: Json = False,
) -> None:
    """Read logs into the store and publish what they show; what was read before is not read again.

    Captures (pcap, pcapng) are read as logs are: DNS, TLS, QUIC and HTTP name the hosts.

    Example: sundial scan /var/log/squid --people staff.csv --timezone Europe/Berlin
    """
    settings = load_settings(config)
    if timezone is not None:
        check_zone(timezone, "--timezone")
    settings = replace(
        settings,
        people=people or settings.people,
        people_columns={**settings.people_columns, **_pairs(column or ())},
        subnets=subnets or settings.subnets,
        timezone=timezone or settings.timezone,
        format=format_name,
    )
    book = rulebook.load_rules(rules or ())
    with _progress() as show:
        report = flow.scan(paths, store, settings, book, progress=show)
    _told(report, store, json_lines=json_lines)


@app.command()
def parse(
    file: Annotated[Path, typer.Argument(help="A log or capture, plain or compressed.")],
    format_name: Annotated[
        str | None, typer.Option("--format", help="Take this format; do not detect.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times that state none.")] = "UTC",
    rules: RulesFolders = None,
    _json: Annotated[bool, typer.Option("--json", help="Print JSON; it always does.")] = False,
) -> None:
    """Print the events of one log file as JSON, one a line, clear names included; store nothing.

    Example: sundial parse access.log.gz | head -3
    """
    check_zone(timezone, "--timezone")
    known = rulebook.load_formats(rules or ())
    if format_name is not None and format_name not in known:
        raise RulesError(rulebook.no_such_format(format_name, "--format", known))
    _print(showing.events(file, known, format_name, timezone))


@app.command()
def capture(
    interface: Annotated[str, typer.Option(help="Interface to listen on, such as eth0.")],
    *,
    store: Store = _STORE,
    bpf: Annotated[
        str | None,
        typer.Option(
            "--filter", help="Take only these packets, as tcpdump would: 'port 53 or port 443'."
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many packets.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so many seconds.")
    ] = None,
    megabytes: Annotated[
        float, typer.Option(min=1, help="Stop when so much is waiting on disk.")
    ] = 1000,
    config: Annotated[
        Path | None, typer.Option(help="Settings (sundial.toml): people, subnets, sources.")
    ] = None,
    rules: RulesFolders = None,
    json_lines: Json = False,
) -> None:
    """Listen on an interface, then store which names were asked for; needs root or CAP_NET_RAW.

    It stops by itself at a limit, or by Ctrl-C or SIGTERM. Until then packets wait in a file below
    the store that only you can read; what was captured is stored, and the file is deleted.
    A port of a switch that mirrors the others sees a network; a laptop sees itself.

    Example: sundial capture --interface eth0 --filter 'udp port 53 or tcp port 443' --seconds 3600
    """
    settings = load_settings(config)
    book = rulebook.load_rules(rules or ())
    waiting = store / ".captured"
    limits = sniff.Limits(count, seconds, megabytes)
    with _counter(interface) as tell:
        packets = sniff.record(interface, bpf, waiting / interface, limits, tell)
    talk.print(f"{interface}: {packets:,} packets captured.")
    # Also what an earlier capture could not store any more: it was killed, or the disk was full.
    files = sorted(waiting.rglob("*.pcap"))
    with _progress() as show:
        report = flow.scan([waiting], store, settings, book, progress=show)
    for file in files:
        file.unlink()
    _told(report, store, json_lines=json_lines)


@app.command()
def explain(
    hosts: Annotated[
        list[str] | None, typer.Argument(help="Host names; none: read them from standard input.")
    ] = None,
    rules: RulesFolders = None,
    json_lines: Json = False,
) -> None:
    """Tell which app a host belongs to, by which rule, and what it proves.

    Example: sundial explain app.slack.com connect.facebook.net
    """
    catalogue = rulebook.load_rules(rules or ()).catalogue
    names = hosts or (line.strip() for line in sys.stdin)
    rows = (_explained(catalogue, name) for name in names if name)
    if json_lines:
        _print(rows)
        return
    _write(_sentence(row) for row in rows)


@app.command()
def formats(rules: RulesFolders = None, json_lines: Json = False) -> None:
    """List the log formats that are known, and what each one can tell.

    Example: sundial formats
    """
    known = rulebook.load_formats(rules or ())
    if json_lines:
        _print(_format_row(one) for one in known.values())
        return
    table = Table(box=None, pad_edge=False)
    for title in (
        "format",
        "kind",
        "user",
        "client",
        "bytes out",
        "bytes in",
        "verdict",
        "what it is",
    ):
        table.add_column(title, no_wrap=title != "what it is")
    for one in known.values():
        row = _format_row(one)
        marks = [
            ("yes" if row[key] else "-")
            for key in ("user", "client", "bytes_out", "bytes_in", "blocked")
        ]
        table.add_row(one.name, one.kind, *marks, one.title)
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120).print(table)


@app.command()
def check(rules: RulesFolders = None, json_lines: Json = False) -> None:
    """Check every rule: formats read their own samples, apps and thresholds are well-formed.

    Example: sundial check --rules my-rules
    """
    try:
        book = rulebook.load_rules(rules or ())
    except RulesError as error:
        problems, summary = list(error.problems), "The rules cannot be used"
    else:
        problems, summary = rulebook.prove(book), rulebook.summary(book)
    for problem in problems:
        talk.print(_plain(problem))
    if json_lines:
        _print([{"rules": summary, "problems": [str(problem) for problem in problems]}])
    else:
        _write([f"{summary}: {len(problems) or 'no'} problems."])
    if problems:
        raise typer.Exit(2)


@app.command()
def dashboard(
    store: Store = _STORE,
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


@app.command()
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
    with _steps() as tell:
        demo_company.write_demo(folder, weeks=weeks, progress=tell)
    talk.print(f"{folder}: logs, people.csv, subnets.csv and sundial.toml of a made-up company.")
    store = folder / "store"
    settings = load_settings(folder / "sundial.toml")
    with _progress() as tell_scan:
        book = rulebook.load_rules()
        report = flow.scan([folder / "logs"], store, settings, book, progress=tell_scan)
    talk.print(f"{report.lines:,} lines scanned in {report.seconds:.1f} s; findings in {store}.")
    if show:
        dashboard(store, port=port)


def main() -> int:
    """Run the command line and return the exit code."""
    try:
        return _run()
    except SundialError as error:
        for problem in error.problems:
            talk.print(_plain(problem))
        return 2 if isinstance(error, RulesError) else 1
    except KeyboardInterrupt:
        talk.print("Stopped. What was stored before is safe; the next scan goes on from there.")
        return 130


def _run() -> int:
    try:
        code = app(prog_name="sundial", standalone_mode=False)
    except typer.Abort:
        return 130
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        # Wrong usage; the class is private to typer, its manners are not.
        message = str(error.format_message())
        hint = "" if "\n" in message else " 'sundial --help' lists the commands."
        talk.print(message + hint)
        return 2
    return int(code or 0)


def _plain(text: object) -> str:
    """Return a text as one line that cannot steer a terminal: names come from hostile logs."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def _print(rows: Iterable[dict[str, Any]]) -> None:
    _write(json.dumps(row, default=str) for row in rows)


def _write(lines: Iterable[str]) -> None:
    """Write data to standard output; a reader such as head may have seen enough."""
    try:
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [
        Problem("--column", f'"{name}" is not of the form login=Header.')
        for name, sign, _ in pairs
        if not sign
    ]
    if wrong:
        raise RulesError(wrong)
    return {name.strip(): header.strip() for name, _, header in pairs}


def _told(report: intake.Report, store: Path, *, json_lines: bool) -> None:
    """Say how a scan went; end with 1 where something could not be read."""
    for line in (*report.notes, *report.problems):
        talk.print(_plain(line))
    if json_lines:
        _print([_summary(report)])
    talk.print(_last_words(report, store))
    if report.problems:
        raise typer.Exit(1)


def _last_words(report: intake.Report, store: Path) -> str:
    return (
        f"{report.files} files ({report.unchanged} unchanged, {report.skipped} left out), "
        f"{report.lines:,} lines, {report.events:,} events, {report.rejects:,} rejects "
        f"in {report.seconds:.1f} s. "
        f"Findings: {store / 'findings.duckdb'}; see them with 'sundial dashboard --store {store}'."
    )


def _summary(report: intake.Report) -> dict[str, Any]:
    keys = ("files", "unchanged", "skipped", "lines", "events", "rejects", "seconds")
    return {key: getattr(report, key) for key in keys} | {
        "problems": [str(problem) for problem in report.problems],
        "notes": [str(note) for note in report.notes],
    }


def _explained(catalogue: Catalogue, raw: str) -> dict[str, Any]:
    host = rulebook.spelling(raw)
    match: Match = catalogue.match(host)
    found = catalogue.apps.get(match.app) if match.app else None
    return {
        "host": host,
        "app": match.app,
        "name": found.name if found else None,
        "category": found.categories[0] if found else None,
        "signal": match.signal.value if match.signal else None,
        "evidence": match.evidence.value if match.evidence else None,
        "tenant": match.tenant,
        "rule": match.rule,
    }


_PROVES = {
    "use": "a person uses it",
    "machine": "a machine or an integration asks for it; no evidence of a person",
    "embedded": "it is loaded by other pages or in the background; no evidence of use",
}


def _sentence(row: dict[str, Any]) -> str:
    host = _plain(row["host"])
    if row["app"] is None:
        return f"{host}: not in the catalogue."
    tenant = f", tenant {row['tenant']}" if row["tenant"] else ""
    return (
        f"{host}: {row['name']} ({row['category']}), signal {row['signal']}{tenant}: "
        f"{_PROVES[row['evidence']]}. Rule {row['rule']}."
    )


def _format_row(one: Format) -> dict[str, Any]:
    gives = {
        name: one.gives(name)
        for name in ("user", "client", "bytes_out", "bytes_in", "blocked", "department")
    }
    return {
        "format": one.name,
        "title": one.title,
        "vendor": one.vendor,
        "kind": one.kind,
        "cut": one.cut,
        **gives,
        "url": one.url,
    }


@contextmanager
def _progress() -> Iterator[Any]:
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
            name = _plain(report.file) if report.stage == "reading" else f"{report.stage} findings"
            bar.update(
                task,
                description=name,
                total=report.bytes_total or 1,
                completed=report.bytes_done,
                speed=f"{speed:,.0f} lines/s",
            )

        yield show


@contextmanager
def _counter(interface: str) -> Iterator[Any]:
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


@contextmanager
def _steps() -> Iterator[Any]:
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


if __name__ == "__main__":
    sys.exit(main())
