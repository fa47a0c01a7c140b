"""Reads the condition of the data: what the logs see, which holes they have, what mends them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard import text
from dashboard.findings import Rows
from dashboard.widgets import Column, Table

SILENT = timedelta(days=3)
"""A source this much behind the newest one is called silent: a weekend is two days."""

AHEAD = timedelta(minutes=5)
"""Clocks that differ by less are as good as one."""

SOME = 0.005
"""Below this share of requests a hole is not worth a line."""

APART = timedelta(minutes=2)
"""Sources that tell of the same requests can be compared more closely."""

OUTSIDE = (
    "Use outside these networks, and look-ups that browsers encrypt (DNS over HTTPS), is not seen.",
    "Send laptops through the proxy or VPN, and turn DNS over HTTPS off by policy.",
)

COVERAGE = Table(
    "coverage",
    "Coverage by department and week.",
    (
        Column("department", "Department"),
        Column("week", "Week of", "day"),
        Column("covered_people", "Covered people", "people"),
        Column("headcount", "Headcount", "number"),
        Column("coverage", "Coverage", "share"),
        Column("basis", "Counted by"),
    ),
)
SOURCES = Table(
    "sources",
    "Sources of logs.",
    (
        Column("source", "Source"),
        Column("kind", "Kind"),
        Column("formats", "Formats"),
        Column("files", "Files", "number"),
        Column("lines", "Lines", "number"),
        Column("rejects", "Rejects", "number"),
        Column("speed", "Lines per second", "number"),
        Column("first_seen", "First line", "day"),
        Column("last_seen", "Last line", "day"),
    ),
)
FILES = Table(
    "files",
    "Log files, those that need a look first.",
    (
        Column("path", "File", width="medium"),
        Column("status", "Status"),
        Column("lines", "Lines", "number"),
        Column("rejects", "Rejects", "number"),
        Column("speed", "Lines per second", "number"),
        Column("format", "Format"),
        Column("note", "Note"),
    ),
    most=8,
)
LEDGER = Table(
    "ledger",
    "What each source saw of each department, by day.",
    (
        Column("source", "Source"),
        Column("department", "Department"),
        Column("day", "Day", "day"),
        Column("people", "People", "people"),
        Column("expected_people", "Expected", "people"),
        Column("headcount", "Headcount", "people"),
        Column("clients", "Clients", "people"),
        Column("expected_clients", "Expected clients", "people"),
        Column("hours", "Hours with data", "number"),
        Column("requests", "Requests", "number"),
        Column("unresolved_requests", "Of nobody known", "number"),
        Column("shared_requests", "Of shared addresses", "number"),
        Column("unnamed_requests", "Without a host", "number"),
        Column("bare_requests", "Only an address", "number"),
        Column("tunnel_requests", "Only a CONNECT", "number"),
    ),
)
HIDDEN = Table(
    "hidden",
    "Encrypted resolvers, relays and VPNs that were contacted.",
    (
        Column("what", "What"),
        Column("operator", "Operator"),
        Column("people", "People on a day, at most", "people"),
        Column("departments", "Departments"),
        Column("requests", "Requests", "number"),
    ),
    most=8,
)
CONFLICTS = Table(
    "conflicts",
    "Addresses of which nobody can say whose they were.",
    (
        Column("what", "What", width="medium"),
        Column("days", "Days", "number"),
        Column("addresses", "Addresses, on a day at most", "number"),
        Column("hours", "Hours", "number"),
        Column("last_day", "Last", "day"),
    ),
)
REASONS = {
    "conflict": "leases or log-ons name several people at once",
    "users": "a proxy names several users on one day",
    "shared": "many are logged on at once: shared",
    "many users": "a proxy names many users of one hour: shared",
    "many browsers": "more browsers than one desk has: shared",
}
KINDS = {"encrypted_dns": "encrypted DNS", "relay": "relay", "vpn": "VPN"}
REJECTS = Table(
    "rejects",
    "Lines that were left out, by reason.",
    (
        Column("reason", "Reason"),
        Column("lines", "Lines", "number"),
        Column("sample", "Sample, letters and digits masked", width="medium"),
        Column("path", "First file"),
        Column("first_line", "First line", "number"),
    ),
    most=8,
)


def answer(said: Mapping[str, Any], meta: Mapping[str, str], week: date) -> None:
    """Answer the page's question in a sentence, with the state of the file under it."""
    people = f"{text.share(said['seen'])} of people, " if said["seen"] is not None else ""
    st.markdown(
        f"In the week of {text.day(week)} the logs saw {people}"
        f"**{said['visible']} of {text.some(said['departments'], 'department')}** well enough to "
        f"show (at least {text.share(float(meta.get('coverage_floor', '0.5')))} of their people)."
    )
    published = meta.get("published_at", "")[:16].replace("T", " ")
    st.caption(
        text.md(
            f"Logs from {meta.get('first_day', '–')} to {meta.get('last_day', '–')}. "
            f"Published {published}. Catalogue {meta.get('catalogue_version', '–')}, "
            f"Sundial {meta.get('sundial_version', '–')}."
        )
    )


