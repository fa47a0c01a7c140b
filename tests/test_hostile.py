"""Logs are written by strangers: what they put into names must not run, steer or break anything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Run, counted

HOSTILE = [
    "<script>alert(1)</script>.slack.com",
    "![x](http://beacon.example)",
    "\x1b[31mred\x1b[0m.slack.com",
    "\x1b]0;title\x07.example.org",
    "a\u202emoc.live",
    "zero\u200bwidth.slack.com",
    "=cmd|'/c calc'!A0",
    "@SUM(1+1).example.org",
    "'); DROP TABLE usage;--",
    "x'||(SELECT 1)||'.slack.com",
    '"quoted".slack.com',
    "l" * 300 + ".slack.com",
    ".".join("l" * 60 for _ in range(6)) + ".slack.com",
    "\N{PILE OF POO}.slack.com",
    "münchen.slack.com",
    "..slack.com",
    "-.-.example.org",
    "xn--\u20ac.slack.com",
    "{{7*7}}.slack.com",
    "$(reboot).slack.com",
    "%00.slack.com",
    "\\\\server\\share.slack.com",
]
TAME = ["app.slack.com", "xn--mnchen-3ya.example.org", "_dmarc.example.org", "MiRo.CoM."]


def line(number: int, host: str, user: str = "ann") -> str:
    quoted = host.replace(" ", "+").replace("\n", "")
    return (
        f"17724384{number % 100:02d}.000 9 10.1.0.1 TCP_TUNNEL/200 99 CONNECT {quoted}:443 {user} "
        f'HIER_NONE/- - "{host}" "{user}"'
    )


@pytest.fixture
def store(tmp_path: Path, run: Run) -> Path:
    """A store of hostile hosts and users, with some that are as they should be."""
    users = [host.replace(" ", "_") for host in HOSTILE]
    lines = [line(number, host) for number, host in enumerate([*HOSTILE, *TAME])]
    lines += [line(number, "app.slack.com", user) for number, user in enumerate(users)]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "access.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run("scan", tmp_path / "logs", "--store", tmp_path / "store")
    return tmp_path / "store"


def test_what_is_published_as_a_host_is_one(store: Path) -> None:
    """A text that is no name is counted as unnamed and kept nowhere."""
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        hosts = [row[0] for row in con.execute("SELECT host FROM hosts").fetchall()]
        unknown = [row[0] for row in con.execute("SELECT host FROM hosts_unknown").fetchall()]
    assert {"app.slack.com", "miro.com"} <= set(hosts)
    assert all(re.fullmatch(r"[a-z0-9._-]{1,253}", host) for host in hosts)
    assert all(re.fullmatch(r"[a-z0-9.*_-]{1,253}", host) for host in unknown)
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        events, unnamed, lines = con.execute(
            "SELECT sum(events), sum(unnamed), (SELECT sum(events) FROM log_file) FROM source_day"
        ).fetchall()[0]
        named = con.execute(
            "SELECT (SELECT sum(requests) FROM usage) + (SELECT sum(requests) FROM unknown_usage)"
        ).fetchall()[0][0]
    assert events == lines
    assert named + unnamed == events
    assert unnamed >= 12


def test_nothing_that_is_published_steers_a_terminal(store: Path) -> None:
    """No text of any table holds a control, a bidirectional mark or a tag."""
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        tables = [
            row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        ]
        for table in tables:
            for row in con.execute(f'FROM "{table}"').fetchall():
                text = "".join(cell for cell in row if isinstance(cell, str))
                assert text.isprintable(), (table, row)
                assert "script" not in text, (table, row)
                assert "DROP" not in text, (table, row)


def test_hostile_logs_change_no_other_number(store: Path, tmp_path: Path, run: Run) -> None:
    """What the tame hosts got is what they get alone."""
    lines = [line(number, host) for number, host in enumerate(TAME)]
    (tmp_path / "tame.log").write_text("\n".join(lines) + "\n")
    run("scan", tmp_path / "tame.log", "--store", tmp_path / "tame")
    sql = "SELECT host, app, signal FROM hosts WHERE host NOT LIKE '%slack%' ORDER BY ALL"
    found = []
    for folder in (store, tmp_path / "tame"):
        with duckdb.connect(str(folder / "findings.duckdb"), read_only=True) as con:
            found.append(con.execute(sql).fetchall())
    assert found[0] == found[1] == [("miro.com", "miro", "app")]


def test_explain_and_parse_are_safe_to_look_at(store: Path, run: Run) -> None:
    """Whoever pipes hosts in sees no control character come out."""
    told = run("explain", stdin="\n".join(HOSTILE))
    assert len(told.stdout.splitlines()) == len(HOSTILE)
    assert all(text.isprintable() for text in told.stdout.splitlines())
    rows = run("explain", "--json", stdin="\n".join(HOSTILE))
    assert rows.stdout.isascii()
    log = store.parent / "logs" / "access.log"
    for text in run("parse", log).stdout.splitlines():
        assert text.isascii()
        assert text.isprintable()
        json.loads(text)


def test_file_names_are_safe_to_look_at(tmp_path: Path, run: Run) -> None:
    """A line of talk stays one line whatever a file is called."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("\x1b[31mred.log", "two\nlines.log", "a\u202egol.log", "'); DROP TABLE usage;--"):
        (logs / name).write_text("no log at all\n" * 9)
    (logs / b"\xff\xfe.log".decode("utf-8", "surrogateescape")).write_text("no log at all\n" * 9)
    done = run("scan", logs, "--store", tmp_path / "store", ok=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 6
    assert all(text.isprintable() for text in done.stderr.splitlines())
    assert done.stderr.count("is in no format") == 5


def test_a_flood_of_names_folds(tmp_path: Path, run: Run) -> None:
    """A tunnel through DNS makes one row, not a hundred thousand."""
    lines = [line(number, f"{number * 7919:x}z{number:x}.t.example.net") for number in range(5000)]
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    run("scan", tmp_path / "a.log", "--store", tmp_path / "store")
    with duckdb.connect(str(counted(tmp_path / "store") / "findings.duckdb")) as con:
        found = con.execute("SELECT host, sum(requests) FROM hosts_unknown GROUP BY ALL").fetchall()
    assert sum(requests for _, requests in found) == 5000
    assert len(found) == 1


KEYS = [
    'client"ip',
    "client'ip",
    "client\\ip",
    "client\x00ip",
    "client*ip",
    "client\u202eip",
    "client;ip",
    "cl[0]ientip",
    "$.clientip",
    "'||(SELECT 1)||'clientip",
    "clientip" + "_" * 70,
]


@pytest.mark.parametrize("key", KEYS)
def test_a_name_of_a_cell_is_not_run(tmp_path: Path, run: Run, key: str) -> None:
    """A generic format looks for cells under the names that a log gives them."""
    tame = {"ts": 1767258000, "src": "192.0.2.1", "qname": "app.example.com"}
    odd = {"ts": 1767258001, key: "192.0.2.2", "src": "192.0.2.3", "qname": "b.example.com"}
    log = tmp_path / "a.json"
    log.write_text("".join(f"{json.dumps(one)}\n" for one in (tame, odd)), encoding="utf-8")
    rows = [json.loads(row) for row in run("parse", log).stdout.splitlines()]
    assert [(row["client"], row["host"]) for row in rows] in (
        [("192.0.2.1", "app.example.com"), ("192.0.2.3", "b.example.com")],
        [("192.0.2.1", "app.example.com"), ("192.0.2.2", "b.example.com")],
    )
    header = f"ts,{key},src,qname".replace("\x00", "").encode("utf-8", "replace").decode()
    log = tmp_path / "a.csv"
    log.write_text(f"{header}\n1767258000,192.0.2.2,192.0.2.3,b.example.com\n", encoding="utf-8")
    rows = [json.loads(row) for row in run("parse", log).stdout.splitlines()]
    assert [row["host"] for row in rows] == ["b.example.com"]
