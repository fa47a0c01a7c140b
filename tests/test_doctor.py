"""What ``sundial doctor`` finds in stores that real scans made, healthy and ill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Run

DAY = 86_400


@dataclass(frozen=True)
class Patient:
    """A folder of logs of two sources over five weeks up to now, and the store made of them."""

    folder: Path
    run: Run
    staff: int = 6

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def log(self, source: str, users: Iterable[int], ago: Iterable[int], ahead: int = 0) -> Path:
        """Write a day's requests of some people for each of so many days ago."""
        now, named = int(time.time()) - 3600, [f"p{number}" for number in users]
        path = self.folder / "logs" / source / f"access-{min(ago)}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(
            f"{now + ahead - days * DAY}.000 90 10.1.0.7 TCP_TUNNEL/200 500 CONNECT "
            f"app.slack.com:443 {name} HIER_DIRECT/192.0.2.1 -\n"
            for days in sorted(ago, reverse=True) for name in named
        ))  # fmt: skip
        return path

    def scan(self, **more: str) -> None:
        rows = (f"p{n},p{n}@example.com,Sales\n" for n in range(self.staff))
        (self.folder / "people.csv").write_text(f"login,mail,department\n{''.join(rows)}")
        sources = "".join(
            f'[source.{name}]\nmatch = "{name}/*"\n{more.get(name, "")}'
            for name in ("proxy", "branch")
        )
        settings = self.folder / "sundial.toml"
        settings.write_text(f'[people]\nfile = "people.csv"\n{sources}')
        logs = self.folder / "logs"
        self.run("scan", logs, "--config", settings, "--store", self.store, ok=False)

    def complaints(self) -> list[tuple[object, object]]:
        done = self.run("doctor", "--store", self.store, "--json", ok=False)
        assert done.returncode == bool(done.rows), done.stderr
        assert all(row["says"] and str(row["cure"]).rstrip(".") for row in done.rows)
        return [(row["check"], row["subject"]) for row in done.rows]


@pytest.fixture
def patient(tmp_path: Path, run: Run) -> Patient:
    made = Patient(tmp_path, run)
    made.log("proxy", range(6), range(35))
    return made


def test_a_healthy_store_has_nothing_to_look_at(patient: Patient, run: Run) -> None:
    patient.log("branch", range(3), range(35))
    patient.scan()
    assert patient.complaints() == []
    done = run("doctor", "--store", patient.store)
    assert (done.stdout, done.stderr) == ("", "Nothing to look at.\n")


def test_a_silent_source_is_named_with_its_last_day(patient: Patient, run: Run) -> None:
    patient.log("branch", range(3), range(9, 35))
    patient.scan()
    assert patient.complaints() == [("silent_source", "branch")]
    last = datetime.now(UTC) - timedelta(days=9, hours=1)
    told = run("doctor", "--store", patient.store, ok=False)
    assert told.returncode == 1
    assert told.stdout.startswith(f"branch: silent since {last.day} {last:%B %Y}. See whether")


def test_a_source_that_ended_on_purpose_is_not_called_silent(patient: Patient) -> None:
    patient.log("branch", range(3), range(20, 35))
    patient.scan()
    assert ("silent_source", "branch") in patient.complaints()
    day = (datetime.now(UTC) - timedelta(days=19)).date()
    patient.scan(branch=f"retired = {day}\n")
    assert ("silent_source", "branch") not in patient.complaints()


def test_a_source_that_hides_an_app_is_said_to(patient: Patient) -> None:
    (patient.folder / "logs" / "proxy" / "access-0.log").unlink()
    quiet = patient.log("proxy", range(4), range(35))
    quiet.write_text(quiet.read_text().replace("app.slack.com", "www.example.org"))
    patient.log("branch", range(4, 6), range(16, 35))
    patient.scan()
    assert patient.complaints() == [("silent_source", "branch"), ("coverage", "Sales")]


def test_a_source_that_lost_half_of_its_people_is_named(tmp_path: Path, run: Run) -> None:
    patient = Patient(tmp_path, run, staff=20)
    patient.log("proxy", range(20), range(35))
    patient.log("branch", range(20), range(8, 35))
    patient.log("branch", range(2), range(7))
    patient.scan()
    assert patient.complaints() == [("fewer_people", "branch")]


