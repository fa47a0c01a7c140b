"""Looks logs over before a scan: what is wrong with them, and which questions they can answer.

DuckDB counts; nothing is kept of a line but the sample of each kind of reject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from agent import abilities, detect, files, intake, parse, reading
from agent.errors import LogError, Problem
from agent.model import Format
from agent.sql import sections

Row = dict[str, Any]
_SQL = sections("lint.sql")
_BLOCK = 1 << 24
"""Bytes looked at together; identical lines are looked for within."""
_SAID = 0.05
"""A field that fewer of the events have is missing."""
_SOME = 0.8
"""... and one that fewer have is there for some only."""
_FEW = 100
"""Events; fewer say nothing about shares."""
_SKEW = timedelta(minutes=10)
_STALE = timedelta(days=7)
_FIELDS: Final = tuple(abilities.TOLD)

QUESTIONS: Final = {
    "Which apps are used?": (("host",),),
    "Which departments use them?": (("user",), ("department",), ("client",)),
    "How many people?": (("user",), ("client",)),
    "How much is uploaded?": (("bytes_out",),),
    "How much is downloaded?": (("bytes_in",),),
    "What was blocked?": (("blocked",),),
}
"""What people ask, and the fields that answer it, the best first."""
_BY: Final = {
    "user": "by user name; give --people",
    "department": "the log names it",
    "client": "by address only; give --subnets, and people count as addresses",
}
_WITHOUT: Final = {
    "host": "the lines name addresses only",
    "user": "no user, no client address of one's own",
    "bytes_out": "the log does not count bytes from the client",
    "bytes_in": "the log does not count bytes to the client",
    "blocked": "the log has no verdict",
}
_GENERAL: Final = {
    "client": "Log where the clients themselves are seen: in front of address translation and "
    "proxies, or let these pass the address on (X-Forwarded-For, EDNS client subnet).",
    "user": "A log without users still shows departments by address: give --subnets, one row for "
    "each network of a department.",
}


@dataclass(slots=True)
class _Seen:
    """One file while it is looked at."""

    number: int
    log: files.LogFile
    lines: int = 0
    digest: str = ""
    problem: str | None = None


@dataclass(slots=True)
class Findings:
    """What was found, as rows for scripts; ``sentences`` says the same to people."""

    files: list[Row] = field(default_factory=list)
    formats: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def rows(self) -> Iterator[Row]:
        """One row a file (``about`` is ``file``), then one a format."""
        yield from ({"about": "file", **row} for row in self.files)
        yield from ({"about": "format", **row} for row in self.formats)


def lint(
    paths: Sequence[Path],
    known: Mapping[str, Format],
    forced: str | None,
    timezone: str,
    progress: Callable[[intake.Report], None] = lambda _: None,
) -> Findings:
    """Look some logs over and store nothing.

    ``timezone`` is that of times which state none. What cannot be read is a problem found.
    """
    report = intake.Report(progress=progress)
    found = Findings(problems=report.problems)
    logs = list(files.find(paths, report.problems))
    report.bytes_total = sum(log.size for log in logs)
    seen = [_Seen(number, log) for number, log in enumerate(logs)]
    with closing(reading.connect()) as con:
        con.execute(_SQL["tables"])
        for one in seen:
            report.tell("reading", one.log.name)
            try:
                _read(con, one, known, forced, timezone, report)
            except LogError as error:
                one.problem = error.problems[0].message
                report.problems.extend(error.problems)
            report.bytes_done = sum(log.size for log in logs[: one.number + 1])
        found.files = _file_rows(con, seen)
        found.formats = _format_rows(con, known)
    return found


def _read(  # noqa: PLR0913, PLR0917 - one file, and how it is read
    con: duckdb.DuckDBPyConnection,
    one: _Seen,
    known: Mapping[str, Format],
    forced: str | None,
    timezone: str,
    report: intake.Report,
) -> None:
    """Add what a file shows to the tables."""
    log, done = one.log, report.bytes_done
    head = files.head(log)
    if not head:
        one.problem = "is empty."
        return
    answer = detect.Answer(known[forced]) if forced else reading.answer(con, log, head, known)
    plan = reading.opened(log, head, answer, timezone, named=forced is not None)
    now = datetime.now(UTC).replace(tzinfo=None)
    marks = [files.digest(files.identity(head))]
    for block, stretch in reading.pieces(con, log, plan, known, _BLOCK):
        for name in ("outcomes", "repeated"):
            con.execute(_SQL[name], {"file": one.number})
        con.execute(_SQL["facts"], {"file": one.number, "now": now})
        for name in ("who", "hours"):
            con.execute(_SQL[name])
        one.lines += stretch
        marks[1:] = [str(block.end), files.digest(block.trail)]
        report.lines += stretch
        report.bytes_done = done + min(log.position, log.size)
        report.tell("reading", log.name)
        con.execute(_SQL["compact"])
    one.digest = " ".join(marks)
    if log.truncated:
        one.problem = f"{log.truncated} after {one.lines:,} lines."
        report.problems.append(Problem(log.name, one.problem))


def _file_rows(con: duckdb.DuckDBPyConnection, seen: Sequence[_Seen]) -> list[Row]:
    rows: dict[int, Row] = {}
    first: dict[str, str] = {}
    repeated = dict(con.execute("SELECT file, sum(lines) FROM repeated GROUP BY file").fetchall())
    for one in seen:
        copy = first.setdefault(one.digest, one.log.name) if one.digest else one.log.name
        rows[one.number] = {
            "file": one.log.name,
            "formats": {},
            "lines": one.lines,
            "events": 0,
            "others": 0,
            "rejects": [],
            "first_seen": None,
            "last_seen": None,
            "written": one.log.modified.isoformat(timespec="seconds"),
            "future_events": 0,
            "repeated_lines": int(repeated.get(one.number, 0)),
            "copy_of": copy if copy != one.log.name else None,
            "clock": None,
            "problem": one.problem,
        }
    for number, name, events, begin, end, future in con.execute(_SQL["files"]).fetchall():
        row = rows[number]
        row["formats"][name] = events
        row["events"] += events
        row["future_events"] += future
        row["first_seen"] = min(filter(None, (row["first_seen"], begin)))
        row["last_seen"] = max(filter(None, (row["last_seen"], end)))
    for number, outcome, lines, line, sample in con.execute(_SQL["file_outcomes"]).fetchall():
        if outcome == parse.OTHER:
            rows[number]["others"] = lines
        elif outcome is not None:
            reject = {"reason": outcome, "lines": lines, "line": line, "sample": sample.rstrip()}
            rows[number]["rejects"].append(reject)
    for one in seen:
        row = rows[one.number]
        row["clock"] = _clock(row["last_seen"], one.log.modified)
        for key in ("first_seen", "last_seen"):
            row[key] = f"{row[key].isoformat(timespec='seconds')}Z" if row[key] else None
    return list(rows.values())


def _clock(last: datetime | None, written: datetime) -> str | None:
    """Say what is strange about the last event of a file, beside when the file was written."""
    if last is None:
        return None
    ahead = last.replace(tzinfo=UTC) - written
    if ahead > _SKEW:
        hours = ahead / timedelta(hours=1)
        zone = "its times are local, or its clock is ahead; give their zone with --timezone"
        return f"its last event is {hours:.1f} hours after the file was written: {zone}"
    if -ahead > _STALE:
        days = -ahead // timedelta(days=1)
        return f"its last event is {days} days before the file was written: an old copy, or a clock"
    return None


def _format_rows(con: duckdb.DuckDBPyConnection, known: Mapping[str, Format]) -> list[Row]:
    found = con.execute(_SQL["formats"])
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    tops = {(name, kind): rest for name, kind, *rest in con.execute(_SQL["top"]).fetchall()}
    gaps = con.execute(_SQL["gaps"]).fetchall()
    return [
        _format_row(
            known[row["format"]],
            row,
            {kind: tops.get((row["format"], kind), [0, 0]) for kind in ("client", "user")},
            [gap[1:] for gap in gaps if gap[0] == row["format"]],
        )
        for row in rows
    ]


def _format_row(
    one: Format, row: Row, tops: Mapping[str, Sequence[int]], gaps: Sequence[Sequence[Any]]
) -> Row:
    events = row["events"]
    shares = {name: round(row[name] / events, 3) for name in _FIELDS}
    many = events >= _FEW
    shared = many and tops["client"][0] > events / 2
    anonymous = _anonymous(row, tops["user"], many=many)
    usable = {
        name: share
        for name, share in shares.items()
        if not (name == "client" and shared) and not (name == "user" and anonymous)
    }
    missing = [name for name in _FIELDS if usable.get(name, 0) < _SAID]
    zones = abilities.zones(one)
    wanted = [*missing, *(["zone"] if set(zones) <= {"yours", "none"} else [])]
    return {
        "format": one.name,
        "files": row["files"],
        "events": events,
        "first_seen": f"{row['first_seen'].isoformat(timespec='seconds')}Z",
        "last_seen": f"{row['last_seen'].isoformat(timespec='seconds')}Z",
        "shares": shares,
        "connect_only": round(row["tunnels"] / events, 3),
        "ip_only": round(row["bare"] / events, 3),
        "clients": tops["client"][1],
        "users": tops["user"][1],
        "shared_client": shared,
        "anonymous_users": anonymous,
        "time_zone": zones,
        "gaps": [
            {"from": f"{a + timedelta(hours=1)}Z", "to": f"{b}Z", "hours": h} for a, b, h in gaps
        ],
        "answers": [_answered(question, ways, usable) for question, ways in QUESTIONS.items()],
        "advice": _advice(one, wanted),
    }


def _anonymous(row: Row, top: Sequence[int], *, many: bool) -> str | None:
    """Say why user names are nobody's, None where they may be somebody's."""
    if not row["user"] or not many:
        return None
    if row["hashed"] > row["user"] / 2:
        return "hashed"
    return "all the same" if top[0] > 0.95 * row["user"] else None


def _answered(question: str, ways: Sequence[Sequence[str]], usable: Mapping[str, float]) -> Row:
    for way in ways:
        share = min(usable.get(name, 0.0) for name in way)
        if share >= _SAID:
            how = _BY.get(way[0], "") if len(ways) > 1 else ""
            part = "" if share >= _SOME else f"for {share:.0%} of the events"
            return {
                "question": question,
                "answer": "yes" if share >= _SOME else "partly",
                "why": "; ".join(filter(None, (part, how))),
            }
    return {"question": question, "answer": "no", "why": _WITHOUT[ways[0][0]]}


def _advice(one: Format, missing: Sequence[str]) -> list[Row]:
    """Return what to change on the device; the vendor's own way where the rules have one."""
    said = [advice for advice in one.advice if set(advice.about) & set(missing)]
    covered = {name for advice in said for name in advice.about}
    rows = [
        {"for": [*a.about], "change": a.change, "snippet": a.snippet} for a in dict.fromkeys(said)
    ]
    rows += [
        {"for": [name], "change": _GENERAL[name], "snippet": ""}
        for name in ("client", "user")
        if name in missing and name not in covered
    ]
    return rows


