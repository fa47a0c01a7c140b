"""Ranks what the catalogue does not know by how much it looks like a service, and says why.

The points and words are data, rules/queue.toml; nothing here decides what a domain is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import duckdb
import pyarrow as pa

from agent import shipped, sql
from agent.errors import Problem, RulesError, unknown_key

_KEYS: Final = {
    "words": ("sign_in", "app", "infrastructure"),
    "points": (
        *("doubling", "doublings", "sign_in", "app", "tenants", "api", "one_department"),
        *("several_departments", "growth", "steady", "uploads", "everybody", "machine"),
        "infrastructure",
    ),
    "limits": ("tenants", "one_department", "everybody", "machine", "growth", "steady", "uploads"),
}
_QUEUE: Final = pa.schema(
    {
        "domain": pa.string(),
        "points": pa.int32(),
        "why": pa.string(),
        "hosts": pa.list_(pa.string()),
    }
)
_NUMBER: Final = re.compile(r"[0-9]+")
_A_FEW: Final = 3
_A_PAIR: Final = 2
"""People that a host needs to be looked at."""
_MOST_HOSTS: Final = 20_000
"""Hosts that are ranked, those of most people; a second's work."""
_ENOUGH: Final = 3
"""People of whom it can be said that they are of one department, or more than before."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What labels mean, what each sign is worth, and from where on it is one."""

    words: Mapping[str, frozenset[str]]
    points: Mapping[str, float]
    limits: Mapping[str, float]

    def kind(self, label: str) -> str | None:
        """Return what a label before a domain says: ``sign_in``, ``app``, or nothing."""
        masked = _NUMBER.sub("#", label)
        named = (kind for kind in ("sign_in", "app") if {label, masked} & self.words[kind])
        return next(named, None)

    def delivers(self, domain: str) -> bool:
        """Tell whether a domain's own name says that it delivers for others."""
        return _edges(self.words["infrastructure"]).search(domain.partition(".")[0]) is not None


@cache
def _edges(words: frozenset[str]) -> re.Pattern[str]:
    """Find a word between hyphens, or a longer one at the beginning or end of a name."""
    any_word = "|".join(map(re.escape, sorted(words)))
    long = "|".join(re.escape(word) for word in sorted(words) if len(word) > _A_FEW)
    return re.compile(f"(?:^|-)(?:{any_word})(?:-|$)|^(?:{long})|(?:{long})$")


def load_ranking() -> Ranking:
    """Read rules/queue.toml. Raises RulesError with every problem of it."""
    where, tables = shipped.tables("queue.toml")
    problems = [Problem(where, message, key) for key, message in _faults(tables)]
    if problems:
        raise RulesError(problems)
    words = {kind: frozenset(labels) for kind, labels in tables["words"].items()}
    return Ranking(words, tables["points"], tables["limits"])


def _faults(tables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for table, keys in _KEYS.items():
        held = tables.get(table, {})
        for key in held:
            if key not in keys:
                yield f"{table}.{key}", unknown_key(key, keys)
        for key in keys:
            kind: Any = list if table == "words" else (int, float)
            if not isinstance(held.get(key), kind):
                yield (
                    f"{table}.{key}",
                    "must be a list of words" if kind is list else "needs a number",
                )


def publish(
    con: duckdb.DuckDBPyConnection,
    ranking: Ranking,
    place: Callable[[str], tuple[str, str, str]],
    k: int,
) -> None:
    """Fill ``findings.unknown_queue`` from ``unknown_host``, which ``agent.adoption`` made.

    ``place`` gives the domain, the kind (``machine``, ``api``, ``site``, ``tenant``) and the label
    of a host as it is counted; ``ranking`` knows the kinds ``sign_in`` and ``app`` besides. People
    are told in steps of ``k``, and domains of fewer not at all. Writes only to ``findings``, after
    the rest of it was filled.
    """
    # The long tail of what one person asked for once is most of the names and none of the news.
    hosts = con.execute(
        "SELECT host FROM findings.hosts_unknown WHERE NOT on_premises AND app IS NULL"
        " GROUP BY host HAVING coalesce(sum(people), $most) >= $pair"
        " ORDER BY sum(people) DESC NULLS LAST, host LIMIT $most",
        {"pair": _A_PAIR, "most": _MOST_HOSTS},
    ).fetchall()
    placed = [(host, *_kinds(ranking, place(host))) for (host,) in hosts]
    names = ("host", "domain", "kind", "label")
    table = pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in placed],
        pa.schema([(name, pa.string()) for name in names]),
    )
    everybody = con.execute(
        "SELECT coalesce(max(people), 0) FROM (SELECT sum(covered_people) AS people"
        " FROM findings.coverage_weekly GROUP BY week)"
    ).fetchall()[0][0]
    with sql.lent(con, {"given_domain": table}):
        con.execute(sql.script("unknown.sql"))
    found = con.execute("SELECT * FROM unknown_domain")
    columns = [column[0] for column in found.description or ()]
    judged = [
        _judged(ranking, dict(zip(columns, row, strict=True)), everybody, k)
        for row in found.fetchall()
    ]
    queue = pa.Table.from_pylist(judged, _QUEUE)
    with sql.lent(con, {"given_domain": table, "given_queue": queue}):
        # Traffic is the sum of what the hosts tell: what they do not must not come back from it.
        con.execute(
            "INSERT INTO findings.unknown_queue"
            " WITH told AS (SELECT domain, sum(requests) AS requests, sum(blocked) AS blocked,"
            " sum(bytes_out) AS bytes_out, sum(bytes_in) AS bytes_in"
            " FROM findings.hosts_unknown JOIN given_domain USING (host) GROUP BY domain)"
            " SELECT domain, points, why, hosts, people - people % $k, coalesce(departments, []),"
            " told.requests, told.blocked, told.bytes_out, told.bytes_in, weeks,"
            " CASE WHEN $k = 1 THEN first_seen ELSE date_trunc('week', first_seen) END,"
            " CASE WHEN $k = 1 THEN last_seen ELSE date_trunc('week', last_seen) END"
            " FROM given_queue JOIN unknown_domain USING (domain) JOIN told USING (domain)"
            " WHERE people >= $k"
            " ORDER BY points DESC, people DESC, domain",
            {"k": k},
        )
    con.execute("DROP TABLE temp.unknown_domain")
    con.execute("DROP TABLE temp.unknown_host")
    con.execute("DROP MACRO temp.sketched")


