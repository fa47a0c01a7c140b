"""Every line counts exactly once, however its log grows, moves, is packed, copied or cut short."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.errors import StoreError
from agent.intake import Report
from agent.rulebook import Rules, load_rules
from agent.scan import scan
from agent.settings import Settings, SourceSetting
from agent.store import Store
from tests.conftest import Run

PEOPLE = """\
login,mail,department,from,to
ann,ann@example.com,Marketing,,
bob,bob@example.com,Marketing,,2026-03-08
bob,bob@example.com,Sales,2026-03-09,
eve,eve@example.com,Sales,,
"""
SUBNETS = """\
cidr,department,site,shared,people
10.1.0.0/16,Marketing,Berlin,no,20
10.2.0.0/16,Sales,Berlin,no,20
"""

Facts = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Bench:
    """A folder with logs, one with the people of a company, and a store."""

    folder: Path
    rules: Rules
    company: Settings

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def write(self, name: str, content: bytes, at: int = 0) -> Path:
        """Write a log as of second ``at``; a file that changes has a later time."""
        path = self.logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_772_900_000 + at, 1_772_900_000 + at))
        return path

    def scan(self, *paths: Path, store: str = "store", company: Settings | None = None) -> Report:
        chosen = self.company if company is None else company
        return scan(paths or [self.logs], self.folder / store, chosen, self.rules)

    def facts(self, store: str = "store") -> Facts:
        return facts(self.folder / store)


def facts(store: Path) -> Facts:
    """All that a store found out: every table but for ids, paths, times of scanning, and state."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{store / 'findings.duckdb'}' AS f (READ_ONLY)")
        tables = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'f' ORDER BY ALL"
        ).fetchall()
        found: Facts = {}
        for (name,) in tables:
            sql = _COMPARED.get(name, f"FROM f.{name}")
            found[name] = con.execute(f"SELECT * FROM ({sql}) ORDER BY ALL").fetchall()
        return found


_COMPARED = {
    "meta": "SELECT * FROM f.meta WHERE key <> 'published_at'",
    "log_files": "SELECT sum(lines), sum(events), sum(rejects) FROM f.log_files",
    "sources": "SELECT * EXCLUDE (files, ahead_seconds) FROM f.sources",
    "finding_evidence": """
        SELECT DISTINCT app, host, evidence, rule, rule_kind, source FROM f.finding_evidence
    """,
    "rejects": """
        SELECT source, reason, sum(lines), arg_min(sample, sample) FROM f.rejects GROUP BY ALL
    """,
}
"""What a table says of the logs rather than of how they happened to be cut into files."""


def total(found: Facts) -> int:
    """Requests of all hosts of the catalogue."""
    return sum(row[6] for row in found["usage_daily"])


HOSTS = [
    "app.slack.com", "files.slack.com", "miro.com", "trello.com", "acme.slack.com",
    "unknown.example.org", "a8f3e2d1.cdn.example.net", "intranet", "www.facebook.com",
]  # fmt: skip


def squid(count: int, seed: int = 1) -> list[bytes]:
    """Lines of a Squid log over two weeks; now and then one that is none."""
    choose, lines = random.Random(seed), []
    for number in range(count):
        at = 1_772_438_400 + number * 1_209_600 // count + choose.random()
        if choose.random() < 0.05:
            lines.append(f"{at:.3f} garbage {choose.random():.9f}".encode())
            continue
        host = choose.choice(HOSTS)
        client = f"10.{choose.randint(1, 3)}.0.{choose.randint(1, 9)}"
        user = choose.choice(["ann", "bob", "eve", "zoë", "-"])
        size, status = choose.randint(99, 9999), choose.choice(["200", "403"])
        lines.append(
            f"{at:.3f} {choose.randint(1, 999):6d} {client} TCP_TUNNEL/{status} {size} "
            f"CONNECT {host}:443 {user} HIER_DIRECT/192.0.2.7 -".encode()
        )
    return lines


LOG = b"\n".join(squid(400)) + b"\n"


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.fixture
def bench(tmp_path: Path, rules: Rules) -> Bench:
    return _bench(tmp_path, rules)


