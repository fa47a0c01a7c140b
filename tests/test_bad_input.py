"""Whatever is wrong with a log, a rule, a setting or a disk: one clear line, the rest goes on."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Run, counted
from tests.test_scan import LOG, facts

Spoil = Callable[[Path], object]

GOOD = (
    b"1772438400.000    9 10.1.0.1 TCP_TUNNEL/200 99 CONNECT app.slack.com:443 ann HIER_NONE/- -\n"
)
NOISE = bytes(range(256)) * 40


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with one good log; tests put a bad one beside it."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "good.log").write_bytes(GOOD * 3)
    return folder


def events(store: Path) -> int:
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        return int(con.execute("SELECT coalesce(sum(events), 0) FROM source_day").fetchall()[0][0])


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        pytest.param(
            lambda p: p.write_bytes(NOISE), "is not text; no format reads it, it is left out.",
            id="binary",
        ),
        pytest.param(
            lambda p: p.write_text("Dear Sir,\nthis is no log\n" * 9),
            "is in no format that is known here; see 'sundial formats', or name one with --format.",
            id="prose",
        ),
        pytest.param(
            lambda p: p.symlink_to("nowhere"), "cannot be read: No such file or directory.",
            id="dangling link",
        ),
        pytest.param(os.mkfifo, "is not a regular file; it is left out.", id="pipe"),
        pytest.param(
            lambda p: p.write_bytes(gzip.compress(LOG)[:6000]),
            "ends in the middle of a compressed block after # lines; those are stored, "
            "the rest will be read when the file is complete.",
            id="truncated",
        ),
        pytest.param(
            lambda p: p.write_bytes(gzip.compress(GOOD * 2) + b"\x1f\x8bnonsense"),
            "is damaged inside a compressed block after # lines; those are stored, "
            "the rest will be read when the file is complete.",
            id="damaged",
        ),
    ],
)  # fmt: skip
def test_a_bad_log_is_one_line(
    spoil: Spoil, line: str, logs: Path, tmp_path: Path, run: Run
) -> None:
    """It names the file; the good log beside it is read; the exit code is 1."""
    spoil(logs / "bad.log")
    done = run("scan", logs, "--store", tmp_path / "store", ok=False)
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    name, _, message = first.partition(": ")
    digits = "".join("#" if c.isdigit() else c for c in message)
    assert Path(name).name == "bad.log"
    assert digits.replace("###", "#").replace("##", "#") == line
    assert last.startswith("2 files" if "link" not in line and name == "bad.log" else "1 files")
    assert events(tmp_path / "store") >= 3


@pytest.mark.parametrize(
    ("content", "rejects"),
    [
        pytest.param(GOOD + b"x" * 3_000_000 + b"\n" + GOOD, 1, id="a line of 3 MB"),
        pytest.param(GOOD + bytes(9) + b"\n" + GOOD, 1, id="NUL bytes"),
        pytest.param(GOOD + b"\xff\xfe\x80 \xe2\x28\xa1\n" + GOOD, 1, id="bytes that are no UTF-8"),
        pytest.param(GOOD + b"99999999999999999999.000 5 10.1.0.1 x/200 9 GET http://a.b/ - -/- -\n"
                     + GOOD, 1, id="a time that is none"),
        pytest.param(GOOD + b"\n\r\n" + GOOD, 0, id="blank lines"),
        pytest.param(GOOD + b'1772438400.0 9 10.1.0.1 "un closed\n' + GOOD, 1, id="a lone quote"),
    ],
)  # fmt: skip
def test_a_bad_line_spoils_no_other(
    content: bytes, rejects: int, logs: Path, tmp_path: Path, run: Run
) -> None:
    """It is counted with its number and reason."""
    (logs / "good.log").write_bytes(content)
    run("scan", logs, "--store", tmp_path / "store")
    with duckdb.connect(str(tmp_path / "store/findings.duckdb"), read_only=True) as con:
        found = con.execute("SELECT lines, first_line FROM rejects").fetchall()
    assert found == [(1, 2)] * rejects
    assert events(tmp_path / "store") == 2


@pytest.mark.parametrize("length", [70_000, 3_000_000])
def test_an_endless_first_line_hides_no_other(
    length: int, logs: Path, tmp_path: Path, run: Run
) -> None:
    """Not even from what finds the format; nor is the rest taken for a log that was read."""
    relayed = b"".join(
        b"<13>Mar  2 09:00:00 gw squid[7]: " + line + b"\n" for line in GOOD.split(b"\n")[:-1]
    )
    (logs / "good.log").write_bytes(b"x" * length + b"\n" + relayed * 2)
    (logs / "other.log").write_bytes(GOOD)
    run("scan", logs, "--store", tmp_path / "store")
    with duckdb.connect(str(tmp_path / "store/findings.duckdb"), read_only=True) as con:
        found = con.execute("SELECT lines, first_line FROM rejects").fetchall()
    assert found == [(1, 1)]
    assert events(tmp_path / "store") == 3 * GOOD.count(b"\n")


def test_an_empty_log_is_nothing_to_mend(logs: Path, tmp_path: Path, run: Run) -> None:
    """Rotation leaves empty files every day."""
    (logs / "empty.log").touch()
    (logs / "empty.log.gz").write_bytes(gzip.compress(b""))
    done = run("scan", logs, "--store", tmp_path / "store")
    assert done.stderr.splitlines()[:2] == ["empty.log: is empty.", "empty.log.gz: is empty."]


@pytest.mark.parametrize("command", ["scan", "lint"])
def test_a_log_that_breaks_off_at_once_is_not_called_empty(
    command: str, logs: Path, tmp_path: Path, run: Run
) -> None:
    (logs / "cut.log.gz").write_bytes(gzip.compress((logs / "good.log").read_bytes() * 99)[:40])
    in_store = ["--store", tmp_path / "store"] if command == "scan" else []
    done = run(command, logs, *in_store, ok=False)
    assert done.returncode == 1
    said = "cut.log.gz: ends in the middle of a compressed block before its first line"
    assert said in done.stderr


def test_a_folder_of_nothing_is_named(tmp_path: Path, run: Run) -> None:
    (tmp_path / "logs").mkdir()
    done = run("scan", tmp_path / "logs", "--store", tmp_path / "store", ok=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'logs'}: holds no file to read.\n")


def test_a_loop_of_folders_ends(logs: Path, tmp_path: Path, run: Run) -> None:
    (logs / "loop").symlink_to(logs)
    (logs / "self").symlink_to("self")
    done = run("scan", logs, "--store", tmp_path / "store", ok=False)
    assert [line for line in done.stderr.splitlines() if "logs/" in line] == [
        f"{logs / 'self'}: cannot be read: Too many levels of symbolic links."
    ]
    assert events(tmp_path / "store") == 3


def test_a_wrong_format_is_named_and_loses_nothing(logs: Path, tmp_path: Path, run: Run) -> None:
    store = tmp_path / "store"
    done = run("scan", logs, "--store", store, "--format", "dnsmasq", ok=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        (
            "good.log: none of its 3 lines could be read as dnsmasq; "
            "see 'sundial parse', or name another format with --format."
        ),
    )
    run("scan", logs, "--store", store)
    assert events(store) == 3


# Usage, settings and rules: exit code 2, and nothing is touched


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--format", "squid_nativ"],
            (
                '--format: "squid_nativ" is no known format. Did you mean "squid_native"? '
                "'sundial formats' lists them."
            ),
        ),
        (
            ["--timezone", "Europe/Berln"],
            '--timezone: "Europe/Berln" is no time zone; write one as Europe/Berlin.',
        ),
        (["--column", "login"], '--column: "login" is not of the form login=Header.'),
        (["--config", "{}/no.toml"], "{}/no.toml: cannot be read: No such file or directory."),
        (["--rules", "{}/no"], "{}/no: holds neither apps nor formats; it is no folder of rules."),
        (["--no-such"], "No such option: --no-such 'sundial --help' lists the commands."),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], line: str, logs: Path, tmp_path: Path, run: Run
) -> None:
    store = tmp_path / "store"
    filled = [word.replace("{}", str(tmp_path)) for word in arguments]
    done = run("scan", logs, "--store", store, *filled, ok=False)
    assert (done.returncode, done.stderr) == (2, line.replace("{}", str(tmp_path)) + "\n")
    assert not (store / "findings.duckdb").exists()


SETTINGS = """\
timezone = "Mars"
peple = 1
[people]
fil = "x.csv"
[source.a]
timezone = "Berlin"
[source.b]
match = "b/*"
format = 7
"""


def test_all_that_is_wrong_with_settings_is_said_at_once(
    logs: Path, tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "sundial.toml"
    path.write_text(SETTINGS)
    done = run("scan", logs, "--store", tmp_path / "s", "--config", path, ok=False)
    assert done.returncode == 2
    assert sorted(done.stderr.splitlines()) == [
        f'{path}: people.fil: unknown key. Did you mean "file"?',
        f'{path}: peple: unknown key. Did you mean "people"?',
        f'{path}: source.a.match: is missing: a pattern for its files, as "proxy/*".',
        f'{path}: source.a.timezone: "Berlin" is no time zone; write one as Europe/Berlin.',
        f"{path}: source.b.format: is not a text.",
        f'{path}: timezone: "Mars" is no time zone; write one as Europe/Berlin.',
    ]  # fmt: skip
    path.write_text("[people\n")
    done = run("scan", logs, "--store", tmp_path / "s", "--config", path, ok=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(f"{path}: is not TOML: ")
    path.write_text('[source.a]\nmatch = "a/*"\nformat = "squid"\n')
    done = run("scan", logs, "--store", tmp_path / "s", "--config", path, ok=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith('source.a.format: "squid" is no known format.')


def test_a_directory_that_cannot_be_used_stops_the_scan(
    logs: Path, tmp_path: Path, run: Run
) -> None:
    """Departments would be wrong in everything that follows."""
    wrong = tmp_path / "staff.csv"
    wrong.write_text("name;room\nann;7\n")
    for option in ("--people", "--subnets"):
        for path in (wrong, tmp_path / "none.csv"):
            done = run("scan", logs, option, path, "--store", tmp_path / "s", ok=False)
            assert done.returncode == 1
            assert all(line.startswith(f"{path}: ") for line in done.stderr.splitlines())
            assert not (tmp_path / "s" / "findings.duckdb").exists()


@pytest.fixture
def own_rules(tmp_path: Path) -> Path:
    """A folder with a format and an app that only this company knows."""
    folder = tmp_path / "own"
    (folder / "apps").mkdir(parents=True)
    (folder / "formats").mkdir()
    (folder / "apps" / "team_messaging.toml").write_text(
        '[ourchat]\nname = "Our Chat"\nvendor = "We"\nhomepage = "https://ourchat.example"\n'
        'audience = "business"\ndomains = ["ourchat.dev"]\n'
    )
    (folder / "formats" / "ours.toml").write_text(
        'title = "Ours"\nvendor = "We"\nurl = "https://example.com"\nevidence = "observed"\n'
        'kind = "dns"\ncut = "delimited"\ndelimiter = "|"\nstarts = ["OURS|"]\n'
        'columns = ["mark", "time", "client", "name"]\n[fields]\n'
        'ts = { from = "time", as = "iso" }\nclient = "client"\nhost = "name"\n'
        "[[sample]]\nline = 'OURS|2026-03-02T09:00:00Z|10.1.0.1|chat.ourchat.dev'\n"
        'event = { ts = "2026-03-02T09:00:00Z", client = "10.1.0.1", host = "chat.ourchat.dev" }\n'
    )
    return folder


def test_rules_of_ones_own_work_everywhere(own_rules: Path, tmp_path: Path, run: Run) -> None:
    log = tmp_path / "ours.log"
    log.write_text("OURS|2026-03-02T09:00:00Z|10.1.0.1|chat.ourchat.dev\n")
    option = ("--rules", own_rules)
    assert "ours" in run("formats", *option).stdout
    assert '"chat.ourchat.dev"' in run("parse", log, *option).stdout
    assert "Our Chat" in run("explain", "chat.ourchat.dev", *option).stdout
    assert "no problems" in run("check", *option).stdout
    run("scan", log, "--store", tmp_path / "store", *option)
    with duckdb.connect(str(counted(tmp_path / "store") / "findings.duckdb")) as con:
        assert con.execute("SELECT app, requests FROM apps").fetchall() == [("ourchat", 1)]


@pytest.mark.parametrize("command", ["scan", "parse", "explain", "check", "formats"])
def test_broken_rules_stop_every_command(
    command: str, own_rules: Path, logs: Path, run: Run
) -> None:
    """All that is wrong is said, with file and key."""
    (own_rules / "formats" / "broken.toml").write_text("title = \n")
    (own_rules / "apps" / "team_messaging.toml").write_text('[x]\nnam = "X"\n')
    subjects = {"scan": [logs], "parse": [logs / "good.log"], "explain": [Path("x.org")]}
    done = run(command, *subjects.get(command, []), "--rules", own_rules, ok=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "broken.toml: is not TOML" in done.stderr
    if command not in {"parse", "formats"}:
        assert 'team_messaging.toml: x.nam: unknown key. Did you mean "name"?' in done.stderr


def test_a_sample_that_a_format_cannot_read_is_found(own_rules: Path, run: Run) -> None:
    path = own_rules / "formats" / "ours.toml"
    path.write_text(path.read_text().replace('host = "chat.ourchat.dev" }', 'host = "other" }'))
    done = run("check", "--rules", own_rules, ok=False)
    assert done.returncode == 2
    assert "sample[1].event.host: is 'chat.ourchat.dev', not 'other'." in done.stderr


# The store


@pytest.mark.parametrize(
    ("spoil", "where", "message"),
    [
        pytest.param(
            lambda s: s.write_text("I am a file"), "store", "File exists", id="a file"
        ),
        pytest.param(
            lambda s: (s.mkdir(), (s / "work.duckdb").write_text("x" * 20_000),
                       (s / "pseudonym.key").write_bytes(bytes(32)),
                       (s / "pseudonym.key").chmod(0o600)),
            "store/work.duckdb", "cannot be used: ", id="no database",
        ),
        pytest.param(
            lambda s: (s.mkdir(), (s / "work.duckdb").mkdir(),
                       (s / "pseudonym.key").write_bytes(bytes(32)),
                       (s / "pseudonym.key").chmod(0o600)),
            "store/work.duckdb", "cannot be used: ", id="a folder instead",
        ),
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_used(  # noqa: PLR0913, PLR0917 - a case and three fixtures
    spoil: Spoil, where: str, message: str, logs: Path, tmp_path: Path, run: Run
) -> None:
    spoil(tmp_path / "store")
    done = run("scan", logs, "--store", tmp_path / "store", ok=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(str(tmp_path / where))
    assert message in line


@pytest.mark.parametrize(
    ("spoil", "where", "message"),
    [
        pytest.param(
            lambda s: (s / "pseudonym.key").unlink(), "store/pseudonym.key",
            "is lost; restore it from a backup, or scan into a new folder.", id="lost key",
        ),
        pytest.param(
            lambda s: (s / "pseudonym.key").write_bytes(bytes(32)), "store",
            "was written under another pseudonym.key; restore that key, or use a new folder.",
            id="another key",
        ),
        pytest.param(
            lambda s: alter(s, "UPDATE setting SET value = '0' WHERE key = 'schema'"), "store",
            "was made by another version of Sundial; scan into a new folder.", id="another schema",
        ),
        pytest.param(
            lambda s: alter(s, "DROP TABLE setting"), "store",
            "was made by another version of Sundial; scan into a new folder.", id="no schema",
        ),
    ],
)  # fmt: skip
def test_a_store_that_does_not_fit(  # noqa: PLR0913, PLR0917 - a case and three fixtures
    spoil: Spoil, where: str, message: str, logs: Path, tmp_path: Path, run: Run
) -> None:
    """The findings of before stay, and nothing is written."""
    store = tmp_path / "store"
    run("scan", logs, "--store", store)
    spoil(store)
    before = (store / "work.duckdb").read_bytes(), facts(store)
    done = run("scan", logs, "--store", store, ok=False)
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / where}: {message}\n")
    assert ((store / "work.duckdb").read_bytes(), facts(store)) == before


def alter(store: Path, sql: str) -> None:
    with duckdb.connect(str(store / "work.duckdb")) as con:
        con.execute(sql)


def full_disk_line(stderr: str) -> bool:
    (line,) = stderr.splitlines()
    return line.endswith(
        "cannot be written: the disk is full. What was stored is safe; make room and scan again."
    )


@pytest.fixture
def clean(logs: Path, tmp_path: Path, run: Run) -> Path:
    """What a store of the full log looks like, under a key that others can use."""
    (logs / "good.log").write_bytes(LOG)
    run("scan", logs, "--store", tmp_path / "clean")
    return tmp_path / "clean"


def test_a_file_that_may_not_grow(clean: Path, logs: Path, tmp_path: Path) -> None:
    """A quota stops the store or the findings; afterwards the scan goes on as if nothing was."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "pseudonym.key").touch(0o600)
    (store / "pseudonym.key").write_bytes((clean / "pseudonym.key").read_bytes())
    command = [str(Path(sys.executable).with_name("sundial")), "scan", str(logs)]
    stopped = 0
    for limit in (100_000, 2_000_000, 100_000_000):

        def limited(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        done = subprocess.run(
            [*command, "--store", str(store)],
            preexec_fn=limited,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, (limit, done.stderr)
        if done.returncode:
            stopped += 1
            assert full_disk_line(done.stderr), (limit, done.stderr)
    assert stopped >= 2
    assert facts(store) == facts(clean)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB in memory, where this user may have one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)  # noqa: S607


def test_a_full_disk(small_disk: Path, clean: Path, logs: Path, run: Run) -> None:
    """However little room is left: one line, the findings of before, and no line lost."""
    store = small_disk / "store"
    store.mkdir()
    (store / "pseudonym.key").touch(0o600)
    (store / "pseudonym.key").write_bytes((clean / "pseudonym.key").read_bytes())
    (logs / "good.log").write_bytes(LOG[:3000])
    run("scan", logs, "--store", store)
    before = facts(store)
    (logs / "good.log").write_bytes(LOG)
    stopped = 0
    for room in (0, 100_000, 400_000, 1_500_000):
        filler = small_disk / "filler"
        with filler.open("wb") as file:
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            file.write(bytes(max(0, free - room)))
        done = run("scan", logs, "--store", store, ok=False)
        assert "Traceback" not in done.stderr, (room, done.stderr)
        if done.returncode:
            stopped += 1
            assert full_disk_line(done.stderr), (room, done.stderr)
            assert facts(store) == before
        else:
            before = facts(store)
        filler.unlink()
    assert stopped >= 2
    run("scan", logs, "--store", store)
    assert facts(store) == facts(clean)
    assert [path.name for path in store.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_may_not_be_written(small_disk: Path, logs: Path, run: Run) -> None:
    """Root may write anywhere but on a disk that is mounted for reading."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)  # noqa: S607
    done = run("scan", logs, "--store", small_disk / "store", ok=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(str(small_disk / "store"))
    assert "Read-only file system" in line
