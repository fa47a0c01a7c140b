"""The door: commands, their help and exit codes, and the one place where errors become lines.

Data goes to standard output, talk to standard error. Exit codes: 0 done; 1 something could not be
read or stored; 2 wrong usage, settings or rules.
"""

from __future__ import annotations

import gc
import getpass
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agent import (
    abilities,
    account,
    intake,
    own_rules,
    rulebook,
    sniff,
    telling,
    white_labels,
)
from agent import demo as demo_company
from agent import doctor as physician
from agent import draft as drafting
from agent import lint as looking
from agent import scan as flow
from agent import show as showing
from agent import understood as understanding
from agent.errors import LogError, Problem, RulesError, StoreError, SundialError
from agent.model import Format
from agent.settings import ClaimSetting, check_zone, load_settings
from agent.terminal import counter, plain, print_rows, progress, steps, talk, write
from agent.version import VERSION

if sys.platform != "win32":
    import pwd

_OBJECTS_BETWEEN_LOOKS = 100_000

app = typer.Typer(
    name="sundial",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
local_formats = typer.Typer(no_args_is_help=True, help="Formats of your own.")
app.add_typer(local_formats, name="format")

directories = typer.Typer(no_args_is_help=True, help="Directories and address plans.")
app.add_typer(directories, name="people")

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
        people_columns={**settings.people_columns, **_pairs(column or ())},
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
    known = _formats(rules, format_name)
    print_rows(showing.events(file, known, format_name, timezone))


@app.command()
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


@app.command()
def explain(
    hosts: Annotated[
        list[str] | None, typer.Argument(help="Host names; none: read them from standard input.")
    ] = None,
    store: Store = _STORE,
    rules: RulesFolders = None,
    json_lines: Json = False,
) -> None:
    """Tell which app a host belongs to, by which rule, and what it proves.

    For one host it tells all: why, the app's other hosts, its names, its sources, and what is
    stated of its vendor; of an app in the store also how sure it is that departments use it. Of
    several hosts, or those on standard input, it says one line each. A name of a customer's own is
    told by what its answers led to in the logs of the store.

    Example: sundial explain acme.slack.com
    """
    book = rulebook.load_rules(own_rules.folders(store, rules))
    heard = white_labels.published(store / "findings.duckdb")
    today = datetime.now(UTC).date()
    if hosts is None or len(hosts) > 1:
        names = hosts or (line.strip() for line in sys.stdin)
        rows = (telling.answer(book, name, heard) for name in names if name)
        said = (telling.sentence(row) for row in rows)
    else:
        sure = partial(flow.confidence, store)
        rows = (telling.full_answer(book, name, today, heard, sure) for name in hosts)
        said = (line for row in rows for line in telling.lines(row))
    if json_lines:
        print_rows(rows)
    else:
        write(map(plain, said))


@app.command()
def reclassify(store: Store = _STORE, rules: RulesFolders = None, json_lines: Json = False) -> None:
    """Give all history the meaning of today's rules, and tell what that changed; read no log.

    New, gone and renamed findings are told with the rule behind each. What was counted without
    persons, because no rule knew it, stays with the unknown hosts: scan those logs into a new
    store to have its past too. A scan does the same by itself when rules have changed.

    Example: sundial reclassify --store sundial-store --rules my-rules
    """
    book = rulebook.load_rules(own_rules.folders(store, rules))
    changes = flow.reclassify(store, book)
    if json_lines:
        print_rows(asdict(change) for change in changes)
    else:
        write(plain(change) for change in changes)
    many = "1 change" if len(changes) == 1 else f"{len(changes) or 'No'} changes"
    talk.print(f"{many}. Findings: {store / 'findings.duckdb'}.")


@app.command()
def doctor(store: Store = _STORE, json_lines: Json = False) -> None:
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


privacy = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Protect people.")
app.add_typer(privacy, name="privacy")


@privacy.command("report")
def report(store: Store = _STORE, rules: RulesFolders = None, json_lines: Json = False) -> None:
    """Say what is collected, kept and shown of people, as Markdown for a works council.

    Example: sundial privacy report --store sundial-store > privacy.md
    """
    said = flow.privacy_report(store, rulebook.load_rules(own_rules.folders(store, rules)))
    if json_lines:
        print_rows([said])
    else:
        write(map(plain, account.markdown(said)))


@privacy.command("forget")
def forget(store: Store = _STORE, rules: RulesFolders = None, json_lines: Json = False) -> None:
    """Remove one person from a store, and tell what was removed.

    The login, in any spelling, is read from standard input: what stands in a command can be seen
    by others. "echo LOGIN | sundial privacy forget" does it where "echo" is the shell's own.
    Take the person out of the directory too, or the next scan that reads it brings them back; new
    log lines do as well. What was counted without persons stays.

    Example: sundial privacy forget --store sundial-store < login.txt
    """
    login = sys.stdin.readline().strip()
    if not login:
        raise StoreError(Problem("standard input", "names nobody; write one login into it."))
    gone = flow.forget(store, login, rulebook.load_rules(own_rules.folders(store, rules)))
    if json_lines:
        print_rows([gone])
    else:
        write(f"{rows:>8}  {table}" for table, rows in gone.items())
    talk.print(
        f"{sum(gone.values())} rows removed." if any(gone.values()) else "Nobody is known by it."
    )


@privacy.command("expire")
def expire(store: Store = _STORE, rules: RulesFolders = None) -> None:
    """Remove rows by person, and bits that people are counted by, older than keep_days today.

    Every scan does it too, counting back from its newest day. The weeks stay in the findings as
    they were. For stores into which no log is read any more.

    Example: sundial privacy expire --store sundial-store
    """
    gone = flow.expire(store, rulebook.load_rules(own_rules.folders(store, rules)))
    talk.print(f"{gone} rows removed.")


@privacy.command("rotate-key")
def rotate_key(
    *,
    store: Store = _STORE,
    config: Annotated[Path | None, typer.Option(help="Settings (sundial.toml): people.")] = None,
    people: Annotated[
        Path | None, typer.Option(help="Directory, as for a scan: it carries people over.")
    ] = None,
) -> None:
    """Give a store a new key, and destroy the old one.

    Whoever the directory names keeps their rows, and is counted once across the change. All others
    keep their rows too, but nobody can be recognised in them: seen again, they count as somebody
    new, and so do addresses. Leases and log-ons are read again by the next scan. Hosts outside the
    catalogue are counted by bits that depend on the key: seen before and after, people count twice
    there. Destroy every backup of the old key too.

    Example: sundial privacy rotate-key --store sundial-store --people staff.csv
    """
    settings = load_settings(config)
    settings = replace(settings, people=people or settings.people)
    carried, lost, problems = flow.rotate_key(store, settings)
    for problem in problems:
        talk.print(plain(problem))
    talk.print(f"{store} has a new key; {carried} pseudonyms carried over, {lost} cut off.")
    if problems:
        raise typer.Exit(1)


@privacy.command("vault")
def vault(
    key: Annotated[Path, typer.Argument(help="File of the private key, outside the store.")],
    *,
    store: Store = _STORE,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long names may be revealed.")] = 30,
    close: Annotated[
        bool, typer.Option("--close", help="Throw all names away, and keep none any more.")
    ] = False,
) -> None:
    """Keep clear names of users from the next scan on, sealed; or renew the right to reveal them.

    Off unless you do this. Scans can add names and cannot read them: that takes the private key,
    which is written into KEY under a passphrase. Give it to somebody who does not run the scans.
    The passphrase is asked for, or read from standard input.

    Example: sundial privacy vault /media/dpo/reveal.pem --store sundial-store --days 30
    """
    if close:
        talk.print(f"{flow.close_vault(store)} names thrown away.")
        return
    until = flow.open_vault(store, key, _passphrase(), _operator(), days)
    talk.print(f"{store} keeps sealed names; with {key} they may be revealed until {until}.")


@privacy.command("reveal")
def reveal(
    pseudonym: Annotated[str, typer.Argument(help="Pseudonym, as in work.duckdb.")],
    *,
    key: Annotated[Path, typer.Option(help="File of the private key of the vault.")],
    reason: Annotated[str, typer.Option(help="Why; it is written down for good.")],
    store: Store = _STORE,
) -> None:
    """Print the clear name behind a pseudonym; who asked, when and why is written down first.

    Example: sundial privacy reveal 5f0c… --key /media/dpo/reveal.pem --reason "Case 12, agreed"
    """
    name = flow.reveal(store, pseudonym, key, _passphrase(), who=_operator(), reason=reason)
    write([plain(name)])


@privacy.command("audit")
def audit(store: Store = _STORE, json_lines: Json = False) -> None:
    """Report who revealed whom and why, and prove that no record was changed.

    Exit code 1 where one was. Keep the last hash elsewhere: it proves the whole file.

    Example: sundial privacy audit --store sundial-store
    """
    records, fault = flow.audited(store)
    if json_lines:
        print_rows(records)
    else:
        write(
            plain(
                " ".join(
                    str(record.get(part, ""))
                    for part in ("number", "at", "who", "action", "pseudonym", "reason")
                )
            )
            for record in records
        )
    if fault:
        raise StoreError(Problem(str(store / "audit.jsonl"), fault))
    last = f" The last hash is {records[-1]['hash']}." if records else ""
    talk.print(f"{len(records)} records, none changed.{last}")


def _passphrase() -> str:
    """Ask for a passphrase, or read it where nobody can be asked; never from the command line."""
    if sys.stdin.isatty():
        return str(typer.prompt("Passphrase", hide_input=True))
    return sys.stdin.readline().rstrip("\n")


def _operator() -> str:
    """Return who runs this, by the system's account and not by what the environment claims."""
    if sys.platform == "win32":
        return getpass.getuser()
    name = pwd.getpwuid(os.getuid()).pw_name
    behind = os.environ.get("SUDO_USER")
    return f"{name} (sudo by {behind})" if behind else name


@privacy.command("destroy-key")
def destroy_key(
    store: Store = _STORE,
    *,
    sure: Annotated[
        bool, typer.Option("--for-good", help="Say that you know it cannot be undone.")
    ] = False,
) -> None:
    """Destroy the key of a store: nobody can ever be recognised in it again.

    The findings stay, and so do the rows of nobody in particular; no further log can be read into
    this store. Destroy every backup of the key too.

    Example: sundial privacy destroy-key --store sundial-store --for-good
    """
    if not sure:
        raise StoreError(Problem(str(store), "keeps its key; add --for-good to destroy it."))
    flow.destroy_key(store)
    talk.print(f"The key of {store} is destroyed.")


register = typer.Typer(no_args_is_help=False, rich_markup_mode=None)
app.add_typer(register, name="catalogue")


@register.callback(invoke_without_command=True)
def catalogue(
    context: typer.Context,
    category: Annotated[str | None, typer.Option(help="Only this category, by id or name.")] = None,
    signal: Annotated[
        str | None, typer.Option(help="Only apps with a host of this signal, as upload.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Only apps with this in a name, vendor or host.")
    ] = None,
    *,
    count: Annotated[bool, typer.Option("--count", help="Count them by category.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, safe for spreadsheets.")
    ] = False,
    json_lines: Json = False,
    store: Store = _STORE,
    rules: RulesFolders = None,
) -> None:
    """List the apps of the catalogue, count or export them; add one; see what is missing.

    Example: sundial catalogue --category team_messaging --signal webhook
    """
    if context.invoked_subcommand is not None:
        return
    book = rulebook.load_rules(own_rules.folders(store, rules))
    telling.check_filters(book, category, signal)
    apps = list(telling.chosen(book, category, signal, text))
    if count:
        rows = list(telling.counts(book, apps))
        print_rows(rows) if json_lines else write(
            f"{row['apps']:>6}  {row['name']}" for row in rows
        )
    elif json_lines:
        print_rows(telling.register(book, apps))
    elif as_csv:
        write(telling.csv_lines(telling.register(book, apps)))
    else:
        write(plain(line) for line in telling.listed(apps))
        talk.print(f"{len(apps)} apps. 'sundial explain HOST' tells all about one.")


@register.command("add")
def catalogue_add(
    domains: Annotated[list[str], typer.Argument(help="Hosts where people work in it.")],
    *,
    name: Annotated[str, typer.Option(help="Name, as people know it.")],
    category: Annotated[str, typer.Option(help="Id of its category.")],
    vendor: Annotated[str, typer.Option(help="Who makes it; else its name.")] = "",
    homepage: Annotated[str, typer.Option(help="https address; else the first domain.")] = "",
    audience: Annotated[str, typer.Option(help="business, personal or both.")] = "business",
    app_id: Annotated[str, typer.Option("--id", help="Its id; else made of the name.")] = "",
    store: Store = _STORE,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Your folder of rules; else that of the store.")
    ] = None,
) -> None:
    """Write an app into your own rules, where it is over ours and no upgrade touches it.

    Example: sundial catalogue add ledgerly.example --name Ledgerly --category project_task
    """
    folder = rules or store / "rules"
    table = {
        "id": app_id, "name": name, "vendor": vendor or name, "audience": audience,
        "homepage": homepage or f"https://{rulebook.spelling(domains[0])}",
        "domains": domains,
    }  # fmt: skip
    over = own_rules.folders(store, [folder] if rules else None)
    talk.print(plain(own_rules.add(folder, over, category, table)))
    talk.print(f"'sundial reclassify --store {store}' gives the history in a store its name.")