def _bench(folder: Path, rules: Rules) -> Bench:
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "subnets.csv").write_text(SUBNETS)
    _same_key(folder / "store")
    sources = (SourceSetting("proxy", "proxy/*", "Europe/Berlin"),)
    return Bench(
        folder,
        rules,
        # What a few people did is told here.
        Settings(folder / "people.csv", {}, folder / "subnets.csv", sources, "Europe/Berlin", k=1),
    )


def _same_key(store: Path) -> None:
    """Give a store a key that is no secret: sketches of people depend on it."""
    store.mkdir(exist_ok=True)
    (store / "pseudonym.key").touch(0o600)
    (store / "pseudonym.key").write_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory, rules: Rules) -> Facts:
    """What one scan of the whole log finds."""
    bench = _bench(tmp_path_factory.mktemp("at-once"), rules)
    bench.write("proxy/access.log", LOG)
    report = bench.scan()
    assert report.lines == 400
    found = bench.facts()
    assert total(found) == report.events - sum(row[3] for row in found["hosts_unknown"]) - _unnamed(
        bench
    )
    return found


def _unnamed(bench: Bench) -> int:
    with duckdb.connect(str(bench.folder / "store/work.duckdb"), read_only=True) as con:
        return int(con.execute("SELECT sum(unnamed) FROM source_day").fetchall()[0][0])


def test_scanning_twice_changes_nothing(bench: Bench, at_once: Facts) -> None:
    bench.write("proxy/access.log", LOG)
    bench.scan()
    again = bench.scan()
    assert (again.unchanged, again.lines) == (1, 0)
    assert bench.facts() == at_once


Step = Callable[[Bench], None]


def _grow(bench: Bench) -> None:
    bench.write("proxy/access.log", LOG[:9000])
    bench.scan()
    bench.write("proxy/access.log", LOG, 1)


def _rename(bench: Bench) -> None:
    bench.write("proxy/access.log", LOG)
    bench.scan()
    (bench.logs / "proxy/access.log").rename(bench.logs / "proxy/squid.txt")


def _rotate(bench: Bench) -> None:
    """The old file has grown before it was moved, and the new one has begun."""
    bench.write("proxy/access.log", LOG[:9000])
    bench.scan()
    cut = LOG.index(b"\n", 20_000) + 1
    bench.write("proxy/access.log.1", LOG[:cut], 1)
    bench.write("proxy/access.log", LOG[cut:], 2)


def _rotate_in_the_middle_of_a_line(bench: Bench) -> None:
    """No server writes so, but a scan may come between two writes of one line."""
    cut = LOG.index(b"\n", 20_000) + 1
    bench.write("proxy/access.log", LOG[: cut - 30])
    bench.scan()
    bench.write("proxy/access.log.1", LOG[:cut], 1)
    bench.write("proxy/access.log", LOG[cut : cut + 500], 2)
    bench.scan()
    bench.write("proxy/access.log", LOG[cut:], 3)


def _copy_and_truncate(bench: Bench) -> None:
    """What logrotate does for servers that keep their file open."""
    cut = LOG.index(b"\n", 9000) + 1
    bench.write("proxy/access.log", LOG[:cut])
    bench.scan()
    bench.write("proxy/access.log.1", LOG[:cut], 1)
    bench.write("proxy/access.log", b"", 2)
    bench.scan()
    bench.write("proxy/access.log", LOG[cut:], 3)


def _pack(bench: Bench) -> None:
    bench.write("proxy/access.log", LOG)
    bench.scan()
    (bench.logs / "proxy/access.log").unlink()
    bench.write("proxy/access.log.gz", gzip.compress(LOG), 1)
    bench.scan()
    (bench.logs / "proxy/access.log.gz").unlink()
    bench.write("proxy/access.log.zst", zstandard.compress(LOG), 2)


def _copies(bench: Bench) -> None:
    for number, name in enumerate(("proxy/access.log", "proxy/copy.log", "proxy/copy.log.gz")):
        bench.write(name, gzip.compress(LOG) if name.endswith("gz") else LOG, number)


def _copies_later(bench: Bench) -> None:
    bench.write("proxy/access.log", LOG)
    bench.scan()
    bench.write("proxy/copy.log", LOG, 1)
    bench.scan()


