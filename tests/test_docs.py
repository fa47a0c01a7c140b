"""What README promises happens: its console sessions run, and print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_SESSION = re.compile(r"```console\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


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
            ["bash", "-o", "pipefail", "-c", command],
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
    "page", ["README.md", "CONTRIBUTING.md", "rules/README.md", "benchmarks/README.md"]
)
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    missing = [to for to in _LINK.findall(text) if not (ROOT / page).parent.joinpath(to).exists()]
    assert not missing


def test_every_published_table_is_named_in_readme(demo_store: Path) -> None:
    import duckdb

    con = duckdb.connect(str(demo_store / "findings.duckdb"), read_only=True)
    tables = {name for (name,) in con.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not {name for name in tables if f"`{name}`" not in text} - {"meta"}
