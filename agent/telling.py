"""What the catalogue says of a host and of an app, as rows for programs and lines for people."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent import rulebook
from agent.catalogue import FACTS
from agent.errors import Problem, RulesError, nearest
from agent.model import App, Evidence, Match, Signal
from agent.rulebook import Rules
from agent.white_labels import Heard

Row = dict[str, Any]

_PROVES = {
    "use": "a person uses it",
    "machine": "a machine or an integration asks for it; no evidence of a person",
    "embedded": "it is loaded by other pages or in the background; no evidence of use",
}
_WHY = {
    Signal.APP: "people work there",
    Signal.SIGN_IN: "only people who sign in go there",
    Signal.UPLOAD: "people's files go there",
    Signal.API: "programs call it",
    Signal.WEBHOOK: "programs post to it",
    Signal.EMBED: "other pages and idle programs load it",
    Signal.TRACKER: "pages load it to count visitors",
    Signal.CDN: "pages load pictures and code from it",
    Signal.TELEMETRY: "programs report to it",
    Signal.PUSH: "idle programs keep it open",
}
_MOST_NEIGHBOURS = 6
_A_FEW = 3
_NONE: Mapping[str, Heard] = {}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


def _match(rules: Rules, host: str, heard: Mapping[str, Heard]) -> Match:
    """Return what the catalogue says of a host, or of the name that its answers led to."""
    if host in heard:
        return rules.catalogue.stands_for(host, heard[host].target)
    return rules.catalogue.match(host)


def answer(rules: Rules, raw: str, heard: Mapping[str, Heard] = _NONE) -> Row:
    """Return what a host is: app, signal, evidence, tenant and the rule that says so.

    ``heard`` are hosts whose answers were seen to lead to a name of the catalogue.
    """
    catalogue = rules.catalogue
    host = rulebook.spelling(raw)
    match = _match(rules, host, heard)
    found = catalogue.apps.get(match.app) if match.app else None
    return {
        "host": host,
        "app": match.app,
        "name": found.name if found else None,
        "category": found.categories[0] if found else None,
        "signal": match.signal.value if match.signal else None,
        "evidence": match.evidence.value if match.evidence else None,
        "tenant": match.tenant,
        "rule": match.rule,
    }


def full_answer(
    rules: Rules,
    raw: str,
    today: dt.date,
    heard: Mapping[str, Heard] = _NONE,
    sure: Callable[[str], Sequence[Row] | None] = lambda _: None,
) -> Row:
    """Return ``answer`` with its reason, the app, its other hosts, and what is stated of it.

    ``sure`` gives how sure it is that departments use an app, where a store tells.
    """
    row = answer(rules, raw, heard)
    match = _match(rules, row["host"], heard)
    row |= {
        "why": _why(rules, match, heard.get(match.host)),
        "catalogue_version": rules.catalogue.version,
    }
    found = rules.catalogue.apps.get(match.app) if match.app else None
    if found is None:
        return row
    told = sure(found.id)
    return row | ({} if told is None else {"confidence": told}) | _about(rules, found) | {
        "neighbours": neighbours(found, match.rule or ""),
        "facts": list(rules.vendors.rows(today, found.id)),
    }  # fmt: skip


def _about(rules: Rules, app: App) -> Row:
    return {
        "vendor": app.vendor,
        "homepage": app.homepage,
        "categories": list(app.categories),
        "audience": app.audience,
        "dual_use": app.dual_use,
        "aliases": list(app.aliases),
        "formerly": list(app.formerly),
        "successor": app.successor,
        "sources": [
            rules.vendors.sources[source].name if source in rules.vendors.sources else source
            for source in app.sources
        ],
    }


def neighbours(app: App, rule: str) -> dict[str, list[str]]:
    """Return the app's other hosts by signal, all but the one that a rule names."""
    own = _suffix(rule)
    found: dict[str, list[str]] = {}
    for host, signal in app.hosts:
        if host != own:
            found.setdefault(signal.value, []).append(host)
    return found


def _suffix(rule: str) -> str:
    return rule.partition(": ")[2].partition(" ")[0]


