"""Gives account of a store: what is collected of people, what is kept, and who is shown what.

Everything is read off the store and the settings it was filled with; nothing is a promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

_BY_PERSON = (
    *("usage", "presence", "stated_department", "membership", "actor", "alias", "person"),
    *("person_department", "claim", "device"),
)
_COLLECTED = (
    "day",
    "host name",
    "pseudonym of the user, or of the address where no user is named",
    "network of the address, as in the list of subnets, else /24",
    "requests, refused requests, bytes each way, first and last time of the day",
    "for hosts outside the catalogue no person: the department, and one of 128 bits to count by",
    "of a line that cannot be read: its place, and its shape with letters and digits masked",
)
_CLAIMED = "of leases and log-ons: who had which address and device when, all three as pseudonyms"
_NEVER = ("address", "path", "query", "referrer", "cookie", "user agent")


def account(
    con: duckdb.DuckDBPyConnection, k: int, days: int, private: Sequence[str]
) -> dict[str, Any]:
    """Return what a store holds of people; ``con`` has ``work.duckdb`` open.

    ``k`` is the smallest group that is told of, ``days`` how long rows by person are kept, and
    ``private`` names the categories that are kept by department only.
    """
    sources = con.execute(
        "SELECT source, list_sort(list_distinct(list(format))), bool_or(has_user),"
        " bool_or(has_client) FROM source JOIN log_file USING (source_id) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    first, last = con.execute("SELECT min(day), max(day) FROM presence").fetchall()[0]
    rows = {
        table: con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in _BY_PERSON
    }
    until = dict(
        con.execute("SELECT key, value FROM setting WHERE key = 'vault_until'").fetchall()
    ).get("vault_until")
    return {
        "sources": [
            {"source": name, "formats": formats, "names_users": users, "names_addresses": clients}
            for name, formats, users, clients in sources
        ],
        "collected": [*_COLLECTED, *([_CLAIMED] if rows["claim"] else [])],
        "never_kept": [*([] if until else ["clear user name"]), *_NEVER],
        "kept_by_pseudonym": rows,
        "first_day": None if first is None else str(first),
        "last_day": None if last is None else str(last),
        "rows_with_bits": con.execute(
            "SELECT count(*) FROM unknown_usage WHERE user_bits > 0 OR address_bits > 0"
        ).fetchall()[0][0],
        "retention_days": days,
        "weeks_kept_as_counts": con.execute(
            "SELECT count(DISTINCT week) FROM past_department"
        ).fetchall()[0][0],
        "clear_names_sealed": con.execute("SELECT count(*) FROM vault").fetchall()[0][0],
        "names_may_be_revealed_until": until,
        "smallest_group": k,
        "kept_by_department_only": list(private),
    }


def files(folder: Path) -> list[dict[str, str]]:
    """Return the files of a store with their permissions."""
    return [
        {"file": path.name, "mode": f"{path.stat().st_mode & 0o777:04o}"}
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]


def _names(said: dict[str, Any]) -> Iterator[str]:
    until, records = said["names_may_be_revealed_until"], said["reveals"]
    if until is None:
        yield "- Clear names: none. Sundial cannot turn a pseudonym back; who has the key and a"
        yield "  list of logins can tell which is whose. 'sundial privacy destroy-key' ends that."
    else:
        many = said["clear_names_sealed"]
        yield f"- Clear names: {many}, sealed. Whoever holds the key of the vault may reveal one"
        yield f"  until {until}, for a reason that is written down."
    yield f"- Names revealed so far: {len(records)}; {said['audit']}."
    for one in records:
        at, who, whom, why = (one.get(part) for part in ("at", "who", "pseudonym", "reason"))
        yield f"  - {at}, {who}: `{whom}`, because: {why}"


def markdown(said: dict[str, Any]) -> Iterator[str]:
    """Say an account, with the store's ``files``, as Markdown for a works council."""
    yield "# What Sundial knows about people"
    yield ""
    yield f"Read off the store; logs from {said['first_day']} to {said['last_day']}."
    yield ""
    yield "## What is collected"
    for one in said["sources"]:
        names = "names users" if one["names_users"] else "names no users"
        yield f"- Source `{one['source']}` ({', '.join(one['formats'])}): {names}."
    yield f"- Of a line is kept: {'; '.join(said['collected'])}."
    yield f"- Never kept: {', '.join(said['never_kept'])}."
    yield ""
    yield "## What is kept, and how long"
    weeks = said["weeks_kept_as_counts"]
    for table, rows in said["kept_by_pseudonym"].items():
        if rows:
            yield f"- `{table}`: {rows} rows by pseudonym."
    if sketches := said["rows_with_bits"]:
        yield f"- `unknown_usage`: {sketches} rows by department with bits to count people by."
    yield from _names(said)
    days = said["retention_days"]
    yield f"- These rows and bits expire after {days} days; of {weeks} weeks only counts are left."
    yield "  'sundial privacy forget' removes the rows of one person at once; bits stay until then."
    only = ", ".join(said["kept_by_department_only"]) or "none"
    yield f"- Categories kept by department and never by person: {only}."
    yield ""
    yield "## Who is shown what"
    least = said["smallest_group"]
    yield f"- Nothing is told of fewer than {least} people, in sums and differences neither, and"
    yield "  of a department of fewer nothing but its name."
    yield "- The pages show `findings.duckdb` and nothing else; it holds no pseudonym. Whoever can"
    yield "  read this file or reach the pages sees all of it."
    for one in said["files"]:
        others = int(one["mode"], 8) & 0o077
        readers = "others on this machine may read it" if others else "its owner alone"
        yield f"- `{one['file']}` (mode {one['mode']}): {readers}."
