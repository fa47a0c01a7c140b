"""Drafts a format for a log that nobody has seen: how it is cut, and what its columns look like.

A draft is a guess to be edited. Its samples hold no name and no address of the log: what feeds a
field is replaced by what the RFCs keep for examples, and all other cells are left out or blanked.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import duckdb

from agent import files, formats, parse, proof, reading
from agent.errors import LogError, Problem
from agent.looks import METHODS, is_address, is_name, is_url, row, without_port

Cells = dict[str, str]
_LINES = 400
"""Lines that are looked at."""
_MOST = 0.6
"""Share of lines or cells that must look alike."""
_PAIR = re.compile(r'(?:^|[\s,;|])([A-Za-z_][\w.\-]*)=("[^"]*"|[^\s,;|]*)')
_CEF_PAIR = re.compile(r"([\w.\[\]-]+)=(.*?)(?= [\w.\[\]-]+=|\s*$)")
_REQUEST = re.compile(r'"(?:GET|POST|HEAD|PUT|CONNECT|OPTIONS|DELETE|PATCH) [^"]* HTTP/\d')
_BLOCKED = re.compile(r"(?i)block|den[iy]|drop|reject|reset|refus|forbid|nxdomain_policy")
_ALLOWED = re.compile(r"(?i)allow|accept|permit|pass|ok\b|success|observed|processed|_(?:hit|miss)")
_TIMES: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%g", "%Y-%m-%d %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z",
    "[%d/%b/%Y:%H:%M:%S %z]", "[%d/%b/%Y:%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y", "%b %d %H:%M:%S %Y", "%b %d %Y %H:%M:%S", "%b %d %H:%M:%S",
    "%d-%b-%Y %H:%M:%S.%g", "%d-%b-%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %H:%M:%S", "%Y%m%d%H%M%S",
)  # fmt: skip
_STAMPS: Final = {
    "epoch": r"1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?$",
    "iso": r"\d{4}-\d\d-\d\dT\d\d:\d\d",
}
"""What a time looks like that needs no format."""
_HINTS: Final = {
    "ts": r"time|date|^ts$|stamp",
    "client": r"^c-?ip$|client|src|source|orig_h|internal|^user_?ip|caller",
    "user": r"user(?!.?agent)|login|account|email|identity|principal",
    "host": r"host|domain|qname|query|fqdn|sni|site|url|uri|request|^name$",
    "dest_ip": r"dst|dest|server|resp_h|remote|s-ip|^sip$",
    "method": r"method|verb",
    "bytes_out": r"sent|bytes_?out|upload|req(?:uest)?_?(?:size|bytes)|cs-bytes|orig_bytes|^out$",
    "bytes_in": r"rcvd|recv|rece|bytes_?in|download|resp(?:onse)?_?(?:size|bytes)|sc-bytes|^in$",
    "blocked": r"action|verdict|decision|disposition|result|^act$|policy_?action|outcome|status",
    "user_agent": r"agent|^ua$",
    "department": r"dep(?:artmen)?t|^ou$|org.*unit|user.?group",
}
"""What the name of a column may hold for each field, where columns have names."""


@dataclass(slots=True)
class Layout:
    """How the lines of a log fall apart, as the top of a format says it."""

    cut: str
    says: dict[str, Any] = field(default_factory=dict)
    header: str = ""
    """The line that names the columns, where there is one."""
    columns: list[str] = field(default_factory=list)
    """Names by position, where the cut counts."""
    lines: list[tuple[str, Cells]] = field(default_factory=list)
    """Each line, its prefix taken off, with its cells."""

    @property
    def named(self) -> bool:
        """Whether the log itself names its columns."""
        return self.cut in {"json", "keyvalue", "cef", "w3c"} or bool(self.header)


@dataclass(frozen=True, slots=True)
class Draft:
    """A format as TOML, and how much of the log it reads."""

    name: str
    toml: str
    lines: int
    read: int
    """Lines among the first ones that are events, or rightly none."""


def draft(path: Path, name: str = "") -> Draft:
    """Draft a format from the first lines of a log.

    Raises LogError when the file cannot be read, or no column looks like a host or an address.
    """
    problems: list[Problem] = []
    found = list(files.find([path], problems))
    if len(found) != 1:
        raise LogError(problems or Problem(str(path), f"holds {len(found)} files; name one."))
    log = found[0]
    name = name or re.sub(r"\W+", "_", Path(log.name).name.split(".")[0].lower()).strip("_") or "my"
    head = files.head(log)
    text = head.decode("utf-8", "replace")
    whole = text[: text.rfind("\n") + 1] or f"{text}\n"
    raw = [line for line in whole.split("\n") if line.strip()][:_LINES]
    prefixed = _relayed(raw)
    layout = _layout([parse.without_prefix(line) if prefixed else line for line in raw])
    if not prefixed and parse.looks_prefixed(head):
        layout.says["prefix"] = True
    with closing(reading.connect()) as con:
        fields = _fields(con, layout, prefixed=prefixed)
        if not {"host", "dest_ip"} & set(fields):
            seen = ", ".join(
                list(dict.fromkeys(k for _, cells in layout.lines for k in cells))[:12]
            )
            message = (
                f"no column looks like a host name or an address; cut as {layout.cut}: {seen}."
            )
            raise LogError(Problem(log.name, message))
        return _proved(con, name, layout, fields, whole.encode())


def _relayed(lines: Sequence[str]) -> bool:
    """Tell a relay's prefix from a line that only begins with a time."""
    starts = [line[: len(line) - len(parse.without_prefix(line))].strip() for line in lines]
    sure = sum(start.startswith("<") or start.endswith(":") for start in starts)
    return sure > len(lines) / 2


