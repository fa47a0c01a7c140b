"""What is told of a directory before a scan: counts, and names only where they are asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.settings import Settings, load_settings
from tests.conftest import Run

STAFF = """login,mail,path,dotted line,from,to
quendel,q@x.example,/Sales/EMEA,Brand,,2026-02-28
quendel,q@x.example,/Sales/APAC,,2026-03-01,
rosmarin,,/Legal,,2026-01-15,
salbei,s_y.example#EXT#@x.example,/Sales,,,
,,/Sales,,,
"""
NETS = "cidr,department,site,shared,people\n10.1.0.0/16,Sales,Berlin,,7\n10.2.0.0/16,,Berlin,yes,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "staff.csv").write_text(STAFF)
    (tmp_path / "nets.csv").write_text(NETS)
    return tmp_path


def test_a_directory_is_told_in_counts(run: Run, folder: Path) -> None:
    """Columns, people, history, tree and departments are there, and nobody's name."""
    done = run("people", "check", folder / "staff.csv", ok=False)
    assert done.returncode == 1
    assert "staff.csv:6: login: neither login nor mail. The row is left out." in done.stderr
    for said in (
        "2 people in a department today",
        "login = login, mail = mail, path = path, also = dotted line, from = from, to = to",
        "2 people, 1 guest",
        "1 join, 1 move, 0 ends, dates from 2026-01-15 to 2026-03-01",
        "1 person with further units",
        "4 units, 2 levels",
        "Sales/APAC: 1 person",
        "Sales/EMEA: 0 people",
    ):
        assert said in done.stdout
    assert not re.search("quendel|rosmarin|salbei|@", done.stdout + done.stderr)


def test_names_are_told_when_asked_for(run: Run, folder: Path) -> None:
    """They come with the days of each department, the last day included."""
    done = run("people", "check", folder / "staff.csv", "--show", "--level", "1", ok=False)
    assert "quendel" in done.stdout
    told = run("people", "check", folder / "staff.csv", "--show", "--json", ok=False).stdout
    (person, *_) = json.loads(told)["who"]
    assert person["stays"] == [
        {"department": "Sales/EMEA", "from": None, "to": "2026-02-28"},
        {"department": "Sales/APAC", "from": "2026-03-01", "to": None},
    ]


def test_a_level_joins_what_lies_below(run: Run, folder: Path) -> None:
    """The move within Sales is none at the top of the tree."""
    told = run("people", "check", folder / "staff.csv", "--level", "1", "--json", ok=False).stdout
    row = json.loads(told)
    assert row["departments"] == {"Legal": 1, "Sales": 1}
    assert (row["moves"], row["depth"]) == (0, 2)


def test_an_address_plan_is_told(run: Run, folder: Path) -> None:
    """Both kinds of file go into one command."""
    done = run("people", "check", folder / "nets.csv")
    assert "2 ranges, 1 of them shared" in done.stdout
    assert "without a department: 1; people stated: 7" in done.stdout
    row = json.loads(run("people", "check", folder / "nets.csv", "--json").stdout)
    assert (row["holds"], row["sites"], row["problems"]) == ("subnets", ["Berlin"], [])


def test_one_bad_file_does_not_hide_the_other(run: Run, folder: Path) -> None:
    """What cannot be used is a line, and the rest is told."""
    (folder / "bad.csv").write_text("name,department\nann,Sales\n")
    done = run("people", "check", folder / "bad.csv", folder / "nets.csv", ok=False)
    assert done.returncode == 1
    assert "no column for the login or mail" in done.stderr
    assert "2 ranges" in done.stdout


def test_the_level_is_a_setting(tmp_path: Path, run: Run) -> None:
    """Settings say it for every scan; a wrong one is refused with its key."""
    path = tmp_path / "sundial.toml"
    path.write_text('[people]\nfile = "staff"\nlevel = 2\n')
    assert load_settings(path) == Settings(people=tmp_path / "staff", people_level=2)
    path.write_text("[people]\nlevel = true\n")
    done = run("scan", tmp_path, "--config", path, "--store", tmp_path / "store", ok=False)
    assert done.returncode == 2
    assert "people.level: is no number of levels" in done.stderr
