"""Times a whole ``sundial scan`` beside other programs that read the same log, one after another.

    python -m benchmarks.scan --lines 1000000 --lines 5000000 --lines 20000000

Prints a Markdown table. Each program runs alone in a process of its own, on a file that was just
read once, so that all find it in the page cache. Sundial does the most work of them: it also
classifies hosts, resolves people, rolls up, stores and publishes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import tldextract

from benchmarks import generate

DATA = Path(__file__).parent / "data"
SIZES = [1_000_000, 5_000_000, 20_000_000]
SLOW_ABOVE = 5_000_000
"""Above this many lines the two slow programs are left out; they are linear."""


@dataclass(frozen=True, slots=True)
class Run:
    """How one program did on one file."""

    program: str
    lines: int
    seconds: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


def main() -> None:
    """Run what the arguments ask for and print one table a size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, action="append", help="repeat for several sizes")
    parser.add_argument("--kind", choices=["squid", "bind"], default="squid")
    parser.add_argument("--machine-names", type=int, default=0, help="distinct made-up subdomains")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the best one counts")
    parser.add_argument("--slow-above", type=int, default=SLOW_ABOVE, help="no slow programs above")
    parser.add_argument("--only", choices=["duckdb", "python"], help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        {"duckdb": cut_with_duckdb, "python": loop_in_python}[given.only](given.log)
        return
    for lines in given.lines or SIZES:
        log = prepare(given.kind, lines, given.machine_names)
        rivals = given.kind == "squid"  # the others are told how Squid writes, not BIND
        programs = commands(log, slow=lines <= given.slow_above) if rivals else [sundial(log)]
        runs = [best(name, argv, log, lines, given.repeat) for name, argv in programs]
        print(table(log, runs), flush=True)


def prepare(kind: str, lines: int, machine_names: int) -> Path:
    """Write the log and its company unless an earlier run did."""
    folder = DATA / f"{kind}-{lines}-{machine_names}"
    log = folder / "access.log"
    if not log.exists():
        folder.mkdir(parents=True, exist_ok=True)
        mix = generate.make_mix(lines, machine_names=machine_names)
        generate.write_company(folder, mix)
        generate.write_log(kind, log.with_suffix(".part"), mix)
        log.with_suffix(".part").rename(log)
    return log


def sundial(log: Path) -> tuple[str, list[str]]:
    """Scan with people and networks, into a store that does not exist yet."""
    script = Path(sys.executable).with_name("sundial")
    config = log.with_name("sundial.toml")
    return "Sundial", [*map(str, (script, "scan", log, "--config", config)), "--store", "{store}"]


def commands(log: Path, *, slow: bool) -> list[tuple[str, list[str]]]:
    """List what to run on a Squid log: a name and a command line each."""
    ourselves = [sys.executable, "-m", "benchmarks.scan", "--log", str(log), "--only"]
    chosen = [sundial(log), ("DuckDB, cut only", [*ourselves, "duckdb"])]
    if slow:
        chosen.append(("Python loop, tldextract", [*ourselves, "python"]))
    if slow and (goaccess := shutil.which("goaccess")):
        # Its own SQUID format expects a syslog prefix, which Squid itself does not write.
        log_format = "--log-format=%x.%^ %~%L %h %^/%s %b %m %U %^"
        dates = ["--date-format=%s", "--time-format=%s"]
        options = [log_format, *dates, "--no-global-config", "--no-progress", "-o", "{store}.json"]
        chosen.append(("GoAccess", [goaccess, str(log), *options]))
    return chosen


def best(name: str, argv: Sequence[str], log: Path, lines: int, repeat: int) -> Run:
    """Run a program some times, each into a folder of its own; raises when it fails."""
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(dir=DATA) as folder:
            store = str(Path(folder) / "store")
            warm(log)
            seconds, peak = measure([part.replace("{store}", store) for part in argv])
            runs.append(Run(name, lines, seconds, peak))
    return min(runs, key=lambda run: run.seconds)


def warm(log: Path) -> None:
    """Read a file once, so that everybody finds it in the page cache."""
    with log.open("rb") as file:
        while file.read(1 << 24):
            pass


def measure(argv: Sequence[str]) -> tuple[float, float]:
    """Run a command; returns seconds and the peak of its processes' resident memory in MB."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=errors)
        peaks = [0.0]
        watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        watcher.join()
        if process.returncode:
            errors.seek(0)
            message = f"{argv[0]} ended with {process.returncode}: {errors.read().decode()[-2000:]}"
            raise SystemExit(message)
    # The kernel sees every peak of the largest process, the watcher the sum of all of them.
    return seconds, max(usage.ru_maxrss / 1024, *peaks)


def _watch(process: subprocess.Popen[bytes], peaks: list[float]) -> None:
    """Look twenty times a second at the memory of a process and its descendants."""
    while process.returncode is None:
        peaks[0] = max(peaks[0], _resident(process.pid))
        time.sleep(0.05)


def _resident(pid: int) -> float:
    """Resident memory of a process and its descendants in MB; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(_resident(int(pid)) for pid in children)


def table(log: Path, runs: Sequence[Run]) -> str:
    """Lay runs out as a Markdown table, with each program's speed against Sundial's."""
    size = log.stat().st_size / 1e6
    ours = next(run for run in runs if run.program == "Sundial")
    rows = [
        f"| {run.program} | {run.seconds:.1f} | {run.rate:,.0f} | {run.rate / ours.rate:.2f} "
        f"| {run.peak_mb:,.0f} |"
        for run in sorted(runs, key=lambda run: run.seconds)
    ]
    return "\n".join(
        [
            f"\n{ours.lines:,} lines, {size:,.0f} MB, {os.cpu_count()} cores\n",
            "| program | seconds | lines/s | × Sundial | peak MB |",
            "|---|---:|---:|---:|---:|",
            *rows,
        ]
    )


def cut_with_duckdb(log: Path) -> None:
    """Cut every line at its blanks and read each piece once, without grouping or storing."""
    # Squid pads the elapsed time, so the pieces shift by up to five places; cutting costs the same.
    columns = {f"c{n}": "VARCHAR" for n in range(16)}
    total = " + ".join(f"coalesce(sum(strlen({name})), 0)" for name in columns)
    with duckdb.connect() as connection:
        connection.execute(
            f"SELECT {total} FROM read_csv(?, delim = ' ', quote = '', escape = '', "
            f"header = false, columns = {columns}, null_padding = true, auto_detect = false)",
            [str(log)],
        ).fetchall()


def loop_in_python(log: Path) -> None:
    """Count requests by day, registrable domain and user, as a script of an afternoon would."""
    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    known: dict[str, str] = {}
    counts: Counter[tuple[int, str, str]] = Counter()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            stamp, _, _, _, _, method, target, user, *_ = line.split()
            host = target if method == "CONNECT" else urlsplit(target).netloc
            host = host.partition(":")[0]
            if host not in known:
                known[host] = extract(host).top_domain_under_public_suffix
            counts[int(float(stamp)) // 86400, known[host], user] += 1


if __name__ == "__main__":
    main()
