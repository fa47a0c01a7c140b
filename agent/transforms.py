"""What may be done to a cell before it is a field: the closed list of transforms, as SQL.

A format names a transform; each gets the column of a value and returns an expression over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from agent.cuts import text
from agent.model import Field


@dataclass(frozen=True, slots=True)
class Reading:
    """How one file is read beside its format."""

    timezone: str = "UTC"
    """Zone of times that state none."""
    dated: date = date(2000, 1, 1)
    """The day the file was closed; gives the year to times that state none."""
    prefixed: bool = False
    """True where a relay's syslog prefix stands before each line."""
    columns: tuple[str, ...] = ()
    """Names that a header line gave, or that lines of a generic format have; else empty."""
    ahead: int = 0
    """Seconds that the clock of its source is ahead."""


def any_of(value: str, patterns: tuple[str, ...]) -> str:
    """Return the condition that a lower-case text is one of some values."""
    plain = [text(p.lower()) for p in patterns if "*" not in p]
    tests = [f"{value} = {word}" for word in plain]
    wild = tuple(p.lower() for p in patterns if "*" in p)
    return f"({' OR '.join([*tests, *([like_any(value, wild)] if wild else [])]) or 'false'})"


def like_any(value: str, patterns: tuple[str, ...]) -> str:
    """Return the condition that a text fits a pattern, where ``*`` matches anything."""
    tests = [_like(value, pattern) for pattern in patterns]
    return f"({' OR '.join(tests)})" if tests else "false"


def _like(value: str, pattern: str) -> str:
    # A look for plain text costs a third of LIKE.
    plain = pattern.strip("*")
    if "*" not in plain:
        starts, ends = pattern.startswith("*"), pattern.endswith("*")
        if starts and ends:
            return f"contains({value}, {text(plain)})"
        return f"{'suffix' if starts else 'starts_with'}({value}, {text(plain)})"
    escaped = pattern.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"{value} LIKE {text(escaped.replace('*', '%'))} ESCAPE '\\'"


def _as_text(value: str, _: Field, __: Reading) -> str:
    return value


def _url(value: str, _: Field, __: Reading) -> str:
    """Return the authority of a URL, or the start of one that has no scheme."""
    bare = f"split_part({value}, '?', 1)"
    return (
        f"CASE WHEN NOT contains({bare}, '/') THEN {bare} "
        f"WHEN {_has_scheme(bare)} THEN split_part({bare}, '/', 3) "
        f"ELSE split_part({bare}, '/', 1) END"
    )


def _full_url(value: str, _: Field, __: Reading) -> str:
    """Return the authority of a URL that has a scheme; null for a bare path."""
    bare = f"split_part({value}, '?', 1)"
    return f"CASE WHEN {_has_scheme(bare)} THEN split_part({bare}, '/', 3) END"


def _has_scheme(bare: str) -> str:
    """Return the condition that a URL starts with a scheme: its path may hold another URL."""
    scheme = f"strpos({bare}, '://')"
    return f"{scheme} > 0 AND strpos({bare}, '/') = {scheme} + 1"


def _request(value: str, field: Field, reading: Reading) -> str:
    """Return the host in a request line: ``GET http://www.example.com/ HTTP/1.1``."""
    target = f"split_part({value}, ' ', 2)"
    host = _url(target, field, reading)
    return f"CASE WHEN NOT starts_with({target}, 'HTTP/') THEN {host} END"


def _rrset(value: str, _: Field, __: Reading) -> str:
    """Return the name in what a resolver calls ``'name/type/class':``."""
    quotes = text("':")
    return f"split_part(trim({value}, {quotes}), '/', 1)"


def _utc(naive: str, field: Field, reading: Reading) -> str:
    """Return a local time as UTC."""
    zone = field.zone or reading.timezone
    return naive if zone == "UTC" else f"timezone('UTC', timezone({text(zone)}, {naive}))"


def _time(value: str, field: Field, reading: Reading) -> str:
    """Read a written time; a zone it states wins, a year it lacks comes from the file's day."""
    zoned = [form for form in field.formats if "%z" in form]
    yearless = [form for form in field.formats if "%y" not in form.lower()]
    naive = [form for form in field.formats if form not in {*zoned, *yearless}]
    tries = []
    if zoned:
        tries.append(f"timezone('UTC', try_strptime({value}, {_forms(zoned)}))")
    if naive:
        tries.append(_utc(f"try_strptime({value}, {_forms(naive)})", field, reading))
    if yearless:
        tries.append(_yearless(value, yearless, field, reading))
    return tries[0] if len(tries) == 1 else f"coalesce({', '.join(tries)})"