def blind_spots(
    sources: Rows, places: Rows, placed: Mapping[str, Any], skews: Rows
) -> list[tuple[str, str]]:
    """Return what the logs cannot tell, each with its cure."""
    found = [*_departments(places), *_silent(sources), *_clocks(sources), *_skews(skews)]
    found += _placed(placed)
    cached = [row["source"] for row in sources if row["kind"] == "dns"]
    if cached:
        found.append((
            f"{text.listed(cached)}: clients keep DNS answers, so requests are lower bounds.",
            "Count people and days, not requests; a proxy log has every request.",
        ))  # fmt: skip
    for said, key, cure in (
        ("without user names, people are told apart by address", "has_user",
         "Add user names to the log, or give subnets a department in subnets.csv."),
        ("do not tell bytes", "has_bytes",
         "Only proxy logs can; DNS logs never hold them."),
    ):  # fmt: skip
        lacking = [row["source"] for row in sources if not row[key]]
        if lacking:
            found.append((f"{text.listed(lacking)}: {said}.", cure))
    if all(row["headcount"] is None for row in places):
        found.append((
            "No headcount is known, so coverage cannot be told.",
            "Add people.csv with each login, its department and dates.",
        ))  # fmt: skip
    found.append(OUTSIDE)
    return found


def _departments(places: Rows) -> list[tuple[str, str]]:
    hidden = [row for row in places if not row["visible"]]
    return [
        (text.unseen(row["department"], row), "Collect the logs of its site or network.")
        for row in hidden
    ]


def _silent(sources: Rows) -> list[tuple[str, str]]:
    lasts: list[datetime] = [row["last_seen"] for row in sources if row["last_seen"]]
    newest = max(lasts, default=None)
    return [
        (
            f"{row['source']} has been silent since {text.day(row['last_seen'])}.",
            "See whether its export still runs.",
        )
        for row in sources
        if newest and row["last_seen"] and newest - row["last_seen"] > SILENT and not row["retired"]
    ]


def _clocks(sources: Rows) -> list[tuple[str, str]]:
    cure = "Set the clock of the device, or its zone in sundial.toml, and scan into a new store."
    found = []
    for row in sources:
        ahead = timedelta(seconds=row["ahead_seconds"] or 0)
        if ahead > AHEAD:
            by = text.some(round(ahead.total_seconds() / 60), "minute")
            found.append((f"{row['source']} is {by} ahead of the files it writes.", cure))
    return found


def _skews(skews: Rows) -> list[tuple[str, str]]:
    cure = "Set one of the clocks, or its source's ahead in sundial.toml."
    found = []
    for row in skews:
        side = "ahead of" if row["seconds"] > 0 else "behind"
        if timedelta(seconds=abs(row["seconds"])) > APART:
            by = text.some(abs(row["seconds"]), "second")
            found.append((f"{row['source']} is {by} {side} {row['beside']}.", cure))
    return found


def contacts(hidden: Rows) -> Rows:
    """Return rows of ``hidden`` with their kind in words."""
    return [row | {"what": KINDS.get(row["kind"], row["kind"])} for row in hidden]


def conflicts(rows: Rows) -> Rows:
    """Return rows of ``conflicts`` with their reason in words."""
    return [row | {"what": REASONS.get(row["reason"], row["reason"])} for row in rows]


def _placed(placed: Mapping[str, Any]) -> list[tuple[str, str]]:
    total, lost, shared = (placed[key] or 0 for key in ("requests", "unresolved", "shared"))
    found = []
    if total and lost:
        found.append((
            f"{text.share(lost / total)} of requests come from nobody whom a file places.",
            "Complete people.csv and subnets.csv.",
        ))  # fmt: skip
    if total and shared:
        found.append((
            f"{text.share(shared / total)} of requests come from shared addresses, never people.",
            "Log user names where many people share an address.",
        ))  # fmt: skip
    if total and (placed["bare"] or 0) / total > SOME:
        found.append((
            f"{text.share(placed['bare'] / total)} of requests name only an address, and no app.",
            "Log the server name of TLS, or the DNS queries beside them.",
        ))  # fmt: skip
    return found
