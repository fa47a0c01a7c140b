"""The command line keeps its promises: help, exit codes, data on one stream, talk on the other."""

from __future__ import annotations

import inspect
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from agent import cli
from agent.formats import load_all, of_claims
from tests.conftest import Run
from tests.test_scan import LOG

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = str(Path(sys.executable).with_name("sundial"))
COMMANDS = [
    *("scan", "parse", "lint", "capture", "explain", "reclassify"),
    *("doctor", "formats", "check", "dashboard", "demo"),
]
GROUPS = {
    "format": ["draft"],
    "people": ["check", "resolve"],
    "privacy": [
        "report",
        "forget",
        "expire",
        "rotate-key",
        "vault",
        "reveal",
        "audit",
        "destroy-key",
    ],
    "catalogue": ["add", "unknown"],
}
"""Commands that have commands of their own."""
READING = ["scan", "parse", "lint", "explain", "reclassify", "formats", "check"]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_bytes(LOG)
    return path


def test_the_script_is_installed() -> None:
    done = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_these_are_the_commands(run: Run) -> None:
    listed = run("--help").stdout.partition("Commands:")[2]
    assert re.findall(r"^  (\w+)", listed, re.MULTILINE) == [*COMMANDS, *GROUPS]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run: Run) -> None:
    """It ends with an example that names it, and every option and argument has a sentence."""
    told = run(command, "--help").stdout
    assert re.search(rf"Example: sundial {command}\b", told)
    (found,) = (one for one in cli.app.registered_commands if _name(one) == command)
    assert found.callback is not None
    for name, parameter in inspect.signature(found.callback, eval_str=True).parameters.items():
        extras = getattr(parameter.annotation, "__metadata__", ())
        assert any(extra.help for extra in extras), f"{command} {name}"


@pytest.mark.parametrize("words", [(group, one) for group in GROUPS for one in GROUPS[group]])
def test_every_command_of_two_words_explains_itself(words: tuple[str, str], run: Run) -> None:
    told = run(*words, "--help").stdout
    assert re.search(rf"Example: sundial {' '.join(words)}\b", told)
    assert words[1] in run(words[0], "--help").stdout


def _name(command: typer.models.CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", ""))


@pytest.mark.parametrize("command", READING)
def test_every_reading_command_speaks_json(command: str) -> None:
    done = subprocess.run([SCRIPT, command, "--help"], capture_output=True, text=True, check=True)
    assert "--json" in COLOUR.sub("", done.stdout)


def test_nothing_at_all_shows_the_help(run: Run) -> None:
    done = run(ok=False)
    assert "Usage: sundial" in done.stdout + done.stderr
    assert done.returncode in {0, 2}


@pytest.mark.parametrize("words", [["scna"], ["scan"], ["parse"], ["explain", "--jso"], ["--nope"]])
def test_wrong_usage_is_one_line_and_code_2(words: list[str], run: Run) -> None:
    done = run(*words, ok=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_scan_talks_on_the_error_stream_and_tells_numbers_on_request(
    run: Run, log: Path, tmp_path: Path
) -> None:
    done = run("scan", log, "--store", tmp_path / "s")
    assert done.stdout == ""
    assert re.search(r"^1 files .* 400 lines, .* Findings: .*findings.duckdb; see", done.stderr)
    (row,) = run("scan", log, "--store", tmp_path / "s", "--json").rows
    assert (row["files"], row["unchanged"], row["problems"]) == (1, 1, [])


def test_parse_prints_one_object_an_event(run: Run, log: Path) -> None:
    rows = run("parse", log).rows
    keys = {"line", "ts", "client", "user", "host", "dest_ip", "bytes_out", "bytes_in", "blocked"}
    assert all(keys | {"format"} <= row.keys() for row in rows)
    assert [row["line"] for row in rows] == sorted({int(str(row["line"])) for row in rows})
    assert rows[0]["ts"] == "2026-03-02T08:00:00.134000+00:00"
    assert {row["format"] for row in rows} == {"squid_native"}
    assert not list(log.parent.glob("sundial-store"))


@pytest.mark.parametrize("content", [b"", b"no log\n" * 9, None])
def test_parse_names_what_it_cannot_read(content: bytes | None, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    if content is not None:
        path.write_bytes(content)
    done = run("parse", path, ok=False)
    assert done.returncode == (0 if content == b"" else 1)
    assert done.stdout == ""
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == (
        [] if content == b"" else [str(path) if content is None else "x.log"]
    )


def test_a_reader_that_has_seen_enough_is_no_error(log: Path) -> None:
    """As in ``sundial parse access.log | head -1``."""
    log.write_bytes(LOG * 40)
    process = subprocess.Popen(
        [SCRIPT, "parse", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_explain_takes_hosts_from_either_side(run: Run) -> None:
    hosts = ["acme.slack.com", "example.org", "HTTPS://App.Slack.Com:443/x"]
    given = run("explain", *hosts, "--json")
    piped = run("explain", "--json", stdin="\n".join(["", *hosts, " "]))
    assert given.stdout == piped.stdout
    first, second, third = given.rows
    assert (first["app"], first["tenant"], first["evidence"]) == ("slack", "acme", "use")
    assert (second["app"], second["rule"]) == (None, None)
    assert third["host"] == "app.slack.com"
    told = run("explain", *hosts).stdout.splitlines()
    assert told[0].startswith("acme.slack.com: Slack (team_messaging), signal app, tenant acme")
    assert told[1] == "example.org: not in the catalogue."


def test_formats_lists_all_formats(run: Run) -> None:
    rows = run("formats", "--json").rows
    files = {path.stem for path in (ROOT / "rules" / "formats").glob("*.toml")}
    files -= set(of_claims(load_all()))  # whose lines are no events, so they answer no question
    assert {row["format"] for row in rows} == files
    text = run("formats").stdout
    assert all(name in text for name in files)


def test_check_runs_all_samples(run: Run) -> None:
    """What it says to people is a session of README."""
    done = run("check", "--json")
    assert done.rows[0]["problems"] == []
    assert done.stderr == ""


def test_progress_is_for_eyes_only(log: Path, tmp_path: Path) -> None:
    """A terminal sees a bar, a log file of the scan does not."""
    command = [SCRIPT, "scan", str(log), "--store", str(tmp_path / "s")]
    plain = subprocess.run(command, capture_output=True, check=True)
    assert b"\x1b" not in plain.stderr
    assert b"%" not in plain.stderr
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(command, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other side has closed it
            break
        if not piece:
            break
        seen += piece
    assert process.wait() == 0
    assert b"lines/s" in seen
    os.close(ours)


def test_a_bug_keeps_its_traceback(
    run: Run, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a person can mend becomes a line."""
    monkeypatch.setattr("agent.adoption.derive", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        run("scan", log, "--store", tmp_path / "s", ok=False)


def test_commands_in_the_documents_exist(run: Run) -> None:
    """Every ``sundial …`` in a document is a command, and its options are real."""
    for name in ("README.md", "CONTRIBUTING.md", "rules/README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for line in re.findall(r"^\s*(?:\$ )?sundial .*$|`sundial [^`]*`", text, re.MULTILINE):
            words = line.strip("`$ \n").split()
            assert words[1] in [*COMMANDS, *GROUPS, "--version", "--help"], (name, line)
            options = {word.partition("=")[0] for word in words if word.startswith("--")}
            command = (
                words[1:3] if words[2:3] and words[2] in GROUPS.get(words[1], ()) else words[1:2]
            )
            told = run(*command, "--help").stdout if words[1] in {*COMMANDS, *GROUPS} else ""
            assert not {option for option in options if told and option not in told}, (name, line)
