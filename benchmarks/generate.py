"""Writes proxy and DNS logs of any size, as a company of 2 000 desks would, in seconds.

    python -m benchmarks.generate squid access.log --lines 5000000

A line is put together from pools of ready text, so numpy draws indices and Arrow joins columns;
nothing loops over lines. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agent.catalogue import load_catalogue

CHUNK = 1_000_000
START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
NAMES = 20_000
CLIENTS = 2_000
USERS = 400
CATALOGUE_SHARE = 0.15
"""Share of the requests that go to hosts of the catalogue."""
VISIT = 6
"""Requests of a visit: whoever opens a page asks its host for more than one thing."""
ABREAST = 100
"""Visits whose requests mingle, as those of many desks do."""

_HOURS = [1, 1, 1, 1, 1, 2, 6, 18, 40, 55, 58, 55, 38, 45, 55, 54, 48, 36, 18, 10, 7, 5, 3, 2]
"""Requests by hour of a working day; a weekend has a tenth."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Who asks for what: all that the lines of one log have in common."""

    lines: int
    days: int
    hosts: pa.Array
    cumulative: np.ndarray
    """Running sum of the hosts' shares, to draw from with a uniform number."""
    machine_names: int
    """How many lines ask for a name that no other line asks for."""
    clients: int
    users: int


def main() -> None:
    """Write one log."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=["squid", "bind"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--machine-names", type=int, default=0, help="distinct made-up subdomains")
    parser.add_argument("--catalogue-share", type=float, default=CATALOGUE_SHARE)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--users", type=int, default=USERS)
    given = parser.parse_args()
    mix = make_mix(
        given.lines,
        given.days,
        machine_names=given.machine_names,
        catalogue_share=given.catalogue_share,
        desks=(given.clients, given.users),
    )
    write_log(given.kind, given.out, mix)


def make_mix(
    lines: int,
    days: int = 28,
    *,
    machine_names: int = 0,
    catalogue_share: float = CATALOGUE_SHARE,
    desks: tuple[int, int] = (CLIENTS, USERS),
) -> Mix:
    """Draw the hosts and how often each is asked for: two Zipf curves, one of them catalogued.

    ``desks`` are the numbers of client addresses and of user names.
    """
    random = np.random.default_rng(20260302)
    known = np.array(_catalogue_hosts())[: NAMES // 2]
    random.shuffle(known)
    others = np.array(_ordinary_hosts(random, NAMES - len(known)))
    shares = np.concatenate(
        [_zipf(len(known)) * catalogue_share, _zipf(len(others)) * (1 - catalogue_share)]
    )
    hosts = pa.array(np.concatenate([known, others]))
    return Mix(lines, days, hosts, np.cumsum(shares), machine_names, *desks)


def write_log(kind: str, path: Path, mix: Mix) -> None:
    """Write a ``squid`` (native) or ``bind`` (query) log of ``mix.lines`` lines, oldest first."""
    write = {"squid": _squid_lines, "bind": _bind_lines}[kind]
    with path.open("wb") as out:
        for first in range(0, mix.lines, CHUNK):
            count = min(CHUNK, mix.lines - first)
            random = np.random.default_rng([first, mix.lines])
            text = write(mix, first, count, random)
            # The text of an Arrow array lies in memory as it will lie in the file.
            out.write(text.buffers()[2].slice(0, pc.sum(pc.binary_length(text)).as_py()))


def draw(mix: Mix, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw some requests: microseconds since 1970, number of the client, number of the host."""
    random = np.random.default_rng([first, mix.lines])
    seconds, millis = _clock(mix, first, count, random)
    return (seconds * 1000 + millis) * 1000, *_visits(mix, count, random)


def client_pool(mix: Mix) -> list[str]:
    """Return the address of each client, 250 of them in a subnet."""
    return [f"10.20.{n // 250}.{n % 250 + 1}" for n in range(mix.clients)]