def _why(rules: Rules, match: Match, heard: Heard | None = None) -> str:
    if match.app is None or match.signal is None:
        fold = rules.catalogue.fold(match.host)
        if fold is None:
            return "it is no name of the Internet, so it is not counted"
        return f"no entry has it or a suffix of it; it is counted as {fold}, without persons"
    suffix, reason = _suffix(match.rule or ""), _WHY[match.signal]
    if heard is not None and (match.rule or "").endswith("(by CNAME)"):
        seen = f"seen in {heard.source} on {heard.day}"
        return f"no entry has it, but by CNAME it is {heard.target}, {seen}: {reason}"
    if "(label " in (match.rule or ""):
        label = (match.rule or "").rpartition("(label ")[2].rstrip(")")
        return f'{suffix} is its longest known suffix, and the label "{label}" says: {reason}'
    tenant = f"; {match.tenant} is the customer's name" if match.tenant else ""
    return f"{suffix} is its longest known suffix: {reason}{tenant}"


def sentence(row: Row) -> str:
    """Say an answer in one line."""
    if row["app"] is None:
        return f"{row['host']}: not in the catalogue."
    tenant = f", tenant {row['tenant']}" if row["tenant"] else ""
    return (
        f"{row['host']}: {row['name']} ({row['category']}), signal {row['signal']}{tenant}: "
        f"{_PROVES[row['evidence']]}. Rule {row['rule']}."
    )


def lines(row: Row) -> Iterator[str]:
    """Say a full answer, the sentence first and a line for each thing more that is known."""
    yield sentence(row)
    for title, said in _details(row):
        if said:
            yield f"  {title:<10} {said}"


def _details(row: Row) -> Iterator[tuple[str, str]]:
    yield "why", row["why"]
    if row["app"] is not None:
        audience = {"both": "business and personal"}.get(row["audience"], row["audience"])
        yield "app", f"{row['app']}, by {row['vendor']}, for {audience} use: {row['homepage']}"
        yield from (("confidence", said) for said in _sure(row))
        yield "shelves", ", ".join(row["categories"])
        yield "names", _names(row)
        for signal, hosts in row["neighbours"].items():
            more = f" and {len(hosts) - _MOST_NEIGHBOURS} more" if hosts[_MOST_NEIGHBOURS:] else ""
            yield f"{signal}", ", ".join(hosts[:_MOST_NEIGHBOURS]) + more
        yield "sources", ", ".join(row["sources"]) or "the entry names none"
        yield from (("vendor", _said(fact)) for fact in row["facts"])
        told = {fact["fact"] for fact in row["facts"]}
        missing = [name for fact, name in FACTS.items() if fact not in told]
        yield "unknown", f"{', '.join(missing)} (unknown is not a no)" if missing else ""
    yield "catalogue", f"version {row['catalogue_version']}"


def _names(row: Row) -> str:
    parts = []
    if row["aliases"]:
        parts.append(f"also {', '.join(row['aliases'])}")
    if row["formerly"]:
        parts.append(f"formerly {', '.join(row['formerly'])}")
    if row["successor"]:
        parts.append(f"its users are being moved to {row['successor']}")
    return "; ".join(parts)


def _sure(row: Row) -> Iterator[str]:
    """Say how sure it is that departments use an app, those first of which it is surest."""
    found = row.get("confidence", ())
    for one in found[:_A_FEW]:
        kinds = "DNS and another log agree" if one["kinds_agree"] else "one kind of log"
        days = "1 day" if one["days_from"] == 1 else f"{one['days_from']} days or more"
        yield (
            f"{one['confidence']:.2f} that {one['department']} uses {row['name']}: "
            f"rule {one['rule_kind']}, {kinds}, {days} ({', '.join(one['sources'])})"
        )
    if found[_A_FEW:]:
        yield f"and {len(found) - _A_FEW} more"


