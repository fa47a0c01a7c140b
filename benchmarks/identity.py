"""Times what it takes to know who was behind an address: leases, devices, subnets, a directory.

    python -m benchmarks.identity --events 100000000    # the join, and what is behind it
    python -m benchmarks.identity --scan 2000000        # whole scans, with and without

Prints Markdown tables. Every working day of four weeks, in the morning and at noon, all addresses
are dealt out anew to all people, each at a second of its own and for six hours; at night and at the
weekend nobody has one. Who had an address is therefore known for every second, and what a scan
stored is compared with it: a run that puts one request down to somebody else fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from agent import capture, claims, files, identity, intake, people, rollup, rulebook, scan, store
from agent.settings import load_settings
from benchmarks import generate
from benchmarks.scan import DATA, Run, best, measure

EVENTS = 100_000_000
PEOPLE = 50_000
LINES = 2_000_000
DEPARTMENTS = 60
DAYS = 28
DEALT = (7, 12)
"""Hours of a working day at which addresses are dealt out; it takes an hour."""
LEASE = 6 * 3600
"""Seconds of a lease: one of the morning is cut short by the next one, one of noon runs out."""
LINE = 150
"""Bytes of a line of BIND, to make blocks of as many events as a scan reads at once."""
BLOCK = files.BLOCK // LINE

STEPS: Sequence[tuple[Any, str, str]] = (
    (people, "read_directory", "directory and subnets read"),
    (people, "read_subnets", "directory and subnets read"),
    (claims, "owned", "devices read"),
    (claims.Claims, "read_all", "leases read"),
    (identity, "timeline", "timeline made"),
    (rollup.Rollup, "add", "events joined and grouped"),
    (rollup.Rollup, "take", "groups resolved"),
    (store.Store, "merge", "merged into the store"),
    (people, "place", "people placed"),
    (store.Store, "publish", "published"),
)
"""What a scan calls, and which step of the table that is."""
DRAWN = "events drawn"


@dataclass(frozen=True, slots=True)
class Company:
    """Who had which address when; one row a deal, one column an address."""

    mix: generate.Mix
    begins: np.ndarray
    """Seconds since 1970."""
    person: np.ndarray

    def who(self, address: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return who had each address at that second, -1 where nobody had."""
        opens = self.begins.min(axis=1) // 3600 * 3600
        deal = np.searchsorted(opens, second, side="right") - 1
        deal -= self.begins[deal, address] > second
        held = (deal >= 0) & (second < self.begins[deal, address] + LEASE)
        return np.where(held, self.person[deal, address], -1)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, help=f"default {EVENTS:,}")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--scan", type=int, nargs="?", const=LINES, metavar="LINES")
    parser.add_argument("--repeat", type=int, default=1, help="scans of each; the best one counts")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        run(given.only, given.events, given.people)
        return
    if given.scan:
        print(scans(given.scan, given.repeat), flush=True)
    if given.events or not given.scan:
        print(steps(given.events or EVENTS, given.people), flush=True)


def found(events: int, number: int) -> Company:
    """Found a company of so many people, that makes so many requests."""
    random = np.random.default_rng(number)
    days = [day for day in range(DAYS) if day % 7 < 5]
    start = int(generate.START.timestamp())
    opens = np.array([start + day * 86400 + hour * 3600 for day in days for hour in DEALT])
    begins = opens[:, None] + random.integers(3600, size=(len(opens), number))
    person = np.array([random.permutation(number) for _ in opens])
    return Company(generate.make_mix(events, DAYS, desks=(number, number)), begins, person)


