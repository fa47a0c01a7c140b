"""What several test files share: the real command line, a small demo company, required programs."""

from __future__ import annotations

import fcntl
import functools
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.rulebook import Rules, load_rules
from tests.servers import find_program

Require = Callable[[str], Path]


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


Run = Callable[..., Done]


DEBIAN_PACKAGES = {
    "chromium": "chromium",
    "squid": "squid",
    "named": "bind9",
    "dnsmasq": "dnsmasq-base",
    "goaccess": "goaccess",
    "zstd": "zstd",
}
"""Programs that tests drive, with the Debian package that brings each."""

SCAN_SECONDS = 300
collect_ignore = ["fuzz.py"]
"""It takes over whatever imports it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--bless``, which writes goldens instead of comparing with them."""
    parser.addoption("--bless", action="store_true", help="write goldens; read them before commit")


@pytest.fixture(scope="session")
def bless(pytestconfig: pytest.Config) -> bool:
    """Whether goldens are to be written anew."""
    return bool(pytestconfig.getoption("bless"))


def require_program(name: str) -> Path:
    """Find a program that a test drives; without it skip, or fail where ``CI`` is ``true``."""
    found = find_program(name)
    if found is not None:
        return found
    package = DEBIAN_PACKAGES.get(name, name)
    reason = f"{name} is missing: apt-get install {package} (make test does it where it may)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require() -> Require:
    """``require("squid")`` gives the program's path, or skips (fails under ``CI=true``)."""
    return require_program


def run_command_line(*arguments: object, stdin: str = "", ok: bool = True) -> Done:
    """Run ``sundial`` of this environment; unless told otherwise it must end with 0."""
    command = [str(Path(sys.executable).with_name("sundial")), *map(str, arguments)]
    ended = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=SCAN_SECONDS, check=False
    )
    done = Done(ended.returncode, ended.stdout, ended.stderr)
    if ok:
        assert done.returncode == 0, (
            f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}"
        )
    return done


@pytest.fixture(scope="session")
def run_sundial() -> Run:
    """``run_sundial("scan", folder)`` runs the installed script; ``ok=False`` allows failure."""
    return run_command_line


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo company: ``logs/``, ``people.csv``, ``subnets.csv``, ``sundial.toml``, truth."""

    def write(folder: Path) -> None:
        from agent.demo import write_demo

        # The whole story with a twentieth of its requests: the same people adopt the same apps.
        write_demo(folder, scale=0.05)

    return _once(tmp_path_factory, "demo", write)


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory, demo_folder: Path) -> Path:
    """The folder that a real ``sundial scan`` of the demo company left: ``findings.duckdb``."""

    def scan(folder: Path) -> None:
        config = demo_folder / "sundial.toml"
        run_command_line("scan", demo_folder / "logs", "--config", config, "--store", folder)

    return _once(tmp_path_factory, "demo-store", scan)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store published from one empty log file: every table is there, none has a row of use."""

    def scan(folder: Path) -> None:
        logs = folder.with_name("empty-logs")
        logs.mkdir(exist_ok=True)
        (logs / "access.log").touch()
        # Whether an empty file is worth exit code 1 is not what this fixture is about.
        run_command_line("scan", logs, "--store", folder, ok=False)
        assert (folder / "findings.duckdb").exists()

    return _once(tmp_path_factory, "empty-store", scan)


def counted(store: Path, k: int = 1) -> Path:
    """Publish a copy of a store as if no group were too small; return its folder.

    For tests of what is counted with few people, which nobody else may see.
    """
    from contextlib import closing
    from dataclasses import replace

    from agent import publication
    from agent.settings import Settings, recalled
    from agent.store import Store

    folder = store.with_name(f"{store.name}-counted-{k}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(store, folder)
    own = folder / "rules"
    rules = load_rules([own]) if own.is_dir() else _shipped()
    with closing(Store(folder)) as kept:
        settings = recalled(Settings(), kept.setting("settings"))
        kept.publish(lambda con: publication.derive(con, rules, replace(settings, k=k)))
    return folder


@functools.cache
def _shipped() -> Rules:
    return load_rules()


def _once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Build a folder once a run, though xdist's workers each have a session of their own."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir(exist_ok=True)
            build(folder)
            done.touch()
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The real door, without the second that a new process and the shipped rules take."""
    from agent import cli, rulebook

    monkeypatch.setattr(
        rulebook, "load_rules", lambda extra=(): load_rules(extra) if extra else _shipped()
    )

    def command(*arguments: object, stdin: str = "", ok: bool = True) -> Done:
        monkeypatch.setattr(sys, "argv", ["sundial", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capfd.readouterr()
        code = cli.main()
        sys.stdout.flush()
        done = Done(code, *capfd.readouterr())
        assert code == 0 or not ok, done.stderr
        return done

    return command