def _forms(forms: list[str]) -> str:
    return text(forms[0]) if len(forms) == 1 else f"[{', '.join(text(form) for form in forms)}]"


def _yearless(value: str, forms: list[str], field: Field, reading: Reading) -> str:
    """Read a time without a year as the last such day before the file was closed."""
    dated = _forms([f"%Y {form}" for form in forms])
    this, last = (
        f"try_strptime('{reading.dated.year - back} ' || {value}, {dated})" for back in (0, 1)
    )
    # Two days: one for the zone, one for a clock that is ahead.
    limit = f"(DATE '{reading.dated.isoformat()}' + 2)"
    return _utc(f"CASE WHEN {this} <= {limit} THEN {this} ELSE {last} END", field, reading)


_SOME = "(line_no % 64 = 0 OR line_no < 2000 + (SELECT min(line_no) FROM shaped))"
"""Lines that show which way a block writes its dates: to try all on all takes long."""


def order(value: str, field: Field) -> str:
    """Return the query for the number of the format in which most lines write their dates.

    Day and month may stand in either order. Of some lines of the block the one counts that reads
    most; among equals the one by which they span the least time, since a log is written from one
    day to the next.
    """
    numbers = range(len(field.formats))
    reads = ", ".join(
        f"try_strptime({value}, {text(form)}) AS r{number}"
        for number, form in enumerate(field.formats)
    )
    scores = ", ".join(
        f"{{'lines': count(r{n}), 'span': max(r{n}) - min(r{n}), 'number': {n}}}" for n in numbers
    )
    return (
        f"(SELECT score.number FROM (SELECT unnest([{scores}]) AS score "
        f"FROM (SELECT {reads} FROM shaped WHERE shape > 0 AND {_SOME})) "
        "ORDER BY score.lines DESC, score.span, score.number LIMIT 1)"
    )


def in_order(value: str, best: str, field: Field, reading: Reading) -> str:
    """Read a date in the format whose number the column ``best`` holds."""
    cases = " ".join(
        f"WHEN {best} = {number} THEN try_strptime({value}, {text(form)})"
        for number, form in enumerate(field.formats)
    )
    return _utc(f"CASE {cases} END", field, reading)


def _ordered(value: str, field: Field, reading: Reading) -> str:
    """Read a date whose day and month may stand in either order, where ``in_order`` does not."""
    return _utc(f"try_strptime({value}, {_forms(list(field.formats))})", field, reading)


def _iso(value: str, field: Field, reading: Reading) -> str:
    """Read ISO 8601, also with a comma before the fraction; without a zone it is local time."""
    dotted = f"replace({value}, ',', '.')"
    stated = f"timezone('UTC', try_cast({dotted} AS TIMESTAMPTZ))"
    if (field.zone or reading.timezone) == "UTC":
        return stated
    bare = f"regexp_matches({value}, '\\d\\d:\\d\\d(:\\d\\d([.,]\\d+)?)?$')"
    local = _utc(f"try_cast({dotted} AS TIMESTAMP)", field, reading)
    return f"CASE WHEN {bare} THEN {local} ELSE {stated} END"


def _stamp(value: str, field: Field, reading: Reading) -> str:
    """Read the time of a syslog prefix: ISO 8601, or a month's name with or without a year."""
    named = _utc(
        f"try_strptime({value}, ['%b %d %Y %H:%M:%S', '%b %d %Y %H:%M:%S.%g'])", field, reading
    )
    bare = _yearless(value, ["%b %d %H:%M:%S", "%b %d %H:%M:%S.%g"], field, reading)
    iso = _iso(value, field, reading)
    # What strptime cannot read takes eight times as long: a year puts the first colon further back.
    return (
        f"CASE WHEN {value}[1] BETWEEN '0' AND '9' THEN {iso} "
        f"WHEN strpos({value}, ':') > 11 THEN {named} ELSE {bare} END"
    )


def _epoch(value: str, _: Field, __: Reading) -> str:
    """Read seconds, milli-, micro- or nanoseconds since 1970, told apart by their size."""
    number = f"try_cast({value} AS DOUBLE)"
    scale = (
        f"CASE WHEN {number} < 1e11 THEN 1e6 WHEN {number} < 1e14 THEN 1e3 "
        f"WHEN {number} < 1e17 THEN 1e0 ELSE 1e-3 END"
    )
    stamp = f"make_timestamp(CAST(round({number} * {scale}) AS BIGINT))"
    # What is less was written before there were logs: the seconds of a day, or a count.
    return f"CASE WHEN {number} BETWEEN 1e8 AND 4e18 THEN {stamp} END"


def _no_day(_: str, __: Field, reading: Reading) -> str:
    return f"TIMESTAMP '{reading.dated.isoformat()}'"


