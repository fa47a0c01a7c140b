"""What README promises happens: its console sessions run, and print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import duckdb
import pytest

from agent import formats, proof, transforms
from agent.entries import APP_KEYS
from agent.model import CLAIM_FIELDS, CUTS, FIELDS, TRANSFORMS, Signal
from agent.thresholds import Thresholds
from tests.screenshots import SHOWN, picture_name

ROOT = Path(__file__).parent.parent
_SESSION = re.compile(r"```console\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
_PICTURE = re.compile(r"docs/([\w-]+\.png)")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_PICTURE_BYTES = 200_000

APP_SAYS = {"app keys": (*APP_KEYS, "under", "not", "trim"), "signals": tuple(Signal)}
FORMAT_SAYS = {
    "top keys": formats._TOP,
    "shape keys": formats._SHAPE,
    "pivot keys": formats._PIVOT,
    "field keys": formats._FIELD,
    "sample keys": formats._SAMPLE,
    "advice keys": (*formats._ADVICE, formats._ZONE),
    "kinds": formats._KINDS,
    "evidence": formats._EVIDENCE,
    "cuts": CUTS,
    "fields": (*FIELDS, *CLAIM_FIELDS),
    "transforms": TRANSFORMS,
}
"""What the code accepts, under headings that a failure shows."""


def steps(text: str) -> list[tuple[str, str]]:
    """Return each command of the console blocks with the output that is shown under it."""
    found = []
    for block in _SESSION.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown.strip()))
    return found


def as_pattern(shown: str) -> re.Pattern[str]:
    """Return a pattern for shown output, in which … stands for anything."""
    return re.compile(".*?".join(re.escape(part) for part in shown.split("…")), re.DOTALL)


def test_the_sessions_of_readme_run_and_print_what_is_shown(tmp_path: Path) -> None:
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    commands = steps((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) > 5
    for command, shown in commands:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],  # noqa: S607 - whichever the reader has
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        printed = (done.stderr + done.stdout).strip()
        assert done.returncode in ({0, 141} if "| head" in command else {0}), (
            f"$ {command}\n{printed}"
        )
        assert as_pattern(shown).fullmatch(printed), f"$ {command}\n{printed}\n--- shown\n{shown}"


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "rules/README.md", "benchmarks/README.md", "docs/formats.md"],
)
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    missing = [to for to in _LINK.findall(text) if not (ROOT / page).parent.joinpath(to).exists()]
    assert not missing


def test_every_published_table_is_named_in_readme(demo_store: Path) -> None:
    con = duckdb.connect(str(demo_store / "findings.duckdb"), read_only=True)
    tables = {name for (name,) in con.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not {name for name in tables if f"`{name}`" not in text} - {"meta"}


def named(part: str) -> set[str]:
    """Return every word in code type that a part of rules/README.md holds, examples left out."""
    page = (ROOT / "rules/README.md").read_text(encoding="utf-8")
    chapter = page.partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    prose = re.sub(r"```.*?```", "", chapter, flags=re.DOTALL)
    return {code.strip("[]") for code in _CODE.findall(prose)}


@pytest.mark.parametrize("what", APP_SAYS)
def test_rules_readme_names_all_that_an_app_may_say(what: str) -> None:
    assert set(APP_SAYS[what]) - named("An app") == set()


@pytest.mark.parametrize("what", FORMAT_SAYS)
def test_rules_readme_names_all_that_a_format_may_say(what: str) -> None:
    assert set(FORMAT_SAYS[what]) - named("A format") == set()


def test_rules_readme_gives_each_transform_one_line_and_names_no_other() -> None:
    page = (ROOT / "rules/README.md").read_text(encoding="utf-8")
    table = page.partition("| transform | makes |\n|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(TRANSFORMS)
    assert set(transforms.TRANSFORM) == set(TRANSFORMS)


def test_every_example_of_a_format_in_rules_readme_is_one(tmp_path: Path) -> None:
    page = (ROOT / "rules/README.md").read_text(encoding="utf-8")
    example = page.partition("\n## A format\n")[2].partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "example.toml").write_text(example, encoding="utf-8")
    made = formats.load_formats([tmp_path])["example"]
    with duckdb.connect() as con:
        assert proof.check_samples(con, [made]) == []


def test_every_threshold_has_its_reason_beside_it() -> None:
    page = (ROOT / "rules/adoption.toml").read_text(encoding="utf-8")
    reasons = {}
    table = ""
    for line in page.splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            reasons[f"{table}_{key.strip()}"] = value.partition("#")[2].strip()
    known = tomllib.loads(page)
    assert set(reasons) == {f"{table}_{key}" for table, keys in known.items() for key in keys}
    assert set(reasons) == {field.name for field in fields(Thresholds)}
    assert [name for name, reason in reasons.items() if len(reason.split()) < 4] == []


def test_docs_holds_the_pictures_that_readme_shows_and_no_others() -> None:
    shown = set(_PICTURE.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert shown == {picture_name(page, size) for page, size in SHOWN}
    assert shown == {path.name for path in (ROOT / "docs").glob("*.png")}
    large = [name for name in shown if (ROOT / "docs" / name).stat().st_size > _PICTURE_BYTES]
    assert not large
