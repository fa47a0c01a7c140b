"""People's rights: what is kept of them, who may see it, and how it ends."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from agent import account, own_rules, reveals, rulebook, upkeep
from agent.commands.options import STORE, Json, RulesFolders, Store
from agent.errors import Problem, StoreError
from agent.settings import load_settings
from agent.terminal import plain, print_rows, talk, write

if sys.platform != "win32":
    import pwd

privacy = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Protect people.")


@privacy.command("report")
def report(store: Store = STORE, rules: RulesFolders = None, json_lines: Json = False) -> None:
    """Say what is collected, kept and shown of people, as Markdown for a works council.

    Example: sundial privacy report --store sundial-store > privacy.md
    """
    said = upkeep.privacy_report(store, rulebook.load_rules(own_rules.folders(store, rules)))
    if json_lines:
        print_rows([said])
    else:
        write(map(plain, account.markdown(said)))


@privacy.command("forget")
def forget(store: Store = STORE, rules: RulesFolders = None, json_lines: Json = False) -> None:
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
    gone = upkeep.forget(store, login, rulebook.load_rules(own_rules.folders(store, rules)))
    if json_lines:
        print_rows([gone])
    else:
        write(f"{rows:>8}  {table}" for table, rows in gone.items())
    talk.print(
        f"{sum(gone.values())} rows removed." if any(gone.values()) else "Nobody is known by it."
    )


@privacy.command("expire")
def expire(store: Store = STORE, rules: RulesFolders = None) -> None:
    """Remove rows by person, and bits that people are counted by, older than keep_days today.

    Every scan does it too, counting back from its newest day. The weeks stay in the findings as
    they were. For stores into which no log is read any more.

    Example: sundial privacy expire --store sundial-store
    """
    gone = upkeep.expire(store, rulebook.load_rules(own_rules.folders(store, rules)))
    talk.print(f"{gone} rows removed.")


@privacy.command("rotate-key")
def rotate_key(
    *,
    store: Store = STORE,
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
    carried, lost, problems = upkeep.rotate_key(store, settings)
    for problem in problems:
        talk.print(plain(problem))
    talk.print(f"{store} has a new key; {carried} pseudonyms carried over, {lost} cut off.")
    if problems:
        raise typer.Exit(1)


@privacy.command("vault")
def vault(
    key: Annotated[Path, typer.Argument(help="File of the private key, outside the store.")],
    *,
    store: Store = STORE,
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
        talk.print(f"{reveals.close_vault(store)} names thrown away.")
        return
    until = reveals.open_vault(store, key, _passphrase(), _operator(), days)
    talk.print(f"{store} keeps sealed names; with {key} they may be revealed until {until}.")


@privacy.command("reveal")
def reveal(
    pseudonym: Annotated[str, typer.Argument(help="Pseudonym, as in work.duckdb.")],
    *,
    key: Annotated[Path, typer.Option(help="File of the private key of the vault.")],
    reason: Annotated[str, typer.Option(help="Why; it is written down for good.")],
    store: Store = STORE,
) -> None:
    """Print the clear name behind a pseudonym; who asked, when and why is written down first.

    Example: sundial privacy reveal 5f0c… --key /media/dpo/reveal.pem --reason "Case 12, agreed"
    """
    name = reveals.reveal(store, pseudonym, key, _passphrase(), who=_operator(), reason=reason)
    write([plain(name)])


@privacy.command("audit")
def audit(store: Store = STORE, json_lines: Json = False) -> None:
    """Report who revealed whom and why, and prove that no record was changed.

    Exit code 1 where one was. Keep the last hash elsewhere: it proves the whole file.

    Example: sundial privacy audit --store sundial-store
    """
    records, fault = reveals.audited(store)
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
    store: Store = STORE,
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
    upkeep.destroy_key(store)
    talk.print(f"The key of {store} is destroyed.")
