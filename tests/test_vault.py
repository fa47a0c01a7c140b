"""Clear names: sealed, revealed by another's key for a reason, and never without a record."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from agent.pseudonyms import Pseudonyms, load_key
from tests.conftest import Run, run_command_line
from tests.test_privacy import LOGIN, MAIL, _forgettable, search

PASSPHRASE = "correct horse battery"
REASON = "Case 12, agreed with the works council"


class Kept:
    """A store with a vault, and the key of it that lies elsewhere."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.run, self.folder = run, folder
        self.key, self.store = folder / "reveal.pem", folder / "store"

    def open(self, *options: str, ok: bool = True) -> str:
        words = ("privacy", "vault", self.key, "--store", self.store, *options)
        return self.run(*words, stdin=f"{PASSPHRASE}\n", ok=ok).stderr

    def scan(self) -> None:
        """Read a second log of the same people."""
        log = (self.folder / "a.log").read_text()
        (self.folder / "b.log").write_text(log.replace("1772438400", "1772438460"))
        self.run("scan", self.folder / "b.log", "--store", self.store)

    def reveal(
        self, login: str, *, reason: str = REASON, passphrase: str = PASSPHRASE
    ) -> tuple[int, str, str]:
        done = self.run(
            *("privacy", "reveal", self.pseudonym(login), "--key", self.key),
            *("--reason", reason, "--store", self.store),
            stdin=f"{passphrase}\n",
            ok=False,
        )
        return done.returncode, done.stdout, done.stderr

    def pseudonym(self, login: str) -> str:
        return Pseudonyms(load_key(self.store)).user(login)[0]

    def names(self) -> int:
        with duckdb.connect(str(self.store / "work.duckdb"), read_only=True) as con:
            return int(con.execute("SELECT count(*) FROM vault").fetchall()[0][0])

    def change(self, sql: str) -> None:
        with duckdb.connect(str(self.store / "work.duckdb")) as con:
            con.execute(sql)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a vault of three names."""
    folder = tmp_path_factory.mktemp("opened")
    _forgettable(run_command_line, folder)
    kept = Kept(folder, run_command_line)
    kept.open()
    kept.scan()
    return folder


@pytest.fixture
def kept(opened: Path, tmp_path: Path, run: Run) -> Kept:
    """The same in a folder of the test's own."""
    shutil.copytree(opened, tmp_path, dirs_exist_ok=True)
    return Kept(tmp_path, run)


def test_no_name_is_kept_unless_somebody_made_a_vault(tmp_path: Path, run: Run) -> None:
    _forgettable(run, tmp_path)
    store = Kept(tmp_path, run)
    store.scan()
    assert store.names() == 0
    status, said, told = store.reveal(LOGIN)
    assert (status, said) == (1, "")
    assert "keeps no clear names" in told


def test_a_name_is_sealed_and_comes_back_with_the_key_alone(kept: Kept) -> None:
    """The canaries are sought in the whole store: the vault shows nothing, nor does the audit."""
    assert kept.names() == 3
    assert oct(kept.key.stat().st_mode)[-3:] == "600"
    assert list(search(kept.store)) == []
    status, said, told = kept.reveal(LOGIN.upper())
    assert (status, said, told) == (0, f"{LOGIN}\n", "")
    assert kept.reveal(MAIL)[1] == f"{MAIL}\n"
    assert list(search(kept.store)) == []
    assert PASSPHRASE.encode() not in b"".join(
        path.read_bytes() for path in kept.folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"passphrase": "another one altogether"}, "is no key, or this is not its passphrase"),
        ({"reason": "because"}, "--reason: says too little"),
        ({"login": "nobody"}, "holds no name of this pseudonym"),
    ],
)
def test_without_right_or_reason_nothing_is_revealed(
    kept: Kept, wrong: dict[str, str], says: str
) -> None:
    status, said, told = kept.reveal(wrong.pop("login", LOGIN), **wrong)
    assert (status, said) == (1, "")
    assert says in told
    assert LOGIN not in told


def test_the_right_ends_and_is_renewed_by_who_holds_the_key(kept: Kept) -> None:
    yesterday = date.today() - timedelta(days=2)  # noqa: DTZ011 - a day more or less is no matter
    kept.change(f"UPDATE setting SET value = '{yesterday}' WHERE key = 'vault_until'")
    status, said, told = kept.reveal(LOGIN)
    assert (status, said) == (1, "")
    assert f"ended on {yesterday}" in told
    assert "may be revealed until" in kept.open("--days", "5")
    assert kept.reveal(LOGIN)[0] == 0
    audit = kept.run("privacy", "audit", "--store", kept.store, "--json").rows
    assert [row["action"] for row in audit] == ["vault", "vault", "reveal"]


