"""Tells by their cells alone what the columns of a log are that no header names.

A guess for logs that nobody has seen, so it is taken only where it can hardly be wrong: a column is
what nearly all of its cells look like, and one that could be two things is none.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

_NEARLY: Final = 0.9
"""Share of the cells that say something, that must look alike."""
_FILLED: Final = 0.5
"""Share of lines in which such a column says something."""
_NAMED: Final = 0.2
"""The same for the site: a connection often does not name it."""
_LETTERED: Final = 0.8
"""Share of sites that must be names: the others may be addresses."""
_FEW: Final = 8
"""Lines; more of them ask for sites of more than one domain."""
_NOTHING: Final = frozenset(
    {"", "-", "N/A", "n/a", "NA", "null", "(null)", "(empty)", "None", "none"}
)
_NAME: Final = re.compile(r"(?i)(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z][a-z0-9-]{1,62}\.?")
_COMMON: Final = re.compile(
    r"(?i).*\.(?:(?!js|gz|py|sh|so|db|md|cs|vb|xz)[a-z]{2}|com|net|org|info|biz|gov|edu|app|dev|cloud|arpa)\.?"
)
"""How most names end that are no file, and nobody's first and last name."""
_CLOCK: Final = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?: ?[AaPp][Mm])?"
_DAY: Final = r"(?:\d{4}-\d\d-\d\d|\d{1,4}[/.]\d{1,2}[/.]\d{1,4})"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME: Final = re.compile(
    rf"1\d{{9}}(?:\.\d+|\d{{3}}|\d{{6}}|\d{{9}})?"
    rf"|{_DAY}[T ]{_CLOCK}(?: ?(?:Z|[+-]\d\d:?\d\d))?"
    rf"|(?:[A-Z][a-z]{{2}} )?{_MONTH} +\d{{1,2}},? (?:\d{{4}} )?{_CLOCK}(?: \d{{4}})?"
    rf"|\d{{1,2}}[ /-]{_MONTH}[ /-]\d{{4}}[ :]{_CLOCK}(?: [+-]\d{{4}})?"
)
_INSIDE: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
"""Private networks (RFC 1918, RFC 4193)."""
METHODS: Final = frozenset("GET POST HEAD PUT CONNECT OPTIONS DELETE PATCH TRACE".split())
_VERDICT: Final = re.compile(
    r"(?i)(?:tcp_denied|allow|permit|pass|accept|block|den|drop|reject|refus|reset|sinkhole)[\w -]*"
)
_LOGIN: Final = re.compile(r"[\w.-]{1,30}\\[\w.$'-]{1,40}|[\w.+'-]{1,60}@[\w-]+(?:\.[\w-]+)*")


def row(line: str, sign: str) -> list[str]:
    """Cut a line at a sign that does not stand in quotes."""
    with suppress(csv.Error):
        return next(csv.reader([line], delimiter=sign, skipinitialspace=sign == ","), [])
    return line.split(sign)


def is_address(value: str) -> bool:
    """Tell whether a text is an IP address."""
    with suppress(ValueError):
        ipaddress.ip_address(value.strip("[]"))
        return True
    return False


def _is_private(value: str) -> bool:
    return is_address(value) and any(ipaddress.ip_address(value.strip("[]")) in n for n in _INSIDE)


def is_name(value: str) -> bool:
    """Tell whether a text looks like a host name of several labels."""
    return _NAME.fullmatch(value) is not None


def without_port(value: str) -> str:
    """Take the port off an address or a name.

    >>> without_port("192.0.2.1:443"), without_port("2001:db8::1")
    ('192.0.2.1', '2001:db8::1')
    """
    head, sign, port = value.rpartition(":")
    return head if sign and port.isdigit() and value.count(":") == 1 else value


def is_url(value: str) -> bool:
    """Tell whether a text looks like a URL with or without a scheme, or a name with a port."""
    return is_name(_authority(value)) and any(sign in value for sign in "/:?")


def _authority(value: str) -> str:
    rest = value.partition("://")[2] or value
    return without_port(re.split(r"[/?]", rest, maxsplit=1)[0])


