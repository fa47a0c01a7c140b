"""Whatever a log is packed in or encoded as, the reader hands out the same whole lines."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import files
from agent.errors import LogError, Problem

LINES = b"".join(b"line %d of a log\n" % number for number in range(5000))


def log_of(folder: Path, content: bytes, name: str = "a.log") -> files.LogFile:
    path = folder / name
    path.write_bytes(content)
    return files.LogFile(path, name, len(content))


def text_of(log: files.LogFile, start: int = 0, size: int = files.BLOCK) -> bytes:
    """All text of a file; along the way blocks must join up."""
    text, end = b"", start
    for block in files.blocks(log, start, size):
        assert block.text[-1:] == b"\n"
        assert block.start == end
        text, end = text + bytes(block.text), block.end
    return text


def zstd(text: bytes) -> bytes:
    """With a checksum, as the program of that name writes it."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "gzip": gzip.compress,
    "gzip, two members": lambda text: gzip.compress(text[:999]) + gzip.compress(text[999:]),
    "gzip, padded": lambda text: gzip.compress(text) + bytes(512),
    "gzip, an empty member first": lambda text: gzip.compress(b"") + gzip.compress(text),
    "zstd": zstd,
    "zstd, two frames": lambda text: zstd(text[:999]) + zstd(text[999:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packed", PACKED)
def test_packing_does_not_show(packed: str, tmp_path: Path) -> None:
    """Text, offsets and digests are those of the plain file."""
    log = log_of(tmp_path, PACKED[packed](LINES))
    assert text_of(log) == LINES
    assert log.truncated is None
    assert files.head(log) == LINES[: files.HEAD]
    at = 5000
    assert files.tail_digest(log, at) == files.digest(LINES[at - files.TAIL : at])
    assert files.tail_digest(log, len(LINES) + 1) == ""


@pytest.mark.parametrize("pack", [gzip.compress, zstd, bz2.compress, lzma.compress])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_an_unfinished_file_gives_its_whole_lines(
    pack: Callable[[bytes], bytes], share: float, tmp_path: Path
) -> None:
    """What is there is read but for the broken last line, and the file is known as unfinished."""
    text = os.urandom(150_000).hex().encode()
    text = b"\n".join(text[at : at + 99] for at in range(0, len(text), 99)) + b"\n"
    packed = pack(text)
    log = log_of(tmp_path, packed[: int(len(packed) * share)])
    found = text_of(log)
    assert text.startswith(found)
    assert log.truncated == "ends in the middle of a compressed block"
    if pack is gzip.compress:  # the others pack in blocks as large as this text
        assert len(found) > len(text) * share - 70_000


@pytest.mark.parametrize("pack", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_a_damaged_file_gives_what_came_before(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """No exception, and no word of what is damaged."""
    whole, broken = pack(LINES), bytearray(pack(LINES))
    for at in range(len(broken) // 2, len(broken) // 2 + 40):
        broken[at] ^= 0xFF
    log = log_of(tmp_path, whole + bytes(broken))
    assert text_of(log).startswith(LINES)
    assert log.truncated is not None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"\xef\xbb\xbfa\nb\n", b"a\nb\n", id="UTF-8 with a mark"),
        pytest.param("ä\r\nb\n".encode("utf-16"), "ä\nb\n".encode(), id="UTF-16 with a mark"),
        pytest.param(
            b"\xfe\xff" + "ä\nb\n".encode("utf-16-be"), "ä\nb\n".encode(), id="big-endian"
        ),
        pytest.param("ab cd ef\n".encode("utf-16-le"), b"ab cd ef\n", id="little-endian, no mark"),
        pytest.param("ab cd ef\n".encode("utf-16-be"), b"ab cd ef\n", id="big-endian, no mark"),
        pytest.param("Müller ".encode() + b"M\xfcller\n", "Müller Müller\n".encode(), id="Latin-1"),
        pytest.param(b"a\r\nb\rc\r\n", b"a\nb c\n", id="carriage returns"),
        pytest.param(b"a\0b\n", "a\N{REPLACEMENT CHARACTER}b\n".encode(), id="NUL"),
        pytest.param(b"a\nb", b"a\nb\n", id="no line end"),
        pytest.param(
            "a\u2028b\x0bc\x85d\n".encode(), "a\u2028b\x0bc\x85d\n".encode(), id="no ends"
        ),
        pytest.param(b"", b"", id="nothing"),
    ],
)
def test_encodings_come_out_as_utf_8(content: bytes, text: bytes, tmp_path: Path) -> None:
    assert text_of(log_of(tmp_path, content)) == text


def test_an_unfinished_last_line_is_marked(tmp_path: Path) -> None:
    """It comes last and alone, so that it can be taken back when the file has grown."""
    found = files.blocks(log_of(tmp_path, b"one\ntwo\nthr"))
    first = next(found)
    assert (bytes(first.text), first.terminated, first.end) == (b"one\ntwo\n", True, 8)
    (last,) = found
    assert (bytes(last.text), last.terminated, last.start) == (b"thr\n", False, 8)


def test_reading_goes_on_from_an_offset(tmp_path: Path) -> None:
    """Also inside a packed file, with the trail of what came before."""
    log = log_of(tmp_path, gzip.compress(LINES))
    start = LINES.index(b"line 3000")
    (block,) = files.blocks(log, start)
    assert bytes(block.text) == LINES[start:]
    assert block.trail == LINES[-files.TAIL :]
    (earlier, *_) = files.blocks(log, 10, size=20)
    assert earlier.trail == LINES[: earlier.end][-files.TAIL :]


@pytest.mark.parametrize("length", [3_000_000, 70_000_000])
def test_an_endless_line_is_shortened(length: int, tmp_path: Path) -> None:
    """Its neighbours stay whole, offsets count all of it, and its end is known again later."""
    content = b"before\n" + b"x" * (length - 9) + b"123456789\nafter\nopen"
    log = log_of(tmp_path, content)
    found = [replace(block, text=bytes(block.text)) for block in files.blocks(log, size=1 << 24)]
    lines = b"".join(block.text for block in found).split(b"\n")
    assert [lines[0], *lines[2:]] == [b"before", b"after", b"open", b""]
    assert files.LONGEST_LINE <= len(lines[1]) < 4 * files.LONGEST_LINE
    assert found[-1].end == len(content)
    done = [block for block in found if block.terminated]
    assert done[-1].end == len(content) - 4
    for block in done:
        assert files.tail_digest(log, block.end) == files.digest(block.trail)


def test_a_shortened_line_is_still_text(tmp_path: Path) -> None:
    """No character is cut in two, neither there nor at the end of a head."""
    log = log_of(tmp_path, b"a" + "ä".encode() * 2_000_000 + b"\n")
    text_of(log).decode()
    files.head(log).decode()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"ab\r\n\0", "ä", "€", "🌞"]).map(str.encode) | st.binary(max_size=3)
    ),
    st.lists(st.integers(0, 60), max_size=8),
    st.booleans(),
)
def test_pieces_do_not_matter(parts: list[bytes], cuts: list[int], wide: bool) -> None:  # noqa: FBT001
    """However a text is cut into pieces, what comes out clean is the same."""
    text = b"".join(parts)
    if wide:
        text = text.decode("latin-1").encode("utf-16")
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})

    def clean(pieces: list[bytes]) -> bytes:
        cleaner = files._Cleaner()
        # The encoding is settled before the text is cut.
        lead = b"\xff\xfe" + b"a\0" * files.HEAD if wide else b"a" * files.HEAD
        fed = [cleaner.feed(piece) for piece in (lead, *pieces)]
        return b"".join(fed) + cleaner.feed(b"", final=True)

    starts = [0, *ends[:-1]]
    assert clean([text]) == clean([text[a:b] for a, b in zip(starts, ends, strict=True)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=30), st.integers(1, 40), st.integers(0, 30))
