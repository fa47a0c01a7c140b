"""What a client says first: the server's name in a TLS ClientHello or in the head of a request.

TLS: RFC 8446 section 4.1.2 and RFC 6066 section 3; Encrypted ClientHello: RFC 9849, extension
0xfe0d; HTTP/1: RFC 9112 section 3. Each function takes what has arrived so far.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

_CLIENT_HELLO, _HANDSHAKE = 1, 22
_SERVER_NAME, _ENCRYPTED_HELLO = 0, 0xFE0D
_RECORD = struct.Struct(">BBxH").unpack_from
_SHORT, _EXTENSION = struct.Struct(">H").unpack_from, struct.Struct(">HH").unpack_from
_CHLO = b"CHLO"

METHODS = (
    "GET POST PUT HEAD DELETE OPTIONS PATCH CONNECT TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK "
    "UNLOCK REPORT SEARCH SUBSCRIBE UNSUBSCRIBE NOTIFY BITS_POST CCM_POST RPC_CONNECT RPC_IN_DATA "
    "RPC_OUT_DATA MERGE CHECKOUT MKACTIVITY"
).split()
"""Requests that are looked for: those of HTTP, WebDAV, Subversion and of Windows' own clients."""
_REQUEST = re.compile(rb"(%s) (\S{1,16384}) +HTTP/1\.\d\r?\n" % "|".join(METHODS).encode())
_HOST = re.compile(rb"\nhost[ \t]*:([^\r\n]*)\r?\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d{1,12})\r?\n", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_SHOWN = re.compile(rb"[!-~]+")
_TARGET = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class Said(NamedTuple):
    """What one message of a client gives away."""

    host: str | None
    method: str | None = None
    encrypted: bool = False
    """Whether it holds an encrypted ClientHello, or what looks like one."""
    whole: bool = True
    """Whether all of the message was there."""


def goes_on(data: bytes) -> bool:
    """Tell whether a ClientHello begins here and ends, within its first record, behind the data."""
    if data[:1] != b"\x16" or data[5:6] != b"\x01":
        return False
    needed: int = min(_SHORT(data, 3)[0], 4 + int.from_bytes(data[6:9], "big"))
    return len(data) < max(9, 5 + needed)


def hello_of_records(data: bytes) -> Said | None:
    """Read a ClientHello that is cut into TLS records; None where these hold something else."""
    message, at, end = b"", 0, len(data)
    while at + 5 <= end:
        kind, version, size = _RECORD(data, at)
        if kind != _HANDSHAKE or version != 3 or not 0 < size <= 1 << 14:
            return None
        message += data[at + 5 : at + 5 + size]
        at += 5 + size
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            break
    return hello(message)


def hello(message: bytes) -> Said | None:
    """Read a ClientHello, or as much of it as there is; None where it is none."""
    if message and message[0] != _CLIENT_HELLO:
        return None
    size = int.from_bytes(message[1:4], "big")
    if len(message) >= 4 and not 38 <= size < 1 << 16:
        return None
    end = min(len(message), 4 + size)
    host, encrypted, at = None, False, 38
    try:
        at += 1 + message[at]  # session
        at += 2 + _SHORT(message, at)[0]  # cipher suites
        at += 1 + message[at]  # compression methods
        end = min(end, at + 2 + _SHORT(message, at)[0])
        at += 2
        while at + 4 <= end:
            kind, length = _EXTENSION(message, at)
            at += 4
            if at + length > end:
                break
            if kind == _SERVER_NAME:
                host = _server_name(message[at : at + length])
            elif kind == _ENCRYPTED_HELLO:
                encrypted = True
            at += length
    except (IndexError, struct.error):
        pass  # it ends in the middle
    return Said(host, encrypted=encrypted, whole=len(message) >= 4 + size)


def _server_name(extension: bytes) -> str | None:
    """Return the host name in a server_name extension."""
    at = 2
    while at + 3 <= len(extension):
        length = int.from_bytes(extension[at + 1 : at + 3], "big")
        if extension[at] == 0:
            return _text(extension[at + 3 : at + 3 + length])
        at += 3 + length
    return None


def google_hello(message: bytes) -> Said | None:
    """Read the CHLO of Google's QUIC, a table of tags and of where each value ends."""
    if not message.startswith(_CHLO[: len(message)]):
        return None
    count = int.from_bytes(message[4:6], "little")
    begin, values = 0, 8 + 8 * count
    whole = len(message) >= 8 and len(message) >= values
    for at in range(8, min(values, len(message) - 7), 8):
        end = int.from_bytes(message[at + 4 : at + 8], "little")
        if message[at : at + 4] == b"SNI\0":
            name = message[values + begin : values + end]
            return Said(_text(name), whole=whole and len(name) == end - begin)
        begin = end
    return Said(None, whole=whole)


def requests(data: bytes) -> list[Said]:
    """Read the heads of the HTTP requests that data starts with; the last may not be whole.

    No request at all, no element.
    """
    found: list[Said] = []
    at = 0
    while at < len(data):
        line = _REQUEST.match(data, at)
        if line is None:
            if _may_become_one(data[at:]):
                found.append(Said(None, whole=False))
            break
        end = _HEAD_END.search(data, line.end() - 2)
        head = data[line.end() - 1 : end.end() if end else len(data)]
        named = _HOST.search(head)
        method, target = line[1].decode(), line[2]
        url = _TARGET.match(target)
        if method == "CONNECT":
            host = _text(target)
        elif url:
            host = _text(url[1])
        else:
            host = _text(named[1].strip()) if named else None
        found.append(Said(host, method, whole=end is not None or host is not None))
        if end is None or method == "CONNECT":
            break
        body = _LENGTH.search(head)
        at = end.end() + (int(body[1]) if body else 0)
    return found


def _may_become_one(data: bytes) -> bool:
    """Tell whether more bytes may make a request of these."""
    return any(
        data.startswith(start[: len(data)])
        for start in (b"%s " % method.encode() for method in METHODS)
    ) and not (len(data) > 16_500 or b"\n" in data)


def _text(name: bytes) -> str | None:
    """Return a name as text; None where it holds what no name does."""
    return name.decode("ascii").lower() if _SHOWN.fullmatch(name) else None
