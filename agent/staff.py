"""What is known of people when a store is opened: its key, the directory and the subnets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent import people
from agent.errors import Problem, StoreError
from agent.settings import Settings


@dataclass(frozen=True, slots=True)
class Staff:
    """What is known of people; None where an earlier scan's answer stands."""

    key: people.Pseudonyms
    directory: people.Directory | None
    subnets: people.Subnets | None


def read(asked: Settings, folder: Path, problems: list[Problem]) -> Staff:
    """Read directory and subnets, and the key of the store; add what is wrong in them.

    Raises LogError for a directory that cannot be used, StoreError for a store whose key is lost.
    """
    directory = subnets = None
    if asked.people is not None:
        directory = people.read_directory(
            asked.people, asked.people_columns or None, asked.people_level
        )
        problems.extend(directory.problems)
    if asked.subnets is not None:
        subnets = people.read_subnets(asked.subnets)
        problems.extend(subnets.problems)
    if (folder / "work.duckdb").exists() and not (folder / "pseudonym.key").exists():
        lost = "is lost; restore it from a backup, or scan into a new folder."
        raise StoreError(Problem(str(folder / "pseudonym.key"), lost))
    return Staff(people.Pseudonyms(people.load_key(folder)), directory, subnets)