def _finish_packing(bench: Bench) -> None:
    """A scan comes while gzip is at work, then once more."""
    packed = gzip.compress(LOG)
    for number, share in enumerate((0.4, 0.8)):
        bench.write("proxy/access.log.gz", packed[: int(len(packed) * share)], number)
        assert [problem.where for problem in bench.scan().problems] == ["proxy/access.log.gz"]
    bench.write("proxy/access.log.gz", packed, 3)


def _in_pieces(bench: Bench) -> None:
    """Two files, each scanned by itself, the later one first."""
    cut = LOG.index(b"\n", 9000) + 1
    first = bench.write("proxy/access.log.1", LOG[:cut])
    second = bench.write("proxy/access.log", LOG[cut:])
    bench.scan(second)
    bench.scan(first.parent)
    bench.scan(first)


def _carriage_returns(bench: Bench) -> None:
    text = LOG.replace(b"\n", b"\r\n")
    cut = text.index(b"\r\n", 9000) + 1
    bench.write("proxy/access.log", text[:cut])
    bench.scan()
    bench.write("proxy/access.log", text, 1)


def _nothing_new_but_the_time(bench: Bench) -> None:
    for number in range(2):
        bench.write("proxy/access.log", LOG, number)
        bench.scan()


@pytest.mark.parametrize(
    "happens",
    [
        _grow, _rename, _rotate, _rotate_in_the_middle_of_a_line, _copy_and_truncate, _pack,
        _copies, _copies_later, _finish_packing, _in_pieces, _carriage_returns,
        _nothing_new_but_the_time,
    ],
)  # fmt: skip
def test_whatever_happens_to_a_file(happens: Step, bench: Bench, at_once: Facts) -> None:
    """Each line counts once, and a further scan finds nothing new."""
    happens(bench)
    assert not bench.scan().problems
    assert bench.facts() == at_once
    assert bench.scan().lines == 0
    assert bench.facts() == at_once


SHORT = b"\n".join(squid(12, seed=5)) + b"\n"


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(1, len(SHORT) - 1), min_size=1, max_size=3), st.booleans())
@example([3], True)
@example([SHORT.index("ë".encode()) + 1, len(SHORT) - 1], False)
def test_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    rules: Rules,
    short_facts: Mapping[bool, Facts],
    cuts: list[int],
    ended: bool,  # noqa: FBT001 - hypothesis gives it by name
) -> None:
    """A log that grows gives what it gives at once, with and without a last line end."""
    bench = _bench(tmp_path_factory.mktemp("cut"), rules)
    text = SHORT if ended else SHORT[:-1]
    for number, cut in enumerate([*sorted(cuts), len(text)]):
        bench.write("proxy/access.log", text[:cut], number)
        bench.scan()
    assert bench.facts() == short_facts[ended]


@pytest.fixture(scope="module")
def short_facts(tmp_path_factory: pytest.TempPathFactory, rules: Rules) -> Mapping[bool, Facts]:
    found = {}
    for ended in (True, False):
        bench = _bench(tmp_path_factory.mktemp("short"), rules)
        bench.write("proxy/access.log", SHORT if ended else SHORT[:-1])
        bench.scan()
        found[ended] = bench.facts()
    assert found[True]["usage_daily"] == found[False]["usage_daily"]
    return found


W3C = b"""#Version: 1.0
#Fields: date time c-ip cs-username cs-host cs-method sc-status cs-bytes sc-bytes
2026-03-02 09:00:00 10.1.0.1 ann app.slack.com GET 200 100 1000
2026-03-02 09:00:01 10.1.0.1 ann miro.com GET 200 100 1000
#Fields: date time cs-username c-ip sc-bytes cs-bytes sc-status cs-method cs-host
2026-03-02 09:00:02 bob 10.1.0.2 1000 100 200 GET app.slack.com
2026-03-02 09:00:03 eve 10.2.0.2 1000 100 200 GET trello.com
2026-03-02 09:00:04 eve 10.2.0.2 1000 100 403 GET trello.com
"""


