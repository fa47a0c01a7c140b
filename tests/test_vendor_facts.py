"""Facts on vendors: every one is cited and dated, and what nobody states is never a no."""

from __future__ import annotations

import datetime as dt
import tomllib
from functools import cache
from pathlib import Path

import pytest

from agent.catalogue import FACTS, Vendors, load_catalogue, load_vendors
from agent.errors import RulesError
from tests.conftest import Run

RULES = Path(__file__).parents[1] / "rules"
HEADER = "app,fact,answer,value,date,stated_by,link\n"
LINE = "slack,mfa,yes,totp,2026-01-02,vendor,https://slack.com/help\n"
LONGEST_VALUE = 200


@cache
def shipped() -> Vendors:
    return load_vendors(load_catalogue().apps)


# Laws over all facts.


def test_facts_are_sorted_and_none_stands_twice() -> None:
    for file in sorted((RULES / "vendor_facts").glob("*.csv")):
        lines = file.read_text(encoding="utf-8").splitlines()[1:]
        keys = [line.split(",")[:2] for line in lines]
        assert keys == sorted(keys), file.name
        assert len(lines) == len(set(lines)), file.name


def test_no_fact_is_of_the_future_or_tells_a_story() -> None:
    today = dt.datetime.now(dt.UTC).date()
    facts = [fact for own in shipped().facts.values() for fact in own]
    assert [fact for fact in facts if fact.date and fact.date > today] == []
    assert [fact.value for fact in facts if len(fact.value) > LONGEST_VALUE] == []


def test_an_app_names_only_sources_that_are_known() -> None:
    named = {source for app in load_catalogue().apps.values() for source in app.sources}
    assert named - set(shipped().sources) == set()


def test_every_source_has_its_due() -> None:
    """THIRD_PARTY_DATA.md names each source with its address, licence and terms."""
    page = (RULES / "THIRD_PARTY_DATA.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")
    }
    assert set(rows) == set(shipped().sources)
    for source in shipped().sources.values():
        assert source.licence in rows[source.id], source.id
        assert source.terms in rows[source.id], source.id
        assert source.id == "vendor" or source.url in rows[source.id], source.id
    files = {file.stem for file in (RULES / "vendor_facts").glob("*.csv")}
    assert files <= set(shipped().sources)


def test_the_readme_names_every_fact() -> None:
    chapter = (
        (RULES / "README.md").read_text(encoding="utf-8").partition("## A fact on a vendor")[2]
    )
    row = next(line for line in chapter.splitlines() if line.startswith("| `fact`"))
    assert [word.strip("` ") for word in row.split("|")[2].split(",")] == list(FACTS)


# What a reader is told.


def test_old_and_undated_facts_say_so() -> None:
    rows = list(shipped().rows(dt.date(2026, 11, 22), "slack"))
    assert {row["age"] for row in rows} == {"current", "old", "undated"}
    for row in rows:
        assert (row["age"] == "undated") == (row["date"] is None)


def test_what_nobody_states_has_no_row() -> None:
    told = {row["fact"] for row in shipped().rows(dt.date(2026, 11, 22), "notion")}
    assert told
    assert told < set(FACTS)
    assert list(shipped().rows(dt.date(2026, 11, 22), "no_such_app")) == []


# Reading: what is wrong is told all at once.


def own(folder: Path, text: str, name: str = "jdm.csv") -> Path:
    (folder / "vendor_facts").mkdir(parents=True)
    (folder / "vendor_facts" / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("app,fact\n", ":1: must begin with app,fact,answer,value,date,stated_by,link"),
        (HEADER + "slack,mfa\n", ":2: has 2 cells, not 7"),
        (
            HEADER + LINE.replace("slack,", "slak,"),
            ':2: "slak" is no app of the catalogue. Did you',
        ),
        (HEADER + LINE.replace("mfa", "mfaa"), ':2: "mfaa" is no known fact. Did you mean "mfa"?'),
        (HEADER + LINE.replace("yes", "maybe"), ':2: "maybe" is none of yes, no, unknown'),
        (HEADER + LINE.replace("2026-01", "2026-13"), ':2: "2026-13-02" is no day'),
        (HEADER + LINE.replace("vendor", ""), ":2: does not say who states it"),
        (HEADER + LINE.replace("https:", "javascript:"), "is no plain https address"),
        (HEADER + LINE.replace("https://slack", "https://a@slack"), "is no plain https address"),
    ],
)
def test_a_broken_line_is_told(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RulesError) as caught:
        load_vendors(load_catalogue().apps, [own(tmp_path, text)])
    (problem,) = caught.value.problems
    assert f"{tmp_path}/vendor_facts/jdm.csv" in str(problem)
    assert told in str(problem)


def test_facts_need_a_known_source(tmp_path: Path) -> None:
    folder = own(tmp_path, HEADER + LINE, "jmd.csv")
    with pytest.raises(RulesError, match="is no source of sources"):
        load_vendors(load_catalogue().apps, [folder])
    source = {"name": "Us", "url": "https://example.com", "licence": "ours", "gives": "facts"}
    text = "[jmd]\n" + "".join(f'{key} = "{value}"\n' for key, value in source.items())
    (folder / "sources.toml").write_text(text, encoding="utf-8")
    assert tomllib.loads(text)
    facts = load_vendors(load_catalogue().apps, [folder]).facts["slack"]
    assert [fact.source for fact in facts if fact.source == "jmd"] == ["jmd"]


def test_explain_cites_facts(run: Run) -> None:
    (row,) = run("explain", "--json", "acme.slack.com").rows
    facts = row["facts"]
    assert isinstance(facts, list)
    assert all(fact["link"].startswith("https://") for fact in facts)
    assert {"mfa", "sso"} <= {fact["fact"] for fact in facts}
