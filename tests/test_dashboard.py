"""The pages without a browser: every question asked, every view run, hostile text made harmless."""

from __future__ import annotations

import csv
import inspect
import io
import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import charts, decisions, findings, health, panels, queries, text, widgets
from dashboard.decisions import Decision
from dashboard.findings import Store
from dashboard.server import HEADERS, settings
from dashboard.theme import DAY, NIGHT, Palette
from dashboard.widgets import Column

ENTRY = Path(findings.__file__).with_name("app.py")
VIEWS = {
    "views/adoption_map.py": "Which departments adopted what?",
    "views/app.py": "How did",
    "views/department.py": "What does",
    "views/unknown_hosts.py": "What do people use that the catalogue does not know?",
    "views/data_health.py": "How much of the company do these numbers see?",
}
QUESTIONS = [
    name
    for name, value in vars(queries).items()
    if hasattr(value, "__wrapped__") and name not in {"rows", "find"}
]
HOSTILE = ("![x](http://evil.example/x.png)", "<img src=x onerror=window.PWN=1>", "moc\u202elive")


@pytest.fixture
def filled(demo_store: Path) -> Store:
    """The version that the demo company's scan published."""
    found = findings.find(demo_store)
    assert found is not None
    return found


@pytest.fixture
def empty(empty_store: Path) -> Store:
    """The version that a scan of nothing published."""
    found = findings.find(empty_store)
    assert found is not None
    return found


def ask(store: Store, name: str) -> object:
    """Ask one question with the store's own newest week, first app and first department."""
    weeks, apps = queries.weeks(store), queries.apps(store)
    places = queries.departments(store)
    values = {
        "store": store,
        "week": weeks[0] if weeks else date(2026, 1, 5),
        "app": apps[0]["app"] if apps else "none",
        "department": places[0]["department"] if places else "nowhere",
    }
    question: Callable[..., object] = getattr(queries, name)
    wanted = inspect.signature(inspect.unwrap(question)).parameters.values()
    return question(*(values[one.name] for one in wanted if one.default is one.empty))


def run(store: Path, view: str = "", **query: str) -> AppTest:
    """Run one page of a store to its end."""
    test = AppTest.from_file(str(ENTRY), default_timeout=30)
    test.secrets["store"] = str(store)
    if view and view != "views/adoption_map.py":
        test.run()  # a page is known by its address only after the navigation ran once
        test.switch_page(view)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def copied(store: Path, folder: Path) -> Path:
    """Copy a store's published file, to be changed."""
    folder.mkdir(exist_ok=True)
    shutil.copy(store / "findings.duckdb", folder)
    return folder


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_an_answer_in_a_filled_store(filled: Store, name: str) -> None:
    """The demo company is silent on blocked use of its first app, on VPNs and on a tree."""
    silent = {"app_blocked", "app_tenants", "alternatives", "hidden", "divisions"}
    assert ask(filled, name) or name in silent


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_stands_an_empty_store(empty: Store, name: str) -> None:
    """No question fails where there is nothing to find."""
    assert isinstance(ask(empty, name), (dict, list))


@pytest.mark.parametrize(("view", "title"), VIEWS.items())
def test_every_view_runs_on_a_filled_store(demo_store: Path, view: str, title: str) -> None:
    """Each page asks its question and ends without an exception."""
    test = run(demo_store, view)
    assert not test.exception
    assert test.title[0].value.startswith(title)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_teaches_on_an_empty_store(empty_store: Path, view: str) -> None:
    """A store without a complete week says so and names the command that fills it."""
    test = run(empty_store, view)
    assert not test.exception
    assert "sundial scan" in test.code[0].value


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_teaches_without_a_store(tmp_path: Path, view: str) -> None:
    """A folder without findings is not an error, it is where to begin."""
    test = run(tmp_path, view)
    assert not test.exception
    assert test.subheader[0].value == "No findings yet"
    assert any("sundial demo" in code.value for code in test.code)


