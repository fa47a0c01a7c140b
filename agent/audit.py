"""Writes down who revealed whom, in records that cannot be changed without a trace.

One JSON object a line; each holds the SHA-256 of itself and the one of the record before it. How
many there are and the last hash stand in the store too, so what is cut off is missed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.errors import Problem, StoreError

NAME: Final = "audit.jsonl"
_FIRST: Final = "0" * 64


def append(folder: Path, record: Mapping[str, str]) -> str:
    """Add a record and return the head, as ``broken`` wants it, once it is safe on disk.

    Raises StoreError where the file cannot be written, or is broken already: nothing is done then.
    """
    path = folder / NAME
    held = read(folder)
    fault = broken(held, None)
    if fault:
        raise StoreError(Problem(str(path), fault))
    chained = {
        "number": len(held) + 1,
        **record,
        "previous": held[-1]["hash"] if held else _FIRST,
    }
    chained["hash"] = _hash(chained)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(json.dumps(chained) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(Problem(str(path), f"cannot be written: {error.strerror}.")) from error
    return f"{chained['number']} {chained['hash']}"


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the records, the oldest first; a line that is none comes as an empty one."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(Problem(str(folder / NAME), f"cannot be read: {error}.")) from error
    return [_record(line) for line in lines]


def broken(records: list[dict[str, Any]], head: str | None) -> str | None:
    """Say what is wrong with some records, and with their end as the store knows it; else None."""
    before = _FIRST
    for number, record in enumerate(records, 1):
        sound = record.get("number") == number and record.get("previous") == before
        if not sound or record.get("hash") != _hash(record):
            return f"was changed at record {number}, or before it; nothing after it can be trusted."
        before = record["hash"]
    count, _, last = (head or "0 ").partition(" ")
    if len(records) < int(count) or (int(count) and records[int(count) - 1]["hash"] != last):
        return f"was cut off or written anew: the store knows of {count} records."
    return None


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _hash(record: Mapping[str, Any]) -> str:
    told = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