@register.command("unknown")
def catalogue_unknown(
    store: Store = _STORE,
    most: Annotated[int, typer.Option("--most", min=1, help="How many to print.")] = 20,
    json_lines: Json = False,
) -> None:
    """List the domains that no app claims, those that look most like a service first, with why.

    Example: sundial catalogue unknown --store sundial-store
    """
    rows = flow.unknown_queue(store, most)
    if json_lines:
        print_rows(rows)
        return
    write(plain(f"{row['points']:>3}  {row['domain']}: {row['why']}") for row in rows)


@app.command()
def formats(rules: RulesFolders = None, json_lines: Json = False) -> None:
    """List the log formats that are known, and what each one can tell.

    Read off the rules: yes, for some kinds of its lines, or never.

    Example: sundial formats --rules my-rules
    """
    known = rulebook.load_formats(rules or ())
    if json_lines:
        print_rows(abilities.row(one) for one in known.values())
        return
    table = Table(box=None, pad_edge=False)
    for title in abilities.TITLES:
        table.add_column(title, no_wrap=title != abilities.TITLES[-1])
    for one in known.values():
        table.add_row(*map(plain, abilities.cells(one)))
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160).print(table)
    write(["'yours': the log states no zone, give it with --timezone. 'some': of some lines only."])


@local_formats.command()
def draft(
    file: Annotated[Path, typer.Argument(help="A log in no format that is known.")],
    name: Annotated[str, typer.Option(help="Name of the format; else from the file.")] = "",
    into: Annotated[
        Path | None, typer.Option(help="Folder of your rules to write it to, not to the screen.")
    ] = None,
) -> None:
    """Draft a format for a log that nobody has seen, to be edited and checked.

    Its columns are named by what they look like; its samples hold no name of the log.

    Example: sundial format draft proxy.log --into my-rules
    """
    made = drafting.draft(file, name)
    talk.print(plain(f"{made.name}: reads {made.read} of the first {made.lines} lines."))
    if into is None:
        write(made.toml.splitlines())
        return
    path = drafting.keep(made, into)
    talk.print(plain(f"{path}: edit it, then 'sundial check --rules {into}'."))