def test_no_departments_teaches_the_directory(demo_store: Path, tmp_path: Path) -> None:
    """Without people.csv and subnets.csv the pages say what these would add."""
    store = copied(demo_store, tmp_path / "store")
    with duckdb.connect(str(store / "findings.duckdb")) as file:
        file.execute("UPDATE coverage_weekly SET department = '(unknown)'")
    for view in ("views/adoption_map.py", "views/department.py", "views/data_health.py"):
        test = run(store, view)
        assert not test.exception
        assert any("people.csv" in said.value for said in test.text), view


def test_filters_that_match_nothing_say_which_hides_how_many(demo_store: Path) -> None:
    """The empty case names the filter."""
    test = run(demo_store, status="retired")
    assert not test.exception
    assert test.subheader[0].value == "The filters hide every app"
    assert "filter on status hides" in test.text[0].value


def test_filters_narrow_the_map(demo_store: Path, filled: Store) -> None:
    """One category leaves its apps alone."""
    kind = queries.apps(filled)[0]["filed"]
    test = run(demo_store)
    test.multiselect(key="category").select(kind).run()
    assert not test.exception
    week = queries.weeks(filled)[0]
    left = [row for row in queries.reach(filled, week) if row["filed"] == kind]
    assert left
    specs = [str(element.proto) for element in test.get("echarts_chart")]
    assert any(left[0]["name"] in spec for spec in specs)


def test_the_table_is_built_when_it_is_opened(demo_store: Path, filled: Store) -> None:
    """Closed it costs nothing; open it stays so while filters change, and holds what they leave."""
    closed = run(demo_store)
    assert not closed.dataframe
    test = run(demo_store, table="true")
    week = queries.weeks(filled)[0]
    apps = {row["app"] for row in queries.reach(filled, week)}
    cells = [row for row in queries.adoption(filled, week) if row["app"] in apps]
    assert len(test.dataframe[0].value) == len(cells)
    test.selectbox(key="stage").select("division").run()
    assert not test.exception
    reached = {row["app"] for row in queries.reach(filled, week) if "division" in row["stages"]}
    names = {row["name"] for row in queries.apps(filled) if row["app"] in reached}
    assert set(test.dataframe[0].value["name"]) == names


def test_more_changes_are_told_when_they_are_opened(demo_store: Path, filled: Store) -> None:
    """The first ones stand open, the title counts the others, and opened it tells them."""
    changes = queries.changes(filled, queries.weeks(filled)[0])
    more = len(changes) - panels.CHANGES
    assert 0 < more < panels.MORE_CHANGES
    closed, test = run(demo_store), run(demo_store, changes="true")
    assert not test.exception
    assert f"{more} more changes" in [one.label for one in test.expander]
    assert len(test.get("page_link")) - len(closed.get("page_link")) == more


def test_lists_for_small_screens_lead_with_the_furthest_spread(filled: Store) -> None:
    """What is counted and put first is what has a label on the map, by share and stage."""
    stages = ("trial", "workgroup", "division")
    week = queries.weeks(filled)[0]
    apps = [row["app"] for row in queries.reach(filled, week)]
    found = {row["department"]: row for row in queries.leading(filled, week, apps[3:])}
    rows = [row for row in queries.adoption(filled, week) if row["app"] in apps[3:]]
    assert any(row["share"] is None for row in rows)
    for place in {row["department"] for row in rows}:
        own = [row for row in rows if row["department"] == place and charts.label(row)]
        own.sort(
            key=lambda row: (
                row["share"] or 0,
                stages.index(row["stage"]) if row["stage"] in stages else -1,
                row["app"],
            ),
            reverse=True,
        )
        assert found[place]["apps"] == len(own)
        assert [row["app"] for row in found[place]["first"]] == [row["app"] for row in own[:6]]
        assert [charts.label(row) for row in found[place]["first"]] == [
            charts.label(row) for row in own[:6]
        ]


def test_narrower_questions_answer_as_the_whole_does(filled: Store) -> None:
    """Some apps, and the weightiest changes with the number of all."""
    week = queries.weeks(filled)[0]
    apps = tuple(row["app"] for row in queries.reach(filled, week)[:3])
    every = queries.adoption(filled, week)
    assert queries.adoption(filled, week, apps) == [row for row in every if row["app"] in apps]
    changes = queries.changes(filled, week)
    assert queries.changes(filled, week, 3) == changes[:3]
    assert {row["changes"] for row in changes} == {len(changes)}
    assert queries.categories(filled) == sorted({row["filed"] for row in queries.apps(filled)})


