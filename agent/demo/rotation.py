"""Log files as a rotation leaves them: one a week, compressed with age, dated by its last line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from io import BufferedWriter
from pathlib import Path

from agent.demo.scenario import BIND, DNSMASQ, SQUID, ZSCALER


class LogWriter:
    """One source's rotating file: a file a week, compressed when it is not the last."""

    def __init__(self, folder: Path, source: str, names: dict[int, str]) -> None:
        self.folder, self.source, self.names = folder, source, names
        self.lines: dict[str, int] = {}
        self._file: gzip.GzipFile | BufferedWriter | None = None
        self._raw: BufferedWriter | None = None

    def rotate(self, week: int, end: datetime) -> None:
        """Begin the file of a week, whose last moment is ``end``; none where the log is silent."""
        self.close()
        name = self.names.get(week)
        if name is None:
            return
        self._path = self.folder / "logs" / self.source / name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._end = end.timestamp()
        self._raw = self._path.open("wb")
        self._file = self._raw
        if name.endswith(".gz"):
            # No name and no time inside, so that the same seed gives the same bytes.
            self._file = gzip.GzipFile("", "wb", 1, self._raw, 0)
        self.lines[self._path.relative_to(self.folder).as_posix()] = 0

    def write(self, lines: list[str]) -> None:
        """Append lines that end in a line feed; an entry may hold several."""
        if self._file is not None and lines:
            text = "".join(lines)
            self._file.write(text.encode())
            self.lines[self._path.relative_to(self.folder).as_posix()] += text.count("\n")

    @property
    def open(self) -> bool:
        """Whether this week is logged at all."""
        return self._file is not None

    def close(self) -> None:
        """Finish the file, and date it as the rotation would: dnsmasq logs have no year."""
        if self._file is None or self._raw is None:
            return
        self._file.close()
        self._raw.close()
        os.utime(self._path, (self._end, self._end))
        self._file = self._raw = None


def file_names(source: int, weeks: Sequence[int], first_day: date) -> dict[int, str]:
    """Name the file of each logged week as the source's own rotation does."""
    names: dict[int, str] = {}
    for age, week in enumerate(reversed(weeks)):
        rotated = f"{first_day + timedelta(weeks=week + 1):%Y%m%d}"
        names[week] = {
            SQUID: f"access.log-{rotated}.gz" if age else "access.log",
            ZSCALER: f"nss-web-{rotated}.log" + (".gz" if age else ""),
            BIND: "query.log" + (f".{age - 1}" if age else "") + (".gz" if age > 1 else ""),
            DNSMASQ: "pihole.log" + (f".{age}" if age else "") + (".gz" if age > 1 else ""),
        }[source]
    return names