def test_columns_that_change_in_the_middle(
    tmp_path_factory: pytest.TempPathFactory, rules: Rules
) -> None:
    """A file goes on with the columns that its last header named, wherever a scan stopped."""
    whole = _bench(tmp_path_factory.mktemp("w3c"), rules)
    whole.write("proxy/u_ex260302.log", W3C)
    assert whole.scan().events == 5
    for cut in (
        W3C.index(b"#Fields: date time cs-") + 30,
        W3C.index(b"eve"),
        W3C.rindex(b"\n2026"),
    ):
        bench = _bench(tmp_path_factory.mktemp("w3c"), rules)
        bench.write("proxy/u_ex260302.log", W3C[:cut])
        bench.scan()
        bench.write("proxy/u_ex260302.log", W3C, 1)
        bench.scan()
        assert bench.facts() == whole.facts(), cut


def test_the_order_of_files_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rules: Rules
) -> None:
    """Not even where files begin alike, or are copies of each other."""
    header, _, rest = W3C.partition(b"2026")
    parts = [W3C, header, header + b"2026" + rest[:50], LOG, LOG[: LOG.index(b"\n") + 1], SHORT]
    found = []
    for names in ("abcdef", "fedcba"):
        bench = _bench(tmp_path_factory.mktemp("order"), rules)
        for name, part in zip(names, parts, strict=True):
            bench.write(f"proxy/{name}.log", part, ord(name))
        bench.scan()
        bench.scan()
        found.append({**bench.facts(), "log_files": []})
    assert found[0] == found[1]


@pytest.mark.parametrize("log", [SHORT, LOG], ids=["short", "long"])
def test_a_shorter_copy_beside_a_log_is_no_log(
    tmp_path_factory: pytest.TempPathFactory, rules: Rules, log: bytes
) -> None:
    """Neither where it is read first nor where it comes later, plain or packed and broken off."""
    lines = log.splitlines(keepends=True)
    kept = len(lines) // 2 + 1
    cut, unfinished = b"".join(lines[:kept]), lines[kept][:30]
    noise = random.Random(4).randbytes(400).hex().encode()  # not one line of it is left
    broken = gzip.compress(cut + unfinished + noise)[:-300]
    alone, bench = (_bench(tmp_path_factory.mktemp(name), rules) for name in ("alone", "beside"))
    alone.write("proxy/m.log", log)
    alone.scan()
    bench.write("proxy/a.log.gz", broken)
    # Of a few lines and half a one nobody can say whether they are a copy.
    bench.write("proxy/b.log", cut if len(lines) < 20 else cut + unfinished)
    bench.write("proxy/m.log", log, 1)
    bench.write("proxy/y.log", b"".join(lines[: kept - 2]))
    bench.write("proxy/z.log.gz", broken)
    for later in range(2):
        bench.scan()
        assert bench.facts()["usage_daily"] == alone.facts()["usage_daily"], later


def test_a_log_that_is_but_a_header_goes_on_as_itself(bench: Bench) -> None:
    """What all logs of a device begin with makes none a copy of another."""
    header, _, rest = W3C.partition(b"2026")
    bench.write("proxy/a.log", W3C)
    bench.write("proxy/b.log", header, 1)
    assert bench.scan().events == 5
    lines = b"2026" + rest.replace(b"09:00", b"10:00")
    bench.write("proxy/b.log", header + lines, 2)
    assert bench.scan().events == 5
    assert total(bench.facts()) == 10


def test_files_of_one_line(bench: Bench) -> None:
    """An unfinished line is its file's own, however alike the files begin."""
    named = [line for line in squid(90, seed=7) if b" app.slack.com" in line]
    one, two = named[:2]
    bench.write("proxy/a.log", one)
    bench.write("proxy/b.log", two, 1)
    bench.scan()
    assert total(bench.facts()) == 2
    (bench.logs / "proxy/a.log").unlink()
    bench.write("proxy/c.log", one + b"\n", 2)
    bench.scan()
    assert total(bench.facts()) == 2
    bench.write("proxy/b.log", two + b"\n" + one[:20], 3)
    bench.scan()
    assert total(bench.facts()) == 2