def _layout(lines: Sequence[str]) -> Layout:
    """Return the cut that suits most lines, the ones that name their columns first."""
    for attempt in (_w3c, _cef, _json, _pairs, _delimited, _blanks):
        layout = attempt(lines)
        # What names its own columns is believed at once.
        if layout and (layout.cut == "w3c" or len(layout.lines) >= _MOST * len(lines)):
            return layout
    return _blanks(lines)


def _w3c(lines: Sequence[str]) -> Layout | None:
    header = next((line for line in lines if line.startswith("#Fields:")), "")
    if not header:
        return None
    columns = header.removeprefix("#Fields:").split()
    layout = Layout("w3c", {"header": "#Fields:", "quoted": True, "prefix": True}, header)
    for line in lines:
        cells = row(line, "\t" if "\t" in line else " ")
        if not line.startswith("#") and len(cells) >= _MOST * len(columns):
            layout.lines.append((line, dict(zip(columns, cells, strict=False))))
    comments = sum(line.startswith("#") for line in lines)
    return layout if len(layout.lines) >= _MOST * (len(lines) - comments) else None


def _cef(lines: Sequence[str]) -> Layout | None:
    found = [(line, line.split("|", 7)) for line in lines if "CEF:" in line]
    makers = Counter(f"|{parts[1]}|{parts[2]}|" for _, parts in found if len(parts) > 7)
    if not makers:
        return None
    layout = Layout("cef", {"starts": [makers.most_common(1)[0][0]]})
    layout.lines = [
        (line, {key: value.strip() for key, value in _CEF_PAIR.findall(parts[7])})
        for line, parts in found
        if len(parts) > 7
    ]
    return layout


def _json(lines: Sequence[str]) -> Layout:
    layout = Layout("json")
    for line in lines:
        with suppress(ValueError, RecursionError):
            value = json.loads(line[line.index("{") :])
            layout.lines.append((line, dict(_flat(value))))
    return layout


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a JSON object by path; of a list its first element."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if re.fullmatch(r"\w+", key):
                yield from _flat(inner, f"{path}.{key}" if path else key)
            elif '"' not in key and not path.startswith("$"):
                yield from _flat(inner, f'$.{path}."{key}"' if path else f'$."{key}"')
    elif isinstance(value, list):
        if value:
            yield from _flat(value[0], f"{path}[0]")
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _pairs(lines: Sequence[str]) -> Layout | None:
    found = [(line, _PAIR.findall(line)) for line in lines]
    found = [(line, pairs) for line, pairs in found if len(pairs) > 2]
    if not found:
        return None
    delimiters = {
        sign: sum(f"{sign}{pairs[1][0]}=" in line for line, pairs in found) for sign in "\t, "
    }
    delimiter = max(delimiters, key=lambda sign: delimiters[sign])
    # Pairs in an odd cell make no line of pairs.
    cells = sum(len(row(line, delimiter)) for line, _ in found)
    if sum(len(pairs) for _, pairs in found) < cells / 2:
        return None
    layout = Layout("keyvalue", {"delimiter": delimiter})
    layout.lines = [
        (line, {key: value.strip('"') for key, value in pairs}) for line, pairs in found
    ]
    return layout


