"""Keeps what people decided about apps: a file that only grows, one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

STATUSES = (
    "unreviewed",
    "in review",
    "approved",
    "approved for trial",
    "tolerated",
    "not approved",
    "retired",
)
LONGEST = 500
"""Characters that one answer may have, so that a line stays a line."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was agreed about an app, by whom, and when to look again."""

    app: str
    status: str = "unreviewed"
    owner: str = ""
    reason: str = ""
    review_date: str = ""
    by: str = ""
    at: str = ""


def read(folder: str | Path) -> dict[str, Decision]:
    """Return the newest decision of each app; a line that is not a decision is passed over."""
    try:
        lines = (Path(folder) / "decisions.jsonl").read_text("utf-8", errors="replace")
    except OSError:
        return {}
    # Not splitlines: a reason may hold separators that JSON does not escape.
    return {made.app: made for line in lines.split("\n") if (made := _parse(line))}


def record(folder: str | Path, decision: Decision) -> Decision:
    """Append a decision, on disk before this returns, and return it with its time.

    Raises ValueError for a status outside the list, OSError when the file cannot be written.
    """
    if decision.status not in STATUSES:
        raise ValueError(f'"{decision.status}" is not a status; use one of {", ".join(STATUSES)}')
    fields = {key: value.strip()[:LONGEST] for key, value in asdict(decision).items()}
    fields["at"] = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps(fields, ensure_ascii=False) + "\n"
    with (Path(folder) / "decisions.jsonl").open("ab+") as file, _locked(file):
        file.write((b"" if _ends_clean(file) else b"\n") + line.encode())
        file.flush()
        os.fsync(file.fileno())
    return Decision(**fields)


def _parse(line: str) -> Decision | None:
    try:
        found = json.loads(line)
        known = {key: str(found.get(key) or "") for key in Decision.__dataclass_fields__}
    except (ValueError, AttributeError):
        return None
    return Decision(**known) if known["app"] and known["status"] in STATUSES else None


def _ends_clean(file: IO[bytes]) -> bool:
    # A writer that was killed may have left half a line; the next one starts below it.
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    if sys.platform == "win32":
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
