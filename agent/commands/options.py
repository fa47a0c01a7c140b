"""Options that several commands have, and what is understood of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from agent.errors import Problem, RulesError

Store = Annotated[Path, typer.Option(help="Folder of the store.", show_default=True)]
STORE = Path("sundial-store")
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
RulesFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules", help="Folder with apps/ and formats/ of your own, over ours; repeatable."
    ),
]


def columns(texts: Iterable[str]) -> dict[str, str]:
    """Return what ``login=Header`` says of columns; raises RulesError where one says nothing."""
    pairs = [text.partition("=") for text in texts]
    wrong = [
        Problem("--column", f'"{name}" is not of the form login=Header.')
        for name, sign, _ in pairs
        if not sign
    ]
    if wrong:
        raise RulesError(wrong)
    return {name.strip(): header.strip() for name, _, header in pairs}