def _delimited(lines: Sequence[str]) -> Layout | None:
    for sign in "\t,;|":
        rows = [(line, row(line, sign)) for line in lines]
        width, often = Counter(len(cells) for _, cells in rows).most_common(1)[0]
        if width < 3 or often < _MOST * len(rows):
            continue
        names = [cell.strip() for cell in rows[0][1]]
        headed = len(names) == width and all(map(_is_title, names)) and len(set(names)) == width
        layout = Layout("delimited", {"delimiter": sign})
        if headed:
            layout.header = rows.pop(0)[0]
            layout.says["header"] = "first"
        else:
            layout.says["minimum"] = width
            names = layout.columns = [f"c{number}" for number in range(1, width + 1)]
        layout.lines = [
            (line, dict(zip(names, cells, strict=True)))
            for line, cells in rows
            if len(cells) == width
        ]
        return layout
    return None


def _blanks(lines: Sequence[str]) -> Layout:
    requests = sum(bool(_REQUEST.search(line)) for line in lines) >= len(lines) / 2
    quoted = not requests and any('"' in line for line in lines)
    rows = [
        (line, [c for c in (row(line, " ") if quoted else line.split()) if c]) for line in lines
    ]
    widths = Counter(len(cells) for _, cells in rows)
    usual = widths.most_common(1)[0][0] if widths else 1
    least = min((width for width, often in widths.items() if often > len(rows) / 10), default=usual)
    layout = Layout("blanks", {"quoted": quoted, "minimum": max(2, least)})
    layout.columns = [f"c{number}" for number in range(1, usual + 1)]
    layout.lines = [
        (line, dict(zip(layout.columns, cells, strict=False)))
        for line, cells in rows
        if len(cells) >= least
    ]
    return layout


