"""The ClientHello in the first packets of a QUIC connection, which anybody on the path can read.

Initial packets are protected with keys that follow from the connection id in clear: RFC 9001
section 5 for version 1, RFC 9369 section 3.3 for version 2; earlier drafts had other salts.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from agent.first_words import Said, google_hello, hello

_V1 = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
_V2 = bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")
_DRAFT_29 = bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899")
_DRAFT_23 = bytes.fromhex("c3eef712c72ebb5a11a7d2432bb46365bef9f502")
_Q050 = bytes.fromhex("504574efd066fe2f9d945cfcdbd3a7f0d3b56b45")

TWO, GOOGLE = 0x6B3343CF, 0x51303530
SALTS: dict[int, bytes] = {
    1: _V1,
    TWO: _V2,
    **{0xFF000000 + draft: _DRAFT_23 for draft in range(23, 29)},
    **{0xFF000000 + draft: _DRAFT_29 for draft in range(29, 33)},
    0xFF000021: _V1,
    0xFF000022: _V1,
    GOOGLE: _Q050,
}
"""Version to the salt of its Initial keys."""
_LARGEST = 1 << 14
"""Bytes of a ClientHello that are waited for."""


class _Keys(NamedTuple):
    """What protects the client's Initial packets."""

    aead: AESGCM
    iv: int
    header: bytes


@dataclass(slots=True)
class _Connection:
    keys: _Keys
    pieces: dict[int, bytes] = field(default_factory=dict)
    held: int = 0
    done: bool = False


class Initials:
    """Connections that have begun; the oldest are forgotten."""

    MOST = 8192

    def __init__(self) -> None:
        self._connections: OrderedDict[int, _Connection] = OrderedDict()

    def add(self, flow: int, datagram: bytes) -> Said | None:
        """Take a datagram; return what the client says as soon as all of it is there.

        ``flow`` stands for addresses and ports, in the direction of the datagram.
        """
        at, found = 0, None
        while at < len(datagram):
            packet = _long_header(datagram, at)
            if packet is None:
                break
            if packet.initial:
                found = self._initial(flow, datagram[at : packet.end], packet) or found
            at = packet.end
        return found

    def _initial(self, flow: int, raw: bytes, packet: _Packet) -> Said | None:
        connection = self._connections.get(flow)
        if connection is not None and connection.done:
            return None
        frames = _opened(raw, packet, connection.keys) if connection else None
        if frames is None:
            # A new connection, or one whose server asked the client to begin again (Retry).
            keys = _derived(packet.version, packet.connection_id)
            frames = _opened(raw, packet, keys)
            if frames is None:
                return None
            connection = _Connection(keys)
            self._connections[flow] = connection
            if len(self._connections) > self.MOST:
                self._connections.popitem(last=False)
        assert connection is not None  # noqa: S101 - frames were opened with somebody's keys
        return _heard(connection, frames, packet.version)


def _heard(connection: _Connection, frames: bytes, version: int) -> Said | None:
    """Put the CRYPTO frames of a packet in their place; return the message once it is whole."""
    for offset, data in _crypto(frames):
        before = len(connection.pieces.get(offset, b""))
        if connection.held + len(data) > _LARGEST or len(connection.pieces) > 256:
            connection.done = True
            return None
        if len(data) > before:
            connection.held += len(data) - before
            connection.pieces[offset] = data
    message = b""
    for offset, data in sorted(connection.pieces.items()):
        if offset > len(message):
            break
        message += data[len(message) - offset :]
    said = (google_hello if version == GOOGLE else hello)(message)
    if said is not None and not said.whole:
        return None
    connection.done = True
    connection.pieces = {}
    return said


class _Packet(NamedTuple):
    """The part of a long header (RFC 9000 section 17.2) that is in clear."""

    version: int
    initial: bool
    connection_id: bytes
    number_at: int
    """Where the protected packet number stands, from the start of the packet."""
    end: int