def columns(rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return what each column of a table is, as words of rules/words.toml; empty for any other.

    Nothing at all where no column tells the time, who asked, or for what.

    >>> columns([["2026-01-01 09:00:00", "7", "192.0.2.10", "app.example.com"]])
    ('time', '', 'client_address', 'host')
    """
    lines = list(rows)
    widths = Counter(map(len, lines))
    # Some devices leave out what is at the end, so wider lines count as well.
    width = max(widths, key=lambda many: (widths[many], -many), default=0)
    table = [cells[:width] for cells in lines if len(cells) >= width]
    told = [
        [cells[place].strip() for cells in table if _says(cells[place])] for place in range(width)
    ]
    full = [values if len(values) >= _FILLED * len(table) else [] for values in told]
    some = [values if len(values) >= _NAMED * len(table) else [] for values in told]
    words = [""] * width
    for word, place in (*_when(full).items(), ("client_address", _client(full)), _what(some)):
        if place is None:
            return ()
        words[place] = word
    for word, looks in _MORE.items():
        place = next((n for n, cells in enumerate(some) if not words[n] and _all(cells, looks)), -1)
        if place >= 0:
            words[place] = word
    first = dict(zip(words, lines[0], strict=False))
    if not is_address(first.get("client_address", "").strip()):
        return ()  # the first line may be a header, and others that look so have one
    while words and not words[-1]:
        words.pop()
    return tuple(words)


_MORE: Final[Mapping[str, Callable[[str], bool]]] = {
    "user": lambda value: _LOGIN.fullmatch(value) is not None,
    "method": METHODS.__contains__,
    "verdict": lambda value: _VERDICT.fullmatch(value) is not None,
    "user_agent": lambda value: value.startswith("Mozilla/"),
}
"""What else a column may be, by the look of its cells."""


def _says(cell: str) -> bool:
    return cell.strip() not in _NOTHING


def _all(cells: Sequence[str], looks: Callable[[str], bool]) -> bool:
    """Tell whether nearly all of some cells look like something."""
    return bool(cells) and sum(map(looks, cells)) >= _NEARLY * len(cells)


def _when(full: Sequence[Sequence[str]]) -> dict[str, int | None]:
    """Return where the time is: in one column, or in two that stand side by side."""
    for place, cells in enumerate(full):
        if _all(cells, lambda value: _TIME.fullmatch(value) is not None):
            return {"time": place}
        clock = full[place + 1] if place + 1 < len(full) else []
        dated = _all(cells, lambda value: re.fullmatch(_DAY, value) is not None)
        if dated and _all(clock, lambda value: re.fullmatch(_CLOCK, value) is not None):
            return {"date": place, "clock": place + 1}
    return {"time": None}


def _client(full: Sequence[Sequence[str]]) -> int | None:
    """Return where the address is that asked: the first of a private network, else the first."""
    places = [n for n, cells in enumerate(full) if _all(cells, is_address)]
    inside = (n for n in places if _all(full[n], _is_private))
    return next(inside, places[0] if places else None)


def _what(full: Sequence[Sequence[str]]) -> tuple[str, int | None]:
    """Return where the site is: among columns of URLs and names the one that differs most.

    Names of one domain are those of a company's own machines.
    """
    found: list[tuple[int, bool, int]] = []
    for place, cells in enumerate(full):
        sites = [_authority(value).lower() for value in cells]
        names = [site for site in sites if not is_address(site)]
        lettered = len(names) >= _LETTERED * len(sites)
        domains = {tuple(name.rstrip(".").split(".")[-2:]) for name in names}
        if lettered and _all(names, _is_common) and (len(domains) > 1 or len(cells) <= _FEW):
            found.append((len(set(names)), any(map(is_url, cells)), -place))
    if not found:
        return "host", None
    _, urls, place = max(found)
    return "url" if urls else "host", -place


def _is_common(name: str) -> bool:
    return is_name(name) and _COMMON.fullmatch(name) is not None
