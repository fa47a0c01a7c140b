"""The door: which commands there are, exit codes, and the one place where errors become lines.

Data goes to standard output, talk to standard error. Exit codes: 0 done; 1 something could not be
read or stored; 2 wrong usage, settings or rules.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from agent.commands import findings, logs, people, privacy, rules
from agent.errors import RulesError, SundialError
from agent.terminal import plain, talk
from agent.version import VERSION

_OBJECTS_BETWEEN_LOOKS = 100_000
_COMMANDS = (
    logs.scan,
    logs.parse,
    logs.lint,
    logs.capture,
    rules.explain,
    rules.reclassify,
    findings.doctor,
    rules.formats,
    rules.check,
    findings.dashboard,
    findings.demo,
)
_GROUPS = {
    "format": rules.local_formats,
    "people": people.directories,
    "privacy": privacy.privacy,
    "catalogue": rules.register,
}

app = typer.Typer(
    name="sundial",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


for _command in _COMMANDS:
    app.command()(_command)
for _name, _group in _GROUPS.items():
    app.add_typer(_group, name=_name)


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


if __name__ == "__main__":
    sys.exit(main())
