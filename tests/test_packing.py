"""Logs in archives: each member is a log of its own, read once, and no archive is a trap."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import files, packing
from agent.errors import LogError, Problem
from tests.conftest import Run

Pack = Callable[[Mapping[str, bytes]], bytes]


def line(number: int) -> bytes:
    start = f"{1772438400 + number}.000    845 192.0.2.{number % 200} TCP_TUNNEL/200 6295 CONNECT"
    return f"{start} app.slack.com:443 user{number % 9} HIER_DIRECT/203.0.113.7 -\n".encode()


LOG = b"".join(map(line, range(4000)))
HALVES = {"squid/access.log.1": LOG[: LOG.index(b"\n", len(LOG) // 2) + 1]}
HALVES["squid/access.log"] = LOG[len(HALVES["squid/access.log.1"]) :]


def zipped(content: Mapping[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 2, 9, 0, 0)), text, how)
    return made.getvalue()


def tarred(content: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, text in content.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), 1_772_900_000
            archive.addfile(info, io.BytesIO(text))
    return made.getvalue()


PACKS: dict[str, Pack] = {
    "a.zip": zipped,
    "stored.zip": lambda content: zipped(content, zipfile.ZIP_STORED),
    "lzma.zip": lambda content: zipped(content, zipfile.ZIP_LZMA),
    "a.tar": tarred,
    "gnu.tar": lambda content: tarred(content, tarfile.GNU_FORMAT),
    "old.tar": lambda content: tarred(content, tarfile.USTAR_FORMAT),
    "a.tar.gz": lambda content: gzip.compress(tarred(content)),
    "a.tgz": lambda content: gzip.compress(tarred(content)),
    "a.tar.zst": lambda content: zstandard.compress(tarred(content)),
    "a.tar.bz2": lambda content: bz2.compress(tarred(content)),
    "a.tar.xz": lambda content: lzma.compress(tarred(content)),
    "of-gz.tar": lambda content: tarred({f"{n}.gz": gzip.compress(t) for n, t in content.items()}),
    "of-gz.zip": lambda content: zipped({f"{n}.gz": gzip.compress(t) for n, t in content.items()}),
}


def found(path: Path) -> tuple[list[files.LogFile], list[str]]:
    problems: list[Problem] = []
    return list(files.find([path], problems)), [str(problem) for problem in problems]


def text_of(log: files.LogFile) -> bytes:
    return b"".join(bytes(block.text) for block in files.blocks(log))


@pytest.mark.parametrize("name", PACKS)
def test_each_member_is_a_log_of_its_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / "logs" / name
    path.parent.mkdir()
    path.write_bytes(PACKS[name](HALVES))
    logs, problems = found(tmp_path)
    ends = ".gz" if name.startswith("of-gz") else ""
    assert [log.name for log in logs] == [f"logs/{name}/{member}{ends}" for member in HALVES]
    assert [log.folder for log in logs] == ["logs", "logs"]
    assert [text_of(log) for log in logs] == list(HALVES.values())
    # In any order, once more, and after a look at the start.
    assert files.head(logs[1])[:80] == HALVES["squid/access.log"][:80]
    assert files.head(logs[0])[:80] == LOG[:80]
    assert [text_of(log) for log in reversed(logs)] == list(reversed(HALVES.values()))
    assert problems == []
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar", "of-gz.tar"])
def test_a_log_counts_once_packed_and_unpacked(name: str, run: Run, tmp_path: Path) -> None:
    """Identity is content: in whichever order the archive and its files are met."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(PACKS[name](HALVES))
    (first,) = run("scan", tmp_path / "in", "--store", tmp_path / "s", "--json").rows
    assert (first["files"], first["lines"], first["rejects"]) == (2, 4000, 0)
    (again,) = run("scan", tmp_path / "in", "--store", tmp_path / "s", "--json").rows
    assert (again["unchanged"], again["lines"]) == (2, 0)
    for member, text in HALVES.items():
        (tmp_path / "in" / Path(member).name).write_bytes(text)
    (later,) = run("scan", tmp_path / "in", "--store", tmp_path / "s", "--json").rows
    assert (later["files"], later["unchanged"], later["lines"]) == (4, 4, 0)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.zst"])
