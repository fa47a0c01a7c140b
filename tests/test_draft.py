"""A log in no known format becomes a draft that loads, proves itself, and reads that log."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import draft, formats, proof
from agent.errors import SundialError
from tests.conftest import Run

HOSTS = ["intra.acme-corp.com", "www.acme-bank.de", "shop.acme.co.uk", "cdn7.acme.net"]
USERS = ["karl.heinz", "b.meyer", "fatima", "zo.lee"]
ACTIONS = ["ALLOWED", "ALLOWED", "BLOCKED", "ALLOWED"]
DEPARTMENTS = ["Einkauf", "Vertrieb", "Lager", "Werk"]
LINES = 60


class Row:
    """What one made-up line says."""

    def __init__(self, number: int) -> None:
        choose = random.Random(number)
        self.number = number
        self.at = f"2026-03-0{number % 9 + 1} 10:{number % 60:02d}:07"
        self.epoch = 1_772_438_400 + number * 61
        self.client = f"10.20.{number % 7}.{number % 250 + 1}"
        self.server = f"93.184.216.{number % 250 + 1}"
        self.host = choose.choice(HOSTS)
        self.user = choose.choice(USERS)
        self.action = choose.choice(ACTIONS)
        self.department = choose.choice(DEPARTMENTS)
        self.sent, self.received = choose.randint(100, 9000), choose.randint(100, 90_000)


def as_json(row: Row) -> str:
    return json.dumps(
        {
            "@timestamp": f"{row.at.replace(' ', 'T')}.120Z",
            "event": {"action": row.action, "duration": row.number},
            "source": {"ip": row.client, "user.name": row.user, "port": 4711},
            "destination": {"ip": row.server, "domain": row.host, "tags": [{"n": "secret-tag"}]},
            "bytes_sent": row.sent,
            "bytes_received": row.received,
        }
    )


def as_cef(row: Row) -> str:
    return (
        f"CEF:0|Gatekeeper|Web|7.1|100|web request|3|rt={row.epoch}000 src={row.client} "
        f"suser={row.user} dst={row.server} dhost={row.host} act={row.action} out={row.sent} "
        f"in={row.received} msg=a text = of several words"
    )


def as_pairs(row: Row) -> str:
    return (
        f'time="{row.at}" fw="gate-7" srcip={row.client} dstip={row.server} user="{row.user}" '
        f'hostname="{row.host}" action={row.action} department="{row.department}" '
        f'sentbyte={row.sent} rcvdbyte={row.received} msg="what, ever"'
    )


def with_header(row: Row) -> str:
    return f'{row.at};{row.client};{row.user};"https://{row.host}:8443/a;b?c";{row.action};{row.sent};{row.received}'


def without_header(row: Row) -> str:
    return f'"{row.at}","{row.number}","{row.client}","{row.user}","{row.host}","{row.action}","{row.server}"'  # noqa: E501


def with_blanks(row: Row) -> str:
    return (
        f"{row.client} - {row.user} [0{row.number % 9 + 1}/Mar/2026:10:00:07 +0100] "
        f'"GET http://{row.host}/a/b?c=d HTTP/1.1" 200 {row.received}'
    )


def as_w3c(row: Row) -> str:
    return f"{row.at} {row.client} {row.user} GET {row.host} /a/b {row.action} {row.sent}"


def plain(row: Row) -> str:
    return f"{row.at} {row.client} {row.user} CONNECT {row.host}:443 {row.action}"


def in_syslog(row: Row) -> str:
    return f"Mar  1 10:00:07 gate-7 gated[7]: query {row.host} from {row.client} {row.action}"


W3C = "#Software: Gate\n#Fields: date time c-ip cs-username cs-method cs-host cs-uri-stem s-action cs-bytes\n"  # noqa: E501
CSV = "Time;Client IP;User Name;URL;Action;Bytes Sent;Bytes Received\n"
BYTES = {"bytes_out", "bytes_in"}
LOGS: dict[str, tuple[Callable[[Row], str], str, str, set[str]]] = {
    "json": (
        as_json,
        "",
        "json",
        {"client", "user", "dest_ip", "blocked", "bytes_out", "bytes_in"},
    ),
    "cef": (as_cef, "", "cef", {"client", "user", "dest_ip", "blocked", "bytes_out", "bytes_in"}),
    "pairs": (as_pairs, "", "keyvalue", {"client", "user", "dest_ip", "blocked", "department"}),
    "header": (
        with_header,
        CSV,
        "delimited",
        {"client", "user", "blocked", "bytes_out", "bytes_in"},
    ),
    "bare": (without_header, "", "delimited", {"client", "user", "dest_ip", "blocked"}),
    "blanks": (with_blanks, "", "blanks", {"client", "user", "method"}),
    "w3c": (as_w3c, W3C, "w3c", {"client", "user", "method", "blocked", "bytes_out"}),
    "plain": (plain, "", "blanks", {"client", "user", "method", "blocked"}),
    "syslog": (in_syslog, "", "blanks", {"client", "blocked"}),
}
ROWS = [Row(number) for number in range(LINES)]


def written(tmp_path: Path, name: str) -> Path:
    make, header, _, _ = LOGS[name]
    path = tmp_path / f"{name}.log"
    path.write_text(header + "".join(f"{make(row)}\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", LOGS)
def test_a_draft_reads_the_log_that_it_was_made_from(run: Run, tmp_path: Path, name: str) -> None:
    path, (_, header, cut, fields) = written(tmp_path, name), LOGS[name]
    told = run("format", "draft", path, "--name", f"my_{name}", "--into", tmp_path / "rules")
    assert f"reads {LINES + header.count(chr(10))} of the first" in told.stderr, told.stderr
    made = formats.load_formats([tmp_path / "rules" / "formats"])[f"my_{name}"]
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        assert proof.check_samples(con, [made]) == []
    assert made.cut == cut
    given = {field for field in ("user", *fields) if made.gives(field)}
    assert given - {"user"} >= fields - {"user"}
    rows = run("parse", path, "--format", f"my_{name}", "--rules", tmp_path / "rules").rows
    assert [row["host"] for row in rows] == [row.host for row in ROWS]
    for field in fields & {"client", "user"}:
        assert [row[field] for row in rows] == [getattr(row, field) for row in ROWS]
    if "blocked" in fields:
        assert [row["blocked"] for row in rows] == [row.action == "BLOCKED" for row in ROWS]
    for field, value in (("bytes_out", "sent"), ("bytes_in", "received")):
        if field in fields:
            assert [row[field] for row in rows] == [getattr(row, value) for row in ROWS]


@pytest.mark.parametrize("name", LOGS)
def test_a_draft_names_nobody(tmp_path: Path, name: str) -> None:
    """Neither hosts nor people nor addresses of the log, nor what stands beside them."""
    toml = draft.draft(written(tmp_path, name)).toml
    for secret in (*HOSTS, *USERS, *DEPARTMENTS, "acme", "gate-7", "secret-tag", "several", "a/b"):
        assert secret not in toml
    assert not re.search(r"10\.20\.|93\.184", toml)
    assert "192.0.2." in toml


def test_a_draft_is_found_by_itself_afterwards(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, "bare")
    run("format", "draft", path, "--into", tmp_path / "rules")
    rows = run("parse", path, "--rules", tmp_path / "rules").rows
    assert {row["format"] for row in rows} == {"bare"}
    again = run("format", "draft", path, "--into", tmp_path / "rules", ok=False)
    assert again.returncode == 1
    assert "is there already; name another with --name." in again.stderr


def test_to_the_screen_it_is_toml_and_talk_goes_elsewhere(run: Run, tmp_path: Path) -> None:
    told = run("format", "draft", written(tmp_path, "cef"))
    made = formats.read_format("cef", told.stdout)
    with closing(duckdb.connect()) as con:
        assert proof.check_samples(con, [made]) == []
    assert told.stderr == f"cef: reads {LINES} of the first {LINES} lines.\n"


@pytest.mark.parametrize(
    "content", [b"Dear all,\nhere is the export.\n" * 9, b"a,b,c\n1,2,3\n" * 9]
)
def test_what_names_no_destination_is_said_so(run: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    done = run("format", "draft", path, ok=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "letter.txt: no column looks like a host name or an address; cut as" in done.stderr


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(LOGS)), st.integers(0, 3000), st.text(max_size=12))
def test_damage_gives_a_draft_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, noise: str
) -> None:
    """Whatever stands in a log, the draft is TOML that loads."""
    path = written(tmp_path_factory.getbasetemp(), name)
    text = path.read_text(encoding="utf-8")[:4000]
    path.write_text(text[:at] + noise + text[at:], encoding="utf-8", errors="replace")
    try:
        made = draft.draft(path, "noisy")
    except SundialError as error:
        assert "no column looks like" in str(error), error  # noqa: PT017 - either is right
    else:
        formats.read_format("noisy", made.toml)
