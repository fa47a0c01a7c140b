"""An operator's own rules: where they live, how an entry gets there, and how they are laid out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rtoml

from agent import rulebook
from agent.catalogue import Catalogue, entry_text, file_text, load_catalogue
from agent.errors import Problem, RulesError, nearest

_NOT_ID = re.compile(r"[^a-z0-9]+")


def folders(store: Path, rules: Sequence[Path] | None) -> list[Path]:
    """Return the folders of rules over the shipped ones: the store's own, then those named.

    A store's own rules lie in its folder ``rules``, so that no upgrade touches them.
    """
    own = store / "rules"
    return [*([own] if own.is_dir() else []), *(rules or ())]


def add(folder: Path, over: Sequence[Path], category: str, given: Mapping[str, Any]) -> str:
    """Write an app into ``apps/<category>.toml`` of a folder and return what was done.

    ``given`` holds the keys of an entry, and ``id`` or an empty one; ``over`` are the folders in
    force. Raises RulesError, with nothing written, for what would be no entry.
    """
    book = load_catalogue(extra=[one for one in over if (one / "apps").is_dir()])
    table = dict(given) | {"domains": [rulebook.spelling(host) for host in given["domains"]]}
    app_id = str(table.pop("id")) or _NOT_ID.sub("_", str(given["name"]).lower()).strip("_")
    _refuse(book, category, app_id, asked=bool(given["id"]))
    file = folder / "apps" / f"{category}.toml"
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        held = rtoml.loads(before)
    except rtoml.TomlParsingError as error:
        raise RulesError(Problem(str(file), f"this is not TOML: {error}")) from error
    if app_id in held:
        raise RulesError(Problem(str(file), f'"{app_id}" is in it already; edit it there.'))
    after = file_text(held | {app_id: table})
    if "#" in before:  # comments would be lost
        after = f"{before.rstrip()}\n\n{entry_text(app_id, table)}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(after, encoding="utf-8")
        load_catalogue(extra=[*(one for one in over if one != folder), folder])
    except OSError as error:
        raise RulesError(Problem(str(file), f"cannot be written: {error.strerror}.")) from error
    except RulesError:
        if before:
            file.write_text(before, encoding="utf-8")
        else:
            file.unlink()
        raise
    return f"{file}: {app_id} added.{_taken(book, table['domains'])}"


def _refuse(book: Catalogue, category: str, app_id: str, *, asked: bool) -> None:
    problems = []
    if category not in book.categories:
        cure = nearest(category, book.categories) or f" There are {', '.join(book.categories)}."
        problems.append(Problem("--category", f'"{category}" is no category.{cure}'))
    if app_id in book.apps and not asked:
        known = f'"{app_id}" is {book.apps[app_id].name} of the catalogue.'
        cure = f"Give another --id, or --id {app_id} to put yours in its place."
        problems.append(Problem("--name", f"{known} {cure}"))
    if problems:
        raise RulesError(problems)


def _taken(book: Catalogue, hosts: Sequence[str]) -> str:
    owners = {host: app.name for app in book.apps.values() for host in dict(app.hosts)}
    taken = [f"{host} was {owners[host]}'s" for host in hosts if host in owners]
    return f" {', '.join(taken)}; your entry has it now." if taken else ""


def tidy(folder: Path) -> list[Problem]:
    """Put the app entries of a folder into their one layout; say what was changed, what left.

    A file with comments is left as it is, since they would be lost.
    """
    told = []
    for file in sorted((folder / "apps").glob("*.toml")):
        try:
            text = file.read_text(encoding="utf-8")
            tables = rtoml.loads(text)
            if not all(isinstance(table, dict) for table in tables.values()):
                continue
            made = file_text(tables)
            if made == text:
                continue
            if any(line.lstrip().startswith("#") for line in text.splitlines()):
                told.append(Problem(str(file), "has comments; left as it is."))
                continue
            file.write_text(made, encoding="utf-8")
        except OSError as error:
            told.append(Problem(str(file), f"cannot be laid out: {error.strerror}."))
        except ValueError:
            continue  # 'check' says what is wrong with it
        else:
            told.append(Problem(str(file), "laid out anew."))
    return told