def test_a_log_that_begins_as_another_is_not_taken_for_a_part_of_it(bench: Bench) -> None:
    """An endless line ends what is compared; behind it two logs may be any two logs."""
    named = [line for line in squid(90, seed=7) if b" app.slack.com" in line]
    begin, rest = named[:2], named[2:4]
    endless = b"x" * 300_000
    bench.write("proxy/a.log", b"\n".join([*begin, endless, *rest, b""]))
    bench.write("proxy/b.log", b"\n".join([*begin, *named[4:6], b""]), 1)
    report = bench.scan()
    assert report.unchanged == 0
    assert report.lines == 9


def test_the_wrong_format_can_be_put_right(bench: Bench, at_once: Facts) -> None:
    """A file of which nothing could be read is read again, and its rejects are not kept twice."""
    bench.write("proxy/access.log", LOG)
    wrong = Settings(**{**_fields(bench.company), "format": "dnsmasq"})
    for _ in range(2):
        report = bench.scan(company=wrong)
        assert [p.where for p in report.problems] == ["proxy/access.log"]
        assert sum(row[2] for row in bench.facts()["rejects"]) == report.rejects == 400
    assert not bench.scan().problems
    assert bench.facts() == at_once


def _fields(company: Settings) -> dict[str, Any]:
    return {name: getattr(company, name) for name in company.__slots__}


def test_a_store_remembers_what_it_was_told(bench: Bench, at_once: Facts) -> None:
    """Directory, subnets, time zone and sources hold for scans that name none."""
    bench.write("proxy/access.log", LOG[:9000])
    bench.scan()
    bench.write("proxy/access.log", LOG, 1)
    bench.scan(company=Settings(k=1))
    assert bench.facts() == at_once


def test_a_settings_file_beside_the_logs_is_not_taken_up(bench: Bench) -> None:
    bench.write("proxy/access.log", LOG)
    (bench.logs / "sundial.toml").write_text("timezone = 'no such zone'\n")
    (bench.folder / "sundial.toml").write_text("timezone = 'no such zone'\n")
    report = bench.scan(company=Settings(k=1))
    assert [p.where for p in report.problems] == ["sundial.toml"]  # it is no log, that is all
    assert {row[2] for row in bench.facts()["usage_daily"]} == {"(unknown)"}


def test_a_new_catalogue_gives_old_hosts_a_new_meaning(bench: Bench, tmp_path: Path) -> None:
    """Without reading a log again."""
    bench.write("proxy/access.log", LOG)
    bench.scan()
    own = tmp_path / "own" / "apps"
    own.mkdir(parents=True)
    (own / "team_messaging.toml").write_text(
        '[slack]\nname = "Slack of ours"\nvendor = "Slack"\nhomepage = "https://slack.com"\n'
        'audience = "business"\ndomains = ["app.slack.com"]\ncdn = ["slack.com"]\n'
    )
    scan([bench.logs], bench.folder / "store", Settings(k=1), load_rules([own.parent]))
    found = bench.facts()
    assert {row[2] for row in found["hosts"] if row[0] == "files.slack.com"} == {"cdn"}
    assert "Slack of ours" in {row[1] for row in found["apps"]}


