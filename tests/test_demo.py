"""The demo company keeps its word: real layouts, the same bytes, and a history that is true."""

from __future__ import annotations

import csv
import gzip
import hashlib
import ipaddress
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from agent.catalogue import Catalogue, load_catalogue
from agent.demo import write_demo
from agent.demo.scenario import LAST_DAY
from agent.demo.stages import stage_history
from agent.demo.truth import Truth
from agent.errors import LogError

BERLIN = ZoneInfo("Europe/Berlin")
NAME = r"[\w.-]+"
LAYOUT = {
    "berlin-proxy": re.compile(
        r"(?P<ts>\d{10}\.\d{3}) [ \d]{5}\d (?P<client>[\da-f.:]+) (?P<code>[A-Z_]+/\d{3}) \d+ "
        rf"(?:CONNECT (?P<host>{NAME}):443|GET http://(?P<plain>{NAME})/\S*) (?P<user>\S+) "
        r"(?:HIER_DIRECT/[\d.]+|HIER_NONE/-) (?:-|text/html)\n"
    ),
    "zscaler": re.compile(
        r"(?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\treason=[^\t]+\tevent_id=\d{19}\t"
        r"protocol=HTTPS?\taction=(?P<code>Allowed|Blocked)\t(?:\w+=[^\t]*\t){9}product=NSS\t"
        r"location=[^\t]+\tClientIP=(?P<client>[\d.]+)\tstatus=\d{3}\tuser=(?P<user>\S+@\S+)\t"
        rf"url=\S+\tvendor=Zscaler\thostname=(?P<host>{NAME})(?:\t\w+=[^\t]*)+\n"
    ),
    "berlin-dns": re.compile(
        r"(?P<ts>\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{3}) queries: info: client "
        rf"@0x7f[0-9a-f]{{10}} (?P<client>[\da-f.:]+)#\d+ \((?P<host>{NAME})\): "
        rf"query: {NAME} IN [A-Z]+ \+E\(0\)K? \(10\.1\.0\.53\)\n"
    ),
    "works-dns": re.compile(
        r"(?P<ts>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) dnsmasq\[\d+\]: "
        rf"(?:query\[A+\] (?P<host>{NAME}) from (?P<client>[\d.]+)"
        r"|(?:forwarded|reply|cached|gravity blocked) \S+ (?:to|is) \S+"
        r"|started, .*|using nameserver \S+|read /etc/hosts.*)\n"
    ),
}
HALF_OF_THE_STORY = 13


class Company(NamedTuple):
    folder: Path
    truth: Truth

    def stage(self, app: str, department: str, week: int) -> str:
        """The stage in a week of the story, which counts from 1."""
        stage: str = self.truth.adoption[app][department]["stage"][week - 1]
        return stage

    def entered(self, app: str, department: str, stage: str) -> int:
        """The week of the story in which a stage was first reached."""
        stages: list[str] = self.truth.adoption[app][department]["stage"]
        return stages.index(stage) + 1


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The whole story with thin logs."""
    folder = tmp_path_factory.mktemp("demo-thin")
    return Company(folder, write_demo(folder, scale=0.02))


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The first half of the story, up to the first weeks after the first gap."""
    folder = tmp_path_factory.mktemp("demo-half")
    return Company(folder, write_demo(folder, weeks=HALF_OF_THE_STORY, scale=0.05))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def lines_of(path: Path) -> Iterator[str]:
    """Read a log file, compressed or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from file


class Line(NamedTuple):
    day: date
    user: str
    client: str
    host: str
    refused: bool


def requests(company: Company, source: str) -> Iterator[Line]:
    """Read the requests of one source the slow and obvious way."""
    for path in sorted((company.folder / "logs" / source).iterdir()):
        year = datetime.fromtimestamp(path.stat().st_mtime, UTC).year
        for line in lines_of(path):
            found = LAYOUT[source].fullmatch(line)
            cells = found.groupdict() if found else {}
            host = cells.get("host") or cells.get("plain")
            if host and "407" not in cells.get("code", ""):
                code = cells.get("code", "")
                yield Line(
                    _day(source, cells["ts"], year),
                    cells.get("user", "-"),
                    cells["client"],
                    host,
                    "DENIED" in code or code == "Blocked",
                )


def _day(source: str, stamp: str, year: int) -> date:
    if source == "berlin-proxy":
        return datetime.fromtimestamp(float(stamp), BERLIN).date()
    if source == "zscaler":
        return datetime.fromisoformat(stamp + "+00:00").astimezone(BERLIN).date()
    if source == "berlin-dns":
        return datetime.strptime(stamp[:11], "%d-%b-%Y").replace(tzinfo=BERLIN).date()
    return datetime.strptime(f"{year} {stamp[:6]}", "%Y %b %d").replace(tzinfo=BERLIN).date()


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- the same again


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also over an earlier demo, whose files go; another seed gives another company."""
    first, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    write_demo(first, weeks=2, scale=0.1)
    write_demo(again, weeks=3, scale=0.1)
    write_demo(again, weeks=2, scale=0.1)
    write_demo(other, weeks=2, scale=0.1, seed=8)
    assert digests(first) == digests(again)
    assert digests(first)["people.csv"] != digests(other)["people.csv"]


