"""What the table of formats claims is so, and the page that prints it is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import abilities, formats
from agent.model import FIELDS
from tests.conftest import Run

PAGE = Path(__file__).parent.parent / "docs" / "formats.md"
KNOWN = formats.load_formats()


def test_the_page_holds_the_table_of_the_shipped_formats(*, bless: bool) -> None:
    """``--bless`` writes it."""
    page = abilities.markdown(KNOWN.values())
    if bless:
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_sample_shows_is_in_the_row(name: str) -> None:
    """A field that some sample gives is told, and one that no sample gives is not claimed."""
    row = abilities.row(KNOWN[name])
    events = [one.event for one in KNOWN[name].samples if isinstance(one.event, dict)]
    shown = {field for event in events for field in event}
    assert {field for field in abilities.TOLD if row[field]} == shown & set(abilities.TOLD)
    assert set(row["partly"]) <= shown
    if all(field in event for field in abilities.TOLD for event in events):
        assert row["partly"] == []


def test_every_field_but_those_of_any_log_has_a_column() -> None:
    assert set(FIELDS) - set(abilities.TOLD) == {"ts", "dest_ip", "method", "alias"}


def test_a_name_that_an_answer_leads_to_may_stand_in_a_line_that_is_no_event() -> None:
    told = {name for name, one in KNOWN.items() if abilities.row(one)["alias"]}
    assert {"dnsmasq", "suricata_eve", "zeek_tsv", "route53_resolver"} < told
    assert "squid_native" not in told


@pytest.mark.parametrize(
    ("name", "zones"),
    [
        ("squid_native", ["stated"]),
        ("fortigate", ["stated", "yours"]),
        ("w3c_extended", ["UTC", "yours", "stated"]),
        ("umbrella_dns", ["UTC"]),
        ("windows_dns_debug", ["yours"]),
    ],
)
def test_zones_are_those_of_the_rules(name: str, zones: list[str]) -> None:
    assert abilities.zones(KNOWN[name]) == zones


def test_the_command_prints_the_same_with_rules_of_ones_own(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "formats"
    folder.mkdir(parents=True)
    text = (PAGE.parent.parent / "rules/formats/squid_native.toml").read_text(encoding="utf-8")
    mine = text.replace('user = "user"', "").replace('user = "asmith", ', "")
    (folder / "our_squid.toml").write_text(mine, encoding="utf-8")
    rows: dict[Any, Any] = {
        row["format"]: row for row in run("formats", "--rules", tmp_path / "mine", "--json").rows
    }
    assert set(rows) == {*KNOWN, "our_squid"}
    assert (rows["our_squid"]["user"], rows["squid_native"]["user"]) == (False, True)
    told = run("formats", "--rules", tmp_path / "mine").stdout
    assert all(title in told.splitlines()[0] for title in abilities.TITLES)
    (line,) = (line for line in told.splitlines() if line.startswith("our_squid"))
    assert line.split()[:10] == "our_squid proxy stated yes - yes - yes yes -".split()
