"""What is stated of vendors, by whom and when: rules/vendor_facts, one CSV file a source.

Facts stand apart from apps, so that either can be corrected without the other.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from agent.errors import Problem, nearest
from agent.model import Fact, Source
from agent.rule_file import RuleFile

FACTS: Mapping[str, str] = MappingProxyType(
    {
        "mfa": "Second factor",
        "passkeys": "Passkeys",
        "sso": "Single sign-on",
        "scim": "User provisioning",
        "certifications": "Stated certifications",
        "csa_star": "CSA STAR",
        "fedramp": "FedRAMP",
        "trust_centre": "Trust centre",
        "privacy_policy": "Privacy policy",
        "disclosure_policy": "Disclosure policy",
        "bug_bounty": "Bug bounty",
        "safe_harbor": "Safe harbour",
        "security_txt": "security.txt",
        "breach": "Known breach",
        "scraped_data": "Scraped data",
        "account_deletion": "Account deletion",
        "status_page": "Status page",
        "public_api": "Public interface",
    }
)
"""Every fact there can be, in the order in which it is shown, with its name for people."""
HEADER = ("app", "fact", "answer", "value", "date", "stated_by", "link")
ANSWERS = ("yes", "no", "unknown")

_LINK = re.compile(r"https://[a-z0-9.-]+(?:/[!-~]*)?", re.IGNORECASE)
_NEEDED = ("name", "url", "licence", "gives")
_SOURCE = tuple(item.name for item in fields(Source) if item.name != "id")


def read_sources(file: Traversable | Path, where: str, problems: list[Problem]) -> list[Source]:
    """Read sources.toml; what is wrong with it is added to the problems."""
    page = RuleFile(where, problems)
    found = []
    for key, table in page.tables(file).items():
        if not isinstance(table, dict):
            page.say(key, "must stand under a source, as in [vendor]")
            continue
        page.keys(table, _SOURCE, key)
        needed = {name: page.text(table, name, key) for name in _NEEDED}
        more = {name: page.text(table, name, key) for name in table if name in _SOURCE}
        found.append(Source(key, **(needed | more)))
    return found


def read_facts(
    file: Traversable | Path,
    where: str,
    problems: list[Problem],
    apps: Collection[str],
    sources: Collection[str],
) -> list[Fact]:
    """Read one file of facts, named for its source; bad lines are added to the problems."""
    source = file.name.removesuffix(".csv")
    if source not in sources:
        cure = f'"{source}" is no source of sources.toml.{nearest(source, sources)}'
        problems.append(Problem(where, cure))
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        problems.append(Problem(where, "cannot be read as UTF-8 text."))
        return []
    rows = csv.reader(lines)
    if tuple(next(rows, ())) != HEADER:
        problems.append(Problem(where, f"must begin with {','.join(HEADER)}", line=1))
        return []
    found = []
    for row in rows:
        wrong = list(_wrong(row, apps))
        problems.extend(Problem(where, said, line=rows.line_num) for said in wrong)
        if not wrong:
            app, fact, answer, value, date, by, link = row
            day = dt.date.fromisoformat(date) if date else None
            found.append(Fact(app, fact, answer, value, day, by, link, source))
    return found


def _wrong(row: list[str], apps: Collection[str]) -> Iterator[str]:
    if len(row) != len(HEADER):
        yield f"has {len(row)} cells, not {len(HEADER)}"
        return
    app, fact, answer, _, date, by, link = row
    if app not in apps:
        yield f'"{app}" is no app of the catalogue.{nearest(app, apps)}'
    if fact not in FACTS:
        yield f'"{fact}" is no known fact.{nearest(fact, FACTS)}'
    if answer not in ANSWERS:
        yield f'"{answer}" is none of {", ".join(ANSWERS)}'
    if date and not _is_day(date):
        yield f'"{date}" is no day; write one as 2026-08-31, or nothing'
    if not by:
        yield "does not say who states it"
    if not _LINK.fullmatch(link):
        yield f'"{link}" is no plain https address'


def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
