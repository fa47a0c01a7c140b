"""Clear names behind pseudonyms: who may ask for one, how long, and what is written down of it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent import audit, store, vault
from agent.errors import Problem, StoreError

_WORDS = 3
"""Words of a reason."""


def open_vault(folder: Path, file: Path, passphrase: str, who: str, days: int) -> str:
    """Make a vault for clear names, or renew the right to reveal; return the day it ends.

    ``file`` is where the private key goes or is. Raises StoreError with what is wrong.
    """
    until = str(datetime.now(UTC).date() + timedelta(days=days))
    if folder.resolve() in file.resolve().parents:
        text = "lies in the store; keep the key of a vault where its readers are others."
        raise StoreError(Problem(str(file), text))
    with closing(store.existing(folder)) as kept:
        public = kept.setting("vault")
        if public is None:
            public = vault.make(file, passphrase)
        else:
            vault.Opener(file, passphrase, public)
        _write_down(kept, action="vault", who=who, reason=f"names may be revealed until {until}")
        kept.set("vault", public)
        kept.set("vault_until", until)
    return until


def close_vault(folder: Path) -> int:
    """Throw all clear names away, and keep none from now on; return how many there were."""
    with closing(store.existing(folder)) as kept:
        with kept.transaction() as con:
            gone = con.execute("DELETE FROM vault").fetchall()[0][0]
            con.execute("DELETE FROM setting WHERE key IN ('vault', 'vault_until')")
        kept.rewrite()
    return int(gone)


def reveal(  # noqa: PLR0913 - who, whom, by which right and why
    folder: Path, pseudonym: str, file: Path, passphrase: str, *, who: str, reason: str
) -> str:
    """Return the clear name behind a pseudonym, once it is written down who asked and why.

    Raises StoreError where there is no such name, right or reason.
    """
    if len(reason.split()) < _WORDS:
        raise StoreError(Problem("--reason", "says too little; write why, in a few words."))
    with closing(store.existing(folder)) as kept:
        public, until = kept.setting("vault"), kept.setting("vault_until")
        if public is None or until is None:
            raise StoreError(Problem(str(folder), "keeps no clear names."))
        if str(datetime.now(UTC).date()) > until:
            text = f"the right to reveal ended on {until}; 'sundial privacy vault' renews it."
            raise StoreError(Problem(str(folder), text))
        opener = vault.Opener(file, passphrase, public)
        found = kept.con.execute("SELECT sealed FROM vault WHERE pseudonym = ?", [pseudonym])
        rows = found.fetchall()
        if not rows:
            raise StoreError(Problem(str(folder), "holds no name of this pseudonym."))
        _write_down(kept, action="reveal", who=who, pseudonym=pseudonym, reason=reason)
        return opener.open(rows[0][0])


def audited(folder: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Return the records of who revealed whom, and what is wrong with them or None."""
    with closing(store.existing(folder)) as kept:
        records = audit.read(folder)
        return records, audit.broken(records, kept.setting("audit"))


def _write_down(kept: store.Store, **record: str) -> None:
    """Add a record to the audit, and its hash to the store."""
    fault = audit.broken(audit.read(kept.folder), kept.setting("audit"))
    if fault:
        raise StoreError(Problem(str(kept.folder / audit.NAME), fault))
    moment = {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    kept.set("audit", audit.append(kept.folder, moment | record))