def sentences(found: Findings) -> Iterator[str]:
    """Say the findings in plain words, one line each; cells of hostile logs stand in them."""
    for row in found.files:
        yield from _about_file(row)
    for row in found.formats:
        yield ""
        yield from _about_format(row)


def _about_file(row: Row) -> Iterator[str]:
    if row["problem"] and not row["lines"]:
        yield f"{row['file']}: {row['problem']}"
        return
    rejected = sum(reject["lines"] for reject in row["rejects"])
    names = ", ".join(
        f"{name} ({events:,})" if len(row["formats"]) > 1 else name
        for name, events in row["formats"].items()
    )
    span = f", {row['first_seen']} to {row['last_seen']}" if row["first_seen"] else ""
    yield (
        f"{row['file']}: {names or 'no event'}; {row['lines']:,} lines, {row['events']:,} events, "
        f"{row['others']:,} others, {rejected:,} rejects{span}"
    )
    for reject in row["rejects"]:
        where = f"{reject['lines']:,} lines, the first is line {reject['line']:,}"
        yield f"  reject: {reject['reason']} ({where}): {reject['sample']}"
    if row["copy_of"]:
        yield f"  copy: holds the same as {row['copy_of']}; a scan counts it once"
    if row["clock"]:
        yield f"  clock: {row['clock']}"
    if row["future_events"]:
        yield f"  clock: {row['future_events']:,} events lie in the future"
    if row["repeated_lines"]:
        yield f"  repeated: {row['repeated_lines']:,} lines are the same as another, word by word"
    if row["problem"]:
        yield f"  {row['problem']}"