def _count(value: str, _: Field, __: Reading) -> str:
    number = f"try_cast({value} AS BIGINT)"
    return f"CASE WHEN {number} >= 0 THEN {number} END"


def _verdict(value: str, field: Field, __: Reading) -> str:
    otherwise = "NULL" if field.otherwise is None else str(field.otherwise).lower()
    told = [
        f"WHEN {any_of(value, words)} THEN {answer}"
        for words, answer in ((field.true, "true"), (field.false, "false"))
        if words
    ]
    return f"CASE WHEN {value} IS NULL THEN NULL {' '.join(told)} ELSE {otherwise} END"


def _labels(value: str, _: Field, __: Reading) -> str:
    """Read a DNS name written as counted labels: ``(3)www(7)example(3)com(0)``."""
    dotted = f"regexp_replace({value}, '\\(\\d+\\)', '.', 'g')"
    return f"trim(CASE WHEN contains({value}, '(') THEN {dotted} ELSE {value} END, '.')"


def _before_hash(value: str, _: Field, __: Reading) -> str:
    """Take the port off ``192.0.2.1#53000``; null where there is none."""
    return f"CASE WHEN contains({value}, '#') THEN split_part({value}, '#', 1) END"


def _before_colon(value: str, _: Field, __: Reading) -> str:
    """Take the port, and what follows it, off an address; a bare IPv6 address has none."""
    one = f"strlen({value}) - strlen(replace({value}, ':', '')) = 1"
    dotted = f"contains(split_part({value}, ':', 1), '.')"
    bracket = f"split_part(split_part({value}, '[', 2), ']', 1)"
    return (
        f"CASE WHEN starts_with({value}, '[') THEN {bracket} "
        f"WHEN {one} OR {dotted} THEN split_part({value}, ':', 1) ELSE {value} END"
    )


def _address(value: str, _: Field, __: Reading) -> str:
    """Take an address without its port, or a word behind; null for a name and anything else."""
    four = f"regexp_extract({value}, '^(\\d{{1,3}}([.]\\d{{1,3}}){{3}})([:#/]\\d+)?( |$)', 1)"
    group = "[0-9A-Fa-f]{1,4}"
    six = f"({group}(:{group}){{7}}|[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*)"
    bare = f"regexp_extract({value}, '^\\[?{six}(%\\w+)?(\\](:\\d+)?)?( |$)', 1)"
    return f"coalesce(nullif({four}, ''), nullif({bare}, ''))"


def _site(value: str, field: Field, reading: Reading) -> str:
    """Return the authority of a URL; null for a bare name, which is a machine of one's own."""
    authority = _url(value, field, reading)
    return f"CASE WHEN regexp_matches({authority}, '[.:]') THEN {authority} END"


def _login(value: str, field: Field, reading: Reading) -> str:
    """Return a name, decoded; null for an address, which some devices set for nobody."""
    named = f"{_address(value, field, reading)} IS NULL"
    return f"CASE WHEN {named} THEN {_percent(value, field, reading)} END"


def _after_slash(value: str, _: Field, __: Reading) -> str:
    """Take an address from behind ``HIER_DIRECT/``; a name there is none."""
    part = f"split_part({value}, '/', 2)"
    return f"CASE WHEN {value}[-1] BETWEEN '0' AND '9' OR contains({value}, ':') THEN {part} END"


def _bracketed(value: str, _: Field, __: Reading) -> str:
    return f"trim({value}, '()[]<>{{}}:,;\"')"


def _mail(value: str, _: Field, __: Reading) -> str:
    """Take the mail address out of ``First Last (first.last@example.com)``, else the whole."""
    pattern = "[(<\\[]([^()<>@\\[\\] ]+@[^()<>@\\[\\] ]+)[)>\\]]"
    wrapped = f"regexp_matches({value}, {text(pattern)})"
    return f"CASE WHEN {wrapped} THEN regexp_extract({value}, {text(pattern)}, 1) ELSE {value} END"


def _first(value: str, _: Field, __: Reading) -> str:
    return f"trim(split_part({value}, ',', 1))"


def _after_path(value: str, _: Field, __: Reading) -> str:
    """Take the name from the end of a path, as directories write it."""
    return f"string_split({value}, '/')[-1]"


def _first_word(value: str, _: Field, __: Reading) -> str:
    return f"split_part({value}, ' ', 1)"


def _account(value: str, _: Field, __: Reading) -> str:
    r"""Join a domain and a login, two cells, as ``DOMAIN\login``; either may say nothing."""
    whole = f"regexp_replace(trim({value}), '^- | -$', '')"
    return f"regexp_replace({whole}, ' ', '\\\\')"