def test_an_app_opens_at_a_department(demo_store: Path, filled: Store) -> None:
    """The address names app and department, and the first sentence is about both."""
    week = queries.weeks(filled)[0]
    row = next(row for row in queries.adoption(filled, week) if row["stage"] == "division")
    name = next(app["name"] for app in queries.apps(filled) if app["app"] == row["app"])
    test = run(demo_store, "views/app.py", app=name, at=row["department"])
    assert not test.exception
    said = [one.value for one in test.markdown]
    assert any(f"reached division in {row['department']}" in one for one in said)


def test_the_app_page_opens_with_the_weightiest_news(demo_store: Path, filled: Store) -> None:
    week = queries.weeks(filled)[0]
    test = run(demo_store, "views/app.py")
    assert text.md(queries.changes(filled, week)[0]["name"]) in test.title[0].value
    name = queries.apps(filled)[0]["name"]
    assert text.md(name) in run(demo_store, "views/app.py", app=name).title[0].value


def test_an_app_that_nobody_uses_any_more_is_not_only_here(filled: Store) -> None:
    week = queries.weeks(filled)[0]
    rows = queries.department_apps(filled, "Communications", week)
    gone = [row for row in rows if row["stage"] == "abandoned" and not row["also"]]
    assert gone
    assert not any(map(panels._only_here, gone))


def test_older_weeks_are_told_apart(demo_store: Path, filled: Store) -> None:
    """The list of changes says which weeks it covers when an older one is asked for."""
    test = run(demo_store, week=text.day(queries.weeks(filled)[8]))
    assert not test.exception
    assert any("Changes are kept for the four weeks" in said.value for said in test.text)


def test_a_decision_is_recorded_and_shown(demo_store: Path, tmp_path: Path) -> None:
    """The form appends one line; the page shows it at once."""
    store = copied(demo_store, tmp_path / "store")
    test = run(store, "views/app.py")
    next(one for one in test.selectbox if one.label == "Status").select("approved")
    next(one for one in test.text_input if one.label == "Owner").input("Works council")
    test.button[0].click().run()
    assert not test.exception
    assert any("Decision: approved" in said.value for said in test.markdown)
    made = json.loads((store / "decisions.jsonl").read_text("utf-8"))
    assert made["owner"] == "Works council"


