"""Log formats as data: rules/formats/*.toml read into Format values, every fault found and named.

A format says how a line is cut into cells and which cell feeds which field of an event;
rules/README.md has the grammar. It knows no SQL: ``agent.parse`` compiles it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import rtoml

from agent import shipped
from agent.errors import Problem, RulesError, nearest
from agent.model import (
    ASIDE,
    CLAIM_FIELDS,
    CLAIMS,
    CUTS,
    FIELDS,
    HEADER_CELLS,
    TRANSFORMS,
    Advice,
    Condition,
    Field,
    Format,
    Pivot,
    Sample,
    Shape,
)

_SHIPPED = "rules/formats"
_KINDS = ("dns", "proxy", "firewall", "mixed", *CLAIMS)
_EVIDENCE = ("observed", "documented")
_TOP = (
    "title", "vendor", "url", "evidence", "kind", "cut", "delimiter", "colons", "loose",
    "quoted", "header", "prefix", "starts", "other", "wrapped", "empty", "generic", "find",
    "record", "part", "shape", "sample", "advice",
)  # fmt: skip
_FOLDED = re.compile("[a-z0-9]+")
_FAULT = "="
"""A key that no table of TOML has: what is wrong with the file."""
_ONES_OWN = ("title", "sample", "advice")
"""What a format does not take from the one that it is like."""
_SHAPE = ("when", "columns", "tail", "pivot", "pattern", "onepass", "minimum", "repeats", "fields")
_DELIMITED = {"delimited", "keyvalue"}
"""Cuts whose delimiter a format may choose."""
_PIVOT = ("token", "left", "right", "cell")
_FIELD = ("from", "join", "as", "formats", "true", "false", "otherwise", "zone")
_ADVICE = ("for", "do", "snippet")
_ZONE = "zone"
"""What an advice may be for beside fields: times that state no zone."""
_SAMPLE = ("line", "event", "header", "note")
_DEFAULT_TRANSFORM = {
    "ts": "time",
    "host": "host",
    "bytes_out": "count",
    "bytes_in": "count",
    "blocked": "verdict",
    "until": "time",
    "lifetime": "count",
    "ends": "verdict",
}


def load_formats(extra: Sequence[Path] = ()) -> Mapping[str, Format]:
    """Return every format of logs by name, as ``load_all`` does, without leases and log-ons."""
    return of_logs(load_all(extra))


def of_logs(known: Mapping[str, Format]) -> Mapping[str, Format]:
    """Return the formats whose lines are events."""
    return {name: one for name, one in known.items() if one.kind not in CLAIMS}


def of_claims(known: Mapping[str, Format]) -> Mapping[str, Format]:
    """Return the formats whose lines tell who had an address: leases and log-ons."""
    return {name: one for name, one in known.items() if one.kind in CLAIMS}


def load_all(extra: Sequence[Path] = ()) -> Mapping[str, Format]:
    """Return every format by name: the shipped ones, then those of an operator's folders.

    A local format replaces the shipped one of the same name. Raises RulesError with the problems
    of all files.
    """
    problems: list[Problem] = []
    formats: dict[str, Format] = {}
    tables: dict[str, Table] = {}
    for folder in (files("rules") / "formats", *extra):
        place = str(folder) if isinstance(folder, Path) and folder in extra else _SHIPPED
        entries = sorted(folder.iterdir(), key=lambda item: item.name)
        found = {
            entry.name.removesuffix(".toml"): _table(entry)
            for entry in entries
            if entry.name.endswith(".toml")
        }
        for name, table in found.items():
            reader = _Reader(f"{place}/{name}.toml", problems)
            # A format of one's own may be like the shipped one whose name it takes.
            others = {key: one for key, one in found.items() if key != name and _FAULT not in one}
            whole = reader.alike(table, {**tables, **others})
            if not reader.found and (loaded := reader.format(name, whole)) is not None:
                formats[name] = loaded
        tables |= found
    if problems:
        raise RulesError(problems)
    return formats


def read_format(name: str, text: str) -> Format:
    """Return the format that a text of TOML holds. Raises RulesError with all its problems."""
    problems: list[Problem] = []
    try:
        made = _Reader(name, problems).format(name, rtoml.loads(text))
    except rtoml.TomlParsingError as error:
        raise RulesError(Problem(name, f"is not TOML: {error}.")) from None
    if made is None or problems:
        raise RulesError(problems)
    return made


Table = dict[str, Any]


def _table(entry: Traversable) -> Table:
    """Return what a file holds; only what is wrong with it where it cannot be read."""
    try:
        return rtoml.loads(entry.read_text(encoding="utf-8"))
    except (rtoml.TomlParsingError, UnicodeDecodeError) as error:
        return {_FAULT: f"is not TOML: {error}."}


@cache
def _words() -> Mapping[str, tuple[str, ...]]:
    """Return what devices may call a cell, by word. Raises RulesError where a list is none."""
    where, table = shipped.tables("words.toml")
    for word, names in table.items():
        if not isinstance(names, list) or not all(_FOLDED.fullmatch(str(name)) for name in names):
            raise RulesError(Problem(where, "is a list of small letters and numbers.", word))
    return {word: tuple(names) for word, names in table.items()}


@dataclass
class _Reader:
    """Reads one file's tables and records what is wrong instead of stopping."""

    where: str
    problems: list[Problem]
    found: int = field(default=0)
    claims: bool = False
    """Whether the lines tell who had an address."""

    def wrong(self, key: str | None, message: str) -> None:
        self.found += 1
        self.problems.append(Problem(self.where, message, key))

    def alike(self, table: Table, others: Mapping[str, Table]) -> Table:
        """Return a format with all that it does not say itself from the one that it is like."""
        if _FAULT in table:
            self.wrong(None, table[_FAULT])
        if "like" not in table:
            return table
        name = str(table["like"])
        left = {key: other for key, other in others.items() if key != name}
        if name not in others:
            self.wrong("like", f'"{name}": no such format.{nearest(name, left)}')
        kept = self.alike(others.get(name, {}), left)
        return _over(
            {key: value for key, value in kept.items() if key not in _ONES_OWN},
            {key: value for key, value in table.items() if key != "like"},
        )

    def format(self, name: str, table: Table) -> Format | None:
        self.known(table, (*_TOP, *_SHAPE), "")
        self.claims = table.get("kind") in CLAIMS
        cut = self.one_of(table, "cut", CUTS)
        shapes = self.tables(table, "shape") or [{}]
        generic = bool(table.get("generic", False))
        base = {key: table[key] for key in _SHAPE if key in table}
        made = Format(
            name=name,
            title=self.text(table, "title"),
            vendor=self.text(table, "vendor"),
            url=self.text(table, "url"),
            evidence=self.one_of(table, "evidence", _EVIDENCE),
            kind=self.one_of(table, "kind", _KINDS),
            cut=cut,
            delimiter=self.delimiter(table, cut),
            colons=bool(table.get("colons", False)),
            loose=tuple(self.texts(table, "loose")),
            quoted=bool(table.get("quoted", True)),
            header=self.optional(table, "header", ""),
            prefix=bool(table.get("prefix", False)),
            starts=tuple(self.texts(table, "starts")),
            other=tuple(self.texts(table, "other")),
            wrapped=tuple(self.texts(table, "wrapped")),
            empty=("", *_texts(table.get("empty", "-"))),
            generic=generic,
            words=dict(_words()) if generic and cut not in {"regex", "found"} else {},
            find={
                name: self.pattern(self.table(table, "find", ""), "find", name)
                for name in self.table(table, "find", "")
            },
            record=self.pattern(table, "", "record"),
            part=self.pattern(table, "", "part"),
            shapes=tuple(
                self.shape(
                    _over(base, shape),
                    f"shape[{number}]" if table.get("shape") else "",
                    enclosed=bool(table.get("quoted", True)),
                )
                for number, shape in enumerate(shapes, 1)
            ),
            samples=tuple(self.samples(self.tables(table, "sample"))),
            advice=tuple(self.advice(self.tables(table, "advice"))),
        )
        if not made.samples:
            self.wrong("sample", "a format proves itself: add a [[sample]] with line and event.")
        one = len(made.delimiter) == 1 and made.delimiter.isascii()
        if not one and (cut == "keyvalue" or (cut == "delimited" and made.quoted)):
            cure = "is one ASCII sign; of delimited cells it may be more with quoted = false."
            self.wrong("delimiter", cure)
        self.cells(made)
        if made.words:
            spoken = {cell: _words()[cell] for cell in made.cells if cell in _words()}
            made = replace(made, words=spoken)
        return made if not self.found else None

    def delimiter(self, table: Mapping[str, Any], cut: str) -> str:
        usual = "," if cut == "delimited" else " "
        return self.optional(table, "delimiter", usual) if cut in _DELIMITED else usual

    def shape(self, table: dict[str, Any], key: str, *, enclosed: bool) -> Shape:
        self.known(table, _SHAPE, key)
        for name in ("tail", "pivot"):
            if enclosed and name in table:
                self.wrong(_dot(key, name), "is for cells without quotes: add quoted = false.")
        fields = self.table(table, "fields", key)
        names = CLAIM_FIELDS if self.claims else FIELDS
        self.known(fields, names, _dot(key, "fields"))
        if not {"ts", "until" if self.claims else "ts"} & set(fields) and not table.get("repeats"):
            self.wrong(_dot(key, "fields.ts"), "is missing: every event has a time.")
        if self.claims:
            if "client" not in fields:
                self.wrong(_dot(key, "fields.client"), "is missing: a claim is to an address.")
        elif "host" not in fields and "dest_ip" not in fields:
            self.wrong(_dot(key, "fields.host"), "is missing: an event names where it went.")
        return Shape(
            when=tuple(
                Condition(tuple(either.split("|")), tuple(_texts(values)))
                for either, values in self.table(table, "when", key).items()
            ),
            columns=tuple(_texts(table.get("columns", ()))),
            tail=tuple(_texts(table.get("tail", ()))),
            pivots=tuple(self.pivots(self.tables(table, "pivot", key), _dot(key, "pivot"))),
            pattern=self.pattern(table, key),
            onepass=bool(table.get("onepass", False)),
            minimum=self.number(table, "minimum", key),
            repeats=bool(table.get("repeats", False)),
            fields=tuple(
                self.field(name, spec, _dot(key, f"fields.{name}"))
                for name, specs in fields.items()
                if name in names and specs != []
                for spec in _alternatives(specs)
            ),
        )

    def pivots(self, tables: Iterable[dict[str, Any]], key: str) -> Iterable[Pivot]:
        for table in tables:
            self.known(table, _PIVOT, key)
            yield Pivot(
                tuple(_texts(table.get("token", ""))),
                tuple(_texts(table.get("left", ()))),
                tuple(_texts(table.get("right", ()))),
                str(table.get("cell", "")),
            )

    def pattern(self, table: Mapping[str, Any], key: str, name: str = "pattern") -> str:
        pattern = str(table.get(name, ""))
        try:
            re.compile(pattern)
        except re.error as error:
            self.wrong(_dot(key, name), f"is no regular expression: {error}.")
        return pattern

    def field(self, name: str, spec: object, key: str) -> Field:
        if isinstance(spec, str | list):
            spec = {"from": spec}
        if not isinstance(spec, dict):
            self.wrong(key, 'is a cell name or a table: { from = "cell", as = "transform" }.')
            spec = {}
        self.known(spec, _FIELD, key)
        transform = spec.get("as", _DEFAULT_TRANSFORM.get(name, "text"))
        if transform not in TRANSFORMS:
            self.wrong(
                f"{key}.as", f'"{transform}": unknown transform.{nearest(transform, TRANSFORMS)}'
            )
        if transform in {"time", "ordered"} and not spec.get("formats"):
            self.wrong(f"{key}.formats", "is missing: how the time is written, as for strftime.")
        return Field(
            name=name,
            sources=tuple(_texts(spec.get("join", spec.get("from", ())))),
            join="join" in spec,
            transform=transform,
            formats=tuple(_texts(spec.get("formats", ()))),
            true=tuple(value.lower() for value in _texts(spec.get("true", ()))),
            false=tuple(value.lower() for value in _texts(spec.get("false", ()))),
            otherwise=spec.get("otherwise"),
            zone=str(spec.get("zone", "")),
        )

    def samples(self, tables: Iterable[dict[str, Any]]) -> Iterable[Sample]:
        for number, table in enumerate(tables, 1):
            key = f"sample[{number}]"
            self.known(table, _SAMPLE, key)
            event = table.get("event")
            if event not in {"other", "reject"} if isinstance(event, str) else not event:
                self.wrong(f"{key}.event", 'is the expected event as a table, "other" or "reject".')
            yield Sample(str(table.get("line", "")), event or {}, str(table.get("header", "")))

    def advice(self, tables: Iterable[dict[str, Any]]) -> Iterable[Advice]:
        for number, table in enumerate(tables, 1):
            key = f"advice[{number}]"
            self.known(table, _ADVICE, key)
            about = tuple(_texts(table.get("for", ())))
            for name in about:
                if name not in {*FIELDS, _ZONE}:
                    self.wrong(f"{key}.for", f'"{name}": no such field.{nearest(name, FIELDS)}')
            if not about or not isinstance(table.get("do"), str):
                self.wrong(key, "names the fields that it is for, and what to do.")
            yield Advice(about, str(table.get("do", "")), str(table.get("snippet", "")).strip("\n"))

    def cells(self, made: Format) -> None:
        """Find fields and conditions that take a cell which no line of their shape has."""
        placed = made.cut in {"blanks", "delimited", "regex", "found"} and not made.header
        if not (placed or made.generic):
            return
        for number, shape in enumerate(made.shapes, 1):
            names = {*shape.columns, *shape.tail, *ASIDE, *HEADER_CELLS.get(made.cut, ())}
            names |= {*made.words, *made.find}
            for pivot in shape.pivots:
                names |= {*pivot.left, pivot.cell, *pivot.right}
            if made.cut == "regex" and not self.found:
                names |= set(re.compile(shape.pattern).groupindex)
            key = f"shape[{number}]" if len(made.shapes) > 1 else ""
            used = [
                (f"fields.{field.name}", cell) for field in shape.fields for cell in field.sources
            ]
            used += [("when", cell) for one in shape.when for cell in one.cells]
            for place, cell in dict.fromkeys(used):
                if cell not in names:
                    self.wrong(_dot(key, place), f'"{cell}": no such cell.{nearest(cell, names)}')

    def table(self, table: Mapping[str, Any], key: str, above: str) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self.wrong(_dot(above, key), "is a table.")
            return {}
        return value

    def tables(self, table: Mapping[str, Any], key: str, above: str = "") -> list[dict[str, Any]]:
        value = table.get(key, [])
        listed = [value] if isinstance(value, dict) else value
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            self.wrong(_dot(above, key), "is a table or a list of tables.")
            return []
        return listed

    def number(self, table: Mapping[str, Any], key: str, above: str) -> int:
        value = table.get(key, 0)
        if not isinstance(value, int):
            self.wrong(_dot(above, key), "is a number.")
            return 0
        return value

    def known(self, table: Mapping[str, Any], keys: Sequence[str], key: str) -> None:
        for name in table:
            if name not in keys:
                self.wrong(_dot(key, name), f"unknown key.{nearest(name, keys)}")

    def text(self, table: Mapping[str, Any], key: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            self.wrong(key, "is missing." if value is None else "is not a text.")
            return ""
        return value

    def texts(self, table: Mapping[str, Any], key: str) -> Iterable[str]:
        return _texts(table.get(key, ()))

    def optional(self, table: Mapping[str, Any], key: str, default: str) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            self.wrong(key, "is not a text.")
            return default
        return value

    def one_of(self, table: Mapping[str, Any], key: str, values: Sequence[str]) -> str:
        value = self.text(table, key)
        if value and value not in values:
            self.wrong(key, f'"{value}" is none of {", ".join(values)}.{nearest(value, values)}')
        return value


def _over(base: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shape with what the format says for all shapes; its own fields and words win."""
    merged = {**base, **shape}
    for key in ("fields", "when", "find"):
        if isinstance(base.get(key), dict) and isinstance(shape.get(key), dict):
            merged[key] = {**base[key], **shape[key]}
    return merged


def _alternatives(specs: object) -> list[object]:
    """Return the ways to fill a field: a list of tables holds several, anything else is one."""
    if isinstance(specs, list) and any(isinstance(spec, dict) for spec in specs):
        return list(specs)
    return [specs]


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _dot(*parts: str) -> str:
    return ".".join(part for part in parts if part)