# Killed scans


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough lines for many blocks and many flushes."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "logs").mkdir()
    lines = b"\n".join(squid(12_000, seed=3)) + b"\n"
    cut = lines.index(b"\n", len(lines) // 2) + 1
    (folder / "logs" / "access.log.1.gz").write_bytes(gzip.compress(lines[:cut], 1))
    (folder / "logs" / "access.log").write_bytes(lines[cut:])
    return folder


_FREQUENT = (
    "import sys; from agent import cli, files, rollup; "
    "files.BLOCK = 100_000; rollup.FULL = 1_000; sys.exit(cli.main())"
)
"""The command line as it is, but with small blocks and a flush after almost every one."""


def _command(folder: Path, store: Path) -> list[str]:
    return [sys.executable, "-c", _FREQUENT, "scan", str(folder / "logs"), "--store", str(store)]


def test_a_killed_scan_loses_nothing_and_counts_nothing_twice(
    large_log: Path, tmp_path: Path
) -> None:
    """Killed at any moment, again and again; what readers may open is whole at any time."""
    clean, store = tmp_path / "clean", tmp_path / "killed"
    _same_key(clean)
    _same_key(store)
    began = time.monotonic()
    subprocess.run(_command(large_log, clean), check=True, capture_output=True)
    takes = time.monotonic() - began
    kills = 0
    for share in (0.4, 0.6, 0.8):
        process = subprocess.Popen(_command(large_log, store), stderr=subprocess.DEVNULL)
        try:
            process.wait(takes * share)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        if (store / "findings.duckdb").exists():
            facts(store)
    assert kills
    last = subprocess.run(_command(large_log, store), check=True, capture_output=True, text=True)
    assert "Traceback" not in last.stderr
    assert facts(store) == facts(clean)
    assert sorted(path.name for path in store.iterdir()) == [
        "findings.duckdb",
        "pseudonym.key",
        "work.duckdb",
    ]


def test_the_ledger_tells_hours_and_requests_that_name_no_host(bench: Bench) -> None:
    line = b"%d.000 90 10.1.0.7 TCP_MISS/200 500 GET %s ann HIER_DIRECT/192.0.2.1 text/html\n"
    monday = 1772442000  # 2 March 2026, 9 in the morning
    asked = [
        (0, b"http://example.com/"),
        (60, b"http://192.0.2.80/x"),
        (7200, b"http://intranet/"),
    ]
    text = b"".join(line % (monday + after, url) for after, url in asked)
    bench.write("squid/access.log", text)
    bench.scan()
    with closing(
        duckdb.connect(str(bench.folder / "store" / "findings.duckdb"), read_only=True)
    ) as con:
        told = con.execute(
            "SELECT department, people, clients, headcount, hours, requests, unnamed_requests"
            " FROM coverage_daily"
        ).fetchall()
        ahead = con.execute("SELECT ahead_seconds < 0 FROM sources").fetchall()
    assert told == [("Marketing", 1, 1, 2, 2, 3, 2)]
    assert ahead == [(True,)]


def test_a_store_of_the_version_before_goes_on(bench: Bench, at_once: Facts) -> None:
    lines = squid(400)
    bench.write("squid/access.log", b"\n".join(lines[:200]) + b"\n")
    bench.scan()
    with closing(duckdb.connect(str(bench.folder / "store" / "work.duckdb"))) as con:
        for column in ("unnamed", "hours", "tunnels", "bare", "agents"):
            con.execute(f"ALTER TABLE presence DROP COLUMN {column}")
        con.execute("ALTER TABLE log_file DROP COLUMN beginnings")
        con.execute("UPDATE setting SET value = '2' WHERE key = 'schema'")
    bench.write("squid/access.log", LOG, at=60)
    bench.scan()
    with closing(
        duckdb.connect(str(bench.folder / "store" / "findings.duckdb"), read_only=True)
    ) as con:
        (told,) = con.execute(
            "SELECT sum(requests), bool_or(hours IS NULL), bool_or(hours > 0) FROM coverage_daily"
        ).fetchall()
    assert told[0] == sum(row[9] for row in at_once["coverage_daily"])
    assert told[1:] == (True, True)


def test_one_store_takes_one_scan_at_a_time(bench: Bench, run_sundial: Run) -> None:
    """The second one says so and harms nothing."""
    bench.write("proxy/access.log", LOG)
    bench.scan()
    before, store = bench.facts(), bench.folder / "store"
    with closing(Store(store)):
        second = run_sundial("scan", bench.logs, "--store", store, ok=False)
    line = f"{store / 'work.duckdb'}: is in use by another scan; wait for it to end.\n"
    assert (second.returncode, second.stderr) == (1, line)
    assert bench.facts() == before


def test_a_failed_publication_leaves_the_old_findings(bench: Bench, at_once: Facts) -> None:
    bench.write("proxy/access.log", LOG)
    bench.scan()
    kept = Store(bench.folder / "store")

    def fail(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("CREATE TABLE findings.half AS SELECT 1 AS one")
        raise duckdb.IOException("No space left on device")

    with pytest.raises(StoreError, match="the disk is full"):
        kept.publish(fail)
    kept.close()
    assert bench.facts() == at_once
    assert not list((bench.folder / "store").glob(".*"))