def test_decisions_survive_writers_at_once_and_a_torn_line(tmp_path: Path) -> None:
    """Twenty writers leave twenty lines; half a line of a killed one costs nobody else's."""
    (tmp_path / "decisions.jsonl").write_text('{"app": "torn", "stat', "utf-8")
    writers = [
        threading.Thread(target=decisions.record, args=(tmp_path, Decision(f"app{n}", "tolerated")))
        for n in range(20)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    decisions.record(tmp_path, Decision("app0", "approved", reason="a\nb\u2028c"))
    known = decisions.read(tmp_path)
    assert set(known) == {f"app{n}" for n in range(20)}
    assert known["app0"].status == "approved"
    assert len((tmp_path / "decisions.jsonl").read_text("utf-8").split("\n")) == 23


def test_a_status_outside_the_list_is_refused(tmp_path: Path) -> None:
    """Nothing is written when the status is not one of the seven."""
    with pytest.raises(ValueError, match="is not a status"):
        decisions.record(tmp_path, Decision("slack", "forbidden"))
    assert not (tmp_path / "decisions.jsonl").exists()


def test_a_new_file_is_seen_while_the_old_one_is_open(demo_store: Path, tmp_path: Path) -> None:
    """Publishing replaces the file under the readers; the next question reads the new one."""
    store = copied(demo_store, tmp_path / "store")
    before = findings.find(store)
    assert before is not None
    assert queries.meta(before)["catalogue_version"] != "replaced"
    fresh = copied(demo_store, tmp_path / "fresh")
    with duckdb.connect(str(fresh / "findings.duckdb")) as file:
        file.execute("UPDATE meta SET value = 'replaced' WHERE key = 'catalogue_version'")
    (fresh / "findings.duckdb").replace(store / "findings.duckdb")
    after = findings.find(store)
    assert after is not None
    assert after != before
    assert queries.meta(after)["catalogue_version"] == "replaced"


def test_reading_never_locks_the_writer_out(demo_store: Path, tmp_path: Path) -> None:
    """While pages are open the file can be read by others, and the findings cannot be changed."""
    store = findings.find(copied(demo_store, tmp_path / "store"))
    assert store is not None
    queries.meta(store)
    with pytest.raises(duckdb.Error, match="read-only"):
        findings.rows(store, "DELETE FROM f.meta")
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        findings.rows(store, "SELECT * FROM read_text($path)", path=str(ENTRY))
    with pytest.raises(duckdb.Error, match=r"(?i)lock"):
        findings.rows(store, "SET enable_external_access = true")


@pytest.mark.parametrize("paint", [DAY, NIGHT], ids=["day", "night"])
def test_ink_reads_on_every_tone(paint: Palette) -> None:
    """Numbers in cells keep a contrast of 4.5 to 1 on the whole scale."""
    from dashboard.theme import _contrast, _light

    for step in range(101):
        tone, ink = paint.tone(step / 100), paint.on_tone(step / 100)
        light = [_light(*bytes.fromhex(colour[1:])) for colour in (tone, ink)]
        assert _contrast(*light) >= 4.5, step


def test_tones_rise_with_the_share() -> None:
    """A larger share is never drawn lighter by day or darker by night."""
    greens = [int(DAY.tone(step / 20)[3:5], 16) for step in range(21)]
    assert greens == sorted(greens, reverse=True)
    assert len(set(greens)) == 21


def test_the_map_marks_stages_and_hatches_the_unseen(filled: Store) -> None:
    """Every cell opens an app at a department; a department without logs has no number."""
    week = queries.weeks(filled)[0]
    places = queries.coverage(filled, week)
    columns = queries.reach(filled, week)
    places[0] = {**places[0], "visible": False}
    matrix = charts.Matrix(places, columns, queries.adoption(filled, week))
    picture = charts.adoption_map(matrix, charts.tints(columns, DAY), DAY)
    series = {one.get("id"): one for one in picture.option["series"]}
    assert len(series["cells"]["data"]) == len(picture.targets["cells"])
    unseen = sum(not place["visible"] for place in places)
    assert len(series["hidden"]["data"]) == unseen * len(columns)
    assert all("decal" in one["itemStyle"] for one in series["hidden"]["data"])
    assert places[0]["department"] not in {place for _, place in picture.targets["cells"]}
    names = [one["name"] for one in series["cells"]["data"]]
    assert len(set(names)) == len(names), "ECharts selects by name: each needs its own"
    json.dumps(picture.option)


def test_sentences_name_their_numbers() -> None:
    """A stage is told with people, covered people and the week of the first use."""
    row = {
        "stage": "division", "regular_people": 14, "covered_people": 22, "peak_people": 15,
        "week": date(2026, 10, 12), "first_week": date(2026, 3, 9), "visible": True,
        "basis": "person",
    }  # fmt: skip
    assert text.adoption("Circle", "Marketing", row) == (
        "Circle reached division in Marketing: 14 of 22 covered people in the last four weeks, "
        "first seen 31 weeks ago."
    )
    lost = {**row, "visible": False, "headcount": 61, "last_visible": date(2026, 9, 14)}
    assert text.adoption("Circle", "Works", {**lost, "covered_people": 3}) == (
        "Works is not visible since the week of 21 Sep 2026: "
        "the logs saw 3 of 61 people in this week."
    )
    assert "about 14 of 22 covered people, by address," in text.adoption(
        "Circle", "Works", {**row, "basis": "address"}
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_cannot_speak_markdown_or_hide(hostile: str) -> None:
    """Every mark of Markdown is escaped, every hidden character shown."""
    escaped = text.md(hostile)
    assert "\u202e" not in escaped
    assert all(
        escaped[place - 1] == "\\" for place, mark in enumerate(escaped) if mark in "![]()<>*_`:"
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "\u200b="])
def test_downloads_hold_no_formula(start: str) -> None:
    """No spreadsheet runs a cell of ours, however the formula is led in."""
    columns = (Column("host", "Host"), Column("people", "People", "people"))
    made = widgets.csv_bytes([{"host": f"{start}cmd|calc", "people": 7}], columns)
    head, row = list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))
    assert head == ["Host", "People"]
    assert row[0].startswith("'")
    assert row[1] == "7"


