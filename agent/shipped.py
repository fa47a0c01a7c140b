"""Reads the files of ``rules`` that are no catalogue and no formats: numbers, words, operators."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import rtoml

from agent.errors import Problem, RulesError


def tables(name: str, path: Path | Traversable | None = None) -> tuple[str, dict[str, Any]]:
    """Return the name of a rules file for messages, and what it holds; ``path`` is read instead.

    Raises RulesError where it cannot be read.
    """
    file = resources.files("rules").joinpath(name) if path is None else path
    where = f"rules/{name}" if path is None else str(path)
    try:
        return where, rtoml.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, rtoml.TomlParsingError) as error:
        raise RulesError(Problem(where, f"cannot be read: {error}.")) from error
