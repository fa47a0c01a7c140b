"""A department column in a log places people whom the directory does not know, and nobody else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.conftest import Run, counted

PEOPLE = "login,mail,department,from,to\nann,ann@example.com,Marketing,,\n"
SUBNETS = "cidr,department,site,shared,people\n10.1.0.0/16,Plant,Berlin,no,20\n"


def line(day: int, user: str, department: str, client: str, host: str = "app.slack.com") -> str:
    """One line of a Zscaler feed on a day of March 2026."""
    cells = ["None"] * 33
    cells[0], cells[1], cells[2] = f"2026-03-{day:02d} 09:00:00", user, "HTTPS"
    cells[3], cells[4], cells[7], cells[8] = f"{host}/", "Allowed", "218", "1423"
    cells[20], cells[21], cells[22], cells[23] = department, client, "203.0.113.7", "GET"
    return ",".join(f'"{cell}"' for cell in cells) + "\n"


LOG = "".join(
    [
        line(2, "ann@example.com", "Sales", "10.1.0.1"),
        line(2, "bob@example.com", "Sales", "10.1.0.2"),
        line(2, "bob@example.com", "Sales", "10.1.0.2", "never.example.org"),
        line(9, "bob@example.com", "Legal", "10.1.0.2"),
        line(9, "eve@example.com", "None", "10.1.0.3"),
        line(9, "None", "Kiosks", "10.1.0.4"),
        line(9, "None", "Kiosks", "10.9.0.4"),
        line(9, "mia@example.com", "Mia Smith (mia@example.com)", "10.9.0.5"),
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "subnets.csv").write_text(SUBNETS)
    (tmp_path / "logs").mkdir()
    return tmp_path


def scan(run: Run, folder: Path) -> None:
    known = ["--people", folder / "people.csv", "--subnets", folder / "subnets.csv"]
    run("scan", folder / "logs", "--store", folder / "store", *known)


def found(folder: Path) -> set[tuple[object, ...]]:
    with duckdb.connect(str(counted(folder / "store") / "findings.duckdb")) as con:
        used = con.execute("SELECT day(day), department, requests FROM usage_daily").fetchall()
        return set(used)


EXPECTED = {
    (2, "Marketing", 1),  # ann: the directory knows better
    (2, "Sales", 1),  # bob
    (9, "Legal", 1),  # bob has moved
    (9, "Plant", 2),  # eve, whose cell says nothing, and an address that the subnets know
    (9, "Kiosks", 1),  # an address that they do not know
    (9, "(unknown)", 1),  # mia: the name of a person is no department
}


def test_directory_then_log_then_subnet_for_people_and_subnet_first_for_addresses(
    run: Run, folder: Path
) -> None:
    (folder / "logs" / "web.csv").write_text(LOG)
    scan(run, folder)
    assert found(folder) == EXPECTED
    with duckdb.connect(str(counted(folder / "store") / "findings.duckdb")) as con:
        told = con.execute("SELECT department FROM hosts_unknown").fetchall()
        names = {row[0] for row in con.execute("SELECT department FROM departments").fetchall()}
    assert told == [("Sales",)]
    assert not any("@" in name or "Mia" in name for name in names)


def test_it_does_not_matter_in_which_pieces_the_log_came(run: Run, folder: Path) -> None:
    """The later half first, each by itself; and an unfinished word at the end is no department."""
    cut = LOG.index("2026-03-09") - 1
    (folder / "logs" / "b.csv").write_text(LOG[cut:])
    scan(run, folder)
    (folder / "logs" / "a.csv").write_text(LOG[: cut // 2])
    scan(run, folder)
    (folder / "logs" / "a.csv").write_text(LOG[:cut])
    scan(run, folder)
    assert found(folder) == EXPECTED
    with duckdb.connect(str(folder / "store/work.duckdb"), read_only=True) as con:
        rows = con.execute("SELECT DISTINCT department FROM stated_department").fetchall()
    assert {name for (name,) in rows} == {"Sales", "Legal", "Kiosks"}