def _is_title(cell: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z_][\w .()/#-]*", cell)) and not is_name(cell)


# ---- What columns look like


def _is_user(value: str) -> bool:
    # Letters first: what starts with a digit is a number, a time or an address.
    return bool(re.fullmatch(r"(?:[\w.-]{1,30}\\)?[A-Za-z][\w.'-]{1,40}(?:@[\w.-]+)?", value))


_LOOKS: Final[Mapping[str, tuple[tuple[str, Callable[[str], bool]], ...]]] = {
    "client": (("", is_address), ("before_colon", lambda v: is_address(without_port(v)))),
    "dest_ip": (("", is_address), ("before_colon", lambda v: is_address(without_port(v)))),
    "host": (("host", is_name), ("url", is_url)),
    "method": (
        ("", lambda v: v.upper() in METHODS),
        ("bracketed", lambda v: v.strip('"') in METHODS),
    ),
    "blocked": (("", lambda v: bool(_BLOCKED.search(v) or _ALLOWED.search(v)) and len(v) < 40),),
    "user_agent": (
        ("", lambda v: bool(re.match(r"[A-Z]?[a-z][\w .-]*/\d", v)) and "://" not in v),
    ),
    "bytes_out": (("", str.isdigit),),
    "bytes_in": (("", str.isdigit),),
    "user": (("", _is_user),),
    "department": (("", lambda v: any(map(str.isalpha, v)) and "@" not in v),),
}
"""Field to the transforms by which a column may feed it, and what its cells look like then."""
_NAMELESS: Final = ("client", "host", "method", "blocked", "user_agent", "dest_ip", "user")
"""What can be told by its look alone, in order; a number may be anything."""


def _fields(
    con: duckdb.DuckDBPyConnection, layout: Layout, *, prefixed: bool
) -> dict[str, dict[str, Any]]:
    """Return a source for each field that some column looks like."""
    columns: dict[str, list[str]] = {}
    for _, cells in layout.lines:
        for key, value in cells.items():
            if value not in {"", "-"}:
                columns.setdefault(key, []).append(value)
    taken: set[str] = set()
    stamp = _stamp(con, layout, columns)
    fields: dict[str, dict[str, Any]] = {}
    if stamp is not None:
        fields["ts"] = stamp
        taken.update(stamp.get("join", [stamp.get("from")]))
    else:
        fields["ts"] = {"from": "syslog", "as": "stamp"} if prefixed else {"as": "day"}
    for name in _LOOKS if layout.named else _NAMELESS:
        best = _best(name, columns, taken, named=layout.named)
        if best is not None:
            column, transform = best
            taken.add(column)
            fields[name] = {"from": column, **({"as": transform} if transform else {})}
            if name == "blocked":
                words = Counter(v.lower() for v in columns[column] if _BLOCKED.search(v))
                fields[name] |= {
                    "true": sorted(words)[:20] or ["*block*", "*den*"],
                    "otherwise": False,
                }
    return fields


def _best(
    name: str, columns: Mapping[str, Sequence[str]], taken: set[str], *, named: bool
) -> tuple[str, str] | None:
    """Return the column that looks most like a field, and its transform."""
    most = max(map(len, columns.values()), default=0)
    scores: list[tuple[float, int, int, str, str]] = []
    for place, (column, values) in enumerate(columns.items()):
        last = column.rpartition(".")[2].strip('"')
        hinted = any(re.search(_HINTS[name], text, re.IGNORECASE) for text in (last, column))
        if column in taken or (named and not hinted and name != "host"):
            continue
        for rank, (transform, looks) in enumerate(_LOOKS[name]):
            share = sum(map(looks, values)) / len(values)
            varied = min(1.0, len(set(values)) / 3) if name == "user" else 1.0
            if share >= _MOST:
                score = share * varied + 2 * (named and hinted) + 0.3 * len(values) / most
                scores.append((score, -place, -rank, column, transform))
    if not scores:
        return None
    _, _, _, column, transform = max(scores)
    return column, transform


def _stamp(
    con: duckdb.DuckDBPyConnection, layout: Layout, columns: Mapping[str, Sequence[str]]
) -> dict[str, Any] | None:
    """Return how the time is read: from one column, or from two that stand side by side."""
    names = list(columns)
    pattern = re.compile(_HINTS["ts"], re.IGNORECASE)
    if layout.named:
        names.sort(key=lambda name: not pattern.search(name.rpartition(".")[2]))
    for name in names:
        if (how := _written(con, columns[name])) is not None:
            return {"from": name, **how}
    three = zip(names, names[1:], names[2:], strict=False)
    for joined in (*pairwise(names), *three):
        values = [
            " ".join(cells[name] for name in joined)
            for _, cells in layout.lines
            if all(name in cells for name in joined)
        ]
        if values and (how := _written(con, values)) is not None and "formats" in how:
            return {"join": list(joined), **how}
    return None


def _written(con: duckdb.DuckDBPyConnection, values: Sequence[str]) -> dict[str, Any] | None:
    """Return the transform that reads most of some cells as times."""
    few = list(values[:50])
    for transform, pattern in _STAMPS.items():
        if sum(bool(re.match(pattern, value)) for value in few) > _MOST * len(few):
            return {"as": transform}
    if not any(re.search(r"\d[:\d.]+\d", value) for value in few):
        return None
    sql = "SELECT count(try_strptime(v, $form)) FROM (SELECT unnest($values::VARCHAR[]) AS v)"
    read = {
        form: con.execute(sql, {"form": form, "values": few}).fetchall()[0][0] for form in _TIMES
    }
    most = max(read.values())
    if most < _MOST * len(few):
        return None
    return {"formats": [form for form, count in read.items() if count == most][:1]}


# ---- Samples that name nobody


_HOSTS = ("app.example.com", "www.example.org", "files.example.net", "mail.example.com")
_USERS = ("asmith", "bwagner", "cmeyer", "djones")


def _stand_in(name: str, how: Mapping[str, Any], value: str, number: int) -> str:
    """Return what stands for a cell in a sample: the same kind of thing, of nobody."""
    if value in {"", "-"}:
        return value
    n = number % 4
    match name:
        case "client" | "dest_ip":
            bare = without_port(value) if how.get("as") == "before_colon" else value
            first = "192.0.2.1" if name == "client" else "203.0.113.7"
            return (f"2001:db8::{n + 1}" if ":" in bare else f"{first}{n}") + value[len(bare) :]
        case "host" if how.get("as") == "url":
            scheme = f"{value.partition('://')[0]}://" if "://" in value else ""
            rest = value.removeprefix(scheme)
            port = re.match(r"[^/?]*?(:\d+)(?=[/?]|$)", rest)
            return f"{scheme}{_HOSTS[n]}{port[1] if port else ''}{'/' if '/' in rest else ''}"
        case "user":
            domain = "EXAMPLE\\" if "\\" in value else ""
            return f"{domain}{_USERS[n]}{'@example.com' if '@' in value else ''}"
        case _:
            fixed = {"host": _HOSTS[n], "user_agent": "ExampleAgent/1.0", "department": "Sales"}
            return fixed.get(name, value)


def _samples(
    layout: Layout, fields: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, set[str]]]:
    """Yield anonymous lines that together fill all fields, with the fields that each fills."""
    sources = {
        name: [*how.get("join", ()), *([how["from"]] if "from" in how else [])]
        for name, how in fields.items()
    }
    left = set(fields)
    number = 0
    while left:
        line, cells, shown = max(
            ((line, cells, _shown(cells, sources)) for line, cells in layout.lines),
            key=lambda one: len(one[2] & left),
        )
        if not shown & left:
            return
        kept = {
            column: _stand_in(name, fields[name], cells.get(column, "-"), number)
            for name, columns in sources.items()
            for column in columns
        }
        yield _rebuilt(layout, line, cells, kept), shown
        left -= shown
        number += 1


