"""Clear names to keys that nobody can turn back: one spelling of a user, one secret of a store.

Clear names stay in the process that reads them: what reaches a table is an HMAC of the canonical
spelling, under a secret that lies beside the store.
"""

from __future__ import annotations

import hmac
import os
import secrets
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.addresses import parse_address
from agent.errors import Problem, StoreError

DRAFT: Final = "pseudonym.key.new"
"""The next secret, while a store is being rewritten under it."""
_KEY_BYTES: Final = 32
_KEY_CHARACTERS: Final = 32


def load_key(folder: Path) -> bytes:
    """Return the secret in ``folder/pseudonym.key`` (32 random bytes), made on first use.

    Raises StoreError when the key cannot be read or made, is too short, or is open to others.
    """
    path = folder / "pseudonym.key"
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        text = f"cannot be used: {error.strerror}. Its owner must be able to read and write it."
        raise StoreError(Problem(str(path), text)) from error
    if len(key) < _KEY_BYTES:
        text = (
            f"has {len(key)} bytes and needs {_KEY_BYTES}. Restore it from a backup; "
            "under another key nobody is recognised."
        )
        raise StoreError(Problem(str(path), text))
    if os.name == "posix" and mode & 0o077:
        text = f"is open to others (mode {mode & 0o777:04o}). Run chmod 600 on it."
        raise StoreError(Problem(str(path), text))
    return key


def destroy_key(folder: Path) -> None:
    """Overwrite and remove ``folder/pseudonym.key``; after this no name leads to any key.

    Raises StoreError when there is none, or it cannot be written.
    """
    path = folder / "pseudonym.key"
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except OSError as error:
        text = f"cannot be destroyed: {error.strerror}."
        raise StoreError(Problem(str(path), text)) from error


def draft_key(folder: Path) -> bytes:
    """Return the secret that is to be the next one, in ``folder/pseudonym.key.new``; made if new.

    Raises StoreError when it cannot be read or made.
    """
    path = folder / DRAFT
    try:
        if not path.exists():
            _make_key(path)
        return path.read_bytes()
    except OSError as error:
        text = f"cannot be made: {error.strerror}."
        raise StoreError(Problem(str(path), text)) from error


def adopt_key(folder: Path) -> None:
    """Destroy the secret of a store and put the drafted one in its place."""
    if (folder / "pseudonym.key").exists():
        destroy_key(folder)
    (folder / DRAFT).rename(folder / "pseudonym.key")


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces the key of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def canonical(user: str) -> str:
    r"""Return the one spelling under which a user name is known.

    A login keeps its domain, as the first label of its name: Kerberos says ``CORP.ACME.COM`` where
    NTLM says ``CORP``. A name with an ``@`` has its domain there.

    >>> canonical("ACME\\Alice"), canonical("acme.com/alice "), canonical(".\\alice")
    ('acme\\alice', 'acme\\alice', 'alice')
    >>> canonical("Alice@Acme.com"), canonical("ACME\\alice@acme.com")
    ('alice@acme.com', 'alice@acme.com')
    """
    if user.isascii():
        text = user.strip().lower()
    else:
        # NFKC undoes some of what casefold did, so one round is no fixed point.
        text = _compatible(_compatible(unicodedata.normalize("NFD", user))).strip()
    *above, login = (part.strip() for part in text.replace("/", "\\").split("\\"))
    if not login:
        return text
    named = next((part for part in reversed(above) if part), "") if "@" not in login else ""
    domain = named.partition(".")[0].strip()
    return f"{domain}\\{login}" if domain else login


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text.casefold())


def local_part(spelling: str) -> str | None:
    r"""Return the canonical spelling of a login without its domain, None where it names none.

    >>> local_part("alice@acme.com"), local_part("acme\\alice"), local_part("alice")
    ('alice', 'alice', None)
    """
    local, at, _ = spelling.partition("@")
    login = local if at else spelling.partition("\\")[2]
    return canonical(login) or None


@dataclass(frozen=True)
class Pseudonyms:
    """Turns clear names and addresses into keys that only the holder of the secret can make."""

    key: bytes

    def __repr__(self) -> str:
        """Keep the secret out of tracebacks and logs."""
        return "Pseudonyms(...)"

    def user(self, text: str) -> tuple[str, str | None]:
        """Return the key of a user name, and of its login without the domain where it has one."""
        spelling = canonical(text)
        local = local_part(spelling)
        return self.spelling(spelling), local and self.spelling(local)

    def spelling(self, canonical_user: str) -> str:
        r"""Return the key of a user name that is in its canonical spelling already.

        Of ``domain\login`` it ends with a backslash: of two such keys with one login no more than
        one is of the person whom the bare login means.
        """
        mark = "\\" if "\\" in canonical_user else ""
        return self._digest("user", canonical_user) + mark

    def address(self, text: str) -> str:
        """Return the key of an address; all spellings of one address have the same key."""
        return self._digest("address", str(parse_address(text) or text.strip().casefold()))

    def device(self, text: str) -> str:
        """Return the key of a device, by hardware address or host name in its one spelling."""
        return self._digest("device", text)

    def _digest(self, kind: str, text: str) -> str:
        message = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, message, "sha256").hex()[:_KEY_CHARACTERS]