def write_company(folder: Path, mix: Mix) -> Path:
    """Write the directory and address plan that fit a log; returns the path of sundial.toml."""
    people = [f"{user},Department {number % 12 + 1:02},," for number, user in _users(mix)]
    _write_lines(folder / "people.csv", "login,department,from,to", people)
    networks = mix.clients // 250 + 1
    subnets = [f"10.20.{n}.0/24,Department {n % 12 + 1:02},Site,no" for n in range(networks)]
    _write_lines(folder / "subnets.csv", "cidr,department,site,shared", subnets)
    config = folder / "sundial.toml"
    config.write_text('[people]\nfile = "people.csv"\n[subnets]\nfile = "subnets.csv"\n')
    return config


def _squid_lines(mix: Mix, first: int, count: int, random: np.random.Generator) -> pa.Array:
    seconds, millis = _clock(mix, first, count, random)
    client, drawn = _visits(mix, count, random)
    host, index = _hosts(mix, first, drawn)
    tunnel = random.random(count) < 0.8
    method = _take(["GET http://", "CONNECT "], tunnel.astype(np.int32))
    page = _join(
        (_take(["/"], np.zeros(count, np.int32)), ""),
        (_hex(random.integers(1 << 48, size=count)), ".html"),
    )
    path = pc.if_else(pa.array(tunnel), ":443", page)
    return _join(
        (_texts(seconds), "."),
        (_take([f"{n:03}" for n in range(1000)], millis), " "),
        (_take([f"{n:6}" for n in range(5000)], _skewed(random, count, 5000)), " "),
        (_take(client_pool(mix), client), " "),
        (_take(["TCP_MISS/200", "TCP_TUNNEL/200", "TCP_DENIED/403"], _result(random, tunnel)), " "),
        (_take([str(n * 7 + 39) for n in range(60_000)], _skewed(random, count, 60_000)), " "),
        (method, ""),
        (host, ""),
        (path, " "),
        (_take([name for _, name in _users(mix)] + ["-"], _user_of(mix, client, random)), " "),
        (_take([f"HIER_DIRECT/198.51.100.{n} -" for n in range(250)], index % 250), "\n"),
    )


