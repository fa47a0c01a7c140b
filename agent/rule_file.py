"""One TOML file of the catalogue while it is read: gives what is well-formed, notes the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import rtoml

from agent.errors import Problem, unknown_key

_LABEL = re.compile(r"[a-z0-9#](?:[a-z0-9#-]{0,61}[a-z0-9#])?")
_AT_LINE = re.compile(r" at line (\d+) column \d+$")


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file by the name that messages give it, and the list that all its problems go to."""

    where: str
    problems: list[Problem]

    def say(self, key: str | None, message: str) -> None:
        """Note what is wrong with the value of a key."""
        self.problems.append(Problem(self.where, message, key))

    def tables(self, file: Traversable | Path) -> dict[str, object]:
        """Return what a file holds, nothing where it cannot be read."""
        try:
            return rtoml.loads(file.read_text(encoding="utf-8"))
        except rtoml.TomlParsingError as error:
            found = _AT_LINE.search(str(error))
            message = f"this is not TOML: {_AT_LINE.sub('', str(error))}"
            line = int(found[1]) if found else None
            self.problems.append(Problem(self.where, message, line=line))
        except UnicodeDecodeError:
            self.say(None, "this is not UTF-8 text; save it as UTF-8")
        except OSError as error:
            self.say(None, f"cannot be read: {error.strerror}")
        return {}

    def keys(self, table: Mapping[str, object], known: Sequence[str], place: str) -> None:
        """Note every key that a table must not have."""
        for key in table:
            if key not in known:
                self.say(f"{place}.{key}", unknown_key(key, known))

    def text(self, table: Mapping[str, object], key: str, place: str) -> str:
        """Return a text that must be there, an empty one where it is not."""
        value = table.get(key)
        if value is None:
            self.say(f"{place}.{key}", "missing; every entry needs it")
        elif not isinstance(value, str) or not value.strip():
            self.say(f"{place}.{key}", "must be a text that says something")
        else:
            return value
        return ""

    def texts(self, value: object, place: str) -> list[str]:
        """Return a list of texts, an empty one where the value is something else."""
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        self.say(place, 'must be a list of texts, as in ["slack.com"]')
        return []

    def labels(self, value: object, place: str) -> list[str]:
        """Return those texts of a list that are one label of a host name each."""
        found = []
        for label in self.texts(value, place):
            if _LABEL.fullmatch(label):
                found.append(label)
            else:
                message = f'"{label}" is not one label; write files, or us#web for numbers'
                self.say(place, message)
        return found