def _shown(cells: Cells, sources: Mapping[str, Sequence[str]]) -> set[str]:
    return {
        name
        for name, columns in sources.items()
        if all(column == "syslog" or cells.get(column, "-") not in {"", "-"} for column in columns)
    }


def _rebuilt(layout: Layout, line: str, cells: Cells, kept: Mapping[str, str]) -> str:
    """Write a line anew of the cells that are kept; the others are left out, or blank."""
    held = {column: value for column, value in kept.items() if column in cells}
    if layout.cut == "json":
        return json.dumps(_nested(held))
    if layout.cut == "cef":
        head = "|".join([*line[line.index("CEF:") :].split("|", 7)[:4], "100", "event", "5"])
        return f"{head}|{' '.join(f'{key}={value}' for key, value in held.items())}"
    sign = str(layout.says.get("delimiter", "\t" if "\t" in line and layout.cut == "w3c" else " "))
    if layout.cut == "keyvalue":
        pairs = (f'{k}="{v}"' if " " in v or "," in v else f"{k}={v}" for k, v in held.items())
        return sign.join(pairs)
    row = [held.get(column, "-") for column in cells]
    if layout.says.get("quoted", True):
        row = [f'"{cell}"' if sign in cell else cell for cell in row]
    return sign.join(row)


def _nested(held: Mapping[str, str]) -> dict[str, Any]:
    """Return an object that has some values at their paths."""
    made: dict[str, Any] = {}
    for path, value in held.items():
        steps = re.findall(r'"([^"]+)"|(\w+)|\[(0)\]', path.removeprefix("$"))
        here: Any = made
        for position, (quoted, plain, index) in enumerate(steps):
            last = position == len(steps) - 1
            fresh: Any = value if last else [] if steps[position + 1][2] else {}
            if index:
                if not here or last:
                    here.append(fresh)
                here = here[0]
            else:
                here = here.setdefault(quoted or plain, fresh)
    return made


# ---- The draft as text, proved on the log it was made from


