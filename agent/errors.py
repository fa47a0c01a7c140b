"""What can go wrong that a person can mend: four error classes and the problem they carry."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what to do about it."""

    where: str
    """A file name or a subject, as the reader would type it."""
    message: str
    """What is wrong, then the cure; one line."""
    key: str | None = None
    """Dotted path inside the file (``fields.host``), where there is one."""
    line: int | None = None
    """One-based line; only ever a line that a parser named."""

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class SundialError(Exception):
    """Anything that the command line reports as one line a problem and no traceback."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RulesError(SundialError):
    """Rules or settings that cannot be used (exit code 2)."""


class LogError(SundialError):
    """A log, directory or subnet file that cannot be read (exit code 1)."""


class StoreError(SundialError):
    """A store that cannot be opened, written or published (exit code 1)."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for a near miss, else an empty text.

    >>> nearest("hots", ["host", "client"]), nearest("zzz", ["host", "client"])
    (' Did you mean "host"?', '')
    """
    near = get_close_matches(word, list(known), n=1)
    return f' Did you mean "{near[0]}"?' if near else ""


def unknown_key(key: str, known: Collection[str]) -> str:
    """Say that a key is unknown, and which one was meant or which there are.

    >>> unknown_key("hots", ["host", "client"]), unknown_key("zzz", ["host", "client"])
    ('unknown key. Did you mean "host"?', 'unknown key. Known are host, client')
    """
    return f"unknown key.{nearest(key, known) or ' Known are ' + ', '.join(known)}"