@directories.command("check")
def people_check(
    files: Annotated[
        list[Path], typer.Argument(help="Directories, folders of dated ones, lists of subnets.")
    ],
    *,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Name of a directory column, as login=sAMAccountName; repeatable."),
    ] = None,
    level: Annotated[
        int | None, typer.Option(min=1, help="Tell departments apart down to this level.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Tell clear names, not only counts.")
    ] = False,
    json_lines: Json = False,
) -> None:
    """Tell what a directory or a list of subnets is understood to say; store nothing.

    People are counted. --show tells who they are, and when they were in which department.

    Example: sundial people check staff.xlsx subnets.csv
    """
    rows, failed = [], False
    for file in files:
        try:
            row = understanding.understood(
                file, _pairs(column or ()), level, datetime.now(UTC).date(), show=show
            )
        except LogError as error:
            told, failed = list(map(str, error.problems)), True
        else:
            rows.append(row)
            told = row["problems"]
            failed = failed or bool(told)
        for problem in told:
            talk.print(plain(problem))
    if json_lines:
        print_rows(rows)
    else:
        write(plain(line) for row in rows for line in understanding.sentences(row))
    if failed:
        raise typer.Exit(1)


@directories.command()
def resolve(
    *,
    store: Store = _STORE,
    config: Annotated[
        Path | None, typer.Option(help="Settings (sundial.toml): people, subnets.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Directory CSV: login, mail, department, from, to.")
    ] = None,
    subnets: Annotated[
        Path | None, typer.Option(help="Subnets CSV: cidr, department, site, shared.")
    ] = None,
    rules: RulesFolders = None,
    json_lines: Json = False,
) -> None:
    """Place all history by today's directory and subnets, and tell what moved; read no log.

    Unknown hosts keep the departments they were read with, since they are kept without persons; so
    does a day on which an address was somebody's, since it is kept as one sum.

    Example: sundial people resolve --store sundial-store --people staff.csv
    """
    settings = load_settings(config)
    settings = replace(
        settings, people=people or settings.people, subnets=subnets or settings.subnets
    )
    book = rulebook.load_rules(own_rules.folders(store, rules))
    moves, problems = flow.resolve(store, settings, book)
    for problem in problems:
        talk.print(plain(problem))
    if json_lines:
        print_rows(
            {**asdict(move), "first_day": str(move.first_day), "last_day": str(move.last_day)}
            for move in moves
        )
    else:
        write(plain(move) for move in moves)
    talk.print(f"{len(moves) or 'No'} moves. Findings: {store / 'findings.duckdb'}.")
    if problems:
        raise typer.Exit(1)


