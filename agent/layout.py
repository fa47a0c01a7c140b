"""The one layout of app entries: how a file of rules/apps is written, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent.entries import APP_KEYS

WIDTH = 160
"""Characters of the longest line."""


def entry_text(app_id: str, table: Mapping[str, Any]) -> str:
    """Return one entry as it stands in a file: keys in canonical order, empty lists left out.

    >>> print(entry_text("slack", {"domains": ["slack.com"], "name": "Slack", "api": []}), end="")
    [slack]
    name = "Slack"
    domains = ["slack.com"]
    """
    order = {key: place for place, key in enumerate(APP_KEYS)}
    lines = [f"[{app_id}]"]
    for key in sorted(table, key=lambda key: order.get(key, len(order))):
        if table[key] not in ([], {}, False):
            lines += _value(key, table[key])
    return "\n".join(lines) + "\n"


def file_text(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a file of entries, sorted by id with an empty line between them."""
    return "\n".join(entry_text(app_id, tables[app_id]) for app_id in sorted(tables))


def _value(key: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {_plain(item)}" for name, item in value.items())
        whole = f"{key} = {{ {inner} }}"
        if len(whole) <= WIDTH:
            yield whole
        else:
            for name, item in value.items():
                yield from _value(f"{key}.{name}", item)
        return
    whole = f"{key} = {_plain(value)}"
    if len(whole) <= WIDTH or not isinstance(value, list):
        yield whole
        return
    line = f"{key} = ["
    for place, item in enumerate(value):
        text = _plain(item) + ("]" if place == len(value) - 1 else ",")
        if len(line) + 1 + len(text) > WIDTH:
            yield line
            line = " "
        line += text if line.endswith("[") else f" {text}"
    yield line


def _plain(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    # A JSON text is a TOML text, but for the DEL character, which no name holds.
    return json.dumps(value, ensure_ascii=False)
