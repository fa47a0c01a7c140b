"""How the device behind a log calls the cells of a generic format: words become its own names.

A format that no one device writes takes ``client_address`` where others take ``srcip``. What a word
may be called is in rules/words.toml; what one log calls it is looked up in its header, or in its
lines where each names its cells itself. From there on it is read as any vendor's format is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from agent.model import COLONS, Clean, Condition, Field, Format, Shape

_LOOKED = 2000
"""Lines of a text that are looked at for names."""
_MOST = 100
"""Names; no device has so many for a dozen cells."""
_DEEP = 6
"""Objects in each other."""
_KEY = re.compile(r"([\w.\[\]-]+)=", re.ASCII)
_PLAIN = re.compile(r"[\w@.:/() -]{1,64}", re.ASCII)
"""A name that may stand in a path, and so in a query: what else a log writes is no name here."""


def named(log_format: Format, clean: Clean, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names that lines have for words of a format: keys of pairs, paths of JSON.

    Those that are ``known`` stay among them. Lines are looked at all over the text, not each one.
    """
    names_in = _paths_in if log_format.cut == "json" else _keys_in
    wanted = {name for names in log_format.words.values() for name in names}
    wanted |= {name for path in log_format.wrapped for name in _meanings(_path(path), ())}
    found = dict.fromkeys(known)
    step = max(1, len(clean) // _LOOKED)
    starts = {0, *(clean.find(b"\n", place) + 1 for place in range(0, len(clean), step))}
    for start in sorted(starts):
        line = bytes(clean[start : clean.find(b"\n", start) + 1 or len(clean)])
        for name in names_in(line, log_format):
            if len(found) < _MOST and not wanted.isdisjoint(_meanings(name, log_format.wrapped)):
                found[name] = None
    return tuple(sorted(found, key=lambda name: (name.count('."'), name)))


def told(log_format: Format, columns: Sequence[str]) -> Format:
    """Return a format as the device behind a log has it, whose names for cells are ``columns``.

    A field without any of its cells is left out; any other format stays as it is.
    """
    if not log_format.words:
        return log_format
    own: dict[str, list[str]] = {}
    for column in columns:
        for name in _meanings(column, log_format.wrapped):
            own.setdefault(name, []).append(column)

    def spelled(cell: str) -> tuple[str, ...]:
        if cell not in log_format.words:
            return (cell,)
        return tuple(dict.fromkeys(s for name in log_format.words[cell] for s in own.get(name, ())))

    inside = tuple(path for path in log_format.wrapped if _path(path) in columns)
    shapes = tuple(_told(shape, spelled) for shape in log_format.shapes)
    return replace(log_format, shapes=shapes, wrapped=inside, words={})


_Spelled = Callable[[str], tuple[str, ...]]
"""The names that a device has for a cell, the best first."""


def _told(shape: Shape, spelled: _Spelled) -> Shape:
    fields = (_field(field, spelled) for field in shape.fields)
    when = (
        Condition(tuple(name for cell in one.cells for name in spelled(cell)), one.values)
        for one in shape.when
    )
    return replace(shape, when=tuple(when), fields=tuple(field for field in fields if field))


def _field(field: Field, spelled: _Spelled) -> Field | None:
    sources = [spelled(cell) for cell in field.sources]
    if field.join:
        # All of them together are the value, so of each the best.
        joined = tuple(names[0] for names in sources if names)
        return replace(field, sources=joined) if len(joined) == len(sources) else None
    names = tuple(name for one in sources for name in one)
    return replace(field, sources=names) if names or not field.sources else None


def _meanings(name: str, wrapped: Sequence[str]) -> Iterator[str]:
    """Yield the letters and numbers of a name: whole, and without what is wrapped around it.

    >>> list(_meanings("Client-IP", [])), list(_meanings('$."dst"[0]', []))
    (['clientip'], ['dst'])
    >>> list(_meanings('$."properties"."clientIP"', ["properties"]))
    ['propertiesclientip', 'clientip']
    """
    yield re.sub(r"\[0]$|[^a-z0-9]", "", name.lower())
    for path in wrapped:
        if name.startswith(f"{_path(path)}."):
            yield from _meanings(f"${name.removeprefix(_path(path))}", wrapped)


def _keys_in(line: bytes, log_format: Format) -> Iterator[str]:
    """Yield the keys of a line's pairs."""
    text = line.decode("utf-8", "replace")
    if log_format.cut != "keyvalue":
        # What stands between pairs, each line of LEEF says for itself.
        yield from _KEY.findall(text)
        return
    for colon, equals in COLONS if log_format.colons else ():
        text = text.replace(colon, equals)
    for part in text.split(log_format.delimiter):
        # A relay's prefix may stand before the first, and end with a colon.
        *keys, _ = part.split("=", 2 if log_format.colons else 1)
        for key in filter(str.strip, keys):
            yield from (key.strip(), key.split()[-1])


def _paths_in(line: bytes, log_format: Format) -> Iterator[str]:
    """Yield the path of each value of a line's object, or of the one that it holds as text."""
    value = _decoded(line[line.find(b"{") :])
    for path in log_format.wrapped:
        inner = value
        for name in path.split("."):
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, str) and inner.startswith("{"):
            yield _path(path)
            value = _decoded(inner.encode())
            break
    yield from _paths(value)


def _decoded(line: bytes) -> object:
    """Return what a line of JSON holds; None where it is none."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None


def _paths(value: object, path: str = "$", deep: int = _DEEP) -> Iterator[str]:
    """Yield the path of each value, of a list also that of its first one."""
    if isinstance(value, dict) and deep:
        for name, inner in value.items():
            if _PLAIN.fullmatch(name):
                yield from _paths(inner, f'{path}."{name}"', deep - 1)
    elif isinstance(value, list):
        yield from (path, f"{path}[0]") if value and not isinstance(value[0], dict) else (path,)
    elif not isinstance(value, dict):
        yield path


def _path(dotted: str) -> str:
    """Return a path as it is found.

    >>> _path("event.original")
    '$."event"."original"'
    """
    return "$" + "".join(f'."{name}"' for name in dotted.split("."))
