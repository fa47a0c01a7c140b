"""The value types that every stage speaks: signals, apps, matches, formats and events."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from mmap import mmap

Clean = bytes | mmap
"""A text in UTF-8, each line ended by ``\\n``."""


class Evidence(StrEnum):
    """What a signal proves about a person."""

    USE = "use"
    MACHINE = "machine"
    EMBEDDED = "embedded"


class Signal(StrEnum):
    """How a host of an app is used."""

    APP = "app"
    SIGN_IN = "sign_in"
    UPLOAD = "upload"
    API = "api"
    WEBHOOK = "webhook"
    EMBED = "embed"
    TRACKER = "tracker"
    CDN = "cdn"
    TELEMETRY = "telemetry"
    PUSH = "push"

    @property
    def evidence(self) -> Evidence:
        """The class of evidence that this signal gives.

        >>> Signal.SIGN_IN.evidence.value, Signal.PUSH.evidence.value
        ('use', 'embedded')
        """
        if self in {Signal.APP, Signal.SIGN_IN, Signal.UPLOAD}:
            return Evidence.USE
        if self in {Signal.API, Signal.WEBHOOK}:
            return Evidence.MACHINE
        return Evidence.EMBEDDED


@dataclass(frozen=True, slots=True)
class App:
    """One cloud service of the catalogue."""

    id: str
    name: str
    vendor: str
    categories: tuple[str, ...]
    """Category ids; the first one is where the app is filed."""
    homepage: str
    audience: str
    """``business``, ``personal`` or ``both``."""
    hosts: tuple[tuple[str, Signal], ...]
    """Host suffixes with their signal; the longest suffix of a name wins."""
    tenant_under: tuple[str, ...] = ()
    """Suffixes whose next label to the left is a customer's own space."""
    not_tenants: frozenset[str] = field(default_factory=frozenset)
    """Labels in that place which are the vendor's own."""
    dual_use: bool = False
    """Whether a private account cannot be told from one of work by its hosts."""
    aliases: tuple[str, ...] = ()
    """Other names that people use."""
    formerly: tuple[str, ...] = ()
    """Names of before, of the product or of what became part of it."""
    successor: str | None = None
    """Id of the app that its users are being moved to."""
    white_label: tuple[str, ...] = ()
    """Suffixes that customers' own names lead to by CNAME; among ``hosts`` as well."""
    sources: tuple[str, ...] = ()
    """Ids of the sources that its hosts come from."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where facts come from, and what it asks of whoever passes them on."""

    id: str
    name: str
    url: str
    licence: str
    gives: str
    snapshot: str = ""
    terms: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is stated of an app; what nobody states is unknown, never a no."""

    app: str
    fact: str
    """A key of ``agent.vendor_facts.FACTS``."""
    answer: str
    """``yes``, ``no`` or ``unknown``."""
    value: str
    """The detail, in a few words; often none."""
    date: dt.date | None
    """When it was stated or last checked; None where nobody says."""
    stated_by: str
    """``vendor``, or the name of whoever says so."""
    link: str
    """The page that says so, an https address."""
    source: str
    """Id of the source that it was taken from."""

    def age(self, today: dt.date) -> str:
        """Tell whether it can be relied on: ``current``, ``old`` or ``undated``.

        >>> told = Fact("slack", "mfa", "yes", "", dt.date(2024, 1, 31), "vendor", "", "")
        >>> told.age(dt.date(2026, 1, 30)), told.age(dt.date(2026, 1, 31))
        ('current', 'old')
        """
        if self.date is None:
            return "undated"
        months = (today.year - self.date.year) * 12 + today.month - self.date.month
        return "old" if months - (today.day < self.date.day) >= OLD_MONTHS else "current"


OLD_MONTHS = 24
"""A fact of this age or more is shown as old."""


@dataclass(frozen=True, slots=True)
class Match:
    """What the catalogue says of one host; no match is a value with ``app`` None."""

    host: str
    app: str | None = None
    signal: Signal | None = None
    tenant: str | None = None
    rule: str | None = None
    """Where the answer comes from: ``<category>/<app id>: <suffix>``."""

    @property
    def evidence(self) -> Evidence | None:
        """The evidence of the signal, None without a match."""
        return None if self.signal is None else self.signal.evidence


CUTS = ("blanks", "delimited", "w3c", "keyvalue", "json", "cef", "leef", "regex", "found")
"""The ways a line is cut into cells, cheapest first."""

PAIRED = ("keyvalue", "cef", "leef")
"""Those of them whose cells are values of ``key=value`` pairs."""
COLONS = ((": ", "= "), (':"', '="'))
"""What stands behind a key where that is a colon, and what in its place while pairs are found."""
HEADER_CELLS = {
    "cef": tuple("cef device_vendor device_product device_version signature name severity".split()),
    "leef": tuple("leef device_vendor device_product device_version signature".split()),
}
"""The parts of a line before its pairs, by cut."""
SYSLOG_CELL = "syslog"
"""A cell of every cut: the time in the prefix that a relay set before the line."""
NEXT_CELL = "next"
"""Another: the line behind this one, for a shape whose ``when`` states a text word for word."""
LINE_CELL = "line"
"""And the line itself, without a prefix."""
ASIDE = frozenset({SYSLOG_CELL, NEXT_CELL, LINE_CELL})
"""Cells that no cut makes."""
UNNAMED = "none"
"""In place of a header: no line names the columns, so their cells tell what they are."""

FIELDS = (
    "ts",
    "client",
    "user",
    "host",
    "dest_ip",
    "method",
    "bytes_out",
    "bytes_in",
    "blocked",
    "user_agent",
    "department",
    "alias",
)
"""What an event holds; null wherever the log does not say."""

CLAIMS = ("lease", "logon")
"""Kinds of formats whose lines tell who had an address from when on, and no event."""

CLAIM_FIELDS = ("ts", "until", "lifetime", "client", "mac", "hostname", "user", "ends")
"""What a claim to an address holds; ``lifetime`` in seconds, ``ends`` true where it is given up."""

TRANSFORMS = (
    "text",
    "host",
    "url",
    "full_url",
    "request",
    "rrset",
    "time",
    "ordered",
    "iso",
    "stamp",
    "epoch",
    "day",
    "count",
    "verdict",
    "labels",
    "before_hash",
    "before_colon",
    "address",
    "site",
    "login",
    "after_slash",
    "bracketed",
    "mail",
    "first",
    "after_path",
    "first_word",
    "account",
    "percent",
    "octal",
    "names",
    "cnames",
    "answered",
)
"""The closed list of what may be done to a cell; ``agent.parse`` says what each one does."""


@dataclass(frozen=True, slots=True)
class Field:
    """One way to fill a field of an event; several for one name are tried in turn."""

    name: str
    sources: tuple[str, ...]
    """Cell names; the first one that holds something is taken."""
    join: bool
    """True where the cells together are the value, joined by a blank."""
    transform: str
    formats: tuple[str, ...] = ()
    """For ``time`` and ``ordered``: how it may be written, as for strptime."""
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    otherwise: bool | None = None
    """For ``verdict``: lower-case values (``*`` matches anything) that mean blocked and allowed."""
    zone: str = ""
    """Zone that the vendor states for times without one; empty: the zone of the source."""


@dataclass(frozen=True, slots=True)
class Pivot:
    """A word that is always there, from which cells are counted in both directions."""

    tokens: tuple[str, ...]
    left: tuple[str, ...]
    """Cell names just before the word, in reading order."""
    right: tuple[str, ...]
    cell: str = ""
    """Name of the cell that is the word itself, where there are several words."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a line must have in a cell."""

    cells: tuple[str, ...]
    """Cell names; the first one that says something counts."""
    values: tuple[str, ...]
    """Any of these; ``*`` matches anything, and a value led by ``!`` must not be there."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One layout of a format's lines."""

    when: tuple[Condition, ...]
    """Which lines have this shape."""
    columns: tuple[str, ...]
    tail: tuple[str, ...]
    """Names of the last cells, in reading order."""
    pivots: tuple[Pivot, ...]
    pattern: str
    onepass: bool
    """True where RE2 never has to try a second way to read a line by the pattern."""
    minimum: int
    """Fewest cells of such a line; 0 for as many as the fields need."""
    repeats: bool
    """True for lines that name a host again (an answer, an alert): shown, but never counted."""
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A line that proves a format, and the event it must give."""

    line: str
    event: dict[str, object] | str
    """The expected fields, or ``other`` (no event, rightly) or ``reject``."""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change on the device where its log does not say something."""

    about: tuple[str, ...]
    """The fields that are missing; ``zone`` stands for the time zone."""
    change: str
    """One sentence."""
    snippet: str = ""
    """The lines of configuration, ready to be pasted."""


