"""Logs and captures: read them into a store, print their events, look them over, listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import intake, own_rules, rulebook, sniff
from agent import lint as looking
from agent import scan as flow
from agent import show as showing
from agent.commands.options import STORE, Json, RulesFolders, Store, columns
from agent.errors import RulesError
from agent.model import Format
from agent.settings import ClaimSetting, check_zone, load_settings
from agent.terminal import counter, plain, print_rows, progress, talk, write


def scan(
    paths: Annotated[list[Path], typer.Argument(help="Logs and captures, or folders of them.")],
    *,
    store: Store = STORE,
    config: Annotated[
        Path | None, typer.Option(help="Settings (sundial.toml): people, subnets, sources.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Directory (CSV, XLSX, LDIF), or a folder of dated ones.")
    ] = None,
    subnets: Annotated[
        Path | None, typer.Option(help="Subnets (CSV, XLSX): cidr, department, site, shared.")
    ] = None,
    leases: Annotated[
        list[Path] | None, typer.Option(help="DHCP leases, file or folder; repeatable.")
    ] = None,
    logons: Annotated[
        list[Path] | None,
        typer.Option(help="Log-ons (Windows, RADIUS, VPN), file or folder; repeatable."),
    ] = None,
    devices: Annotated[
        Path | None, typer.Option(help="Devices CSV: hostname, mac, login of the owner.")
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
        people_columns={**settings.people_columns, **columns(column or ())},
        subnets=subnets or settings.subnets,
        leases=_given(settings.leases, leases),
        logons=_given(settings.logons, logons),
        devices=devices or settings.devices,
        timezone=timezone or settings.timezone,
        format=format_name,
    )
    book = rulebook.load_rules(own_rules.folders(store, rules))
    with progress() as show:
        report = flow.scan(paths, store, settings, book, progress=show)
    _told(report, store, json_lines=json_lines)


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
    known = _formats(rules, format_name)
    print_rows(showing.events(file, known, format_name, timezone))


def lint(
    paths: Annotated[list[Path], typer.Argument(help="Log files, or folders of them.")],
    *,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Take this format; do not detect.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times that state none.")] = "UTC",
    rules: RulesFolders = None,
    json_lines: Json = False,
) -> None:
    """Look logs over before a scan: what is in them, what is wrong, which questions they answer.

    Nothing is stored. Rejected lines are shown as they stand in the log, clear names included.

    Example: sundial lint /var/log/squid
    """
    check_zone(timezone, "--timezone")
    known = _formats(rules, format_name)
    with progress() as show:
        found = looking.lint(paths, known, format_name, timezone, progress=show)
    for problem in found.problems:
        talk.print(plain(problem))
    if json_lines:
        print_rows(found.rows)
    else:
        write(map(plain, looking.sentences(found)))
    if found.problems:
        raise typer.Exit(1)


def capture(
    interface: Annotated[str, typer.Option(help="Interface to listen on, such as eth0.")],
    *,
    store: Store = STORE,
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
    book = rulebook.load_rules(own_rules.folders(store, rules))
    waiting = store / ".captured"
    limits = sniff.Limits(count, seconds, megabytes)
    with counter(interface) as tell:
        packets = sniff.record(interface, bpf, waiting / interface, limits, tell)
    talk.print(f"{interface}: {packets:,} packets captured.")
    # Also what an earlier capture could not store any more: it was killed, or the disk was full.
    files = sorted(waiting.rglob("*.pcap"))
    with progress() as show:
        report = flow.scan([waiting], store, settings, book, progress=show)
    for file in files:
        file.unlink()
    _told(report, store, json_lines=json_lines)


def _given(setting: ClaimSetting, paths: list[Path] | None) -> ClaimSetting:
    """Return a setting with the files of the command line in place of its own."""
    return replace(setting, files=tuple(paths)) if paths else setting


def _formats(rules: list[Path] | None, named: str | None) -> Mapping[str, Format]:
    """Load the formats; a name that none of them has is wrong usage."""
    known = rulebook.load_formats(rules or ())
    if named is not None and named not in known:
        raise RulesError(rulebook.no_such_format(named, "--format", known))
    return known


def _told(report: intake.Report, store: Path, *, json_lines: bool) -> None:
    """Say how a scan went; end with 1 where something could not be read."""
    for line in (*report.notes, *report.problems):
        talk.print(plain(line))
    if json_lines:
        print_rows([_summary(report)])
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