def test_volume_does_not_touch_the_history(tmp_path: Path, half: Company) -> None:
    more = write_demo(tmp_path, weeks=HALF_OF_THE_STORY, scale=0.2)
    assert (more.adoption, more.departments) == (half.truth.adoption, half.truth.departments)
    assert sum(more.files.values()) > sum(half.truth.files.values())


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(LogError, match="Name a new folder"):
        write_demo(tmp_path, weeks=1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_demo_ends_on_a_sunday(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Sunday"):
        write_demo(tmp_path, end=LAST_DAY + timedelta(days=1))


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write_demo(tmp_path, weeks=1, scale=0.02, progress=lambda *what: told.append(what))
    assert told[0] == ("casting the company", 0, 7)
    assert told[-1] == ("writing logs", 7, 7)


def test_truth_on_disk_is_the_truth_returned(company: Company) -> None:
    stored = json.loads((company.folder / "truth.json").read_text(encoding="utf-8"))
    assert Truth(**stored) == company.truth


# --- the files


@pytest.mark.parametrize("source", LAYOUT)
def test_every_line_has_the_layout_of_its_program(half: Company, source: str) -> None:
    """All but the lines that were torn; and they are counted like all others."""
    strange = []
    for path in sorted((half.folder / "logs" / source).iterdir()):
        lines = list(lines_of(path))
        assert len(lines) == half.truth.files[path.relative_to(half.folder).as_posix()]
        strange += [line for line in lines if not LAYOUT[source].fullmatch(line)]
    assert len(strange) == (half.truth.unreadable if source == "berlin-proxy" else 0)


@pytest.mark.parametrize("source", LAYOUT)
def test_time_runs_forward(half: Company, source: str) -> None:
    """Inside each file; and a file is as old as its last line, which dates logs without a year."""
    for path in sorted((half.folder / "logs" / source).iterdir()):
        days = list(dict.fromkeys(stamps(path, source)))
        assert days == sorted(days)
        changed = datetime.fromtimestamp(path.stat().st_mtime, BERLIN).date()
        assert changed - timedelta(days=6) <= days[-1] <= changed


def stamps(path: Path, source: str) -> Iterator[date]:
    for line in lines_of(path):
        if found := LAYOUT[source].fullmatch(line):
            yield _day(source, found["ts"], LAST_DAY.year)


def test_silent_weeks_are_silent(company: Company) -> None:
    """The gaps are in the logs, and nowhere else: every other working day has lines."""
    silent: dict[str, set[date]] = defaultdict(set)
    for gap in company.truth.gaps:
        day = date.fromisoformat(gap["first"])
        while day <= date.fromisoformat(gap["last"]):
            silent[gap["source"]].add(day)
            day += timedelta(days=1)
    first = date.fromisoformat(company.truth.first_day)
    workdays = {first + timedelta(weeks=week, days=day) for week in range(26) for day in range(5)}
    silent["berlin-proxy"] = set()
    assert sum(map(len, silent.values())) == 7 * (2 + 1 + 3)
    for source, days in silent.items():
        seen = {line.day for line in requests(company, source)}
        assert not seen & days
        assert workdays - days <= seen


def test_directory_and_subnets_are_sound(company: Company) -> None:
    """Stays of a person never overlap, names are nobody else's, networks are networks."""
    stays: dict[str, list[tuple[str, str]]] = defaultdict(list)
    owner: dict[str, str] = {}
    people = rows_of(company.folder / "people.csv")
    for row in people:
        stays[row["login"]].append((row["from"] or "0001-01-01", row["to"] or "9999-12-31"))
        assert owner.setdefault(row["mail"], row["login"]) == row["login"]
    for spans in stays.values():
        ends = [moment for span in sorted(spans) for moment in span]
        assert ends == sorted(set(ends))
    assert sum(len(spans) > 1 for spans in stays.values()) == 8
    assert {row["department"] for row in people} == set(company.truth.departments) - {"Works"}
    subnets = rows_of(company.folder / "subnets.csv")
    networks = [ipaddress.ip_network(row["cidr"]) for row in subnets]
    assert len(set(networks)) == len(networks)
    assert {row["shared"] for row in subnets} == {"yes", "no"}


def test_the_company_has_its_size(company: Company) -> None:
    headcounts = [d["headcount"][0] for d in company.truth.departments.values()]
    assert (len(headcounts), sum(headcounts)) == (12, 400)
    assert (min(headcounts), max(headcounts)) == (6, 70)


def test_names_stand_in_user_fields_only(half: Company) -> None:
    people = rows_of(half.folder / "people.csv")
    families = {row["mail"].partition("@")[0].partition(".")[2] for row in people}
    names = families | {row["login"] for row in people}
    truth = (half.folder / "truth.json").read_text(encoding="utf-8")
    assert not names & set(re.findall(r"\w+", truth.lower()))
    for source, layout in LAYOUT.items():
        for path in (half.folder / "logs" / source).iterdir():
            words: set[str] = set()
            for line in lines_of(path):
                found = layout.fullmatch(line)
                user = found.groupdict().get("user") if found else None
                words |= set(re.findall(r"\w+", line.replace(user or "-", "-", 1).lower()))
            assert not names & words, path


# --- the truth


def placing(folder: Path) -> Callable[[Line], tuple[str, str] | None]:
    """Make the question who it was, and in which department they were that day."""
    stays: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows_of(folder / "people.csv"):
        stays[row["login"]].append(row)
        stays[row["mail"]].append(row)
    subnets = [
        (ipaddress.ip_network(row["cidr"]), row["department"])
        for row in rows_of(folder / "subnets.csv")
    ]

    def placed(line: Line) -> tuple[str, str] | None:
        for row in stays[line.user]:
            if (row["from"] or "0") <= str(line.day) <= (row["to"] or "9"):
                return row["login"], row["department"]
        address = ipaddress.ip_address(line.client)
        home = next((name for network, name in subnets if address in network), "")
        if home and (line.user != "-" or home == "Works"):
            return (line.user if line.user != "-" else line.client), home
        return None

    return placed


def test_logs_say_what_the_truth_says(half: Company) -> None:
    """Count people in the logs by hand: covered and active, week by week, app by app."""
    truth, placed = half.truth, placing(half.folder)
    covered: dict[tuple[str, str], set[str]] = defaultdict(set)
    active: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    refused: Counter[str] = Counter()
    for source in ("berlin-proxy", "zscaler", "works-dns"):
        for line in requests(half, source):
            host = truth.hosts.get(line.host, {"app": "", "evidence": ""})
            refused[host["app"]] += line.refused
            person, department = placed(line) or ("", "")
            monday = str(line.day - timedelta(days=line.day.weekday()))
            covered[department, monday].add(person)
            if person and host["evidence"] == "use" and not line.refused:
                active[host["app"], department, monday].add(person)
    for name, known in truth.departments.items():
        assert [len(covered[name, week]) for week in truth.weeks] == known["covered"], name
    told = {(app, name) for app, places in truth.adoption.items() for name in places}
    assert {(app, name) for app, name, _ in active} == told
    for app, name in sorted(told):
        counted = [len(active[app, name, week]) for week in truth.weeks]
        assert counted == truth.adoption[app][name]["active"], (app, name)
    assert +refused == truth.refused


def test_every_host_means_its_app(company: Company, catalogue: Catalogue) -> None:
    for host, meant in company.truth.hosts.items():
        match = catalogue.match(host)
        assert (match.app, match.evidence) == (meant["app"], meant["evidence"]), match


def test_nothing_else_is_an_app(company: Company, catalogue: Catalogue) -> None:
    """Everyday traffic is in no entry; what looks like an app keeps a name of its own."""
    others: set[str] = set()
    for source in LAYOUT:
        others |= {line.host for line in requests(company, source)} - set(company.truth.hosts)
    assert [host for host in sorted(others) if catalogue.match(host).app] == []
    for host in company.truth.unknown:
        assert catalogue.fold(host) == host
    flood = {host for host in others if host.endswith(".avts.example.org")}
    assert len(flood) > 600
    assert {catalogue.fold(host) for host in flood} == {"avts.example.org"}


def test_the_community_spreads_from_marketing_to_the_company(company: Company) -> None:
    reached = [company.entered("circle", "Marketing", stage) for stage in ("trial", "workgroup")]
    assert reached == [3, 7]
    teams = sorted(
        company.entered("circle", name, "workgroup")
        for name in ("Marketing", "Communications", "Customer Care")
    )
    assert teams == [7, 14, 14]
    circle = company.truth.company["circle"]
    assert circle["tipping_point"] == company.truth.weeks[13]
    assert company.entered("circle", "Marketing", "division") == 16
    assert circle["company_wide"].index(True) == 23


def test_one_chat_tool_survives_the_bake_off(company: Company) -> None:
    assert company.stage("slack", "Engineering", 26) == "division"
    for loser in ("discord", "mattermost", "zulip"):
        assert company.stage(loser, "Engineering", 8) == "workgroup"
        assert company.stage(loser, "Engineering", 26) == "abandoned"


def test_the_fad_is_over(company: Company) -> None:
    clubhouse = company.truth.adoption["clubhouse"]
    assert company.entered("clubhouse", "Marketing", "division") == 9
    assert {place["stage"][-1] for place in clubhouse.values()} == {"abandoned"}
    assert company.truth.company["clubhouse"]["active"][12:] == [0] * 14


def test_what_moved_on_has_stalled(company: Company) -> None:
    assert company.stage("mural", "Product", 26) == "stalled"
    assert company.stage("miro", "Product", 26) == "division"


def test_refused_is_asked_for_and_not_adopted(company: Company) -> None:
    assert set(company.truth.refused) == {"chatgpt", "telegram", "whatsapp"}
    assert "telegram" not in company.truth.adoption
    assert set(company.truth.adoption["whatsapp"]) == {"Works"}
    assert company.truth.company["chatgpt"]["active"][:7] == [0] * 7
    assert company.truth.company["chatgpt"]["active"][7] > 0


def test_embeds_make_no_adopters(company: Company) -> None:
    assert {"facebook", "pinterest", "tiktok", "zapier"} <= set(company.truth.embedded_only)
    assert not set(company.truth.embedded_only) & set(company.truth.adoption)


def test_lost_logs_show_no_decline(company: Company) -> None:
    """What was a department's habit before a gap is one after it, and hidden in between."""
    for department, dark in {"Sales": (10, 11), "Works": (18, 19, 20)}.items():
        visible = company.truth.departments[department]["visible"]
        assert [week for week in range(1, 27) if not visible[week - 1]] == list(dark)
        for week in dark:
            assert company.stage("microsoft_teams", department, week) == "not visible"
        around = (dark[0] - 1, dark[-1] + 1)
        assert [company.stage("microsoft_teams", department, w) for w in around] == ["division"] * 2
    places = {place for places in company.truth.adoption.values() for place in places}
    assert places == set(company.truth.departments)


# --- the model, by hand

SEEN = [True] * 12


@pytest.mark.parametrize(
    ("regular", "covered", "expected"),
    [
        # Three of twenty, twice running; two are below 2.1 for four weeks, and a trial still.
        ([0, 3, 3, 3, 2, 2, 2, 2, 2], 20, "n t w w w w w t t"),
        # Five of ten are a habit; it is kept at four, which is 0.4 of ten, and at three regained.
        ([0, 5, 5, 4, 4, 4, 4, 4, 4], 10, "n t d d d d d d d"),
        # Less than half of ten for four weeks: still a team, and stalled; six make it well again.
        ([10, 10, 4, 4, 4, 4, 6, 6, 4], 30, "n d d d d s w w w"),
        # Nobody for six weeks: stalled after four, abandoned after six.
        ([5, 5, 0, 0, 0, 0, 0, 0, 0], 20, "n w w w w s s a a"),
        # Two people were never a team: nothing to abandon.
        ([2, 2, 0, 0, 0, 0, 0, 0, 0], 20, "n t t t t n n n n"),
        # Two of five are forty per cent of a small department, three are sixty.
        ([2, 2, 3, 3, 3, 3, 3, 3, 3], 5, "n w w d d d d d d"),
    ],
)
def test_stages_by_hand(regular: list[int], covered: int, expected: str) -> None:
    # The app has somebody every week that it has a regular, and one a week before the first.
    active = [max(now, int(regular[0] == 0 and i == 0)) for i, now in enumerate(regular)]
    size = len(regular)
    stages = stage_history(active, regular, [covered] * size, SEEN[:size])
    assert " ".join(stage[0] for stage in stages) == expected


def test_a_dark_week_stops_every_clock() -> None:
    regular = [3, 3, 0, 0, 0, 0, 0, 0]
    visible = [True, True, True, True, False, False, False, True]
    stages = stage_history(regular, regular, [20] * 8, visible)
    assert stages[3:] == ["workgroup", *["not visible"] * 3, "workgroup"]


def test_numbers_are_whole(company: Company) -> None:
    """Truth is read by other programs: nothing in it is a number of another library."""

    def walk(value: object) -> Iterator[object]:
        if isinstance(value, dict):
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)
        else:
            yield value

    kinds = {type(leaf) for name in Truth.__slots__ for leaf in walk(getattr(company.truth, name))}
    assert kinds <= {int, str, bool, type(None)}