def _long_header(datagram: bytes, start: int) -> _Packet | None:
    """Read the long header that starts somewhere in a datagram; None where there is none."""
    if len(datagram) < start + 7 or datagram[start] & 0xC0 != 0xC0:
        return None
    version = int.from_bytes(datagram[start + 1 : start + 5], "big")
    kind = datagram[start] >> 4 & 3
    if version not in SALTS:
        return None
    at = start + 6 + datagram[start + 5]
    connection_id = datagram[start + 6 : at]
    at += 1 + (datagram[at] if at < len(datagram) else 0)
    kinds = (1, 3) if version == TWO else (0, 2)  # Initial and Handshake, 0-RTT is between
    initial = kind == kinds[0]
    if kind == (0 if version == TWO else 3):  # a Retry has no length, and ends the datagram
        return None
    if initial:
        size, at = _number(datagram, at)
        at += size
    length, at = _number(datagram, at)
    if len(connection_id) > 20 or at + length > len(datagram) or length < 20:
        return None
    return _Packet(version, initial, connection_id, at - start, at + length)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a variable-length integer (RFC 9000 section 16); return it and where it ends."""
    if at >= len(data):
        return 0, at
    size = 1 << (data[at] >> 6)
    return int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size


def _derived(version: int, connection_id: bytes) -> _Keys:
    """Derive the keys of a client's Initial packets from the server's first connection id."""
    key, iv, header = _LABELS[version == TWO]
    secret = hmac.digest(SALTS[version], connection_id, "sha256")
    client = hmac.digest(secret, _CLIENT, "sha256")
    return _Keys(
        AESGCM(hmac.digest(client, key, "sha256")[:16]),
        int.from_bytes(hmac.digest(client, iv, "sha256")[:12], "big"),
        hmac.digest(client, header, "sha256")[:16],
    )


def _label(name: bytes, size: int) -> bytes:
    """Return what HKDF-Expand-Label (RFC 8446 section 7.1) hashes for one block of output."""
    return size.to_bytes(2, "big") + bytes([6 + len(name)]) + b"tls13 " + name + b"\0\x01"


_CLIENT = _label(b"client in", 32)
_LABELS = [
    [_label(name + what, size) for what, size in ((b" key", 16), (b" iv", 12), (b" hp", 16))]
    for name in (b"quic", b"quicv2")
]
"""Labels of key, iv and header protection, for version 1 and for version 2."""


def _opened(raw: bytes, packet: _Packet, keys: _Keys) -> bytes | None:
    """Return the frames of an Initial packet; None where these keys do not fit it."""
    at = packet.number_at
    sample = raw[at + 4 : at + 20]
    encryptor = Cipher(AES(keys.header), ECB()).encryptor()  # noqa: S305 - as RFC 9001 5.4.3 asks
    mask = encryptor.update(sample)
    first = raw[0] ^ (mask[0] & 0x0F)
    size = (first & 3) + 1
    shown = int.from_bytes(raw[at : at + size], "big")
    value = shown ^ int.from_bytes(mask[1 : 1 + size], "big")
    number, nonce = value.to_bytes(size, "big"), (keys.iv ^ value).to_bytes(12, "big")
    try:
        return keys.aead.decrypt(nonce, raw[at + size :], bytes([first]) + raw[1:at] + number)
    except InvalidTag:
        return None


def _crypto(frames: bytes) -> list[tuple[int, bytes]]:
    """Return offset and data of the CRYPTO frames (RFC 9000 section 19)."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(frames):
        kind = frames[at]
        if kind == 0:  # PADDING, a frame of one byte, mostly by the hundred
            at = len(frames) - len(frames[at:].lstrip(b"\0"))
            continue
        at += 1
        if kind == 1:  # PING
            continue
        if kind in {2, 3}:  # ACK
            for _ in range(2):
                _, at = _number(frames, at)
            ranges, at = _number(frames, at)
            for _ in range(1 + 2 * min(ranges, len(frames)) + (3 if kind == 3 else 0)):
                _, at = _number(frames, at)
        elif kind in {6, 8}:  # CRYPTO, and Google's number for it
            offset, at = _number(frames, at)
            size, at = _number(frames, at)
            found.append((offset, frames[at : at + size]))
            at += size
        else:
            break
    return found