def _bind_lines(mix: Mix, first: int, count: int, random: np.random.Generator) -> pa.Array:
    seconds, millis = _clock(mix, first, count, random)
    since = seconds - int(START.timestamp())
    dates = [f"{START + timedelta(days=n):%d-%b-%Y}" for n in range(mix.days + 1)]
    times = [f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}" for n in range(86400)]
    client, drawn = _visits(mix, count, random)
    host, _ = _hosts(mix, first, drawn)
    kinds = ["A +E(0)K (10.20.0.53)", "AAAA +E(0)K (10.20.0.53)", "HTTPS + (10.20.0.53)"]
    return _join(
        (_take(dates, since // 86400), " "),
        (_take(times, since % 86400), "."),
        (
            _take([f"{n:03}" for n in range(1000)], millis),
            " queries: info: client @0x7f1c2c0a4d68 ",
        ),
        (_take(client_pool(mix), client), "#"),
        (_take([str(n) for n in range(32768, 61000)], random.integers(28232, size=count)), " ("),
        (host, "): query: "),
        (host, " IN "),
        (_take(kinds, random.choice(3, size=count, p=[0.6, 0.3, 0.1])), "\n"),
    )


def _clock(
    mix: Mix, first: int, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rising seconds since 1970, more of them in working hours, and milliseconds."""
    weights = np.concatenate(
        [np.array(_HOURS) * (1.0 if day % 7 < 5 else 0.1) for day in range(mix.days)]
    )
    passed = np.concatenate([[0.0], np.cumsum(weights) / weights.sum()])
    turn = (first + np.sort(random.random(count)) * count) / mix.lines
    moment = np.interp(turn, passed, np.arange(len(passed)) * 3600.0) + START.timestamp()
    seconds = moment.astype(np.int64)
    return seconds, ((moment - seconds) * 1000).astype(np.int32)


def _visits(mix: Mix, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw who asks on each line, and for which host: some visits at a time, each of some lines."""
    visits = count // VISIT + 1
    client = random.integers(mix.clients, size=visits)
    host = np.searchsorted(mix.cumulative, random.random(visits) * mix.cumulative[-1])
    now = np.arange(count) // VISIT + random.integers(ABREAST, size=count)
    visit = np.minimum(now, visits - 1)
    return client[visit], host[visit]


def _hosts(mix: Mix, first: int, drawn: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Name the hosts of lines; machine-made names stand evenly between the others."""
    count = len(drawn)
    host = mix.hosts.take(pa.array(drawn))
    if not mix.machine_names:
        return host, drawn
    line = np.arange(first, first + count)
    # How many of them are due up to each line; a line where that number rises has the next one.
    due = (line + 1) * mix.machine_names // mix.lines
    rises = due > line * mix.machine_names // mix.lines
    made = _join((_hex(due * 0x9E3779B1 % (1 << 48)), ".avts.filecheck-cloud.com"))
    return pc.if_else(pa.array(rises), made, host), drawn


def _hex(numbers: np.ndarray) -> pa.Array:
    """Write 48-bit numbers as twelve hexadecimal digits."""
    pool = [f"{n:04x}" for n in range(1 << 16)]
    return _join(*((_take(pool, numbers >> shift & 0xFFFF), "") for shift in (32, 16, 0)))


def _user_of(mix: Mix, client: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Say who sits at each client; one request in ten comes without a user (the pool's last)."""
    return np.where(random.random(len(client)) < 0.1, mix.users, client % mix.users)


def _result(random: np.random.Generator, tunnel: np.ndarray) -> np.ndarray:
    """Draw the result code: one request in fifty is denied."""
    return np.where(random.random(len(tunnel)) < 0.02, 2, tunnel.astype(np.int32))


def _skewed(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Draw numbers below ``size``, most of them small, as durations and lengths are."""
    return (random.random(count) ** 4 * size).astype(np.int32)


def _users(mix: Mix) -> list[tuple[int, str]]:
    return [(n, f"user{n:05}") for n in range(mix.users)]


def _take(pool: list[str], index: np.ndarray) -> pa.Array:
    return pa.array(pool).take(pa.array(index))


def _texts(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _join(*columns: tuple[pa.Array, str]) -> pa.Array:
    """Join columns of text row by row, each followed by its own constant."""
    parts = [part for column, after in columns for part in (column, pa.scalar(after))]
    return pc.binary_join_element_wise(*parts, pa.scalar(""))


def _zipf(count: int) -> np.ndarray:
    """Shares that fall as one over the rank, as the popularity of names does; they sum to 1."""
    shares: np.ndarray = 1 / np.arange(1, count + 1)
    return np.asarray(shares / shares.sum())


def _catalogue_hosts() -> list[str]:
    """Hosts of every app in the catalogue: its suffixes as they stand, and some below them."""
    suffixes = sorted({suffix for app in load_catalogue().apps.values() for suffix, _ in app.hosts})
    return [f"{label}{suffix}" for label in ("", "www.", "api.") for suffix in suffixes]


def _ordinary_hosts(random: np.random.Generator, count: int) -> list[str]:
    """Make up the names of everything else that a company's browsers ask for."""
    first = "north river oak stone bright green silver open east swift clear blue iron lake".split()
    second = "bank news market post works press media parts travel foods labs store tech".split()
    labels = ["", "www.", "cdn.", "api.", "static.", "img2.", "login.", "a-1."]
    endings = ["com", "de", "co.uk", "net", "org", "fr", "io", "com.au"]
    return list(_names(random, count, [labels, first, second, endings]))


def _names(random: np.random.Generator, count: int, pools: list[list[str]]) -> Iterator[str]:
    picks = [random.choice(pool, size=count) for pool in pools]
    for number, (label, one, two, ending) in enumerate(zip(*picks, strict=True)):
        yield f"{label}{one}-{two}{number // 4}.{ending}"


def _write_lines(path: Path, header: str, lines: list[str]) -> None:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
