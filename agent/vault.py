"""Keeps clear names sealed: a scan can put one in, only the holder of another key can take it out.

Off until somebody makes a vault. A name is encrypted under a public key (RSA-OAEP, RFC 8017 7.1);
the private key lies outside the store, in a file of its own under a passphrase.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from agent.errors import Problem, StoreError

_BITS: Final = 3072
_MOST: Final = 300
"""Bytes of a name; so much fits under the key, and no login is as long."""
_SHORTEST: Final = 12
"""Characters of a passphrase."""


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class Seal:
    """Puts names under the public key of a vault."""

    def __init__(self, public: str) -> None:
        """Take a key as ``make`` gives it."""
        key = serialization.load_pem_public_key(public.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError(type(key))
        self._key = key

    def seal(self, name: str) -> bytes:
        """Return a name as nobody can read it without the private key."""
        return self._key.encrypt(name.encode("utf-8", "replace")[:_MOST], _oaep())


def make(file: Path, passphrase: str) -> str:
    """Write a new private key into a file that does not exist yet; return the public key, as PEM.

    Raises StoreError where the file cannot be made or the passphrase is too short.
    """
    if len(passphrase) < _SHORTEST:
        text = f"needs a passphrase of {_SHORTEST} characters or more."
        raise StoreError(Problem(str(file), text))
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    sealed = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(sealed)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StoreError(Problem(str(file), f"cannot be made: {error.strerror}.")) from error
    return _public(private)


class Opener:
    """Takes names out again."""

    def __init__(self, file: Path, passphrase: str, public: str) -> None:
        """Open a private key. Raises StoreError where that fails, or it is of another vault."""
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), passphrase.encode())
        except OSError as error:
            raise StoreError(Problem(str(file), f"cannot be read: {error.strerror}.")) from error
        except (ValueError, TypeError, UnsupportedAlgorithm):
            text = "is no key, or this is not its passphrase."
            raise StoreError(Problem(str(file), text)) from None
        if not isinstance(key, rsa.RSAPrivateKey) or _public(key) != public:
            raise StoreError(Problem(str(file), "is the key of another vault."))
        self._key = key

    def open(self, sealed: bytes) -> str:
        """Return the name. Raises StoreError where it was sealed under another key."""
        try:
            return self._key.decrypt(sealed, _oaep()).decode("utf-8", "replace")
        except ValueError:
            text = "does not open the name; it was sealed under another key."
            raise StoreError(Problem("vault", text)) from None


def _public(private: rsa.RSAPrivateKey) -> str:
    made = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made.decode()
