"""What a log is packed in: gzip and its like around one text, zip and tar around many files.

Nothing is ever written to disk, and a path inside an archive is a name, never a place. What no log
does is refused: growing hundreds of times over, an archive in an archive, a file with holes.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import BinaryIO, Protocol

import zstandard

RATIO = 300
"""A text that grows more than this when it is unpacked is no log: those stay below a hundred."""
ALLOWED = 1 << 26
"""Bytes that may come out whatever the ratio."""
MOST_BYTES = 1 << 40
"""Bytes that the files of one archive may have together."""
MOST_FILES = 10_000
_LONGEST_NAME = 1 << 20
"""Bytes that a header of a tar may take; longer ones only fill memory."""
_PIECE = 1 << 16
"""Bytes of a file that are read at once."""
_SLICE = 1 << 11
"""Bytes that are unpacked at once: zstd may make thirty thousand times as much of them."""
_ENOUGH = 1 << 20
"""Bytes of text that are handed on together."""
_KEPT = 1 << 18
"""Bytes at the start of a member that are kept, since a file is looked at before it is read."""
_BLOCK = tarfile.BLOCKSIZE


class TrapError(Exception):
    """Something packed that no log is; the text says what."""


class _Engine(Protocol):
    """What zlib, bz2, lzma and zstandard have in common: one member of a compressed file."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip_member() -> _Engine:
    return zlib.decompressobj(wbits=31)


def _zstd_frame() -> _Engine:
    return zstandard.ZstdDecompressor().decompressobj()


_PACKED: dict[bytes, Callable[[], _Engine]] = {
    b"\x1f\x8b": _gzip_member,
    b"\x28\xb5\x2f\xfd": _zstd_frame,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lzma.LZMADecompressor,
}
"""The first bytes of a compressed file, and what reads the rest."""
DAMAGED = (zlib.error, zstandard.ZstdError, lzma.LZMAError, zipfile.BadZipFile)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def is_packed(start: bytes) -> bool:
    """Tell from its first bytes whether a file is compressed."""
    return start.startswith(tuple(_PACKED))


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield bytes, unpacked where the first of them say that they are packed.

    Raises EOFError where the last compressed member breaks off, TrapError where too much comes out.
    """
    stream = iter(pieces)
    first = _first(stream, max(map(len, _PACKED)))
    make = next((make for start, make in _PACKED.items() if first.startswith(start)), None)
    if make is None:
        yield from chain([first] if first else [], stream)
        return
    given = 0
    for taken, text in _grown(chain([first], stream), make):
        given += len(text)
        if given > ALLOWED and given > RATIO * taken:
            message = f"grows more than {RATIO} times when it is unpacked, as no log does"
            raise TrapError(message)
        yield text


def _grown(pieces: Iterable[bytes], make: Callable[[], _Engine]) -> Iterator[tuple[int, bytes]]:
    """Yield text with the number of packed bytes that were taken until then."""
    taken, text = 0, bytearray()
    try:
        for taken, more in _members_of(pieces, make):
            text += more
            if len(text) >= _ENOUGH:
                yield taken, bytes(text)
                text.clear()
    except (EOFError, OSError, *DAMAGED):
        yield taken, bytes(text)
        raise
    yield taken, bytes(text)


def _members_of(
    pieces: Iterable[bytes], make: Callable[[], _Engine]
) -> Iterator[tuple[int, bytes]]:
    """Yield what comes out of one compressed member behind the other."""
    engine, begun, taken = make(), False, 0
    for piece in _slices(pieces):
        taken += len(piece)
        rest = piece
        # Some writers pad a file with NULs.
        while rest := rest if begun else rest.lstrip(b"\0"):
            begun = True
            for more in _fed(engine, rest):
                yield taken, more
            rest = b""
            if engine.eof:
                rest, engine, begun = engine.unused_data, make(), False
    if begun:
        raise EOFError


def _fed(engine: _Engine, packed: bytes) -> Iterator[bytes]:
    """Yield what comes out of a slice, little at a time."""
    if not isinstance(engine, bz2.BZ2Decompressor | lzma.LZMADecompressor):
        yield engine.decompress(packed)
        return
    # A few bytes of these may hold gigabytes.
    yield engine.decompress(packed, _ENOUGH)
    while not engine.eof and not engine.needs_input:
        yield engine.decompress(b"", _ENOUGH)


def _first(stream: Iterator[bytes], least: int) -> bytes:
    """Take pieces until there are so many bytes, or no more."""
    first = b""
    for piece in stream:
        first += piece
        if len(first) >= least:
            break
    return first


def _slices(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), _SLICE):
            yield piece[at : at + _SLICE]


def refuse_archive(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a member; raise TrapError where it is an archive of its own."""
    stream = iter(pieces)
    start = _first(stream, _BLOCK)
    if start.startswith(_ZIP) or _is_tar(start):
        message = "is an archive inside an archive; unpack the outer one"
        raise TrapError(message)
    yield from chain([start] if start else [], stream)