def _about_format(row: Row) -> Iterator[str]:
    yield f"{row['format']}: {row['events']:,} events in {row['files']} files"
    shares = (f"{abilities.TOLD[name]} {row['shares'][name]:.0%}" for name in _FIELDS)
    yield f"  has: {', '.join(shares)}"
    if row["connect_only"]:
        yield f"  CONNECT only: {row['connect_only']:.0%} of the events; their host is enough"
    if row["ip_only"]:
        yield f"  addresses only: {row['ip_only']:.0%} of the events name no host"
    if row["shared_client"]:
        yield "  client: more than half of the events come from one address, of many people"
    if row["anonymous_users"]:
        yield f"  user: the names are {row['anonymous_users']}; nobody can be told by them"
    if "yours" in row["time_zone"]:
        yield "  time: lines may state no zone; give it with --timezone"
    for gap in row["gaps"]:
        yield f"  gap: no event for {gap['hours']:,} hours, {gap['from']} to {gap['to']}"
    for answer in row["answers"]:
        why = f": {answer['why']}" if answer["why"] else ""
        yield f"  {answer['question']} {answer['answer']}{why}"
    for advice in row["advice"]:
        yield f"  change ({', '.join(advice['for'])}): {advice['change']}"
        yield from (f"      {line}" for line in advice["snippet"].splitlines())