def test_the_key_of_a_vault_lies_elsewhere(kept: Kept, tmp_path: Path) -> None:
    inside = ("privacy", "vault", kept.store / "reveal.pem", "--store", kept.store)
    told = kept.run(*inside, stdin=f"{PASSPHRASE}\n", ok=False).stderr
    assert "lies in the store" in told
    (tmp_path / "other").mkdir()
    _forgettable(kept.run, tmp_path / "other")
    other = Kept(tmp_path / "other", kept.run)
    other.open()
    other.key.replace(kept.key)
    assert "is the key of another vault" in kept.reveal(LOGIN)[2]
    short = ("privacy", "vault", tmp_path / "short.pem", "--store", other.store)
    other.run("privacy", "vault", "x", "--close", "--store", other.store)
    assert "12 characters" in kept.run(*short, stdin="short\n", ok=False).stderr


def test_the_report_tells_who_revealed_whom(kept: Kept) -> None:
    kept.reveal(LOGIN)
    done = kept.run("privacy", "audit", "--store", kept.store, "--json")
    made, told = done.rows
    assert told["pseudonym"] == kept.pseudonym(LOGIN)
    assert told["reason"] == REASON
    assert str(told["who"])
    assert told["previous"] == made["hash"]
    assert f"2 records, none changed. The last hash is {told['hash']}." in done.stderr
    report = kept.run("privacy", "report", "--store", kept.store).stdout
    assert "Names revealed so far: 1; no record was changed." in report
    assert f"`{kept.pseudonym(LOGIN)}`, because: {REASON}" in report
    assert "Clear names: 3, sealed." in report
    assert "Never kept: address, path" in report, "but names, under seal"


def _without_last(lines: list[str]) -> list[str]:
    return lines[:-1]


def _renamed(lines: list[str]) -> list[str]:
    return [line.replace("Case 12", "Case 13") for line in lines]


def _swapped(lines: list[str]) -> list[str]:
    return [lines[0], lines[2], lines[1]]


def _without_first(lines: list[str]) -> list[str]:
    return lines[1:]


def _garbage(lines: list[str]) -> list[str]:
    return [lines[0], "{", *lines[2:]]


def _written_anew(lines: list[str]) -> list[str]:
    """All hashes right, and one record less: only what the store knows tells."""
    from agent import audit

    folder = Path(os.environ["PYTEST_ANEW"])
    for line in lines[:-1]:
        held = json.loads(line)
        record = {key: value for key, value in held.items() if key in {"at", "who", "action"}}
        audit.append(folder, record | {"reason": held["reason"]})
    return (folder / audit.NAME).read_text().splitlines()


@pytest.mark.parametrize(
    "edit", [_without_last, _renamed, _swapped, _without_first, _garbage, _written_anew]
)
def test_a_record_cannot_be_edited_silently(
    kept: Kept,
    edit: Callable[[list[str]], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept.reveal(LOGIN)
    kept.reveal(MAIL)
    (tmp_path / "anew").mkdir()
    monkeypatch.setenv("PYTEST_ANEW", str(tmp_path / "anew"))
    path = kept.store / "audit.jsonl"
    path.write_text("\n".join(edit(path.read_text().splitlines())) + "\n")
    done = kept.run("privacy", "audit", "--store", kept.store, ok=False)
    assert done.returncode == 1
    assert "audit.jsonl: was" in done.stderr
    status, said, _ = kept.reveal(LOGIN)
    assert (status, said) == (1, ""), "nothing is revealed on a broken record"
    assert "the record was" in kept.run("privacy", "report", "--store", kept.store).stdout


def test_a_missing_record_is_missed(kept: Kept) -> None:
    kept.reveal(LOGIN)
    (kept.store / "audit.jsonl").unlink()
    done = kept.run("privacy", "audit", "--store", kept.store, ok=False)
    assert "the store knows of 2 records" in done.stderr


def test_a_name_goes_with_the_person_the_key_and_the_vault(kept: Kept) -> None:
    kept.run("privacy", "forget", "--store", kept.store, stdin=LOGIN)
    assert kept.names() == 1
    people = ("--people", kept.folder / "people.csv")
    kept.run("privacy", "rotate-key", "--store", kept.store, *people)
    assert kept.names() == 0
    kept.scan()
    kept.run("privacy", "destroy-key", "--store", kept.store, "--for-good")
    assert kept.names() == 0


def test_a_vault_is_closed_with_all_its_names(kept: Kept) -> None:
    assert "3 names thrown away" in kept.open("--close")
    assert kept.names() == 0
    assert "keeps no clear names" in kept.reveal(LOGIN)[2]