def _percent(value: str, _: Field, __: Reading) -> str:
    """Decode ``Sales%20and%20Marketing``; what is not well encoded stays as it is."""
    decoded = f"coalesce(try(url_decode({value})), {value})"
    return f"CASE WHEN contains({value}, '%') THEN {decoded} ELSE {value} END"


def _octal(value: str, _: Field, __: Reading) -> str:
    r"""Write the bytes of ``\000\003Ab``, escaped as in C, in hexadecimal digits."""
    letters = rf"regexp_extract_all({value}, '\\[0-7]{{3}}|\\.|[^\\]')"
    number = "64 * CAST(one[2] AS INT) + 8 * CAST(one[3] AS INT) + CAST(one[4] AS INT)"
    byte = f"CASE WHEN len(one) = 4 THEN lpad(to_hex({number}), 2, '0') ELSE hex(one[-1]) END"
    return f"lower(array_to_string(list_transform({letters}, lambda one: {byte}), ''))"


def _names(value: str, _: Field, __: Reading) -> str:
    """Take the names out of an answer of names and addresses: ``a.example.net,192.0.2.1``."""
    # Most answers are but addresses, and a look costs half a split. An address ends in a number,
    # or holds a colon.
    named = f"regexp_matches({value}, '\\.[A-Za-z]')"
    bare = f"""replace(trim({value}, '[]'), '"', '')"""
    plain = f"CASE WHEN starts_with({value}, '[') THEN {bare} ELSE replace({value}, ';', ',') END"
    is_name = "rtrim(part, '.')[-1] > '9' AND contains(part, '.') AND NOT contains(part, ':')"
    parts = f"list_filter(string_split({plain}, ','), lambda part: {is_name})"
    return f"CASE WHEN {named} THEN {_listed(parts)} END"


def _cnames(value: str, _: Field, __: Reading) -> str:
    """Take the targets of CNAME records out of records that state their types, JSON or text."""
    # By splits: a regular expression takes three times as long.
    records = f"list_filter(string_split({value}, '}}'), lambda one: contains(one, 'CNAME'))"
    key = """CASE WHEN contains(one, 'value":"') THEN 'value":"' ELSE 'ata":"' END"""
    target = f"split_part(split_part(one, {key}, 2), '\"', 1)"
    stated = f"list_transform({records}, lambda one: {target})"
    # Windows knows the type by its number: "type:  5 a.example.net;192.0.2.1;".
    name = text(r"(?i)(?:CNAME[:[:space:]]+|type: +5 )([\w-]+(?:\.[\w-]+)+)")
    written = f"regexp_extract_all({value}, {name}, 1)"
    marks = ("CNAME", "cname", "type:  5 ", "type: 5 ")
    held = " OR ".join(f"contains({value}, {text(mark)})" for mark in marks)
    found = f"CASE WHEN contains({value}, '{{') THEN {stated} ELSE {written} END"
    return f"CASE WHEN {held} THEN {_listed(found)} END"


def _listed(names: str) -> str:
    """Return names in lower case and without end dots, a blank between."""
    return f"rtrim(replace(lower(array_to_string({names}, ' ')), '. ', ' '), '.')"


def _answered(value: str, _: Field, __: Reading) -> str:
    """Take the name out of ``reply www.example.com is 192.0.2.1``."""
    return f"lower(regexp_extract({value}, '(?:^| )(?:reply|cached|config|/[^ ]+) ([^ ]+) is ', 1))"


TRANSFORM: dict[str, Callable[[str, Field, Reading], str]] = {
    "text": _as_text,
    "host": _as_text,
    "url": _url,
    "full_url": _full_url,
    "request": _request,
    "rrset": _rrset,
    "time": _time,
    "ordered": _ordered,
    "iso": _iso,
    "stamp": _stamp,
    "epoch": _epoch,
    "day": _no_day,
    "count": _count,
    "verdict": _verdict,
    "labels": _labels,
    "before_hash": _before_hash,
    "before_colon": _before_colon,
    "address": _address,
    "site": _site,
    "login": _login,
    "after_slash": _after_slash,
    "bracketed": _bracketed,
    "mail": _mail,
    "first": _first,
    "after_path": _after_path,
    "first_word": _first_word,
    "account": _account,
    "percent": _percent,
    "octal": _octal,
    "names": _names,
    "cnames": _cnames,
    "answered": _answered,
}
TYPE = {
    "ts": "TIMESTAMP",
    "bytes_out": "BIGINT",
    "bytes_in": "BIGINT",
    "blocked": "BOOLEAN",
    "until": "TIMESTAMP",
    "lifetime": "BIGINT",
    "ends": "BOOLEAN",
}
