r"""Finding log files and handing out their text: decompressed, decoded, in blocks of whole lines.

Whatever a file is packed or encoded in, what leaves this room is UTF-8 with ``\n`` line ends, so
that no later stage knows of gzip, byte order marks, stray carriage returns or arrays of events.
Offsets count bytes of that clean text: a log and its compressed or renamed copy are the same text,
hence the same file.
Only a capture is no text; its bytes leave as they are.
"""

from __future__ import annotations

import codecs
import hashlib
import mmap
import os
import queue
import re
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from agent import elements, packing
from agent.errors import LogError, Problem
from agent.model import Clean

BLOCK = 1 << 26
"""Bytes of text read at once: large enough that SQL is fast, small enough to stay in memory."""
HEAD = 1 << 16
"""Bytes at the start of a text that identify it, and that detection looks at."""
TAIL = 1 << 12
"""Bytes before the end of what was read that must still be there when a file has grown."""
LONGEST_LINE = 1 << 20
"""Bytes; a longer line is cut here, and the parser rejects it."""

UNFINISHED = "the rest will be read when the file is complete"
_DATE_IN_NAME = re.compile(r"(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)")
_BINARY_SHARE = 0.1
_SHORT = 4
"""Bytes of a digest of which a ledger keeps one for each line of a head."""
_PIECE = 1 << 22
"""Bytes of a plain file that are read at once."""
_PACKED_PIECE = 1 << 16
"""... and of a compressed one."""
_CAPTURE = re.compile(
    rb"\xd4\xc3\xb2\xa1|\xa1\xb2\xc3\xd4|\x4d\x3c\xb2\xa1|\xa1\xb2\x3c\x4d"
    rb"|\x0a\x0d\x0d\x0a[\0-\xff]{4}(?:\x4d\x3c\x2b\x1a|\x1a\x2b\x3c\x4d)"
)
"""The first bytes of pcap, of either byte order and clock, and of pcapng."""