def _is_tar(start: bytes) -> bool:
    if len(start) < _BLOCK:
        return False
    with suppress(tarfile.HeaderError, ValueError):
        tarfile.TarInfo.frombuf(start[:_BLOCK], "utf-8", "surrogateescape")
        return True
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One file inside an archive."""

    name: str
    """As the archive has it, with ``/``, without steps out of it or to its root."""
    size: int
    modified: datetime | None
    _archive: _Zip | _Tar
    _entry: zipfile.ZipInfo | int
    """For a tar, where its bytes begin."""
    missing: int = 0
    """Bytes of it that are not there, in an archive that breaks off."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the file as they lie in the archive.

        Raises EOFError where the archive ends before them, one of DAMAGED, or OSError.
        """
        return self._archive.pieces(self)


Open = Callable[[], BinaryIO]
Refused = Callable[[str, str], None]


class Desk:
    """Where archives are open, one at a time: a folder may hold more than a process may open."""

    def __init__(self) -> None:
        self._here: _Zip | _Tar | None = None

    def turn(self, archive: _Zip | _Tar) -> None:
        """Close the archive that was open before."""
        if self._here is not None and self._here is not archive:
            self._here.close()
        self._here = archive


def members(open_file: Open, desk: Desk, refused: Refused) -> list[Member] | None:
    """Return the files of an archive in their order; None where a file is no archive.

    ``refused`` is told the name of each member that is not among them, and why. Raises TrapError
    where nothing of it can be used, OSError where it cannot be read.
    """
    with open_file() as file:
        start = file.read(_BLOCK)
        if start.startswith(_ZIP):
            return _Zip(open_file, desk).members(refused)
        if is_packed(start):
            file.seek(0)
            try:
                start = _first(unpacked(_read(file)), _BLOCK)
            except (EOFError, TrapError, *DAMAGED, OSError):
                return None  # whoever reads it says what is wrong
        return _Tar(open_file, desk).members(refused) if _is_tar(start) else None


class _Zip:
    def __init__(self, open_file: Open, desk: Desk) -> None:
        self._open_file, self._desk = open_file, desk
        self._zip: zipfile.ZipFile | None = None
        self._file: BinaryIO | None = None

    def _opened(self) -> zipfile.ZipFile:
        self._desk.turn(self)
        if self._zip is None:
            self._file = self._open_file()
            self._zip = zipfile.ZipFile(self._file)
        return self._zip

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()
        if self._file is not None:
            self._file.close()
        self._zip = self._file = None

    def members(self, refused: Refused) -> list[Member]:
        try:
            found = [info for info in self._opened().infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            self.close()
            message = "is a zip file whose end, where its list of files stands, is missing or wrong"
            raise TrapError(f"{message}; fetch it again") from None
        _bounded(found, sum(info.file_size for info in found))
        held = sum(info.compress_size for info in found)
        if _grows(sum(info.file_size for info in found), min(held, self._size())):
            message = f"grows more than {RATIO} times when it is unpacked, as no log does"
            raise TrapError(message)
        kept = []
        for info in found:
            name = _inside(info.filename)
            if name is None:
                continue
            if info.flag_bits & 0x1:
                refused(name, "is encrypted; unpack it with its password and scan that")
            elif _grows(info.file_size, info.compress_size):
                refused(name, f"grows more than {RATIO} times when it is unpacked, as no log does")
            else:
                kept.append(Member(name, info.file_size, _zip_time(info), self, info))
        return kept

    def _size(self) -> int:
        if self._file is None:
            return 0
        return self._file.seek(0, 2)

    def pieces(self, member: Member) -> Iterator[bytes]:
        if not isinstance(member._entry, zipfile.ZipInfo):  # noqa: SLF001 - its own member
            return
        try:
            with self._opened().open(member._entry) as file:  # noqa: SLF001
                while piece := file.read(_PIECE):
                    yield piece
        except (NotImplementedError, RuntimeError) as error:
            message = f"is packed in a way that is not read here ({error}); unpack it and scan that"
            raise TrapError(message) from None


class _Tar:
    """A tar, plain or compressed; its files are read in order, since a stream has no way back."""

    def __init__(self, open_file: Open, desk: Desk) -> None:
        self._open_file, self._desk = open_file, desk
        self._file: BinaryIO | None = None
        self._stream: _Forward | None = None
        self._member: Member | None = None
        self._start: list[bytes] | None = None
        """What was read of the member so far, as long as that is little."""

    def _opened(self) -> _Forward:
        self.close()
        self._desk.turn(self)
        self._file = self._open_file()
        start = self._file.read(_BLOCK)
        self._file.seek(0)
        self._stream = _Forward(self._file, packed=is_packed(start))
        return self._stream

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._stream = self._member = self._start = None

    def members(self, refused: Refused) -> list[Member]:
        kept: list[Member] = []
        total = 0
        try:
            for info in self._entries():
                if not info.isreg():
                    continue  # a folder, a link or a device holds nothing
                total += info.size
                _bounded(kept, total)
                name = _inside(info.name)
                if name is None:
                    continue
                if info.issparse():
                    refused(name, "has holes, as no log has")
                else:
                    modified = datetime.fromtimestamp(info.mtime, UTC) if info.mtime > 0 else None
                    kept.append(Member(name, info.size, modified, self, info.offset_data))
        except (tarfile.TarError, EOFError, *DAMAGED, OverflowError, ValueError):
            if not kept:
                message = "is a damaged tar file; fetch it again"
                raise TrapError(message) from None
            kept[-1] = replace(kept[-1], missing=max(0, self._end(kept[-1]) - self._reached()))
        finally:
            self.close()
        return kept

    def _reached(self) -> int:
        """Return how much of an archive that breaks off is there."""
        if self._stream is None or self._file is None:
            return 0
        return self._stream.tell() if self._stream.packed else self._file.seek(0, 2)

    def _entries(self) -> Iterator[tarfile.TarInfo]:
        # Not tarfile's own streaming mode: it would take in a header of any length.
        with tarfile.TarFile(fileobj=self._opened(), mode="r") as tar:  # type: ignore[arg-type]
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # lest it remember them all
                yield info

    def pieces(self, member: Member) -> Iterator[bytes]:
        if self._member is not member or self._start is None:
            self._go_to(member)
        yield from list(self._start or ())
        stream = self._stream
        while stream is not None and (left := self._end(member) - stream.tell()) > 0:
            piece = stream.read(min(left, _PIECE))
            if not piece:
                raise EOFError
            if self._start is not None:
                self._start.append(piece)
                if len(self._start) * _PIECE > _KEPT:
                    self._start = None
            yield piece

    def _go_to(self, member: Member) -> None:
        stream, begin = self._stream, self._end(member) - member.size
        self._desk.turn(self)
        if stream is None or stream.tell() > begin:
            stream = self._opened()
        stream.seek(begin)
        self._member, self._start = member, []

    def _end(self, member: Member) -> int:
        begin = member._entry  # noqa: SLF001 - its own member
        return (begin if isinstance(begin, int) else 0) + member.size


class _Forward:
    """The bytes of a tar as a file that is read forwards."""

    def __init__(self, file: BinaryIO, *, packed: bool) -> None:
        self.packed = packed
        self._file = None if packed else file
        self._stream = unpacked(_read(file)) if packed else iter(())
        self._held = bytearray()
        self._position = 0

    def tell(self) -> int:
        return self._position if self._file is None else self._file.tell()

    def read(self, size: int) -> bytes:
        if size > _LONGEST_NAME:
            message = "has a header of more than a megabyte, as no tar of logs has"
            raise TrapError(message)
        if self._file is not None:
            return self._file.read(size)
        try:
            while len(self._held) < size and (piece := next(self._stream, b"")):
                self._held += piece
        except (EOFError, *DAMAGED):
            if not self._held:
                raise
        taken = bytes(self._held[:size])
        del self._held[:size]
        self._position += len(taken)
        return taken

    def seek(self, position: int) -> int:
        if self._file is not None:
            return self._file.seek(position)
        while (ahead := position - self._position) > 0 and self.read(min(ahead, _LONGEST_NAME)):
            pass
        return self._position


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _bounded(found: list[Member] | list[zipfile.ZipInfo], total: int) -> None:
    if len(found) > MOST_FILES or total > MOST_BYTES:
        message = f"holds more than {MOST_FILES:,} files or {MOST_BYTES >> 40} TB; unpack it first"
        raise TrapError(message)


def _grows(size: int, packed: int) -> bool:
    return size > ALLOWED and size > RATIO * packed


def _inside(path: str) -> str | None:
    r"""Return the name of a member: no root, no drive, no way up; None where it is hidden.

    >>> _inside("../../etc\\passwd"), _inside("/logs/./a.log"), _inside("__MACOSX/._a.log")
    ('etc/passwd', 'logs/a.log', None)
    """
    text = path.encode("utf-8", "replace").decode().replace("\\", "/")
    parts = [part for part in text.split("/") if part not in {"", ".", ".."}]
    hidden = not parts or any(part.startswith(".") for part in parts)
    return None if hidden else "/".join(parts)


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    """Return when a member was changed; a zip states no zone, and 1980 where it does not know."""
    with suppress(ValueError):
        stamp = datetime(*info.date_time, tzinfo=UTC)
        return stamp if stamp.year > 1980 else None
    return None