def _kinds(ranking: Ranking, placed: tuple[str, str, str]) -> tuple[str, str, str]:
    domain, kind, label = placed
    return domain, ranking.kind(label) or kind, label


def _judged(ranking: Ranking, row: Mapping[str, Any], everybody: int, k: int) -> dict[str, Any]:
    signs = list(_signs(ranking, row, everybody, k))
    return {
        "domain": row["domain"],
        "points": round(sum(points for points, _ in signs)),
        "why": "; ".join(said for _, said in signs).removeprefix("but "),
        "hosts": [*(row["sign_in"] or ()), *(row["app"] or ())][:_A_FEW],
    }


def _signs(
    ranking: Ranking, row: Mapping[str, Any], everybody: int, k: int
) -> Iterator[tuple[float, str]]:
    """Yield what speaks for and against a domain, each with its points, the weightiest first."""
    points, limits = ranking.points, ranking.limits
    for sign, said in (("sign_in", "people sign in at"), ("app", "an application at")):
        if row[sign]:
            yield points[sign], f"{said} {', '.join(row[sign][:_A_FEW])}"
    yield from _crowd(ranking, row, everybody, k)
    tenants = row["tenants"] or ()
    if len(tenants) >= limits["tenants"]:
        shown = ", ".join(tenants[:_A_FEW])
        yield points["tenants"], f"{len(tenants)} names under it that may be customers ({shown})"
    if (
        row["bytes_in"]
        and row["bytes_out"]
        and row["bytes_out"] / row["bytes_in"] >= limits["uploads"]
    ):
        yield points["uploads"], "people send to it, and do not only read"
    if row["api"]:
        yield points["api"], f"a programming interface at {row['api'][0]}"
    if row["machine"] >= limits["machine"]:
        yield points["machine"], "but nearly all of it is machine-made names, pictures or counters"
    if ranking.delivers(row["domain"]):
        yield points["infrastructure"], "but its name says that it delivers for others"


def _crowd(
    ranking: Ranking, row: Mapping[str, Any], everybody: int, k: int
) -> Iterator[tuple[float, str]]:
    points, limits, people = ranking.points, ranking.limits, row["people"]
    doublings = min(points["doublings"], max(people, 1).bit_length() - 1)
    places = row["departments"] or []
    crowd = f"{_told(people, k)} people"
    if everybody and people >= limits["everybody"] * everybody and people > _ENOUGH:
        yield points["doubling"] * doublings + points["everybody"], f"but nearly everybody: {crowd}"
    elif people >= _ENOUGH and places and row["most"] >= limits["one_department"] * people:
        told = f"{crowd}, nearly all in {places[0]}"
        yield points["doubling"] * doublings + points["one_department"], told
    else:
        where = f" in {len(places)} departments" if len(places) > 1 else ""
        several = points["several_departments"] if len(places) > 1 else 0
        yield points["doubling"] * doublings + several, crowd + where
    now, before = row["people_now"], row["people_before"]
    if now >= max(_ENOUGH, limits["growth"] * before) and now > before:
        yield points["growth"], f"from {_told(before, k)} to {_told(now, k)} people in four weeks"
    if row["weeks"] >= limits["steady"]:
        yield points["steady"], f"seen in {row['weeks']} weeks"


def _told(people: int, k: int) -> str:
    """Say a count of people in steps of ``k``."""
    if people == 0 or k == 1:
        return f"about {people}" if people else "none"
    return f"fewer than {k}" if people < k else f"{people - people % k} or more"