def test_contacts_with_what_hides_names_are_shown(demo_store: Path, tmp_path: Path) -> None:
    """Data health names the operator and how many people met it, not once per day."""
    folder = copied(demo_store, tmp_path / "contacts")
    with duckdb.connect(str(folder / "findings.duckdb")) as con:
        for days in (0, 1):
            con.execute(
                "INSERT INTO hidden_daily SELECT max(week) + ?, 'Sales', 'berlin-proxy', 'relay',"
                " 'iCloud Private Relay', 7, 30, 0 FROM coverage_weekly",
                [days],
            )
    page = run(folder, "views/data_health.py")
    assert not page.exception
    assert "Who may do more than these logs show" in [head.value for head in page.subheader]
    shown = next(table.value for table in page.dataframe if "operator" in table.value)
    assert shown[["what", "operator", "people", "requests"]].values.tolist() == [
        ["relay", "iCloud Private Relay", 7, 60]
    ]


def test_addresses_that_are_nobodys_are_shown(demo_store: Path, tmp_path: Path) -> None:
    """Data health tells why, on how many days, and for how long."""
    folder = copied(demo_store, tmp_path / "conflicts")
    with duckdb.connect(str(folder / "findings.duckdb")) as con:
        con.execute("DELETE FROM identity_conflicts")
        for days, reason in ((0, "users"), (1, "users"), (1, "many browsers")):
            con.execute(
                "INSERT INTO identity_conflicts SELECT max(week) + ?, ?, ?, 2 FROM coverage_weekly",
                [days, reason, 3 + days],
            )
    page = run(folder, "views/data_health.py")
    assert not page.exception
    shown = next(table.value for table in page.dataframe if "addresses" in table.value)
    assert shown[["what", "days", "addresses", "hours"]].values.tolist() == [
        ["a proxy names several users on one day", 2, 4, 4.0],
        ["more browsers than one desk has: shared", 1, 4, 2.0],
    ]


def test_a_division_is_the_sum_of_its_departments(demo_store: Path, tmp_path: Path) -> None:
    """The map has a table of divisions where the directory tells of any."""
    folder = copied(demo_store, tmp_path / "divisions")
    with duckdb.connect(str(folder / "findings.duckdb")) as con:
        con.execute(
            "INSERT INTO divisions SELECT 'Market', department, 1 FROM departments"
            " WHERE department IN ('Sales', 'Marketing')"
        )
        expected = con.execute(
            "SELECT name, sum(regular_people) AS people FROM adoption_weekly JOIN apps USING (app)"
            " WHERE department IN ('Sales', 'Marketing')"
            " AND week = (SELECT max(week) FROM coverage_weekly)"
            " GROUP BY name ORDER BY people DESC, name LIMIT 1"
        ).fetchall()
    page = run(folder, divisions="true")
    assert not page.exception
    shown = next(table.value for table in page.dataframe if "division" in table.value)
    first = shown[["division", "name", "regular_people", "departments"]].values.tolist()[0]
    assert first == ["Market", *expected[0], 2]


def test_the_ledger_is_drawn_with_its_silence() -> None:
    """A day of silence is hatched and said; others are shaded by people seen of those expected."""
    row = {"source": "dns", "department": "Works", "people": 6, "expected_people": 8, "requests": 9}
    row |= {"clients": 7, "expected_clients": 9}
    nobody = {"people": 0, "expected_people": None, "source": "traffic"}
    days = [
        {**row, "day": date(2026, 10, 5)},
        {**row, "day": date(2026, 10, 6), "people": 0, "requests": 0},
        {**row, "day": date(2026, 10, 5), "source": "<b>", "expected_people": None},
        {**row, "day": date(2026, 10, 5), **nobody},
        {**row, "day": date(2026, 10, 7), "people": None, "requests": None},
    ]
    picture = charts.ledger_strip(days, DAY)
    told = {mark["name"]: mark["itemStyle"] for mark in picture.option["series"][0]["data"]}
    assert set(told) == {
        "dns on 5 Oct 2026: 6 of 8 expected people.",
        "dns on 6 Oct 2026: silent, 8 people expected.",
        "<b> on 5 Oct 2026: 6 people.",
        "traffic on 5 Oct 2026: 7 of 9 expected clients, nobody told apart.",
        "dns on 7 Oct 2026: too few to tell of 8 expected people.",
    }
    assert "decal" in told["dns on 6 Oct 2026: silent, 8 people expected."]
    assert "decal" not in told["dns on 5 Oct 2026: 6 of 8 expected people."]
    assert picture.alt.endswith("Silent on some days: dns.")