_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of one log file."""

    text: Clean
    """UTF-8, each line ended by ``\\n``. It is there until the next block is asked for."""
    start: int
    """Offset of the first byte in the clean text of the file."""
    end: int
    """Offset just behind the last byte; the next block starts here."""
    trail: bytes
    """The last TAIL bytes of clean text before ``end``."""
    terminated: bool = True
    """False for a last line that has no line end yet; it may still be growing."""


@dataclass(slots=True)
class LogFile:
    """One log file on disk, and what was met while reading it."""

    path: Path
    name: str
    """The path below the scanned folder, with ``/``; for settings and messages."""
    size: int = 0
    """Bytes on disk, or in the archive that it lies in."""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    inode: tuple[int, int] | None = None
    """Which file it was when it was found; a rotation may put another one in its place."""
    position: int = 0
    """Bytes on disk that were read so far."""
    truncated: str | None = None
    """Why reading stopped before the end (an unfinished gzip), None where it did not."""
    rest: str = UNFINISHED
    """What becomes of the part behind that."""
    member: packing.Member | None = None
    """Which file of the archive ``path`` this is; None for a file of its own."""

    @property
    def folder(self) -> str:
        """The first folder of the name, below the scanned folder; an archive is none."""
        name = self.name.removesuffix(f"/{self.member.name}") if self.member else self.name
        return name.partition("/")[0] if "/" in name else ""

    @property
    def dated(self) -> date:
        """The day the file was closed: from its name, else from its modification time.

        >>> LogFile(Path("a"), "dns/query.log-20260315.gz").dated
        datetime.date(2026, 3, 15)
        """
        for year, month, day in reversed(_DATE_IN_NAME.findall(Path(self.name).name)):
            try:
                return date(int(year), int(month), int(day))
            except ValueError:
                continue
        return self.modified.date()


def find(paths: Sequence[Path], problems: list[Problem]) -> Iterator[LogFile]:
    """Yield each log file below ``paths`` once, in name order.

    Hidden files are left out; links to a folder that was already visited are not followed twice.
    Each file of an archive is a log file, as ``archive.zip/member.log``. What cannot be read
    becomes a problem, and the rest goes on.
    """
    seen: set[tuple[int, int]] = set()
    desk = packing.Desk()
    for root in paths:
        base = root if root.is_dir() else root.parent
        for log in _walk(root, base, seen, problems):
            yield from _unfolded(log, desk, problems)


def _unfolded(log: LogFile, desk: packing.Desk, problems: list[Problem]) -> Iterator[LogFile]:
    """Yield the files of an archive, or the file itself where it is none."""

    def refused(name: str, why: str) -> None:
        problems.append(Problem(f"{log.name}/{name}", f"{why}."))

    try:
        found = packing.members(lambda: _disk(log), desk, refused)
    except packing.TrapError as error:
        problems.append(Problem(log.name, f"{error}; it is left out."))
        return
    except (LogError, OSError):
        found = None  # whoever reads it says what is wrong
    if found is None:
        yield log
        return
    for member in found:
        name, modified = f"{log.name}/{member.name}", member.modified or log.modified
        size = member.size - member.missing
        yield LogFile(log.path, name, size, modified, log.inode, member=member)


def _walk(
    path: Path, base: Path, seen: set[tuple[int, int]], problems: list[Problem]
) -> Iterator[LogFile]:
    try:
        info = path.stat()
        if (info.st_dev, info.st_ino) in seen:
            return
        seen.add((info.st_dev, info.st_ino))
        if stat.S_ISDIR(info.st_mode):
            for child in sorted(path.iterdir()):
                if not child.name.startswith("."):
                    yield from _walk(child, base, seen, problems)
        elif stat.S_ISREG(info.st_mode):
            modified = datetime.fromtimestamp(info.st_mtime, UTC)
            name = os.fsencode(path.relative_to(base).as_posix()).decode("utf-8", "replace")
            inode = (info.st_dev, info.st_ino)
            yield LogFile(path, name, info.st_size, modified, inode)
        else:
            problems.append(Problem(str(path), "is not a regular file; it is left out."))
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {_why(error)}."))


def matches(log: LogFile, pattern: str) -> bool:
    """Tell whether a file's name below the scanned folder, or its whole path, fits a pattern.

    The end of the path will do, so that a source is itself whichever folder the scan was given.

    >>> matches(LogFile(Path("x"), "berlin/squid/access.log.1"), "berlin/*")
    True
    >>> matches(LogFile(Path("/logs/berlin/access.log"), "access.log"), "berlin/*")
    True
    """
    inside = f"/{log.member.name}" if log.member else ""
    path = f"{log.path.absolute().as_posix()}{inside}"
    return fnmatch(log.name, pattern) or fnmatch(path, pattern) or fnmatch(path, f"*/{pattern}")


def head(log: LogFile) -> bytes:
    """Return up to HEAD bytes of clean text from the start of a file.

    Raises LogError when the file cannot be opened, holds no text, or breaks off before any.
    """
    text, clean = b"", _Cleaner()
    for piece in _pieces(log, clean):
        text += piece
        if len(text) >= HEAD:
            break
    if clean.binary:
        raise LogError(Problem(log.name, "is not text; no format reads it, it is left out."))
    if log.truncated and not text:
        raise LogError(Problem(log.name, f"{log.truncated} before its first line; fetch it again."))
    if holds_packets(text):
        return text[:HEAD]
    # No character is cut in two.
    return text[:HEAD].decode("utf-8", "ignore").encode()


def telling(log: LogFile, head: bytes) -> bytes:
    """Return the first lines that can tell a format: of one endless line, what stands behind it."""
    if b"\n" in head:
        return head
    # The last line of a file may be without an end, and so a block of its own.
    begun = b"".join(bytes(block.text) for block in islice(blocks(log), 2))
    return begun.partition(b"\n")[2][:HEAD] or head


def holds_packets(start: bytes) -> bool:
    """Tell whether a file that starts so is a capture: its bytes are packets and no text."""
    return _CAPTURE.match(start) is not None


def raw(log: LogFile) -> Iterator[bytes]:
    """Yield the bytes of a capture, unpacked; see ``blocks`` for what may go wrong."""
    return _pieces(log)


def is_whole(head: bytes) -> bool:
    """Tell whether a head is all that a file holds: a full one may lack a character cut in two."""
    return len(head) <= HEAD - 4


def identity(start: bytes) -> bytes:
    """Return what of a head stays as it is when the file grows: its whole lines.

    The end of a single unfinished line may be half a character or half a line end.
    """
    return start[: start.rfind(b"\n") + 1] or start[:-8] or start


def digest(text: bytes) -> str:
    """Return a short digest that identifies a stretch of text."""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def digests(text: bytes, lengths: Iterable[int]) -> dict[int, str]:
    """Return the digest of the beginning of a text for each of some lengths that it has."""
    found, running, position = {}, hashlib.blake2b(digest_size=16), 0
    for length in sorted(set(lengths)):
        if length <= len(text):
            running.update(text[position:length])
            found[length], position = running.hexdigest(), length
    return found


def beginnings(start: bytes) -> bytes:
    """Return a short digest for each line of a head: of the head up to the end of that line."""
    running, found = hashlib.blake2b(digest_size=_SHORT), bytearray()
    for line in start.splitlines(keepends=True):
        running.update(line)
        found += running.digest() if line.endswith(b"\n") else b""
    return bytes(found)


def beginning(start: bytes) -> tuple[slice, bytes]:
    """Return where the ``beginnings`` of a longer head tell of some lines, and what if these."""
    end = _SHORT * start.count(b"\n")
    short = hashlib.blake2b(start, digest_size=_SHORT).digest()
    return slice(max(0, end - _SHORT), end), short


def tail_digest(log: LogFile, consumed: int) -> str:
    """Return the digest of the TAIL bytes of clean text that end at ``consumed``.

    An empty string where the text is shorter than that.
    """
    kept, position = b"", 0
    for piece in _pieces(log):
        need = consumed - position
        kept = (kept + piece[:need])[-TAIL:]
        position += len(piece)
        if position >= consumed:
            return digest(kept)
    return ""


def blocks(log: LogFile, start: int = 0, size: int = BLOCK) -> Iterator[Block]:
    """Yield the text of a file from offset ``start`` as blocks of whole lines.

    The last block is unterminated where the file does not end in a line end. Sets
    ``log.truncated`` when a compressed file stops in the middle. Raises LogError when the file
    cannot be opened.
    """
    room, used = _room(size + _PIECE), 0
    position, skip, dropped, trail = start, start, 0, b""

    def cut_off(cut: int, *, terminated: bool = True) -> Block:
        nonlocal position, dropped, trail
        end, trail = position + cut + dropped, (trail + room[max(0, cut - TAIL) : cut])[-TAIL:]
        text = _resized(room, cut if terminated else cut + 1)
        if not terminated:
            text[cut:] = b"\n"
        block = Block(_shorten(text), position, end, trail, terminated)
        position, dropped = end, 0
        return block

    for piece in _pieces(log):
        trail, fresh = (trail + piece[:skip])[-TAIL:], piece[skip:]
        skip = max(0, skip - len(piece))
        if used + len(fresh) > len(room):
            room = _resized(room, used + len(fresh))
        room[used : used + len(fresh)] = fresh
        used += len(fresh)
        if used < size:
            continue
        cut = room.rfind(b"\n", 0, used) + 1
        rest = room[cut:used]
        if cut:
            yield cut_off(cut)
        elif len(rest) > LONGEST_LINE:
            # One endless line: its start is enough to reject it, and memory stays bounded. Its
            # end may become the trail.
            kept = rest[:LONGEST_LINE] + rest[-TAIL:]
            dropped += max(0, len(rest) - len(kept))
            rest = min(rest, kept, key=len)
        # The same memory again: what was given back to the system takes long to touch anew.
        room = _resized(room, max(size, len(rest)) + _PIECE)
        room[: len(rest)], used = rest, len(rest)
    cut = room.rfind(b"\n", 0, used) + 1
    rest = room[cut:used]
    if cut:
        yield cut_off(cut)
    if rest and not log.truncated:
        room = _resized(room, len(rest) + 1)
        room[: len(rest)] = rest
        yield cut_off(len(rest), terminated=False)


def _room(size: int) -> mmap.mmap:
    """Return memory for a text, in large pages where the system has such.

    To touch the usual small ones for the first time takes longer than to read a log into them.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux":
        with suppress(OSError):
            room.madvise(mmap.MADV_HUGEPAGE)
    return room