def _proved(
    con: duckdb.DuckDBPyConnection,
    name: str,
    layout: Layout,
    fields: dict[str, dict[str, Any]],
    whole: bytes,
) -> Draft:
    layout, fields = _renamed(layout, fields)
    lines = list(_samples(layout, fields))
    shown = {"ts"}.union(*(names for _, names in lines))
    fields = {key: how for key, how in fields.items() if key in shown}
    prefix = "Jan  1 09:00:00 gw app: " if fields["ts"].get("from") == "syslog" else ""
    samples = [{"line": prefix + line} | _headed(layout) for line, _ in lines]
    bare = [_sample(sample | {"event": "other"}) for sample in samples]
    first = formats.read_format(name, _toml(layout, fields, bare))
    events = proof.read_samples(con, first)
    written = []
    for sample, (outcome, event) in zip(samples, events, strict=True):
        if prefix:
            event.pop("ts", None)  # no year stands there
        written.append(_sample(sample | {"event": event if outcome is None else "other"}))
    toml = _toml(layout, fields, written)
    made = formats.read_format(name, toml)
    tally = reading.attempt(con, whole)(made, whole)
    return Draft(name, toml, tally.total, tally.events + tally.others)


def _headed(layout: Layout) -> dict[str, str]:
    return {"header": layout.header} if layout.header else {}


def _renamed(
    layout: Layout, fields: dict[str, dict[str, Any]]
) -> tuple[Layout, dict[str, dict[str, Any]]]:
    """Name counted columns for what they feed."""
    if not layout.columns:
        return layout, fields
    names: dict[str, str] = {}
    for name, how in fields.items():
        for number, column in enumerate(how.get("join", [how.get("from")])):
            if column in {None, "syslog"}:
                continue
            base = {"ts": "time", "blocked": "action"}.get(name, name)
            names[column] = base + (str(number + 1) if "join" in how else "")
    layout.columns = [names.get(column, column) for column in layout.columns]
    layout.lines = [
        (line, {names.get(key, key): value for key, value in cells.items()})
        for line, cells in layout.lines
    ]
    renamed = {}
    for name, how in fields.items():
        renamed[name] = dict(how)
        if "join" in how:
            renamed[name]["join"] = [names[column] for column in how["join"]]
        elif how.get("from") in names:
            renamed[name]["from"] = names[how["from"]]
    return layout, renamed


def _toml(layout: Layout, fields: Mapping[str, Mapping[str, Any]], samples: Iterable[str]) -> str:
    top: dict[str, Any] = {
        "title": "Drafted: what is it?",
        "vendor": "Unknown",
        "url": "https://example.com/the-page-that-documents-it",
        "evidence": "observed",
        "kind": "proxy" if "method" in fields or "bytes_in" in fields else "mixed",
        "cut": layout.cut,
        **layout.says,
    }
    if layout.columns:
        top["columns"] = layout.columns
    source = fields["ts"].get("from")
    if layout.cut in {"json", "keyvalue"} and source not in {None, "syslog"}:
        top["when"] = {source: ["*"]}
    lines = [f"{key} = {_value(value)}" for key, value in top.items()]
    lines += ["", "[fields]"]
    lines += [f"{name} = {_value(how)}" for name, how in fields.items()]
    return "\n".join([_INTRODUCTION, *lines, "", *samples])


_INTRODUCTION = """\
# A draft: look at every line. Which column is the client, and which the server? Is a number bytes
# to the client or from it? Then: sundial check --rules DIR, sundial parse --rules DIR FILE."""


def _sample(sample: Mapping[str, Any]) -> str:
    return "\n".join(["[[sample]]", *(f"{k} = {_value(v)}" for k, v in sample.items()), ""])


def _value(value: object) -> str:
    """Write a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return _key_text(value)
    return str(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _key_text(key)


def _key_text(value: str) -> str:
    # JSON's escapes are TOML's, but for what JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def keep(made: Draft, folder: Path) -> Path:
    """Write a draft into a folder of rules; raise LogError where it cannot be, or is there."""
    path = folder / "formats" / f"{made.name}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(made.toml)
    except FileExistsError:
        raise LogError(Problem(str(path), "is there already; name another with --name.")) from None
    except OSError as error:
        raise LogError(Problem(str(path), f"cannot be written: {error.strerror}.")) from None
    return path
