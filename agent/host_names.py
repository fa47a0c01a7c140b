"""What counts as a host name on the Internet, and how much of an unknown one is worth keeping."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tldextract import TLDExtract

_HOST = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]",
)
_HUMAN = re.compile(r"(?=.{1,15}$)[a-z]+(?:-[a-z]+)*-?[0-9]{0,2}")
_EXAMPLES = frozenset({"example.com", "example.net", "example.org"})
_UNPRONOUNCEABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}")
_NOT_INTERNET = frozenset(
    "arpa corp domain example home internal intranet invalid lan local localdomain localhost "
    "mail onion private test workgroup".split(),
)


def is_host_name(text: str) -> bool:
    """Tell whether a text is a host name of at least two labels, in lower case.

    >>> is_host_name("files.slack.com"), is_host_name("Slack.com"), is_host_name("com")
    (True, False, False)
    """
    return _HOST.fullmatch(text) is not None


def fold(host: str) -> str | None:
    """Shorten a host that is in no entry to the name it is counted under.

    That is the registrable domain with at most one readable label before it, so that names made by
    machines fall together whatever their order. None where it is no Internet name.

    >>> fold("a1.eu.news.example.com"), fold("x9f3e7.news.co.uk")
    ('news.example.com', '*.news.co.uk')
    >>> fold("192.0.2.7"), fold("printer.lan"), fold("nas")
    (None, None, None)
    """
    name = host.lower().rstrip(".").removeprefix("*.")
    folded = host.startswith("*.")
    if not is_host_name(name) or name.rpartition(".")[2] in _NOT_INTERNET:
        return None
    # Names made by machines share a parent, so its answer is remembered; without one (co.uk has
    # none, so that news.co.uk is one itself) the whole name is looked up.
    registrable = _registrable(name.partition(".")[2]) or _look_up(name)
    if not registrable:
        return None
    label = name.removesuffix(registrable).rstrip(".").rpartition(".")[2]
    if not label:
        return f"*.{registrable}" if folded else registrable
    return f"{label if _is_human(label) else '*'}.{registrable}"


def domain_of(fold_of: str) -> tuple[str, str]:
    """Split what ``fold`` gave into the domain that somebody registered and the label before it.

    >>> domain_of("app.news.co.uk"), domain_of("news.co.uk"), domain_of("*.news.co.uk")
    (('news.co.uk', 'app'), ('news.co.uk', ''), ('news.co.uk', '*'))
    >>> domain_of("ledger.example.net")
    ('ledger.example.net', '')
    """
    name = fold_of.removeprefix("*.")
    domain = _look_up(name)
    label = "*" if fold_of.startswith("*.") else name.removesuffix(domain).rstrip(".")
    # Nobody can register these (RFC 2606): below them, examples are told apart by their label.
    if domain in _EXAMPLES and label not in {"", "*"}:
        return name, ""
    return domain or name, label


def _is_human(label: str) -> bool:
    return _HUMAN.fullmatch(label) is not None and _UNPRONOUNCEABLE.search(label) is None


def _look_up(name: str) -> str:
    return _public_suffixes().extract_str(name).top_domain_under_public_suffix


_registrable = lru_cache(maxsize=100_000)(_look_up)


@cache
def _public_suffixes() -> TLDExtract:
    # The import takes a quarter of a second, and a look-up of known hosts never needs it.
    from tldextract import TLDExtract  # noqa: PLC0415

    return TLDExtract(suffix_list_urls=(), cache_dir=None)