@app.command()
def check(
    rules: RulesFolders = None,
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="First lay out the app entries of your folders anew.")
    ] = False,
    json_lines: Json = False,
) -> None:
    """Check every rule: formats read their own samples, apps and thresholds are well-formed.

    Example: sundial check --rules my-rules --fix
    """
    for told in (line for folder in rules or () if fix for line in own_rules.tidy(folder)):
        talk.print(plain(told))
    try:
        book = rulebook.load_rules(rules or ())
    except RulesError as error:
        problems, summary = list(error.problems), "The rules cannot be used"
    else:
        problems, summary = rulebook.prove(book), rulebook.summary(book)
    for problem in problems:
        talk.print(plain(problem))
    if json_lines:
        print_rows([{"rules": summary, "problems": [str(problem) for problem in problems]}])
    else:
        write([f"{summary}: {len(problems) or 'no'} problems."])
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


def main() -> int:
    """Run the command line and return the exit code."""
    # What the rules and modules make stays, so looking through it for garbage is time lost.
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    try:
        return _run()
    except SundialError as error:
        for problem in error.problems:
            talk.print(plain(problem))
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


def _given(setting: ClaimSetting, paths: list[Path] | None) -> ClaimSetting:
    """Return a setting with the files of the command line in place of its own."""
    return replace(setting, files=tuple(paths)) if paths else setting


def _formats(rules: list[Path] | None, named: str | None) -> Mapping[str, Format]:
    """Load the formats; a name that none of them has is wrong usage."""
    known = rulebook.load_formats(rules or ())
    if named is not None and named not in known:
        raise RulesError(rulebook.no_such_format(named, "--format", known))
    return known


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


if __name__ == "__main__":
    sys.exit(main())