def test_an_app_that_a_silent_source_hides_is_said_to_be(filled: Store) -> None:
    """The department is visible, the app in it is not: the sentence names the source as cause."""
    week = queries.weeks(filled)[0]
    row = queries.adoption(filled, week)[0]
    assert row["lit"] is True
    said = text.adoption("Circle", "Works", row | {"stage": "not visible", "visible": False})
    assert said.startswith("Circle is not visible in Works: a source that saw most of its people")
    assert "logs saw" not in said


def test_blind_spots_come_with_a_cure() -> None:
    """Silent sources, unplaced requests and unseen departments are said with what to do."""
    source = {
        "source": "works-dns", "has_user": False, "has_bytes": False,
        "last_seen": datetime(2026, 9, 1, tzinfo=UTC), "first_seen": None,
        "kind": "dns", "ahead_seconds": 7200, "retired": None,
    }  # fmt: skip
    newer = {
        **source,
        "source": "proxy",
        "last_seen": datetime(2026, 10, 1, tzinfo=UTC),
        "has_bytes": True,
        "kind": "proxy",
        "ahead_seconds": 60,
    }
    place = {
        "department": "Works", "visible": False, "covered_people": 0, "headcount": 61,
        "last_visible": None,
    }  # fmt: skip
    ended = {**source, "source": "old-dns", "ahead_seconds": 0, "retired": date(2026, 9, 2)}
    placed = {"requests": 1000, "unresolved": 4, "shared": 0, "bare": 30}
    skew = [
        {"source": "works-dns", "beside": "proxy", "seconds": -300, "pairs": 40},
        {"source": "works-dns", "beside": "other", "seconds": 30, "pairs": 40},
    ]
    said = health.blind_spots([source, newer, ended], [place], placed, skew)
    assert all(cure.endswith(".") for _, cure in said)
    words = " ".join(line for line, _ in said)
    assert "works-dns has been silent since 1 Sep 2026." in words
    assert "Works is not visible" in words
    assert "works-dns and old-dns: clients keep DNS answers" in words
    assert "old-dns has been silent" not in words
    assert "works-dns is 300 seconds behind proxy." in words
    assert "other" not in words
    assert "3\u202f% of requests name only an address" in words
    assert "works-dns is 120 minutes ahead of the files it writes." in words
    assert "proxy is" not in words
    assert "< 1\u202f% of requests" in words


def test_settings_are_hardened() -> None:
    """Local by default, quiet, without error details, uploads, telemetry or file watching."""
    made = settings("127.0.0.1", 8501, open_browser=False, names=["sundial.example"])
    assert made["server.allowedHosts"][:4] == ["localhost", "127.0.0.1", "[::1]", "127.0.0.1"]
    assert "sundial.example" in made["server.allowedHosts"]
    assert made["client.showErrorDetails"] == "none"
    assert made["client.disableDataExport"] is True
    for off in ("browser.gatherUsageStats", "server.enableStaticServing", "server.enableAgentApi"):
        assert made[off] is False
    assert "default-src 'self'" in HEADERS["Content-Security-Policy"]
    assert "unsafe-eval" not in HEADERS["Content-Security-Policy"].replace("wasm-unsafe-eval", "")


def test_small_groups_are_said_as_such() -> None:
    """What the findings do not tell is "fewer than k" in sentences, on the map and in files."""
    assert text.people(None) == "too few to tell"
    made = widgets.csv_bytes([{"people": None}], (Column("people", "People", "people"),))
    assert made.decode("utf-8-sig").splitlines()[1] == "too few"
    assert charts.label({"stage": "none", "share": None, "active_people": None}) == "< 5"