def test_block_sizes_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, skipped: int
) -> None:
    """Blocks of any size, from any line on, hold the same lines."""
    log = log_of(tmp_path_factory.getbasetemp(), b"\n".join(lines), "sizes.log")
    whole = text_of(log)
    assert text_of(log, size=size) == whole
    start = len(b"".join(whole.splitlines(keepends=True)[:skipped]))
    if start < len(whole):
        assert text_of(log, start, size) == whole[start:]


@pytest.mark.parametrize("content", [os.urandom(5000), b"\x7fELF" + bytes(5000), bytes(5000)])
def test_what_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"a.log: is not text"):
        files.head(log_of(tmp_path, content))


def test_find_takes_each_file_once_and_in_order(tmp_path: Path) -> None:
    """Links that lead round in a circle or to the same file are no trouble."""
    for name in ("b/2.log", "b/10.log", "a/1.log", ".hidden/3.log", "a/.4.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    (tmp_path / "c.log").symlink_to(tmp_path / "a" / "1.log")
    problems: list[Problem] = []
    found = files.find([tmp_path, tmp_path / "b"], problems)
    assert [log.name for log in found] == ["a/1.log", "b/10.log", "b/2.log"]
    assert problems == []


def test_find_names_what_it_cannot_read_and_goes_on(tmp_path: Path) -> None:
    """A pipe, a socket, a link into nothing, a name that does not exist."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone.log").symlink_to(tmp_path / "nothing")
    (tmp_path / "z.log").write_text("z")
    problems: list[Problem] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        found = list(files.find([tmp_path, tmp_path / "no-such"], problems))
    assert [log.name for log in found] == ["z.log"]
    assert [(Path(p.where).name, p.message) for p in problems] == [
        ("gone.log", "cannot be read: No such file or directory."),
        ("pipe", "is not a regular file; it is left out."),
        ("socket", "is not a regular file; it is left out."),
        ("no-such", "cannot be read: No such file or directory."),
    ]


def test_a_file_that_was_rotated_meanwhile_waits_for_the_next_scan(tmp_path: Path) -> None:
    """Else the head of one file would be taken with the text of another."""
    path = tmp_path / "a.log"
    path.write_text("old\n")
    (log,) = files.find([path], [])
    path.rename(tmp_path / "a.log.1")
    path.write_text("new\n")
    with pytest.raises(LogError, match="was rotated meanwhile"):
        files.head(log)


def test_reading_ahead_gives_the_same_blocks(tmp_path: Path) -> None:
    log = log_of(tmp_path, LINES)

    def whole() -> Iterator[files.Block]:
        for block in files.blocks(log, size=500):
            yield replace(block, text=bytes(block.text))

    assert list(files.ahead(whole())) == list(whole())


def test_reading_ahead_passes_errors_on(tmp_path: Path) -> None:
    gone = files.LogFile(tmp_path / "gone", "gone")
    with pytest.raises(LogError, match="gone: cannot be read: No such file"):
        list(files.ahead(files.blocks(gone)))


def test_reading_ahead_ends_its_thread(tmp_path: Path) -> None:
    """Also where nobody wants the rest."""

    def endless() -> Iterator[files.Block]:
        while True:
            yield from files.blocks(log)

    log = log_of(tmp_path, LINES)
    before = threading.active_count()
    for _ in files.ahead(endless()):
        break
    assert threading.active_count() == before


def test_a_file_is_recognised_by_whole_lines() -> None:
    """Half a character or half a line end at the end of a head is not what it will be."""
    assert files.identity(b"one\ntwo\nthr\xc3") == b"one\ntwo\n"
    assert files.identity(b"a line that has no end yet") == b"a line that has no"
    assert files.identity(b"short") == b"short"
    lengths = [0, 3, 5, 99]
    found = files.digests(b"abcde", lengths)
    assert found == {length: files.digest(b"abcde"[:length]) for length in (0, 3, 5)}
