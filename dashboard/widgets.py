"""The parts that pages share: opening the store, filters, links, charts, tables, downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import pandas as pd
import streamlit as st

from dashboard import decisions, findings, queries, text
from dashboard.charts import Picture, Target
from dashboard.decisions import Decision
from dashboard.findings import Rows, Store
from dashboard.theme import DAY, NIGHT, Palette

APP = "views/app.py"
DEPARTMENT = "views/department.py"
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="150" height="30" viewBox="0 0 150 30">'
    '<circle cx="15" cy="15" r="12.5" fill="none" stroke="#6fd0c5" stroke-width="2"/>'
    '<path d="M15 15 L15 4.5 A10.5 10.5 0 0 1 24.1 9.75 Z" fill="#6fd0c5"/>'
    '<text x="36" y="21.5" font-family="Source Sans,Segoe UI,sans-serif" font-size="20" '
    'font-weight="600" fill="#e3ecee" letter-spacing=".4">Sundial</text></svg>'
)
GLYPH = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30" viewBox="0 0 30 30">'
    '<circle cx="15" cy="15" r="12.5" fill="none" stroke="#2a9d90" stroke-width="2"/>'
    '<path d="M15 15 L15 4.5 A10.5 10.5 0 0 1 24.1 9.75 Z" fill="#2a9d90"/></svg>'
)
STYLE = """<style>
.st-key-narrow, .st-key-middle, .st-key-printed { display: none; }
[data-testid="stMetric"] { min-height: 5.6rem; }
[data-testid="stMetricLabel"] p { font-size: .9rem; }
[data-testid="stCaptionContainer"] { color: inherit; opacity: .8; }
[data-testid="stPageLink"] a { padding: .1rem .35rem; margin: -.2rem 0 -.2rem -.35rem; }
[data-testid="stPageLink"] p { white-space: normal; }
@media (max-width: 1240px) {
  .st-key-middle { display: flex; }
  .st-key-wide { display: none; }
  [data-testid="stMainBlockContainer"] { padding-left: 2rem; padding-right: 2rem; }
}
@media (max-width: 760px) {
  .st-key-narrow { display: flex; }
  .st-key-middle { display: none; }
  [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem; }
}
@media print {
  @page { size: A4; margin: 11mm; }
  [data-testid="stSidebar"], [data-testid="stHeader"], [class*="st-key-unprinted"] {
    display: none !important; }
  .st-key-printed { display: flex; }
  .st-key-printed td, .st-key-printed th, .st-key-printed p { font-size: 8.5pt; padding: 1pt 4pt; }
  [data-testid="stMain"] * { color: #000 !important; background: transparent !important; }
  [data-testid="stMetric"] { min-height: 0; padding: 4pt 8pt; }
  [data-testid="stMainBlockContainer"] { padding: 0 !important; }
  [data-testid="stAppViewContainer"], [data-testid="stMain"], .stApp { position: static !important;
    overflow: visible !important; height: auto !important; }
}
</style>"""


def dress() -> None:
    """Add the few rules of style that themes cannot say: narrow screens and print."""
    st.html(STYLE)


def palette() -> Palette:
    """Return the colours for the reader's day or night."""
    return NIGHT if st.context.theme.type == "dark" else DAY


def open_store(question: str = "") -> Store:
    """Return the published findings; where there are none, teach the command and stop.

    ``question`` is the title of a page that names an app or department in its own.
    """
    folder = str(st.secrets["store"])
    store = findings.find(folder)
    if store is not None:
        text.told_from(int(queries.meta(store).get("k") or 5))
    ready = store is not None and bool(queries.weeks(store))
    if question and not ready:
        st.title(question, anchor=False)
    if store is None:
        st.subheader("No findings yet")
        st.text(f"There is no findings.duckdb in {text.safe(folder)}. Read your logs:")
        st.code(f"sundial scan LOGS --store {text.safe(folder)}", language=None)
        st.text("LOGS is a folder of DNS or proxy logs. No logs at hand? Try a made-up company:")
        st.code("sundial demo demo", language=None)
        st.stop()
    if not ready:
        st.subheader("No complete week yet")
        st.text("Adoption is told by complete weeks, Monday to Sunday. Read more days of logs:")
        st.code(f"sundial scan LOGS --store {text.safe(folder)}", language=None)
        st.stop()
    return store


def teach_directory() -> None:
    """Say what a directory adds and how to give one, where nobody is placed in a department."""
    st.subheader("No departments yet")
    st.text("The logs were read, but nothing says who belongs to which department.")
    st.text("people.csv gives each login its department, with dates:")
    st.code("login,mail,department,from,to\nabrandt,a.brandt@example.com,Marketing,2024-03-01,")
    st.text("subnets.csv gives networks a department where logs hold no users:")
    st.code("cidr,department,site,shared,people\n192.0.2.0/24,Warehouse,Hamburg,no,14")
    st.text("Then scan again; what was already read is not read twice:")
    st.code("sundial scan LOGS --people people.csv --subnets subnets.csv", language=None)


def this_week(store: Store) -> date:
    """Return the newest complete week."""
    return queries.weeks(store)[0]


@dataclass(frozen=True, slots=True)
class Filters:
    """What the reader wants to see on the map."""

    week: date
    categories: Sequence[str]
    statuses: Sequence[str]
    at_least: str

    def hides(self, app: Mapping[str, Any], status: str) -> list[str]:
        """Return the names of the filters that hide an app of ``queries.reach``."""
        reached = text.STAGES[text.STAGES.index(self.at_least) :] if self.at_least else None
        tests = {
            "category": self.categories and app["filed"] not in self.categories,
            "status": self.statuses and status not in self.statuses,
            "stage": reached is not None and not set(reached).intersection(app["stages"]),
        }
        return [name for name, hidden in tests.items() if hidden]


def filters(store: Store) -> Filters:
    """Show the map's filters in the side bar, kept in the address, and return what they say."""
    weeks = {text.day(week): week for week in queries.weeks(store)}
    kinds = queries.categories(store)
    with st.sidebar:
        week = st.selectbox("Week of", list(weeks), key="week", bind="query-params")
        kind = st.multiselect(
            "Category", kinds, key="category", bind="query-params", placeholder="all"
        )
        status = st.multiselect(
            "Status", decisions.STATUSES, key="status", bind="query-params", placeholder="all"
        )
        least = st.selectbox(
            "Stage at least", ["any use", *text.STAGES], key="stage", bind="query-params"
        )
    chosen = weeks.get(week or "") or next(iter(weeks.values()))
    return Filters(chosen, kind, status, least if least in text.STAGES else "")


def choose(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    first: str = "",
    start: str | None = None,
) -> str | None:
    """Let the reader choose, kept in the address by name, and return the key of the choice.

    ``options`` are names by key. With ``first``, that choice stands in front and means None.
    ``start`` is the key to show while the address names none; without it, the first one.
    """
    by_name: dict[str, str | None] = {first: None} if first else {}
    for key, name in options.items():
        said = text.safe(name)
        by_name[f"{said} ({key})" if said in by_name else said] = key
    names, wanted = list(by_name), st.query_params.get(parameter)
    if wanted not in by_name:
        wanted = next((name for name, key in by_name.items() if start and key == start), names[0])
    # A widget bound to the address would keep its old value when a link asks for its first one,
    # so each address has a widget of its own and a choice changes the address.
    own = f"{parameter}={wanted}"

    def remember() -> None:
        st.query_params[parameter] = st.session_state[own]

    picked = st.selectbox(label, names, index=names.index(wanted), key=own, on_change=remember)
    return by_name[picked or wanted]


def go(target: Target) -> None:
    """Open the app, the department, or the app at the department."""
    app, department = target
    names = {row["app"]: text.safe(row["name"]) for row in _apps()}
    if app is None:
        st.switch_page(DEPARTMENT, query_params={"department": text.safe(department)})
    asked = {"app": names.get(app, app)}
    if department is not None:
        asked["at"] = text.safe(department)
    st.switch_page(APP, query_params=asked)


def app_link(name: str, label: str, department: str | None = None) -> None:
    """Link to an app's page; the label is Markdown, its names already escaped."""
    asked = {"app": text.safe(name)}
    if department:
        asked["at"] = text.safe(department)
    st.page_link(APP, label=label, query_params=asked, width="stretch")


def department_link(name: str, label: str | None = None) -> None:
    """Link to a department's page; the label is Markdown, its names already escaped."""
    asked = {"department": text.safe(name)}
    st.page_link(DEPARTMENT, label=label or text.md(name), query_params=asked, width="stretch")


def draw(picture: Picture, key: str) -> None:
    """Show a chart; where its marks open something, a click goes there."""
    if not picture.targets:
        st.echarts_chart(picture.option, height=picture.height, alt=picture.alt, key=key)
        return
    state = st.echarts_chart(
        picture.option,
        height=picture.height,
        alt=picture.alt,
        key=key,
        on_select=lambda: st.session_state.update({f"{key}-clicked": True}),
    )
    if st.session_state.pop(f"{key}-clicked", False):
        for group in cast("Any", state).selection.selected:
            for place in group["data_indices"][:1]:
                go(picture.targets[group["series_id"]][place])


def fold(title: str, key: str, fill: Callable[[], None]) -> None:
    """Show a title that opens what ``fill`` shows; the address tells by ``key`` that it is open.

    While it is closed nothing in it is built: it may be thousands of rows, at each filter anew.
    """
    box = st.expander(title, key=key, bind="query-params")
    if box.open:
        with box:
            fill()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its key in the rows, its heading and how its values are said."""

    key: str
    title: str
    kind: str = "text"
    """``text``, ``people``, ``number``, ``share``, ``day``, ``size``, ``line`` or ``page``."""
    width: str | int | None = None


_SAID: dict[str, Callable[[Any], object]] = {
    "text": text.cell,
    "stage": text.stage,
    "number": lambda value: None if value is None else round(value),
    "share": lambda value: None if value is None else round(100 * value),
    "size": text.size,
    "page": text.page,
}
"""How values of a kind are said; those of other kinds stay what they are."""


def _values(rows: Sequence[Mapping[str, Any]], column: Column) -> list[object]:
    values = [row[column.key] for row in rows]
    say = _SAID.get(column.kind)
    return list(map(say, values)) if say else values


def _config(column: Column) -> object:
    width: Any = column.width
    made = st.column_config
    match column.kind:
        case "people" | "number":
            return made.NumberColumn(column.title, format="localized", width=width)
        case "share":
            return made.ProgressColumn(
                column.title, format="%d %%", min_value=0, max_value=100, width=width
            )
        case "day":
            return made.DateColumn(column.title, format="D MMM YYYY", width=width)
        case "page":
            return made.LinkColumn(column.title, display_text="open", width=width)
        case "line":
            return made.AreaChartColumn(column.title, y_min=0, y_max=100, width=width)
        case _:
            return made.TextColumn(column.title, width=width)


@dataclass(frozen=True, slots=True)
class Table:
    """How rows are shown: a name for files, words for who cannot see it, and its columns."""

    name: str
    alt: str
    columns: Sequence[Column]
    most: int = 15
    """Rows that stand without scrolling."""


def table(
    rows: Sequence[Mapping[str, Any]],
    how: Table,
    opens: Callable[[Mapping[str, Any]], Target] | None = None,
) -> None:
    """Show rows with a download under them; choosing a row opens what ``opens`` says."""
    made = pd.DataFrame({one.key: _values(rows, one) for one in how.columns})
    shared: dict[str, Any] = {
        "hide_index": True,
        "column_config": {one.key: _config(one) for one in how.columns},
        "column_order": [one.key for one in how.columns],
        "height": 36 * min(len(made), how.most) + 40,
        "row_height": 36,
        "placeholder": "–",
        "alt": how.alt,
        "key": f"table-{how.name}",
    }
    if opens is None:
        st.dataframe(made, **shared)
    else:
        flag = f"table-{how.name}-clicked"
        state = st.dataframe(
            made,
            **shared,
            selection_mode="single-row",
            on_select=lambda: st.session_state.update({flag: True}),
        )
        chosen = cast("Any", state).selection.rows
        if st.session_state.pop(flag, False) and chosen:
            go(opens(rows[chosen[0]]))
    if any(row[one.key] is None for one in how.columns if one.kind == "people" for row in rows):
        st.caption("–: too few people to tell.")
    download(rows, how)


def download(rows: Sequence[Mapping[str, Any]], how: Table) -> None:
    """Offer rows as a CSV file whose texts no spreadsheet will run as a formula."""
    with st.container(key=f"unprinted-{how.name}"):
        st.download_button(
            "Download CSV",
            lambda: csv_bytes(rows, how.columns),
            f"sundial-{how.name}.csv",
            "text/csv",
            key=f"csv-{how.name}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def csv_bytes(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> bytes:
    """Return rows as CSV with a byte order mark, which is what spreadsheets expect."""
    file = io.StringIO()
    writer = csv.writer(file)
    kept = [one for one in columns if one.kind != "line"]
    writer.writerow([one.title for one in kept])
    for row in rows:
        plain = (
            "too few" if one.kind == "people" and row[one.key] is None else row[one.key]
            for one in kept
        )
        writer.writerow([text.csv_cell(value) for value in plain])
    return file.getvalue().encode("utf-8-sig")


def status_of(store: Store, app: str) -> Decision:
    """Return the newest decision about an app, *unreviewed* where there is none."""
    return decisions.read(store.folder).get(app, Decision(app))


def _apps() -> Rows:
    store = findings.find(str(st.secrets["store"]))
    return queries.apps(store) if store else []