def _resized(room: mmap.mmap, size: int) -> mmap.mmap:
    """Return memory with the same start and another size; the one that is given is used up."""
    try:
        room.resize(size)
    except SystemError:  # not every system can
        other = _room(size)
        kept = min(len(room), size)
        other[:kept] = room[:kept]
        return other
    return room


def ahead(stream: Iterator[_Item]) -> Iterator[_Item]:
    """Read the next block in a thread while the last one is being worked on.

    No third one is begun before: blocks are large. The text of a ``Block`` would be gone by then.
    """
    ready: queue.Queue[_Item | BaseException | None] = queue.Queue()
    taken, stopped = threading.Semaphore(), threading.Event()

    def read() -> None:
        try:
            while taken.acquire() and not stopped.is_set():
                item = next(stream, None)
                ready.put(item)
                if item is None:
                    return
                del item
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            ready.put(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            taken.release()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        taken.release()
        thread.join()


def _shorten(text: Clean) -> Clean:
    """Cut lines that are longer than LONGEST_LINE, looking only where one can be."""
    windows = range(0, len(text) - LONGEST_LINE, LONGEST_LINE)
    if all(text.find(b"\n", at, at + LONGEST_LINE) >= 0 for at in windows):
        return text
    pattern = rb"([^\n]{%d})[^\n]+" % LONGEST_LINE
    return re.sub(pattern, rb"\1", text).decode("utf-8", "replace").encode()


def _pieces(log: LogFile, clean: _Cleaner | None = None) -> Iterator[bytes]:
    """Yield clean text; stop, and note it, where a compressed stream breaks off."""
    log.truncated = None
    log.position = 0
    yield from elements.lines(_clean(log, clean or _Cleaner()))


def _clean(log: LogFile, clean: _Cleaner) -> Iterator[bytes]:
    for piece in _raw(log):
        if text := clean.feed(piece):
            yield text
    if text := clean.feed(b"", final=True):
        yield text


def _disk(log: LogFile) -> BinaryIO:
    try:
        file = log.path.open("rb")
    except OSError as error:
        raise LogError(Problem(log.name, f"cannot be read: {_why(error)}.")) from None
    info = os.fstat(file.fileno())
    if log.inode not in {None, (info.st_dev, info.st_ino)}:
        file.close()
        raise LogError(Problem(log.name, "was rotated meanwhile; the next scan reads it."))
    return file


def _raw(log: LogFile) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked; stop, and note it, where they break off."""
    begun = False
    try:
        text = packing.unpacked(_from_disk(log) if log.member is None else _from_archive(log))
        for piece in text if log.member is None else packing.refuse_archive(text):
            begun = True
            yield piece
    except packing.TrapError as error:
        if not begun:
            raise LogError(Problem(log.name, f"{error}.")) from None
        log.truncated, log.rest = str(error), "the rest is left out"
    except EOFError:
        block = "a compressed block" if log.member is None else "its archive"
        log.truncated = f"ends in the middle of {block}"
    except packing.DAMAGED:
        log.truncated = "is damaged inside a compressed block"
    except OSError as error:
        broken = "is damaged inside a compressed block"  # bz2 says so with an OSError of no number
        log.truncated = f"stopped being readable ({_why(error)})" if error.errno else broken


def _from_disk(log: LogFile) -> Iterator[bytes]:
    with _disk(log) as file:
        size = _PACKED_PIECE if packing.is_packed(file.read(6)) else _PIECE
        file.seek(0)
        while piece := file.read(size):
            log.position += len(piece)
            yield piece


def _from_archive(log: LogFile) -> Iterator[bytes]:
    for piece in log.member.pieces() if log.member else ():
        log.position += len(piece)
        yield piece


class _Cleaner:
    """Turns the bytes of one file into clean UTF-8, however they are cut into pieces."""

    def __init__(self) -> None:
        self.binary = False
        self._ascii = False
        self._decode: codecs.IncrementalDecoder | None = None
        self._waiting = b""
        self._return = b""
        self._packets = False

    def feed(self, piece: bytes, *, final: bool = False) -> bytes:
        """Return what is clean of the bytes so far; the first HEAD bytes tell the encoding."""
        if self._decode is None:
            self._waiting += piece
            if len(self._waiting) < HEAD and not final:
                return b""
            piece, self._decode = self._waiting, self._decoder(self._waiting)
            if holds_packets(piece):
                self._packets, self.binary = True, False
        if self._packets:
            return piece
        # Most logs are plain ASCII, and a decoder that holds back nothing need not see it.
        if not (self._ascii and piece.isascii() and self._decode.getstate() == (b"", 0)):
            piece = self._decode.decode(piece, final).encode("utf-8", "replace")
        if b"\0" in piece:
            piece = piece.replace(b"\0", "\N{REPLACEMENT CHARACTER}".encode())
        return self._line_ends(piece, final=final)

    def _decoder(self, start: bytes) -> codecs.IncrementalDecoder:
        encoding = _encoding(start[:HEAD])
        if encoding.startswith("utf-16"):
            return codecs.getincrementaldecoder(encoding)("replace")
        self._ascii, sample = True, start[:HEAD]
        self.binary = max(sample.count(0) / max(1, len(sample)), _controls(sample)) > _BINARY_SHARE
        return codecs.getincrementaldecoder(encoding)("sundial-latin-1")

    def _line_ends(self, piece: bytes, *, final: bool) -> bytes:
        if not self._return and b"\r" not in piece:
            return piece
        piece, self._return = self._return + piece, b""
        if piece.endswith(b"\r") and not final:
            piece, self._return = piece[:-1], b"\r"
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b" ")


def _encoding(sample: bytes) -> str:
    """Return the name of the encoding that a byte order mark or the place of NULs gives away."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    even, odd, many = sample[::2].count(0), sample[1::2].count(0), len(sample) * 0.3
    if max(even, odd) > many and min(even, odd) < many / 10:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


def _controls(sample: bytes) -> float:
    """Return the share of control bytes that no text holds."""
    kept = sample.translate(None, bytes({*range(32), 127} - {9, 10, 13, 27}))
    return 1 - len(kept) / len(sample) if sample else 0.0


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("sundial-latin-1", _latin_1)


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