def write(company: Company, folder: Path) -> None:
    """Write directory, subnets, devices, the journal of a Kea server, and settings."""
    number = company.mix.clients
    _write(
        folder / "people.csv",
        "login,department",
        (f"user{n:05},Department {n % DEPARTMENTS:02}" for n in range(number)),
    )
    _write(folder / "devices.csv", "mac,login", (f"{_mac(n)},user{n:05}" for n in range(number)))
    _write(
        folder / "subnets.csv",
        "cidr,department,site,shared",
        (
            f"10.20.{n}.0/24,Department {n % DEPARTMENTS:02},Site,no"
            for n in range(-(-number // 250))
        ),
    )
    header = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname"
    _write(folder / "kea.csv", f"{header},state,user_context,pool_id", _journal(company))
    placed = '[people]\nfile = "people.csv"\n[subnets]\nfile = "subnets.csv"\n'
    leased = '[leases]\nfiles = ["kea.csv"]\ndevices = "devices.csv"\n'
    for name, text in (("none", ""), ("placed", placed), ("leased", placed + leased)):
        (folder / f"{name}.toml").write_text(text)


def _journal(company: Company) -> Iterator[str]:
    """Yield the lines of Kea's lease file, oldest first."""
    addresses = generate.client_pool(company.mix)
    for begins, person in zip(company.begins, company.person, strict=True):
        for place in np.argsort(begins, kind="stable"):
            ends = begins[place] + LEASE
            yield f"{addresses[place]},{_mac(person[place])},,{LEASE},{ends},1,0,0,,0,,0"


def _mac(number: int) -> str:
    digits = f"{number:06x}"
    return f"02:00:5e:{digits[:2]}:{digits[2:4]}:{digits[4:]}"


def _write(path: Path, header: str, lines: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{header}\n")
        file.writelines(f"{line}\n" for line in lines)


def steps(events: int, number: int) -> str:
    """Run a scan of generated events in a process of its own; return its steps as a table."""
    DATA.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=DATA) as name:
        folder = Path(name)
        company = found(events, number)
        write(company, folder)
        argv = [sys.executable, "-m", "benchmarks.identity", "--only", name]
        _, peak = measure([*argv, "--events", str(events), "--people", str(number)])
        seconds = json.loads((folder / "seconds.json").read_text())
        check(company, folder)
    drawn = seconds.pop(DRAWN)
    total = sum(seconds.values())
    rows = [f"| {step} | {spent:.1f} |" for step, spent in seconds.items()]
    claimed = company.begins.size
    return "\n".join(
        [
            f"\n{events:,} events, {number:,} people, {claimed:,} leases; peak {peak:,.0f} MB\n",
            "| step | seconds |",
            "|---|---:|",
            *rows,
            f"| **all: {events / total:,.0f} events/s** | {total:.1f} |",
            f"\nDrawing the events took {drawn:.1f} s more; who made them was right for each.",
        ]
    )


def run(folder: Path, events: int, number: int) -> None:
    """Run a scan whose events are drawn and not read; leave its seconds and the truth behind."""
    company = found(events, number)
    seconds: dict[str, float] = defaultdict(float)
    for owner, name, step in STEPS:
        setattr(owner, name, _timed(getattr(owner, name), seconds, step))
    truth = np.zeros((DAYS + 1, 2 * number), np.int32)

    class Drawn(intake.Intake):
        """Takes events in where a scan reads lines; all that comes after is the same."""

        def read_all(self, logs: Sequence[files.LogFile]) -> None:
            row = store.Ledger(1, "resolver", logs[0].name, "bind_query", 0, "")
            for first in range(0, events, BLOCK):
                began = time.perf_counter()
                table = _events(company, first, min(BLOCK, events - first), truth)
                seconds[DRAWN] += time.perf_counter() - began
                self._con.register("lines", table)
                counts = self._rollup.add("SELECT * FROM lines", "resolver", file=1)
                self._tally(row, counts, None, str)
                row.consumed = row.lines
                if self._rollup.full or time.monotonic() - self._flushed > intake.SECONDS:
                    self._note(row, logs[0], "open", None)
                    self._flush()
            self._note(row, logs[0], "read", None)
            self._flush()

    intake.Intake = Drawn  # type: ignore[misc]
    log = folder / "drawn.log"
    log.write_text("Its lines are drawn.\n")
    settings = load_settings(folder / "leased.toml")
    began = time.perf_counter()
    report = scan.scan([log], folder / "store", settings, rulebook.load_rules())
    seconds["the rest, rules among it"] = time.perf_counter() - began - sum(seconds.values())
    if report.problems or report.events != events:
        raise SystemExit(f"{report.events:,} events, {report.problems[:3]}")
    np.save(folder / "truth.npy", truth)
    (folder / "seconds.json").write_text(json.dumps(seconds))


def _timed(
    real: Callable[..., object], seconds: dict[str, float], step: str
) -> Callable[..., object]:
    """Return a function that also adds the seconds it takes to those of a step."""

    @wraps(real)
    def timed(*args: object, **named: object) -> object:
        began = time.perf_counter()
        try:
            return real(*args, **named)
        finally:
            seconds[step] += time.perf_counter() - began

    return timed


def _events(company: Company, first: int, count: int, truth: np.ndarray) -> pa.Table:
    """Draw a block of events, and count for each day and actor who made them."""
    mix = company.mix
    moment, client, host = generate.draw(mix, first, count)
    person = company.who(client, moment // 1_000_000)
    actor = np.where(person < 0, client + mix.clients, person)
    day = moment // 86_400_000_000 - int(generate.START.timestamp()) // 86400
    np.add.at(truth, (day, actor), 1)
    columns = {
        "line_no": pa.array(np.arange(first + 1, first + count + 1)),
        "ts": pa.array(moment).cast(pa.timestamp("us")),
        "client": pa.array(generate.client_pool(mix)).take(pa.array(client)),
        "host": mix.hosts.take(pa.array(host)),
    }
    return pa.table(
        {name: columns.get(name, pa.nulls(count, kind)) for name, kind in _KINDS.items()}
    )


_KINDS = dict(zip(capture.SCHEMA.names, capture.SCHEMA.types, strict=True))


def check(company: Company, folder: Path) -> None:
    """Compare who did how much on each day, and in which department; raises where it differs."""
    key = people.Pseudonyms(people.load_key(folder / "store"))
    number = company.mix.clients
    keys = [key.user(f"user{n:05}")[0] for n in range(number)]
    keys += [key.address(address) for address in generate.client_pool(company.mix)]
    departments = [f"Department {n % DEPARTMENTS:02}" for n in range(number)]
    departments += [f"Department {n // 250 % DEPARTMENTS:02}" for n in range(number)]
    truth = np.load(folder / "truth.npy")
    days, actors = np.nonzero(truth)
    first = generate.START.replace(tzinfo=None)
    dates = pa.array([(first + timedelta(days=day)).date() for day in range(len(truth))])
    expected = pa.table(
        {
            "day": dates.take(pa.array(days)),
            "key": pa.array(keys).take(pa.array(actors)),
            "department": pa.array(departments).take(pa.array(actors)),
            "requests": pa.array(truth[days, actors], pa.int64()),
        }
    )
    with duckdb.connect(str(folder / "store" / "work.duckdb"), read_only=True) as con:
        con.register("expected", expected)
        wrong = con.execute(_WRONG).fetchall()
    if wrong:
        raise SystemExit(f"expected and stored requests differ, as in {wrong}")


_WRONG = """
WITH stored AS (
    SELECT day, key, membership.department, sum(requests)::BIGINT AS requests
    FROM presence JOIN actor USING (actor_id)
    LEFT JOIN membership ON membership.actor_id = presence.actor_id
        AND day >= valid_from AND day < valid_to
    GROUP BY ALL
)
(FROM expected EXCEPT FROM stored) UNION ALL (FROM stored EXCEPT FROM expected) LIMIT 4
"""


def scans(lines: int, repeat: int) -> str:
    """Time whole scans of a log that names addresses only, each knowing more of people."""
    folder = DATA / f"identity-{lines}"
    log = folder / "query.log"
    number = max(1000, lines // (EVENTS // PEOPLE))
    if not log.exists():
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        company = found(lines, number)
        write(company, folder)
        generate.write_log("bind", log.with_suffix(".part"), company.mix)
        log.with_suffix(".part").rename(log)
    known = {
        "nobody": "none",
        "subnets and directory": "placed",
        "leases and devices as well": "leased",
    }
    sundial = str(Path(sys.executable).with_name("sundial"))
    runs: list[Run] = []
    for who, name in known.items():
        argv = [sundial, "scan", str(log), "--config", str(folder / f"{name}.toml")]
        runs.append(best(who, [*argv, "--store", "{store}"], log, lines, repeat))
    rows = [
        f"| {one.program} | {one.seconds:.1f} | {one.rate:,.0f} "
        f"| {1 - one.rate / runs[0].rate:.1%} | {one.peak_mb:,.0f} |"
        for one in runs
    ]
    leases = number * DAYS // 7 * 5 * len(DEALT)
    return "\n".join(
        [
            f"\n{lines:,} lines of BIND, {number:,} people, {leases:,} leases\n",
            "| who is known | seconds | lines/s | loss | peak MB |",
            "|---|---:|---:|---:|---:|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
