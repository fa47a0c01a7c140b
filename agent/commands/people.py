"""Directories and address plans: what they are understood to say, and history placed by them."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent import own_rules, rulebook, upkeep
from agent import understood as understanding
from agent.commands.options import STORE, Json, RulesFolders, Store, columns
from agent.errors import LogError
from agent.settings import load_settings
from agent.terminal import plain, print_rows, talk, write

directories = typer.Typer(no_args_is_help=True, help="Directories and address plans.")


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
                file, columns(column or ()), level, datetime.now(UTC).date(), show=show
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
    store: Store = STORE,
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
    moves, problems = upkeep.resolve(store, settings, book)
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
