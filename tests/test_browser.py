"""What only a browser can show: drawn charts, clicks that lead on, hostile names left harmless."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard import charts, findings, queries
from tests.browser import chromium, rest, served
from tests.conftest import Require

PATHS = ("/", "/?table=true&changes=true", "/app", "/department", "/unknown-hosts", "/data-health")
MAP = ".st-key-wide [data-testid=stEChartsChart]"
HOSTILE = {
    "![x](http://evil.example/x.png)": "Works",
    "<img src=http://evil.example/y onerror=window.PWN=1>": "Legal",
    "=cmd|' /C calc'!A0": "Finance",
    "a\u202emoc.live": "IT",
    "www.evil.example [go](http://evil.example)": "Product",
}


@pytest.fixture(scope="module")
def browser(require: Require) -> Iterator[Browser]:
    """Debian's Chromium, or a skip that says how to get it."""
    with chromium(require("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def address(demo_store: Path) -> Iterator[str]:
    """The dashboard of the demo company."""
    with served(demo_store) as where:
        yield where


@pytest.fixture(scope="module")
def hostile_address(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard of a company whose departments, apps and hosts have hostile names."""
    store = tmp_path_factory.mktemp("hostile")
    shutil.copy(demo_store / "findings.duckdb", store)
    with duckdb.connect(str(store / "findings.duckdb")) as file:
        named = file.execute(
            """SELECT DISTINCT table_name FROM information_schema.columns
               WHERE column_name = 'department' AND table_schema = 'main'"""
        ).fetchall()
        for name, place in HOSTILE.items():
            for (table,) in named:
                file.execute(
                    f"UPDATE {table} SET department = $name WHERE department = $place",
                    {"name": name, "place": place},
                )
        names = list(HOSTILE)
        file.execute("UPDATE apps SET name = name || ' ' || $name", {"name": names[0]})
        file.execute("UPDATE apps SET vendor = $name", {"name": names[1]})
        file.execute("UPDATE hosts SET tenant = $name", {"name": names[1]})
        file.execute("UPDATE tenants SET tenant = $name", {"name": names[4]})
        file.execute("UPDATE hosts_unknown SET host = $name || host", {"name": names[0]})
        file.execute("UPDATE rejects SET sample = $name", {"name": names[1]})
        file.execute("UPDATE log_files SET note = $name", {"name": names[0]})
    with served(store) as where:
        yield where


@contextmanager
def opened(
    browser: Browser, address: str, *, width: int = 1440, scheme: str = "light"
) -> Iterator[Page]:
    """Open a page at rest; leaves with an assertion that nothing was fetched from elsewhere."""
    asked: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(address)
        rest(page)
        yield page
        own = re.match(r"https?://[^/]+", address)
        assert own is not None
        allowed = (own[0], own[0].replace("http", "ws", 1), "data:", "blob:")
        assert [url for url in asked if not url.startswith(allowed)] == []
    finally:
        context.close()


def click_map(page: Page, folder: Path, column: float, row: float) -> None:
    """Click a place of the map: column -1 is the name of a department, row -1 that of an app."""
    store = findings.find(folder)
    assert store is not None
    head, right = charts.frame(queries.reach(store, queries.weeks(store)[0])[:18])
    chart = page.locator(MAP).first
    expect(chart.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(700)  # the chart listens a moment after it is drawn
    box = chart.bounding_box()
    assert box is not None
    left = charts.NAMES + charts.BARS
    x = left / 4 if column < 0 else left + (column + 0.5) * (box["width"] - left - right) / 18
    y = head - 8 if row < 0 else head + 8 + (row + 0.5) * charts.ROW
    page.mouse.click(box["x"] + x, box["y"] + y)


def test_home_draws_the_map_above_the_fold(browser: Browser, address: str) -> None:
    """The map is a drawn canvas with words for who cannot see it, on the first screen."""
    with opened(browser, address) as page:
        canvas = page.locator(f"{MAP} canvas").first
        expect(canvas).to_be_visible()
        box = canvas.bounding_box()
        assert box is not None
        assert box["y"] < 400
        assert box["width"] > 700
        expect(page.locator(MAP).first).to_have_attribute("aria-label", re.compile("Heat map of"))


def test_a_cell_opens_the_app_at_the_department(
    browser: Browser, address: str, demo_store: Path
) -> None:
    """Clicks on a cell, an app's name and a department's name lead where they should, and back."""
    with opened(browser, address) as page:
        click_map(page, demo_store, 0, 0)
        expect(page.locator("h1")).to_contain_text("How did")
        assert re.search(r"/app\?app=[^&]+&at=.+", page.url)
        page.go_back()
        expect(page.locator("h1")).to_contain_text("Which departments")
        click_map(page, demo_store, -1, 1)
        expect(page.locator("h1")).to_contain_text("What does")
        assert "/department?department=" in page.url
        page.go_back()
        expect(page.locator("h1")).to_contain_text("Which departments")
        click_map(page, demo_store, 1, -1)
        expect(page.locator("h1")).to_contain_text("How did")
        assert "at=" not in page.url


def test_filters_change_the_map_and_the_address(
    browser: Browser, address: str, demo_store: Path
) -> None:
    """A filter redraws the map, stands in the address, and the address brings it back."""
    store = findings.find(demo_store)
    assert store is not None
    with opened(browser, address) as page:
        page.get_by_role("combobox", name="Stage at least").click()
        page.get_by_role("option", name="division").click()
        expect(page).to_have_url(re.compile("stage=division"))
        rest(page)
        label = page.locator(MAP).first.get_attribute("aria-label")
        count = re.search(r"and (\d+) apps", label or "")
        assert count is not None
        week = queries.weeks(store)[0]
        reached = {
            row["app"] for row in queries.adoption(store, week) if row["stage"] == "division"
        }
        assert int(count[1]) == min(18, len(reached))
        page.reload()
        rest(page)
        expect(page.get_by_role("combobox", name="Stage at least")).to_have_value("division")


def test_the_table_under_the_map_opens_by_keyboard(browser: Browser, address: str) -> None:
    """One key opens it, a filter leaves it open, its file holds what the filter leaves."""
    with opened(browser, address) as page:
        table = page.get_by_test_id("stDataFrame")
        expect(table).to_have_count(0)
        page.locator("summary", has_text="The same as a table").focus()
        page.keyboard.press("Enter")
        expect(table).to_be_visible()
        expect(page).to_have_url(re.compile("table=true"))
        page.get_by_role("combobox", name="Stage at least").click()
        page.get_by_role("option", name="division").click()
        expect(page).to_have_url(re.compile("stage=division"))
        rest(page)
        expect(table).to_be_visible()
        page.wait_for_timeout(700)  # the file of before is gone, that of now a moment later there
        with page.expect_download() as waiting:
            page.get_by_text("Download CSV").click()
        rows = Path(waiting.value.path()).read_text("utf-8-sig").splitlines()
        assert len(rows) > 5
        page.reload()
        rest(page)
        expect(table).to_be_visible()
        page.locator("summary", has_text="The same as a table").press("Enter")
        expect(table).to_have_count(0)


def test_the_address_opens_an_app_and_a_choice_changes_it(browser: Browser, address: str) -> None:
    """Another app in the side bar is another address; back returns to the first."""
    with opened(browser, f"{address}/app") as page:
        before = page.locator("h1").inner_text()
        page.get_by_test_id("stSidebar").get_by_test_id("stSelectbox").first.click()
        page.get_by_role("option").nth(1).click()
        expect(page.locator("h1")).not_to_have_text(before)
        expect(page).to_have_url(re.compile(r"/app\?app="))
        rest(page)
        page.go_back()
        expect(page.locator("h1")).to_have_text(before)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [1440, 390])
def test_hostile_names_do_nothing(
    browser: Browser, hostile_address: str, path: str, width: int
) -> None:
    """No markup runs, no link to elsewhere appears, no name turns the text around."""
    with opened(browser, hostile_address + path, width=width) as page:
        for place in range(8):
            page.mouse.move(300 + 130 * place if width > 400 else 20 + 40 * place, 420)
        page.wait_for_timeout(500)
        assert page.evaluate("() => window.PWN") is None
        links = page.locator("a").evaluate_all("all => all.map(one => one.href)")
        assert [link for link in links if "127.0.0.1" not in link] == []
        images = page.locator("img").evaluate_all("all => all.map(one => one.src)")
        assert [source for source in images if "evil" in source] == []
        assert "\u202e" not in page.locator("body").inner_text()


def test_downloads_are_safe_for_spreadsheets(browser: Browser, hostile_address: str) -> None:
    """The file holds names of the log with a quote before what would be a formula."""
    with opened(browser, f"{hostile_address}/unknown-hosts") as page:
        with page.expect_download() as waiting:
            page.get_by_text("Download CSV").first.click()
        rows = Path(waiting.value.path()).read_text("utf-8-sig").splitlines()
        assert len(rows) > 5
        assert not [row for row in rows if re.match(r'"?[=+@-]', row)]


@pytest.mark.parametrize("path", PATHS)
def test_small_screens_do_not_scroll_sideways(browser: Browser, address: str, path: str) -> None:
    """At 390 pixels every page fits; home lists the departments instead of drawing the map."""
    with opened(browser, address + path, width=390) as page:
        page.wait_for_timeout(500)
        wide = page.evaluate(
            """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
                 .map(one => one.scrollWidth - one.clientWidth)"""
        )
        assert max(wide) <= 0
        if path == "/":
            expect(page.locator(MAP).first).to_be_hidden()
            expect(page.locator(".st-key-narrow")).to_be_visible()


def test_night_is_dark_and_day_is_light(browser: Browser, address: str) -> None:
    """The page follows the reader's system; no default red anywhere on the map's page."""
    light = {}
    for scheme in ("light", "dark"):
        with opened(browser, address, scheme=scheme) as page:
            page.wait_for_timeout(500)
            colour = page.locator("[data-testid=stApp]").evaluate(
                "one => getComputedStyle(one).backgroundColor"
            )
            light[scheme] = sum(map(int, re.findall(r"\d+", colour)[:3]))
    assert light["light"] > 700
    assert light["dark"] < 150


def test_a_department_prints_on_one_page(browser: Browser, address: str) -> None:
    """The page for a head of department fits on A4, without side bar or buttons."""
    with opened(browser, f"{address}/department") as page:
        page.wait_for_timeout(500)
        paper = page.pdf(format="A4")
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
        page.emulate_media(media="print")
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.locator(".st-key-printed table")).to_be_visible()


def test_answers_carry_the_security_headers(browser: Browser, address: str) -> None:
    """Nothing may be loaded from elsewhere, framed, or guessed by content."""
    with opened(browser, address) as page:
        answer = page.request.get(address)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
