"""Logs looked over before a scan: each fault that was planted is named, and nothing is stored."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import formats
from agent.lint import QUESTIONS
from agent.model import FIELDS
from tests.conftest import Run

MARCH = 1_772_438_400
SEVERAL = ("squid_native", "bind_query", "fortigate", "suricata_eve", "meraki", "knot_resolver")
"""Formats that differ in what they tell."""
"""2 March 2026, 8 o'clock UTC."""


def squid(second: float, client: str, user: str, target: str = "app.slack.com:443") -> str:
    method = "CONNECT" if target.endswith(":443") else "GET"
    return (
        f"{MARCH + second:.3f}    845 {client} TCP_TUNNEL/200 6295 {method} {target} {user} "
        "HIER_DIRECT/203.0.113.7 -\n"
    )


def good(number: int) -> str:
    return squid(number * 60, f"192.0.2.{number % 200}", f"user{number % 50}")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def write(logs: Path, name: str, text: str, written: float = MARCH + 86_400) -> Path:
    path = logs / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, (written, written))
    return path


def looked(run: Run, *arguments: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows of files and of formats, by name."""
    rows: list[dict[str, Any]] = run("lint", *arguments, "--json", ok=False).rows
    return (
        {row["file"]: row for row in rows if row["about"] == "file"},
        {row["format"]: row for row in rows if row["about"] == "format"},
    )


def test_a_good_log_answers_what_its_fields_allow(run: Run, logs: Path) -> None:
    write(logs, "a.log", "".join(map(good, range(500))))
    before = sorted(logs.parent.rglob("*"))
    files, known = looked(run, logs)
    assert sorted(logs.parent.rglob("*")) == before
    row = files["a.log"]
    assert (row["lines"], row["events"], row["others"], row["rejects"]) == (500, 500, 0, [])
    assert (row["formats"], row["copy_of"], row["clock"]) == ({"squid_native": 500}, None, None)
    assert (row["first_seen"], row["repeated_lines"]) == ("2026-03-02T08:00:00Z", 0)
    squids = known["squid_native"]
    assert {name: squids["shares"][name] for name in ("client", "user", "host", "bytes_out")} == {
        "client": 1, "user": 1, "host": 1, "bytes_out": 0,
    }  # fmt: skip
    assert (squids["clients"], squids["users"]) == (200, 50)
    assert (squids["connect_only"], squids["ip_only"], squids["gaps"]) == (1, 0, [])
    assert {one["question"]: one["answer"] for one in squids["answers"]} == {
        "Which apps are used?": "yes",
        "Which departments use them?": "yes",
        "How many people?": "yes",
        "How much is uploaded?": "no",
        "How much is downloaded?": "yes",
        "What was blocked?": "yes",
    }
    (advice,) = squids["advice"]
    assert advice["for"] == ["bytes_out"]
    assert "%>st" in advice["snippet"]


def test_every_fault_is_named(run: Run, logs: Path) -> None:
    lines = [good(number) for number in range(300)]
    lines[7:7] = ["broken\n", "broken too\n"]
    lines += [good(4000), good(4000), squid(0, "192.0.2.1", "a", "203.0.113.9:443")] * 10
    lines += [squid(9e8, "192.0.2.1", "a")]
    text = "".join(lines)
    write(logs, "a.log", text)
    write(logs, "b.log", text, MARCH + 999_999)
    write(logs, "c.log", "Dear all,\nhere is the export.\n" * 9)
    write(logs, "d.log", "")
    files, known = looked(run, logs)
    row = files["a.log"]
    (reject,) = row["rejects"]
    assert (reject["lines"], reject["line"], reject["sample"]) == (2, 8, "broken")
    assert (row["repeated_lines"], row["future_events"]) == (19 + 9, 1)
    assert "hours after the file was written" in row["clock"]
    assert files["b.log"]["copy_of"] == "a.log"
    assert "is in no format" in files["c.log"]["problem"]
    assert files["d.log"]["problem"] == "is empty."
    squids = known["squid_native"]
    assert squids["ip_only"] == round(10 / 331, 3)
    assert [gap["hours"] for gap in squids["gaps"][1:]] == [61]
    told = run("lint", logs, ok=False)
    assert told.returncode == 1
    for part in (
        "a.log: squid_native; 333 lines, 331 events, 0 others, 2 rejects",
        "  reject: not a line of this format (2 lines, the first is line 8): broken",
        "  copy: holds the same as a.log; a scan counts it once",
        "  gap: no event for 61 hours",
        "  addresses only: 3% of the events name no host",
    ):
        assert part in told.stdout
    assert told.stderr.startswith("c.log: is in no format")


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (lambda n: hashlib.sha256(str(n).encode()).hexdigest(), "hashed"),
        (lambda n: f"3f2504e0-4f89-41d3-9a0c-0305e82c{n:04x}", "hashed"),
        (lambda _: "anonymous", "all the same"),
        (lambda n: f"user{n}", None),
        (lambda _: "-", None),
    ],
)
def test_users_that_are_nobody(run: Run, logs: Path, user: Any, said: str | None) -> None:  # noqa: ANN401 - a function of a number
    text = "".join(squid(n, f"192.0.2.{n % 200}", user(n)) for n in range(300))
    write(logs, "a.log", text)
    squids = looked(run, logs)[1]["squid_native"]
    assert squids["anonymous_users"] == said
    people = next(one for one in squids["answers"] if one["question"] == "How many people?")
    named = user(1) == "user1"
    assert ("by user name" in people["why"], "by address" in people["why"]) == (named, not named)
    assert any("user" in advice["for"] for advice in squids["advice"]) != named


def test_one_client_address_for_all(run: Run, logs: Path) -> None:
    write(logs, "a.log", "".join(squid(n, "192.0.2.1", "-") for n in range(300)))
    squids = looked(run, logs)[1]["squid_native"]
    assert squids["shared_client"]
    answers = {one["question"]: one["answer"] for one in squids["answers"]}
    assert (answers["How many people?"], answers["Which apps are used?"]) == ("no", "yes")
    told = run("lint", logs).stdout
    assert "more than half of the events come from one address" in told
    assert "X-Forwarded-For" in told


def test_clocks_and_zones(run: Run, logs: Path) -> None:
    """A log in local time seems to lie in the future; an old copy in the past."""
    query = "2026-03-02 10:00:00 1A2C PACKET  0000 UDP Rcv 192.0.2.10 0001   Q [0001   D   NOERROR] A      (3)www(7)example(3)com(0)\n"  # noqa: E501
    write(logs, "dns.log", query, MARCH)
    files, known = looked(run, logs)
    assert "2.0 hours after the file was written" in files["dns.log"]["clock"]
    (dns,) = known.values()
    assert dns["time_zone"] == ["yours"]
    assert looked(run, logs, "--timezone", "Europe/Kyiv")[0]["dns.log"]["clock"] is None
    write(logs, "dns.log", query, MARCH + 30 * 86_400)
    assert "29 days before" in looked(run, logs)[0]["dns.log"]["clock"]


def test_what_a_hostile_log_says_cannot_steer_a_terminal(run: Run, logs: Path) -> None:
    lines = [good(n) for n in range(50)] + ["\x1b]0;owned\x07\x1b[2J\u202egnp.exe\n"]
    write(logs, "a\x1b[31m.log", "".join(lines))
    told = run("lint", logs).stdout
    assert "owned" in told
    assert all(c.isprintable() or c == "\n" for c in told)


def test_two_vendors_in_one_file_are_two_formats(run: Run, logs: Path) -> None:
    queries = "Jan  1 09:00:00 dnsmasq[3]: query[A] www.example.org from 192.0.2.10\n" * 100
    write(logs, "relay.log", "".join(map(good, range(100))) + queries)
    files, known = looked(run, logs)
    assert files["relay.log"]["formats"] == {"dnsmasq": 100, "squid_native": 100}
    assert set(known) == {"dnsmasq", "squid_native"}
    assert known["dnsmasq"]["shares"]["user"] == 0
    assert any("log-queries" not in a["snippet"] for a in known["dnsmasq"]["advice"])


@pytest.mark.parametrize("name", formats.load_formats())
def test_every_advice_is_for_something_that_may_be_missing(name: str) -> None:
    for advice in formats.load_formats()[name].advice:
        assert set(advice.about) <= {*FIELDS, "zone"}
        assert advice.change.endswith(".")


def test_all_questions_are_answered_with_a_reason(run: Run) -> None:
    logs = [Path(__file__).parent / "formats" / f"{name}.log" for name in SEVERAL]
    rows = looked(run, *logs)[1]
    assert len(rows) == len(SEVERAL)
    for row in rows.values():
        assert [one["question"] for one in row["answers"]] == list(QUESTIONS)
        assert all(one["why"] for one in row["answers"] if one["answer"] != "yes")


def test_memory_does_not_grow_with_the_log(logs: Path) -> None:
    """A log four times as long, every line with a user and an address of its own."""

    def peak(lines: int) -> int:
        with (logs / "a.log").open("w") as file:
            for n in range(lines):
                address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
                file.write(squid(n / 10, address, f"user{n}"))
        code = f"import sys; sys.argv = ['sundial', 'lint', {str(logs)!r}]; from agent.cli import main; main()"  # noqa: E501
        child = f"{code}; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"  # noqa: E501
        done = subprocess.run(
            [sys.executable, "-c", child], capture_output=True, text=True, check=True
        )
        return int(done.stderr.split()[-1])

    small, large = peak(200_000), peak(800_000)
    assert large < small * 1.35 + 20_000, (small, large)
