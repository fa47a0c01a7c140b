"""Times a whole ``sundial scan`` for each way to cut a line, beside a program that reads the same.

    python -m benchmarks.formats --lines 1000000

The lines are those of the formats' own samples, all of one second, with hosts, clients and users
drawn as in ``generate``. GoAccess runs where it reads the layout, else ClickHouse embedded (chdb),
which is told by hand where the cells are and only groups by client, user and host. Prints a
Markdown table.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from agent.formats import load_formats
from agent.model import Sample
from benchmarks import generate
from benchmarks.scan import DATA, Run, best, sundial

KINDS = {
    "blanks": "squid_native",
    "delimited": "zscaler_web_csv",
    "delimited, quoted": "panos",
    "w3c": "w3c_extended",
    "keyvalue": "fortigate",
    "keyvalue, tabs": "zscaler_web_kv",
    "json": "suricata_eve",
    "cef": "panos_cef",
    "leef": "panos_leef",
    "regex": "squid_combined",
    "regex, the slowest": "ironport_access",
    "found": "coredns",
    "found in any text": "generic_request",
    "pairs beside sentences": "cisco_firewall",
    "pairs, guessed": "generic_kv",
    "json, guessed": "generic_json",
    "delimited, guessed": "generic_csv",
}
"""A way to cut, and a format that is cut so; of the last ones those that take longest."""
GOACCESS = {
    "squid_native": "%x.%^ %~%L %h %^/%s %b %m %U %^",
    "squid_combined": '%h %^ %e [%d:%t %^] "%r" %s %b "%R" "%u" %^',
}


def _pairs(delimiter: str, *keys: str) -> str:
    """Return the values of keys; the pairs are found once, however often they are asked for."""
    found = f"extractKeyValuePairs(line, '=', '{delimiter}', '\"')"
    return ", ".join(f"{found}['{key}']" for key in keys)


CLICKHOUSE = {
    "zscaler_web_csv": "splitByChar(',', line)[{client}], splitByChar(',', line)[{user}], "
    "splitByChar(',', line)[{host}]",
    "panos": "splitByChar(',', line)[{client}], splitByChar(',', line)[{user}], "
    "splitByChar(',', line)[{host}]",
    "w3c_extended": "splitByChar(' ', line)[{client}], splitByChar(' ', line)[{user}], "
    "splitByChar(' ', line)[{host}]",
    "fortigate": _pairs(" ", "srcip", "user", "hostname"),
    "zscaler_web_kv": _pairs("\\t", "ClientIP", "user", "url"),
    "suricata_eve": "JSONExtractString(line, 'src_ip'), '', "
    "JSONExtractString(line, 'dns', 'rrname')",
    "panos_cef": "extract(line, 'src=([^ ]*)'), extract(line, 'suser=([^ ]*)'), "
    "extract(line, 'request=\"?([^ \"]*)')",
    "panos_leef": "extract(line, 'src=([^\\t|]*)'), extract(line, 'usrName=([^\\t|]*)'), "
    "extract(line, 'Miscellaneous=\"?([^\\t|\"]*)')",
}
"""Where client, user and host stand, as an expression; numbers are filled in by looking."""


Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class Log:
    """A log of one format, the line that all of its lines are like, and what that says."""

    path: Path
    lines: int
    line: str
    event: Event


def main() -> None:
    """Run what the arguments ask for and print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="repeat for several")
    parser.add_argument("--only", choices=["clickhouse"], help=argparse.SUPPRESS)
    parser.add_argument("--query", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        group_with_clickhouse(given.query)
        return
    print("| cut | format | bytes a line | Sundial lines/s | beside it | its lines/s | ratio |")
    print("|---|---|---:|---:|---|---:|---:|")
    for kind in given.kind or KINDS:
        print(row(kind, KINDS[kind], given.lines), flush=True)


def row(kind: str, name: str, lines: int) -> str:
    """Time one format; returns a row of the table."""
    log = prepare(name, lines)
    ours = best(*sundial(log.path), log.path, lines, 1)
    size = log.path.stat().st_size / lines
    start = f"| {kind} | {name} | {size:.0f} | {ours.rate:,.0f} |"
    theirs = rival(name, log)
    if theirs is None:
        return f"{start} | | |"
    return f"{start} {theirs.program} | {theirs.rate:,.0f} | {ours.rate / theirs.rate:.1f} |"


def prepare(name: str, lines: int) -> Log:
    """Write a log of one format and its company unless an earlier run did."""
    folder = DATA / f"{name}-{lines}"
    path = folder / "sample.log"
    samples = ((s, s.event) for s in load_formats()[name].samples if isinstance(s.event, dict))
    sample, event = next((s, event) for s, event in samples if "host" in event)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        mix = generate.make_mix(lines)
        generate.write_company(folder, mix)
        draft = path.with_suffix(".part")
        _write(draft, sample, event, mix)
        draft.rename(path)
    return Log(path, lines, sample.line, event)


def _write(path: Path, sample: Sample, event: Event, mix: generate.Mix) -> None:
    """Write lines that are the sample but for who asks for what."""
    _, clients, drawn = generate.draw(mix, 0, mix.lines)
    hosts, places = mix.hosts.to_pylist(), generate.client_pool(mix)
    pattern = sample.line.replace("{", "{{").replace("}", "}}")
    for key in ("host", "client", "user"):
        if event.get(key):
            pattern = pattern.replace(str(event[key]), f"{{{key}}}")
    with path.open("w", encoding="utf-8") as file:
        if sample.header:
            file.write(f"{sample.header}\n")
        file.writelines(
            pattern.format(
                host=hosts[host],
                client=places[client],
                user=f"user{client % mix.users:05d}",
            )
            + "\n"
            for host, client in zip(drawn.tolist(), clients.tolist(), strict=True)
        )


def rival(name: str, log: Log) -> Run | None:
    """Time the program that reads the same log, None where it is not installed."""
    if name in GOACCESS and (goaccess := shutil.which("goaccess")):
        times = ["--date-format=%s", "--time-format=%s"]
        if name == "squid_combined":
            times = ["--date-format=%d/%b/%Y", "--time-format=%H:%M:%S"]
        options = [f"--log-format={GOACCESS[name]}", *times, "--no-global-config", "--no-progress"]
        argv = [goaccess, str(log.path), *options, "-o", "{store}.json"]
        return best("GoAccess", argv, log.path, log.lines, 1)
    cells = CLICKHOUSE.get(name)
    if cells is None or find_spec("chdb") is None:
        return None
    query = (
        f"SELECT count() FROM (SELECT {_placed(cells, log)}, count() "
        f"FROM file('{log.path}', LineAsString) GROUP BY ALL)"
    )
    argv = [sys.executable, "-m", "benchmarks.formats", "--only", "clickhouse", "--query", query]
    return best("ClickHouse (chdb)", argv, log.path, log.lines, 1)


def _placed(cells: str, log: Log) -> str:
    """Put the numbers of cells where an expression asks for them."""
    parts = log.line.split("," if "','" in cells else " ")
    for key in ("client", "user", "host"):
        said = str(log.event.get(key))
        place = next((n for n, part in enumerate(parts, 1) if said in part), 1)
        cells = cells.replace(f"{{{key}}}", str(place))
    return cells


def group_with_clickhouse(query: str) -> None:
    """Run one query in ClickHouse, with the threads that this machine has."""
    import_module("chdb").query(query)


if __name__ == "__main__":
    main()
