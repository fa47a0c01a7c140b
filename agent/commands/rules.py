"""Rules: which apps and formats are known, what they say of a host, and rules of one's own."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent import abilities, own_rules, published, rulebook, telling, upkeep, white_labels
from agent import draft as drafting
from agent.commands.options import STORE, Json, RulesFolders, Store
from agent.errors import RulesError
from agent.terminal import plain, print_rows, talk, write

local_formats = typer.Typer(no_args_is_help=True, help="Formats of your own.")
register = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


def explain(
    hosts: Annotated[
        list[str] | None, typer.Argument(help="Host names; none: read them from standard input.")
    ] = None,
    store: Store = STORE,
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
        sure = partial(published.confidence, store)
        rows = (telling.full_answer(book, name, today, heard, sure) for name in hosts)
        said = (line for row in rows for line in telling.lines(row))
    if json_lines:
        print_rows(rows)
    else:
        write(map(plain, said))


def reclassify(store: Store = STORE, rules: RulesFolders = None, json_lines: Json = False) -> None:
    """Give all history the meaning of today's rules, and tell what that changed; read no log.

    New, gone and renamed findings are told with the rule behind each. What was counted without
    persons, because no rule knew it, stays with the unknown hosts: scan those logs into a new
    store to have its past too. A scan does the same by itself when rules have changed.

    Example: sundial reclassify --store sundial-store --rules my-rules
    """
    book = rulebook.load_rules(own_rules.folders(store, rules))
    changes = upkeep.reclassify(store, book)
    if json_lines:
        print_rows(asdict(change) for change in changes)
    else:
        write(plain(change) for change in changes)
    many = "1 change" if len(changes) == 1 else f"{len(changes) or 'No'} changes"
    talk.print(f"{many}. Findings: {store / 'findings.duckdb'}.")


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
    store: Store = STORE,
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
    store: Store = STORE,
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
    store: Store = STORE,
    most: Annotated[int, typer.Option("--most", min=1, help="How many to print.")] = 20,
    json_lines: Json = False,
) -> None:
    """List the domains that no app claims, those that look most like a service first, with why.

    Example: sundial catalogue unknown --store sundial-store
    """
    rows = published.unknown_queue(store, most)
    if json_lines:
        print_rows(rows)
        return
    write(plain(f"{row['points']:>3}  {row['domain']}: {row['why']}") for row in rows)


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
