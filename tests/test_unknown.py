"""The queue of unknown domains: what looks like a service comes first, and each says why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

from agent.catalogue import load_catalogue
from agent.rulebook import load_rules
from agent.scan import scan
from agent.settings import Settings
from agent.unknown import load_ranking
from tests.conftest import Run

DAY = 86_400
FIRST = 1_772_409_600  # Monday 2 March 2026
PEOPLE = [f"p{number:02}" for number in range(40)]
STAFF = "login,mail,department,from,to\n" + "".join(
    f"{login},,{['Sales', 'Design', 'Legal', 'Works'][place % 4]},,\n"
    for place, login in enumerate(PEOPLE)
)


def visits(host: str, people: Iterable[str], days: Iterable[int]) -> list[tuple[int, str, str]]:
    return [(FIRST + day * DAY + 36_000, login, host) for day in days for login in people]


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Eight weeks of a company that reads the news, loads pictures, and uses some tools."""
    folder = tmp_path_factory.mktemp("queue")
    (folder / "staff.csv").write_text(STAFF)
    weekly = range(0, 56, 7)
    seen = [
        *visits("www.daily-news.net", PEOPLE, weekly),
        *visits("login.boardly.net", PEOPLE[0:40:4][:6], weekly),
        *visits("app.boardly.net", PEOPLE[0:40:4][:6], weekly),
        *visits("quiet-tool.net", PEOPLE[1:40:4][:6], weekly),
        *visits("fresh-tool.net", PEOPLE[:2], range(14, 28, 7)),
        *visits("fresh-tool.net", PEOPLE[:14], range(28, 56, 7)),
        *(line for name in ("acme", "globex", "initech", "hooli")
          for line in visits(f"{name}.spaces.net", PEOPLE[:5], weekly)),
        *visits("img.photo-wall.net", PEOPLE[:12], weekly),
        *visits("www.adserver-west.net", PEOPLE[:12], weekly),
        *visits("one-page.net", PEOPLE[:1], [3]),
    ]  # fmt: skip
    lines = [
        f"{at}.000    100 10.0.0.{PEOPLE.index(login) + 1} TCP_TUNNEL/200 900 CONNECT {host}:443 "
        f"{login} HIER_DIRECT/192.0.2.7 -"
        for at, login, host in sorted(seen)
    ]
    (folder / "logs").mkdir()
    (folder / "logs" / "access.log").write_text("\n".join(lines) + "\n")
    company = Settings(people=folder / "staff.csv")
    scan([folder / "logs"], folder / "store", company, load_rules())
    with duckdb.connect(str(folder / "store" / "findings.duckdb"), read_only=True) as con:
        found = con.execute("SELECT * FROM unknown_queue ORDER BY rowid")
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {row["domain"]: row for row in rows}


def test_tools_come_before_news_and_pictures(queue: dict[str, dict[str, object]]) -> None:
    order = list(queue)
    assert order[0] == "boardly.net"
    tools = {"boardly.net", "quiet-tool.net", "fresh-tool.net", "spaces.net"}
    assert set(order[:4]) == tools
    assert "one-page.net" not in queue  # one person, once
    assert set(order[-3:]) <= {
        "photo-wall.net",
        "adserver-west.net",
        "daily-news.net",
        "one-page.net",
    }


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("boardly.net", "people sign in at login.boardly.net"),
        ("boardly.net", "an application at app.boardly.net"),
        ("boardly.net", r"5 or more people, nearly all in Sales"),
        ("spaces.net", r"4 names under it that may be customers \(acme, globex, hooli\)"),
        ("fresh-tool.net", "from fewer than 5 to 10 or more people in four weeks"),
        ("daily-news.net", r"nearly everybody: \d+ or more"),
        ("photo-wall.net", "nearly all of it is machine-made names, pictures or counters"),
        ("adserver-west.net", "its name says that it delivers for others"),
    ],
)
def test_each_says_why(domain: str, said: str, queue: dict[str, dict[str, object]]) -> None:
    """Numbers of people are estimates: two may fall on one bit of a sketch."""
    assert re.search(said, str(queue[domain]["why"]))


def test_the_demo_companys_hidden_tools_are_found(demo_store: Path, run: Run) -> None:
    """Two apps of the demo are in no catalogue; the queue finds both among its news sites."""
    rows = run("catalogue", "unknown", "--store", demo_store, "--most", 6, "--json").rows
    assert {"ledgerly.example.net", "gantry.example.net"} <= {row["domain"] for row in rows}


def test_a_page_of_the_queue_needs_findings(run: Run, tmp_path: Path) -> None:
    done = run("catalogue", "unknown", "--store", tmp_path, ok=False)
    assert done.returncode == 1
    assert "holds no findings; scan logs into it first." in done.stderr


def test_every_point_and_limit_has_its_reason_beside_it() -> None:
    text = (Path(__file__).parents[1] / "rules" / "queue.toml").read_text(encoding="utf-8")
    numbers = text.partition("[points]")[2].splitlines()
    bare = [line for line in numbers if "=" in line and len(line.partition("#")[2].split()) < 4]
    assert bare == []


def test_words_of_the_queue_say_nothing_else_in_the_catalogue() -> None:
    """A label that means pictures or programs cannot mean that people work there."""
    words = load_ranking().words
    place = load_catalogue().place
    both = [
        word
        for word in words["sign_in"] | words["app"]
        if place(f"{word.replace('#', '2')}.daily-news.net")[1] in {"machine", "api"}
    ]
    assert both == []
