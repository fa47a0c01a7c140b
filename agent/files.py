"""Finding log files and handing out their text: decompressed, decoded, in blocks of whole lines.

Whatever a file is packed or encoded in, what leaves this room is UTF-8 with ``\\n`` line ends, so
that no later stage knows of gzip, byte order marks or stray carriage returns. Offsets count bytes
of that clean text: a log and its compressed or renamed copy are the same text, hence the same file.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import re
import stat
import queue
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from agent.errors import LogError, Problem

BLOCK = 1 << 25
"""Bytes of text read at once: large enough that SQL is fast, small enough to stay in memory."""
HEAD = 1 << 16
"""Bytes at the start of a text that identify it, and that detection looks at."""
TAIL = 1 << 12
"""Bytes before the end of what was read that must still be there when a file has grown."""
LONGEST_LINE = 1 << 20
"""Bytes; a longer line is cut here, and the parser rejects it."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DATE_IN_NAME = re.compile(r"(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)")
_BINARY_SHARE = 0.1


class _Raw(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of one log file."""

    text: bytes
    """UTF-8, each line ended by ``\\n``."""
    start: int
    """Offset of the first byte in the clean text of the file."""
    end: int
    """Offset just behind the last byte; the next block starts here."""
    first_line: int
    """One-based number of the first line."""
    lines: int
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
    """Bytes on disk."""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    position: int = 0
    """Bytes on disk that were read so far."""
    truncated: str | None = None
    """Why reading stopped before the end (an unfinished gzip), None where it did not."""

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
    What cannot be read becomes a problem, and the rest goes on.
    """
    seen: set[tuple[int, int]] = set()
    for root in paths:
        base = root if root.is_dir() else root.parent
        yield from _walk(root, base, seen, problems)


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
            name = path.relative_to(base).as_posix()
            yield LogFile(path, name, info.st_size, modified)
        else:
            problems.append(Problem(str(path), "is not a regular file; it is left out."))
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {_why(error)}."))


def matches(log: LogFile, pattern: str) -> bool:
    """Tell whether a file's name below the scanned folder fits a shell pattern.

    >>> matches(LogFile(Path("x"), "berlin/squid/access.log.1"), "berlin/*")
    True
    """
    return fnmatch(log.name, pattern) or fnmatch(log.path.as_posix(), pattern)


def head(log: LogFile) -> bytes:
    """Return up to HEAD bytes of clean text from the start of a file.

    Raises LogError when the file cannot be opened, or holds no text.
    """
    with _disk(log) as file, _unpacked(file) as raw:
        text = b""
        decode = _Cleaner()
        while len(text) < HEAD:
            piece = _read(raw, HEAD, log)
            text += decode.feed(piece, final=not piece)
            if not piece:
                break
    if decode.binary:
        raise LogError(Problem(log.name, "is not text; no format reads it, it is left out."))
    return text[:HEAD]


def digest(text: bytes) -> str:
    """Return a short digest that identifies a stretch of text."""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


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
    return digest(kept) if position >= consumed else ""


def blocks(log: LogFile, start: int = 0, first_line: int = 1, size: int = BLOCK) -> Iterator[Block]:
    """Yield the text of a file from offset ``start`` as blocks of whole lines.

    The last block is unterminated where the file does not end in a line end. Sets
    ``log.truncated`` when a compressed file stops in the middle. Raises LogError when the file
    cannot be opened.
    """
    parts: list[bytes] = []
    held, position, skip, dropped, trail = 0, start, start, 0, b""

    def cut_off(text: bytes, *, terminated: bool = True) -> Block:
        nonlocal position, first_line, dropped, trail
        end, trail = position + len(text) + dropped, (trail + text[-TAIL:])[-TAIL:]
        whole = _shorten(text if terminated else text + b"\n")
        lines = text.count(b"\n") if terminated else 1
        block = Block(whole, position, end, first_line, lines, trail, terminated)
        position, first_line, dropped = end, first_line + lines, 0
        return block

    for piece in _pieces(log):
        trail = (trail + piece[:skip])[-TAIL:]
        kept, skip = piece[skip:], max(0, skip - len(piece))
        parts.append(kept)
        held += len(kept)
        if held < size:
            continue
        text = b"".join(parts)
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield cut_off(text[:cut])
        elif len(rest) > LONGEST_LINE:
            # One endless line: its start is enough to reject it, and memory stays bounded.
            dropped += len(rest) - LONGEST_LINE
            rest = rest[:LONGEST_LINE]
        parts, held = [rest], len(rest)
    text = b"".join(parts)
    cut = text.rfind(b"\n") + 1
    if cut:
        yield cut_off(text[:cut])
    if cut < len(text) and not log.truncated:
        yield cut_off(text[cut:], terminated=False)


def ahead(stream: Iterator[Block]) -> Iterator[Block]:
    """Read the next block in a thread while the last one is being worked on."""
    ready: queue.Queue[Block | BaseException | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def give(item: Block | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for block in stream:
                give(block)
                if stopped.is_set():
                    return
            give(None)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            give(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _shorten(text: bytes) -> bytes:
    """Cut lines that are longer than LONGEST_LINE, looking only where one can be."""
    windows = range(0, len(text) - LONGEST_LINE, LONGEST_LINE)
    if all(text.find(b"\n", at, at + LONGEST_LINE) >= 0 for at in windows):
        return text
    pattern = rb"([^\n]{%d})[^\n]+" % LONGEST_LINE
    return re.sub(pattern, rb"\1", text)


def _pieces(log: LogFile) -> Iterator[bytes]:
    """Yield clean text; stop, and note it, where a compressed stream breaks off."""
    decode = _Cleaner()
    with _disk(log) as file, _unpacked(file) as raw:
        while True:
            piece = _read(raw, 1 << 22, log)
            log.position = file.tell()
            clean = decode.feed(piece, final=not piece)
            if clean:
                yield clean
            if not piece:
                return


def _disk(log: LogFile) -> BinaryIO:
    try:
        return log.path.open("rb")
    except OSError as error:
        raise LogError(Problem(log.name, f"cannot be read: {_why(error)}.")) from None


def _unpacked(file: BinaryIO) -> BinaryIO:
    """Return the stream inside a compressed file, told by its first bytes, else the file."""
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic == b"\x28\xb5\x2f\xfd":
        stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return io.BufferedReader(stream, 1 << 20)  # type: ignore[arg-type,type-var,return-value]
    return file


def _read(raw: _Raw, size: int, log: LogFile) -> bytes:
    try:
        return raw.read(size)
    except EOFError:
        log.truncated = "ends in the middle of a compressed block"
    except (zlib.error, gzip.BadGzipFile, zstandard.ZstdError):
        log.truncated = "is damaged inside a compressed block"
    except OSError as error:
        log.truncated = f"stopped being readable ({_why(error)})"
    return b""


class _Cleaner:
    """Turns the bytes of one file into clean UTF-8, piece by piece."""

    def __init__(self) -> None:
        self.binary = False
        self._decoder: codecs.IncrementalDecoder | None = None
        self._started = False
        self._held = b""

    def feed(self, piece: bytes, *, final: bool) -> bytes:
        if not self._started and piece:
            piece = self._start(piece)
        if self._decoder is not None:
            piece = self._decoder.decode(piece, final).encode("utf-8", "replace")
        else:
            piece = self._utf8(piece, final=final)
        if b"\0" in piece:
            piece = piece.replace(b"\0", b"\xef\xbf\xbd")
        if b"\r" in piece or self._held:
            piece = self._line_ends(piece, final=final)
        return piece

    def _start(self, piece: bytes) -> bytes:
        self._started = True
        for bom, encoding in _BOMS:
            if piece.startswith(bom):
                if encoding != "utf-8":
                    self._decoder = codecs.getincrementaldecoder(encoding)("replace")
                return piece[len(bom) :]
        sample = piece[:HEAD]
        if sample[1::2].count(0) > len(sample) * 0.3:
            self._decoder = codecs.getincrementaldecoder("utf-16-le")("replace")
        elif sample.count(0) > len(sample) * _BINARY_SHARE or _controls(sample) > _BINARY_SHARE:
            self.binary = True
        return piece

    _rest = b""

    def _utf8(self, piece: bytes, *, final: bool) -> bytes:
        """Keep valid UTF-8; read a byte that is none as Latin-1, which older devices write."""
        piece, self._rest = self._rest + piece, b""
        if piece.isascii():
            return piece
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            if not final and error.end == len(piece) and len(piece) - error.start < 4:
                self._rest = piece[error.start :]
                return self._utf8(piece[: error.start], final=False)
            return piece.decode("utf-8", "sundial-latin-1").encode()
        return piece

    def _line_ends(self, piece: bytes, *, final: bool) -> bytes:
        piece, self._held = self._held + piece, b""
        if piece.endswith(b"\r") and not final:
            piece, self._held = piece[:-1], b"\r"
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b" ")


def _controls(sample: bytes) -> float:
    """Return the share of control bytes that no text holds."""
    kept = sample.translate(None, bytes({*range(32), 127} - {9, 10, 13, 27}))
    return 1 - len(kept) / max(1, len(sample))


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("sundial-latin-1", _latin_1)


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