@dataclass(frozen=True, slots=True)
class Format:
    """One vendor log layout."""

    name: str
    title: str
    vendor: str
    url: str
    evidence: str
    kind: str
    cut: str
    delimiter: str
    colons: bool
    """For ``keyvalue``: whether a colon, before a blank or a quote, stands behind each key."""
    loose: tuple[str, ...]
    """For ``keyvalue`` with values that hold delimiters and no quotes: the keys that end one, which
    may be any (``*``)."""
    quoted: bool
    header: str
    """What a line that names the columns starts with; ``first`` for the first line; ``none`` where
    cells must tell what they are; or nothing, where the format knows."""
    prefix: bool
    """True where what looks like a syslog prefix belongs to the cells and is not taken off."""
    starts: tuple[str, ...]
    """What a line holds somewhere, lest it be no line of this format."""
    other: tuple[str, ...]
    """Patterns (``*`` matches anything) of lines that are rightly no event of any shape."""
    wrapped: tuple[str, ...]
    """For ``json``: paths where an export tool put the device's own object, as text."""
    empty: tuple[str, ...]
    """Cell values that say nothing."""
    generic: bool
    """True for a layout of no one device: tried where no other format reads the lines."""
    words: dict[str, tuple[str, ...]]
    """What devices may call the cells of a generic format, by letters and numbers alone."""
    find: dict[str, str]
    """For ``found``, and for what stands beside pairs: cell name to the pattern whose group is the
    cell."""
    shapes: tuple[Shape, ...]
    samples: tuple[Sample, ...]
    advice: tuple[Advice, ...] = ()
    record: str = ""
    """A pattern of what starts a record of several lines, which are read as one; empty: no such."""
    part: str = ""
    """A pattern of what starts each of several parts of a record: a part is read as a record,
    behind what stands before the first; empty: no such."""

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that its lines may have."""
        return CLAIM_FIELDS if self.kind in CLAIMS else FIELDS

    @property
    def cells(self) -> list[str]:
        """The names of the cells that its shapes use, each once."""
        used = (
            cell
            for shape in self.shapes
            for either in (*(f.sources for f in shape.fields), *(c.cells for c in shape.when))
            for cell in either
        )
        return [cell for cell in dict.fromkeys(used) if cell not in ASIDE]

    @property
    def spoken(self) -> bool:
        """Whether each line of a generic format names its cells itself."""
        return bool(self.words) and self.cut in {"json", *PAIRED}

    @property
    def keys(self) -> list[str]:
        """Those of its cells that are values of pairs."""
        others = {*HEADER_CELLS.get(self.cut, ()), *self.find}
        return [cell for cell in self.cells if cell not in others] if self.cut in PAIRED else []

    @property
    def proof(self) -> str:
        """The field that shows that a line is one of this format, and no other's."""
        return "client" if self.kind in CLAIMS else "host"

    def tells(self, field_name: str) -> bool:
        """Tell whether any line of this format can have a field, also one that repeats a host."""
        return any(field.name == field_name for shape in self.shapes for field in shape.fields)

    def gives(self, field_name: str) -> bool:
        """Tell whether any event of this format can have a field."""
        counted = (shape for shape in self.shapes if not shape.repeats)
        return any(field.name == field_name for shape in counted for field in shape.fields)