def test_an_archive_that_breaks_off_gives_what_is_there_and_later_the_rest(
    name: str, run: Run, tmp_path: Path
) -> None:
    packed = PACKS[name](HALVES)
    path = tmp_path / "logs" / name
    path.parent.mkdir()
    path.write_bytes(packed[: len(packed) * 3 // 4])
    done = run("scan", path, "--store", tmp_path / "s", "--json", ok=False)
    (row,) = done.rows
    assert 2000 <= int(str(row["lines"])) < 4000
    assert "in the middle" in done.stderr
    assert "Traceback" not in done.stderr
    path.write_bytes(packed)
    os.utime(path, (1_772_999_999, 1_772_999_999))
    (rest,) = run("scan", path, "--store", tmp_path / "s", "--json").rows
    assert int(str(row["lines"])) + int(str(rest["lines"])) == 4000


def test_a_zip_that_breaks_off_is_one_line(tmp_path: Path) -> None:
    """The list of its members stands at the end."""
    (tmp_path / "a.zip").write_bytes(zipped(HALVES)[:-300])
    logs, (problem,) = found(tmp_path)
    assert logs == []
    assert "a.zip: is a zip file whose end" in problem
    assert "fetch it again" in problem


@pytest.mark.parametrize("inner", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("outer", ["a.zip", "a.tar", "a.tar.gz"])
def test_an_archive_in_an_archive_is_refused_and_the_rest_is_read(
    outer: str, inner: str, tmp_path: Path
) -> None:
    content = {"inner": PACKS[inner](HALVES), "plain.log": LOG}
    (tmp_path / outer).write_bytes(PACKS[outer](content))
    (nested, plain), problems = found(tmp_path)
    assert problems == []
    with pytest.raises(LogError, match=f"{outer}/inner: is an archive inside an archive; unpack"):
        files.head(nested)
    assert text_of(plain) == LOG


def test_an_encrypted_member_is_refused_with_a_cure_and_the_rest_is_read(tmp_path: Path) -> None:
    packed = bytearray(zipped({"secret.log": LOG, "open.log": LOG}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = packed.index(mark) + at
        packed[place : place + 2] = struct.pack("<H", 1)
    (tmp_path / "a.zip").write_bytes(packed)
    logs, problems = found(tmp_path)
    cure = "is encrypted; unpack it with its password and scan that."
    assert problems == [f"a.zip/secret.log: {cure}"]
    assert [text_of(log) for log in logs] == [LOG]


def test_a_way_of_packing_that_is_not_read_is_refused(tmp_path: Path) -> None:
    packed = bytearray(zipped({"new.log": LOG}))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = packed.index(mark) + at
        packed[place : place + 2] = struct.pack("<H", 9)
    (tmp_path / "a.zip").write_bytes(packed)
    ((log,), _) = found(tmp_path)
    with pytest.raises(LogError, match=r"a.zip/new.log: is packed in a way that is not read here"):
        files.head(log)


BOMB = (b"0123456789" * 1600 + b"\n") * 5000
"""80 MB of which gzip makes a fifth of a megabyte."""


@pytest.mark.parametrize("name", ["b.zip", "b.tar.gz", "b.tar.zst", "b.gz", "b.xz"])
def test_a_bomb_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    """By its list where it has one, else as soon as it has grown too much."""
    content = {"bomb.log": BOMB}
    packed = {
        "b.zip": lambda: zipped(content, zipfile.ZIP_DEFLATED),
        "b.tar.gz": lambda: gzip.compress(tarred(content)),
        "b.tar.zst": lambda: zstandard.compress(tarred(content)),
        "b.gz": lambda: gzip.compress(BOMB),
        "b.xz": lambda: lzma.compress(BOMB, preset=0),
    }[name]()
    (tmp_path / name).write_bytes(packed)
    del packed
    tracemalloc.start()
    logs, problems = found(tmp_path)
    for log in logs:
        size = sum(len(block.text) for block in files.blocks(log, size=1 << 20))
        assert size < len(BOMB)
        problems.append(f"{log.name}: {log.truncated}; {log.rest}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 160 << 20
    (problem,) = problems
    assert "grows more than 300 times when it is unpacked, as no log does" in problem
    assert "left out" in problem


def test_a_bomb_is_named_by_the_scan_which_goes_on(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_bytes(LOG)
    (tmp_path / "logs" / "b.gz").write_bytes(gzip.compress(LOG + BOMB))
    (tmp_path / "logs" / "c.zip").write_bytes(zipped({"bomb": BOMB}))
    done = run("scan", tmp_path / "logs", "--store", tmp_path / "s", "--json", ok=False)
    assert done.stderr.count("grows more than 300 times") == 2
    (row,) = done.rows
    assert int(str(row["events"])) >= 4000


def test_too_many_files_and_holes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_FILES", 20)
    many = {f"{number}.log": b"x\n" for number in range(30)}
    (tmp_path / "a.zip").write_bytes(zipped(many))
    (tmp_path / "b.tgz").write_bytes(gzip.compress(tarred(many)))
    logs, problems = found(tmp_path)
    assert logs == []
    assert [problem.partition(" or ")[0] for problem in problems] == [
        "a.zip: holds more than 20 files",
        "b.tgz: holds more than 20 files",
    ]
    sparse = bytearray(tarred({"hole.log": b"x" * 512}, tarfile.GNU_FORMAT))
    sparse[156:157] = b"S"  # GNU's type for a file with holes
    sparse[386:483] = bytes(97)
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse[:512])
    (tmp_path / "c.tar").write_bytes(sparse)
    logs, problems = found(tmp_path / "c.tar")
    assert logs == []
    assert problems == ["c.tar/hole.log: has holes, as no log has."]


def test_a_header_that_would_fill_memory_is_refused(tmp_path: Path) -> None:
    """A tar may announce a name of gigabytes."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert found(tmp_path) == (
        [],
        ["a.tar: has a header of more than a megabyte, as no tar of logs has; it is left out."],
    )


@pytest.mark.parametrize(
    ("inside", "name"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/var/log/squid/access.log", "var/log/squid/access.log"),
        ("C:\\logs\\a.log", "C:/logs/a.log"),
        ("./a//b/./c.log", "a/b/c.log"),
        ("Zoë – Büro.log", "Zoë – Büro.log"),
        ("a\nb\x1b[31m.log", "a\nb\x1b[31m.log"),
        ("x" * 300 + ".log", "x" * 300 + ".log"),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_path_inside_is_a_name_and_no_place(
    pack: Pack, inside: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pack").write_bytes(pack({inside: LOG, ".hidden": LOG, "..": LOG}))
    ((log,), problems) = found(tmp_path / "in")
    assert log.name == f"a.pack/{name}"
    assert text_of(log) == LOG
    assert problems == []
    assert {path.name for path in tmp_path.rglob("*")} == {"in", "a.pack"}


def test_links_and_folders_inside_hold_nothing(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for kind, name in (
            (tarfile.SYMTYPE, "link"),
            (tarfile.LNKTYPE, "hard"),
            (tarfile.DIRTYPE, "folder"),
            (tarfile.FIFOTYPE, "pipe"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    (tmp_path / "a.tar").write_bytes(made.getvalue())
    assert found(tmp_path) == ([], [])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(PACKS)), st.integers(0, 10**9), st.binary(max_size=30))
def test_a_damaged_archive_is_a_line_and_no_crash(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, noise: bytes
) -> None:
    packed = bytearray(PACKS[name]({"a.log": LOG[:3000], "b.log": LOG[3000:9000]}))
    place = at % len(packed)
    packed[place : place + len(noise)] = noise
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_bytes(packed)
    for log in found(path)[0]:
        with suppress(LogError):
            files.head(log)
            assert len(text_of(log)) < 100_000


def test_sources_match_inside_archives(tmp_path: Path) -> None:
    (tmp_path / "berlin").mkdir()
    (tmp_path / "berlin" / "a.zip").write_bytes(zipped({"squid/access.log": LOG}))
    ((log,), _) = found(tmp_path)
    for pattern in ("berlin/*", "*/squid/*", "berlin/a.zip/squid/*.log"):
        assert files.matches(log, pattern)
    assert not files.matches(log, "squid/*.txt")
    assert log.dated.isoformat() == "2026-03-02"


def test_a_folder_of_many_archives_keeps_few_of_them_open(tmp_path: Path) -> None:
    for number in range(40):
        pack, end = (zipped, "zip") if number % 2 else (tarred, "tar")
        (tmp_path / f"{number:02d}.{end}").write_bytes(pack({"a.log": LOG, "b.log": LOG[:999]}))
    before = len(list(Path("/proc/self/fd").iterdir()))
    logs, _ = found(tmp_path)
    assert len(logs) == 80
    for log in logs:
        files.head(log)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