def _said(fact: Row) -> str:
    value = f", {fact['value']}" if fact["value"] else ""
    when = fact["date"] or "undated"
    old = ", old" if fact["age"] == "old" else ""
    by = "the vendor" if fact["stated_by"] == "vendor" else fact["stated_by"]
    via = "" if fact["source"] == fact["stated_by"] else f", via {fact['source']}"
    return (
        f"{fact['name']}: {fact['answer']}{value} (stated by {by}{via}, {when}{old}) {fact['link']}"
    )


def register(rules: Rules, apps: Iterable[App]) -> Iterator[Row]:
    """Yield apps as rows: what their entries say, with the number of facts on each."""
    for app in apps:
        hosts: dict[str, list[str]] = {}
        for host, signal in app.hosts:
            hosts.setdefault(signal.value, []).append(host)
        about = _about(rules, app)
        yield {"app": app.id, "name": app.name} | about | {
            "hosts": hosts,
            "tenants_under": list(app.tenant_under),
            "facts": len(rules.vendors.facts.get(app.id, ())),
        }  # fmt: skip


def chosen(
    rules: Rules, category: str | None, signal: str | None, text: str | None
) -> Iterator[App]:
    """Yield the apps of a category (id or name) that have a signal and a text, by id.

    The text is looked for in id, name, vendor, other names and hosts, whatever its case.
    """
    wanted = (text or "").casefold()
    for _, app in sorted(rules.catalogue.apps.items()):
        words = (app.id, app.name, app.vendor, *app.aliases, *app.formerly, *dict(app.hosts))
        if category is not None and not _filed(rules, app, category):
            continue
        if signal is not None and signal not in {one.value for _, one in app.hosts}:
            continue
        if any(wanted in word.casefold() for word in words):
            yield app


def _filed(rules: Rules, app: App, category: str) -> bool:
    named = category.casefold()
    shelves = (rules.catalogue.categories[shelf] for shelf in app.categories)
    return any(named in {shelf.id, shelf.name.casefold()} for shelf in shelves)


def check_filters(rules: Rules, category: str | None, signal: str | None) -> None:
    """Raise RulesError for a category or signal that does not exist."""
    problems = []
    shelves = rules.catalogue.categories
    if category is not None and not any(
        category.casefold() in {shelf.id, shelf.name.casefold()} for shelf in shelves.values()
    ):
        cure = nearest(category, shelves) or " 'sundial catalogue --count --json' names them."
        problems.append(Problem("--category", f'"{category}" is no category.{cure}'))
    if signal is not None and signal not in set(Signal):
        cure = nearest(signal, Signal) or f" There are {', '.join(Signal)}."
        problems.append(Problem("--signal", f'"{signal}" is no signal.{cure}'))
    if problems:
        raise RulesError(problems)


def counts(rules: Rules, apps: Iterable[App]) -> Iterator[Row]:
    """Yield how many apps are filed under each category, then all of them."""
    filed = Counter(app.categories[0] for app in apps)
    for shelf in rules.catalogue.categories.values():
        if filed[shelf.id]:
            yield {"category": shelf.id, "name": shelf.name, "apps": filed[shelf.id]}
    yield {"category": None, "name": "in all", "apps": filed.total()}


def listed(apps: Iterable[App]) -> Iterator[str]:
    """Yield one line an app: id, name, category and the hosts that show use."""
    for app in apps:
        used = [host for host, signal in app.hosts if signal.evidence is Evidence.USE]
        more = f" and {len(used) - _A_FEW} more" if len(used) > _A_FEW else ""
        gone = f" (now {app.successor})" if app.successor else ""
        hosts = ", ".join(used[:_A_FEW]) + more
        yield f"{app.id:<28} {app.name}{gone}: {app.categories[0]}; {hosts}"


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield rows as lines of CSV, the header first; no cell is one that a spreadsheet would run."""
    for place, row in enumerate(rows):
        if not place:
            yield _csv(row)
        yield _csv([_cell(value) for value in row.values()])


def _csv(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _cell(value: object) -> str:
    match value:
        case dict():
            said = " ".join(f"{host}={key}" for key, hosts in value.items() for host in hosts)
        case list():
            said = "; ".join(map(str, value))
        case None:
            said = ""
        case _:
            said = str(value)
    return f"'{said}" if said.startswith(_FORMULA) else said
