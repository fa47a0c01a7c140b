"""What clients put on a wire, byte for byte, for tests and benchmarks that need captures.

Written from the RFCs and apart from the reader, so that one can find the other wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

_SALT = {
    1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    0x6B3343CF: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
}


def pcap(
    packets: Sequence[tuple[float, bytes]],
    *,
    link: int = 1,
    order: str = "<",
    nano: bool = False,
    snap: int = 262_144,
) -> bytes:
    """Return a pcap file of (seconds, frame)."""
    magic, parts = (0xA1B23C4D, 10**9) if nano else (0xA1B2C3D4, 10**6)
    out = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for when, frame in packets:
        seconds = int(when)
        head = struct.pack(
            f"{order}IIII",
            seconds,
            round((when - seconds) * parts),
            min(len(frame), snap),
            len(frame),
        )
        out += [head, frame[:snap]]
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return one block of a pcapng file."""
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """Return the header of a pcapng section."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, order: str = "<", options: bytes = b"") -> bytes:
    """Return the description of a pcapng interface."""
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def enhanced(ticks: int, frame: bytes, number: int = 0, order: str = "<") -> bytes:
    """Return a packet of a pcapng file."""
    head = struct.pack(
        f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)
    )
    return block(6, head + frame, order)


def query(name: str, number: int = 1, kind: int = 1) -> bytes:
    """Return a DNS query."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return (
        struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0)
        + labels
        + struct.pack("!BHH", 0, kind, 1)
    )


def extension(kind: int, body: bytes) -> bytes:
    """Return one extension of a ClientHello."""
    return struct.pack("!HH", kind, len(body)) + body


def client_hello(host: str | None, *more: bytes, padding: int = 0) -> bytes:
    """Return the handshake message of a TLS ClientHello."""
    extensions = b""
    if host is not None:
        name = b"\0" + struct.pack("!H", len(host)) + host.encode()
        extensions += extension(0, struct.pack("!H", len(name)) + name)
    if padding:
        extensions = extension(21, bytes(padding)) + extensions
    extensions += b"".join(more) + extension(43, b"\x02\x03\x04")
    body = b"\x03\x03" + bytes(range(32)) + b"\x20" + bytes(32) + b"\0\x02\x13\x01" + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + body


def records(message: bytes, size: int = 1 << 14) -> bytes:
    """Return a handshake message as TLS records of some size."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(piece)) + piece for piece in pieces)


def crypto(offset: int, data: bytes) -> bytes:
    """Return a CRYPTO frame of QUIC."""
    return b"\x06" + _integer(offset) + _integer(len(data)) + data


def initial(
    frames: bytes, identity: bytes = b"sundial8", *, version: int = 1, number: int = 0
) -> bytes:
    """Return a datagram with a client's Initial packet, protected and filled up to 1200 bytes."""
    label = b"quic" if version == 1 else b"quicv2"
    secret = hmac.digest(bytes.fromhex(_SALT[version]), identity, hashlib.sha256)
    client = _expand(secret, b"client in", 32)
    first = 0xC1 if version == 1 else 0xD1
    frames = frames.ljust(1160 - len(identity), b"\0")
    head = bytes([first]) + struct.pack("!I", version) + bytes([len(identity)]) + identity
    head += b"\0\0" + struct.pack("!H", 0x4000 | (2 + len(frames) + 16))
    plain = head + struct.pack("!H", number)
    nonce = int.from_bytes(_expand(client, label + b" iv", 12), "big") ^ number
    key = _expand(client, label + b" key", 16)
    sealed = AESGCM(key).encrypt(nonce.to_bytes(12, "big"), frames, plain)
    cipher = Cipher(AES(_expand(client, label + b" hp", 16)), ECB()).encryptor()  # noqa: S305
    mask = cipher.update(sealed[2:18])
    shown = bytes(a ^ b for a, b in zip(struct.pack("!H", number), mask[1:3], strict=True))
    return bytes([first ^ (mask[0] & 0x0F)]) + head[1:] + shown + sealed


def _integer(value: int) -> bytes:
    return struct.pack("!I", 0x80000000 | value)


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    label = b"tls13 " + label
    info = struct.pack("!HB", size, len(label)) + label + b"\0\x01"
    return hmac.digest(secret, info, hashlib.sha256)[:size]


def ethernet(packet: bytes, kind: int = 0x0800) -> bytes:
    """Return a frame of Ethernet."""
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + struct.pack("!H", kind) + packet


def ip4(client: int, server: int, protocol: int, carried: bytes) -> bytes:
    """Return an IPv4 packet."""
    head = struct.pack("!BBHIBBHII", 0x45, 0, 20 + len(carried), 0, 64, protocol, 0, client, server)
    return head + carried


def udp(source: int, target: int, data: bytes) -> bytes:
    """Return a UDP datagram."""
    return struct.pack("!HHHH", source, target, 8 + len(data), 0) + data


def tcp(source: int, target: int, sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    """Return a TCP segment."""
    return struct.pack("!HHIIBBHHH", source, target, sequence, 1, 0x50, flags, 8192, 0, 0) + data


def write(path: Path, data: bytes) -> Path:
    """Write a file and return where it is."""
    path.write_bytes(data)
    return path