def test_a_department_under_the_floor_is_named(patient: Patient) -> None:
    (patient.folder / "logs" / "proxy" / "access-0.log").unlink()
    patient.log("proxy", range(2), range(35))
    patient.scan()
    assert patient.complaints() == [("coverage", "Sales")]


def test_when_all_is_silent_that_is_said(tmp_path: Path, run: Run) -> None:
    ended = Patient(tmp_path, run)
    ended.log("proxy", range(6), range(20, 40))
    ended.scan()
    assert ("silent_source", "all sources") in ended.complaints()


def test_lines_that_can_no_longer_be_read_are_said_with_their_file(patient: Patient) -> None:
    newest = patient.log("branch", range(6), range(3))
    newest.write_text(newest.read_text() + "1767600000.000 garbage\n" * 9)
    patient.log("branch", range(6), range(3, 35))
    patient.scan()
    assert patient.complaints() == [("rejects", "branch")]


def test_a_file_that_was_left_out_is_said(patient: Patient) -> None:
    (patient.folder / "logs" / "proxy" / "odd.log").write_text("no format has this\n" * 9)
    patient.scan()
    assert [check for check, _ in patient.complaints()] == ["files"]


def test_a_clock_that_is_ahead_is_named(patient: Patient) -> None:
    patient.log("branch", range(6), range(35), ahead=3 * 3600)
    patient.scan()
    assert patient.complaints() == [("clock", "branch")]


def test_a_directory_that_knows_fewer_and_fewer_is_said(patient: Patient) -> None:
    patient.log("branch", range(6, 12), range(7))
    patient.scan()
    assert ("directory", "directory") in patient.complaints()


def lose_key(store: Path) -> None:
    (store / "pseudonym.key").unlink()


def open_key(store: Path) -> None:
    (store / "pseudonym.key").chmod(0o644)


def short_key(store: Path) -> None:
    (store / "pseudonym.key").write_bytes(b"short")


def other_key(store: Path) -> None:
    (store / "pseudonym.key").write_bytes(os.urandom(32))


def open_store(store: Path) -> None:
    (store / "work.duckdb").chmod(0o644)


def other_version(store: Path) -> None:
    with closing(duckdb.connect(str(store / "work.duckdb"))) as con:
        con.execute("UPDATE setting SET value = '99' WHERE key = 'schema'")


def broken_store(store: Path) -> None:
    (store / "work.duckdb").write_bytes(b"no database" * 999)


def broken_findings(store: Path) -> None:
    (store / "findings.duckdb").write_bytes(b"no database" * 999)


def no_findings(store: Path) -> None:
    (store / "findings.duckdb").unlink()


def old_findings(store: Path) -> None:
    with closing(duckdb.connect(str(store / "findings.duckdb"))) as con:
        con.execute(
            "UPDATE meta SET value = '2026-01-05T06:00:00+00:00' WHERE key = 'published_at'"
        )


def older_findings(store: Path) -> None:
    with closing(duckdb.connect(str(store / "findings.duckdb"))) as con:
        con.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")


@pytest.mark.parametrize(
    ("harm", "check", "file"),
    [
        (lose_key, "key", "pseudonym.key"),
        (open_key, "key", "pseudonym.key"),
        (short_key, "key", "pseudonym.key"),
        (other_key, "key", "work.duckdb"),
        (open_store, "permissions", "work.duckdb"),
        (other_version, "version", "work.duckdb"),
        (broken_store, "store", "work.duckdb"),
        (broken_findings, "store", "findings.duckdb"),
        (no_findings, "store", "findings.duckdb"),
        (old_findings, "scan", "findings.duckdb"),
        (older_findings, "version", "findings.duckdb"),
    ],
)
def test_what_is_wrong_with_a_store(
    patient: Patient, harm: Callable[[Path], None], check: str, file: str
) -> None:
    patient.scan()
    harm(patient.store)
    assert patient.complaints() == [(check, str(patient.store / file))]
    if harm is lose_key:
        assert not (patient.store / "pseudonym.key").exists()  # and no new one was made


def test_a_folder_without_a_store_is_said(tmp_path: Path, run: Run) -> None:
    assert Patient(tmp_path, run).complaints() == [("store", str(tmp_path / "store"))]


def test_a_scan_that_is_at_work_is_not_disturbed(patient: Patient) -> None:
    patient.scan()
    hold = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(patient.store / "work.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as scan:
        assert scan.stdout is not None
        scan.stdout.readline()
        assert patient.complaints() == []
        scan.communicate(b"\n")
