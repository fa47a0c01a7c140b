"""The larger pieces of pages: the strip of answers, lists of changes, small multiples, forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import streamlit as st

from dashboard import charts, decisions, queries, text, widgets
from dashboard.charts import Matrix
from dashboard.decisions import Decision
from dashboard.findings import Rows, Store
from dashboard.theme import Palette
from dashboard.widgets import Column, Table

COLUMNS = 18
"""Apps that stand side by side; more are too narrow to read at 1440 pixels."""
COMPACT = 9
"""The same at 1024 pixels."""
CHANGES = 8
MORE_CHANGES = 60
MULTIPLES = 12
SYMBOLS = {"new": "●", "stage_up": "▲", "company_wide": "▲", "abandoned": "×", "stage_down": "▼"}


def strip(said: Mapping[str, Any]) -> None:
    """Show the four answers of a week as cards of one height."""
    more = said["in_use"] - said["in_use_before"]
    since = f"{text.signed(more)} in four weeks" if more else "as four weeks ago"
    since = since if said["has_before"] else "in this week"
    seen = f"{text.share(said['seen'])} of people seen" if said["seen"] is not None else None
    with st.grid(4, min_column_width=132, gap="xsmall"):
        st.metric(
            "Apps in use", text.number(said["in_use"]), border=True,
            delta=since, delta_color="off", delta_arrow="off",
        )  # fmt: skip
        for title, count, note in (
            ("New in four weeks", text.number(said["new"]), "to the company"),
            ("Spreading", text.number(said["spreading"]), "to more departments"),
            ("Departments visible", f"{said['visible']} of {said['departments']}", seen),
        ):
            st.metric(title, count, note, delta_color="off", delta_arrow="off", border=True)


def the_map(store: Store, week: date, columns: Rows, paint: Palette, *, everything: bool) -> None:
    """Show the map, most adopting departments first, and the same as lists on small screens.

    ``columns`` are the apps in their order; without ``everything`` only the first are drawn.
    """
    departments = sorted(
        queries.coverage(store, week),
        key=lambda row: (not row["visible"], -row["rooted"], row["department"]),
    )
    tint = charts.tints(columns, paint)
    drawn = columns if everything else columns[:COLUMNS]
    own: dict[str, Rows] = {}
    for row in queries.adoption(store, week, tuple(row["app"] for row in drawn)):
        own.setdefault(row["app"], []).append(row)
    for key, most in (("wide", COLUMNS), ("middle", COMPACT)):
        with st.container(key=key):
            for start in range(0, len(columns) if everything else 1, most):
                shown = columns[start : start + most]
                held = [row for column in shown for row in own.get(column["app"], ())]
                part = Matrix(departments, shown, held)
                picture = charts.adoption_map(part, tint, paint, compact=most == COMPACT)
                widgets.draw(picture, f"map-{key}-{start}")
    with st.container(key="narrow", gap="xxsmall"):
        names = {row["app"]: row["name"] for row in columns}
        ranked(departments, names, queries.leading(store, week, list(names)))


def ranked(departments: Rows, names: Mapping[str, str], leading: Rows) -> None:
    """Show each department's apps as one line, the furthest spread first."""
    inside = {row["department"]: row for row in leading}
    for place in departments:
        name = place["department"]
        widgets.department_link(name, f"**{text.md(name)}**")
        if not place["visible"]:
            st.caption(text.md(text.unseen(name, place)))
            continue
        if name not in inside:
            st.caption("No app in regular use.")
            continue
        own = inside[name]
        said = [f"{text.md(names[row['app']])}\u00a0{charts.label(row)}" for row in own["first"]]
        more = own["apps"] - len(said)
        st.caption(", ".join(said) + (f" and {more} more" if more else ""))


def change_list(store: Store, week: date, newest: date) -> None:
    """Show what changed in four weeks as sentences that link to the app at the department."""
    st.subheader("What changed in four weeks")
    rows = queries.changes(store, week, CHANGES + MORE_CHANGES)
    if not rows:
        known = newest - timedelta(weeks=3)
        st.text(
            f"Changes are kept for the four weeks from {text.day(known)} to {text.day(newest)}."
            if week < known
            else "Nothing changed its stage, nothing is new."
        )
        return
    for row in rows[:CHANGES]:
        _change(row)
    if len(rows) > CHANGES:

        def rest() -> None:
            for row in rows[CHANGES:]:
                _change(row)

        more, shown = rows[0]["changes"] - CHANGES, len(rows) - CHANGES
        said = f"{more:,} more changes" + (f", the first {shown}" if shown < more else "")
        widgets.fold(said, "changes", rest)


def _change(row: Mapping[str, Any]) -> None:
    said = f"{SYMBOLS.get(row['kind'], '·')} {text.change(row, '**')}"
    widgets.app_link(row["name"], said, row["department"])


def nothing_left(hidden: Mapping[str, int], total: int) -> None:
    """Tell which filter hides how many apps."""
    st.subheader("The filters hide every app")
    for name, count in hidden.items():
        st.text(f"The filter on {name} hides {count} of {total} apps.")


def vendor(app: Mapping[str, Any]) -> None:
    """Show who made an app and what it is for."""
    audience = {"both": "business and personal"}.get(app["audience"], app["audience"])
    kinds = ", ".join(app["categories"] or [app["filed"]])
    housed = ["on premises, no SaaS"] if app["on_premises"] else []
    said = (app["vendor"], kinds, f"for {audience} use", *housed, app["homepage"])
    st.caption(text.md(" · ".join(said)))


def decision(store: Store, app: Mapping[str, Any]) -> None:
    """Show what was decided about an app, with the form that records a new decision."""
    made = widgets.status_of(store, app["app"])
    with st.container(border=True, gap="xxsmall"):
        owner = f" · owner {text.md(made.owner)}" if made.owner else ""
        st.markdown(f"**Decision: {text.md(made.status)}**{owner}")
        review = f" · review on {made.review_date}" if made.review_date else ""
        if made.at:
            st.caption(text.md(f"{made.reason}{review}".strip(" ·")))
        with st.popover("Record a decision", type="tertiary", icon=":material/edit:"):
            decision_form(store, made)


def decision_form(store: Store, made: Decision) -> None:
    """Let the reader append a decision; the newest line of an app counts."""
    with st.form(f"decide-{made.app}", border=False):
        status = st.selectbox(
            "Status", decisions.STATUSES, index=decisions.STATUSES.index(made.status)
        )
        owner = st.text_input("Owner", made.owner, max_chars=decisions.LONGEST)
        reason = st.text_area("Reason", made.reason, max_chars=decisions.LONGEST)
        review = st.date_input("Review on", None)
        by = st.text_input("Decided by", max_chars=decisions.LONGEST)
        if st.form_submit_button("Record", type="primary"):
            day = review.isoformat() if isinstance(review, date) else ""
            try:
                decisions.record(store.folder, Decision(made.app, status, owner, reason, day, by))
            except OSError as problem:
                st.text(f"decisions.jsonl: could not be written: {problem.strerror}.")
                return
            st.rerun()


def multiples(history: Rows, coverage: Rows, first: str | None, paint: Palette) -> None:
    """Show each department's share over the weeks on one scale, the asked one in front."""
    lines, seen = _by_department(history), _by_department(coverage)
    order = sorted(lines, key=lambda name: (name != first, -_size(lines[name]), name))
    top = max((row["share"] or 0 for row in history), default=0) * 1.15
    with st.grid("auto", min_column_width=250, gap="small"):
        for name in order[:MULTIPLES]:
            with st.container(border=True, gap=None):
                widgets.department_link(name, f"**{text.md(name)}**")
                now = lines[name][-1]
                st.caption(f"{text.stage(now['stage'])} · {text.of_covered(now)}")
                widgets.draw(charts.spread(lines[name], seen[name], top, paint), f"spread-{name}")
    if len(order) > MULTIPLES:
        st.caption(f"{len(order) - MULTIPLES} more departments stand in the table.")


def _by_department(rows: Rows) -> dict[str, Rows]:
    return {name: list(own) for name, own in groupby(rows, key=lambda row: row["department"])}


def _size(rows: Sequence[Mapping[str, Any]]) -> float:
    return float(rows[-1]["share"] or 0)


CELLS = (
    Column("department", "Department"),
    Column("stage", "Stage", "stage"),
    Column("regular_people", "Regular people", "people"),
    Column("covered_people", "Covered people", "people"),
    Column("share", "Share", "share"),
    Column("coverage", "Coverage", "share"),
    Column("since", "Stage since", "day"),
    Column("first_week", "First seen", "day"),
)
MAP = Table("map", "Adoption by app and department.", (Column("name", "App"), *CELLS))
PLACES = Table("departments", "Adoption by department.", CELLS)
DIVISIONS = Table("divisions", "Adoption by division.", most=12, columns=(
    Column("division", "Division"), Column("name", "App"),
    Column("regular_people", "Regular people", "people"),
    Column("covered_people", "Covered people", "people"), Column("share", "Share", "share"),
    Column("active_in", "Departments with use", "number"),
    Column("departments", "Departments", "number"),
))  # fmt: skip
HOSTS = Table("hosts", "Hosts of the app with their signal.", most=10, columns=(
    Column("host", "Host"), Column("signal", "Signal"), Column("evidence", "Evidence"),
    Column("requests", "Requests", "number"), Column("blocked", "Blocked", "number"),
    Column("tenant", "Tenant"), Column("first_seen", "First seen", "day"),
    Column("last_seen", "Last seen", "day"), Column("rule", "Rule"),
))  # fmt: skip
SURE = Table("confidence", "How sure the use of the app is, by department.", most=8, columns=(
    Column("department", "Department"), Column("confidence", "Confidence", "share"),
    Column("rule_said", "Understood by"), Column("days", "Days seen"),
    Column("kinds", "Kinds of logs"), Column("where", "Sources"),
))  # fmt: skip
EVIDENCE = Table("evidence", "Where the hosts of the app stand in the logs.", most=10, columns=(
    Column("host", "Host"), Column("evidence", "Evidence"), Column("source", "Source"),
    Column("path", "File", width="medium"), Column("first_line", "First line", "number"),
    Column("last_line", "Last line", "number"), Column("rule", "Rule"),
))  # fmt: skip
RULES = {
    "exact": "an entry that names the host", "own": "an entry of your own",
    "suffix": "an entry that names a host above", "alias": "a name that stands for a vendor's",
    "guessed": "a guess",
}  # fmt: skip
DAYS = {1: "1", 2: "2 to 4", 5: "5 to 9", 10: "10 or more"}
TENANTS = Table("tenants", "Tenants of the app.", most=8, columns=(
    Column("tenant", "Tenant"), Column("people", "People", "people"),
    Column("where", "Departments"), Column("last_seen", "Last seen", "day"),
))  # fmt: skip
FACTS = Table("vendor", "What is stated of the vendor, by whom and when.", most=16, columns=(
    Column("name", "About"), Column("answer", "Answer"), Column("value", "Detail", width="large"),
    Column("stated_by", "Stated by"), Column("date", "Date", "day"), Column("age", "Age"),
    Column("link", "Page", "page"), Column("source", "Taken from"),
    Column("licence", "Licence"),
))  # fmt: skip
ALTERNATIVES = Table("alternatives", "Apps of the same categories.", most=8, columns=(
    Column("name", "App"), Column("housed", "Hosting"), Column("status", "Decision"),
    Column("regular_people", "People", "people"), Column("both", "In both", "people"),
    Column("departments_active", "Departments", "number"),
))  # fmt: skip
DEPARTMENT = Table("department", "Apps of the department by stage.", most=40, columns=(
    Column("name", "App", width=150), Column("stage", "Stage", "stage"),
    Column("regular_people", "People", "people"),
    Column("share", "Share", "share"), Column("shares", "Over the weeks", "line"),
    Column("first_week", "First seen", "day"), Column("status", "Decision"),
    Column("also_said", "Also used by"),
))  # fmt: skip


def map_twin(store: Store, week: date, columns: Rows) -> None:
    """Show the map's numbers as a table; choosing a row opens the app at the department."""

    def twin() -> None:
        apps = {row["app"] for row in columns}
        rows = [row for row in queries.adoption(store, week) if row["app"] in apps]
        widgets.table(rows, MAP, opens=lambda row: (row["app"], row["department"]))

    widgets.fold("The same as a table", "table", twin)


def divisions(rows: Rows) -> None:
    """Show what departments below one unit do together, where the directory tells of units."""

    def together() -> None:
        st.caption("A division is the sum of its departments of which these logs tell enough.")
        widgets.table(rows, DIVISIONS, opens=lambda row: (row["app"], None))

    if rows:
        widgets.fold("The same by division", "divisions", together)


def hosts(store: Store, app: str) -> None:
    """Show what an app's hosts prove: use by people, use by machines, or no use."""
    st.subheader("Which hosts, and what they prove")
    version = text.md(queries.meta(store).get("catalogue_version", "–"))
    st.caption(
        "Only use counts towards a stage. Machine and embedded requests prove no person. "
        f"Rules are those of catalogue {version}."
    )
    widgets.table(queries.app_hosts(store, app), HOSTS)


def confidence(store: Store, app: str) -> None:
    """Show how sure the use of an app is in each department, and the lines that say so."""
    rows = queries.confidence(store, app)
    if not rows:
        return
    st.subheader("How sure is that?")
    st.caption(
        "The chance that somebody there works with the app in two of four weeks: by the rule that "
        "knows its host, the days it was seen, and whether DNS and another log agree."
    )
    widgets.table([row | _why(row) for row in rows], SURE)
    found = queries.evidence(store, app)
    if found:
        with st.expander("The evidence: hosts, rules, files and lines"):
            widgets.table(found, EVIDENCE)


def _why(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "rule_said": RULES.get(row["rule_kind"], row["rule_kind"]),
        "days": DAYS.get(row["days_from"], f"{row['days_from']} or more"),
        "kinds": "DNS and another" if row["kinds_agree"] else "one",
        "where": text.listed(row["sources"], 3),
    }


def tenants(store: Store, app: str) -> None:
    """Show the tenants of an app, or that the logs name none."""
    st.subheader("In whose space")
    rows = queries.app_tenants(store, app)
    if not rows:
        st.text("The logs name no tenant of this app.")
        return
    widgets.table([{**row, "where": text.listed(row["departments"], 2)} for row in rows], TENANTS)


def due_diligence(store: Store, app: str) -> None:
    """Show what is stated of an app's vendor, and name what is unknown as unknown."""
    st.subheader("What is stated of the vendor")
    rows = queries.vendor_facts(store, app)
    told = {row["fact"] for row in rows}
    unknown = [name for fact, name in queries.fact_names(store).items() if fact not in told]
    st.caption("Stated, not audited; what is 24 months old or more is marked as old.")
    if rows:
        widgets.table(rows, FACTS)
    if unknown:
        names = ", ".join(text.safe(name) for name in unknown)
        st.text(f"Unknown, which is not a no: {names}.")
    elif not rows:
        st.text("Nothing is recorded of it. Unknown is not a no.")


def traffic(store: Store, app: str, week: date) -> None:
    """Show requests by evidence, bytes, and what was blocked as demand."""
    rows = {row["evidence"]: row for row in queries.app_traffic(store, app, week)}
    none = {"requests": 0, "blocked": 0, "bytes_out": None, "bytes_in": None}
    use = rows.get("use", none)
    st.subheader("Traffic in four weeks")
    with st.grid(3, min_column_width=130, gap="xsmall"):
        for kind in ("use", "machine", "embedded"):
            st.metric(f"Requests, {kind}", text.number(rows.get(kind, none)["requests"]))
    st.caption(f"Traffic of groups of {text.few()} people is not counted.")
    st.text(
        f"Sent out by use: {text.size(use['bytes_out'])}. Received: {text.size(use['bytes_in'])}. "
        f"Blocked: {text.some(use['blocked'] or 0, 'request')}."
    )
    wanted = queries.app_blocked(store, app, week)
    if wanted:
        where = text.listed([row["department"] for row in wanted])
        st.text(f"Blocked requests show demand that is not served: in {text.safe(where)}.")


def same_capability(store: Store, app: str, week: date) -> None:
    """Show the other apps of the same categories, with the people who use both."""
    st.subheader("Other apps for the same job")
    known = decisions.read(store.folder)
    rows = [
        {**row, "status": known.get(row["app"], Decision(row["app"])).status}
        for row in queries.alternatives(store, app, week)
    ]
    if not rows:
        st.text("No other app of its categories was seen.")
        return
    widgets.table(rows, ALTERNATIVES, opens=lambda row: (row["app"], None))


def story(
    store: Store, app: Mapping[str, Any], history: Rows, place: str | None, week: date
) -> None:
    """Tell in sentences where an app stands: at the asked department, then in the company."""
    name = app["name"]
    now = [row for row in history if row["week"] == week]
    asked = [row for row in now if row["department"] == place]
    if asked:
        st.markdown(f"**{text.md(text.adoption(name, place or '', asked[0]))}**")
    company = [row for row in queries.app_reach(store, app["app"]) if row["week"] <= week]
    if company:
        st.markdown(text.md(text.company(name, company[-1], history)))


def department_line(place: Mapping[str, Any], week: date) -> None:
    """Say which week this is and how far the logs see into the department."""
    seen = text.people(place["covered_people"])
    of = "" if place["headcount"] is None else f" of {text.people(place['headcount'])}"
    part = "" if place["coverage"] is None else f" ({text.share(place['coverage'])})"
    how = ", counted by address" if place["basis"] == "address" else ""
    st.caption(f"Week of {text.day(week)}. The logs saw {seen}{of} people{part}{how}.")


def department_strip(rows: Rows, week: date) -> None:
    """Show how many apps stand at which stage, and how many are new or only here."""
    counts = {name: sum(row["stage"] == name for row in rows) for name in text.STAGES}
    fresh = [row for row in rows if row["first_week"] > week - timedelta(weeks=4)]
    with st.grid(5, min_column_width=120, gap="xsmall"):
        for name in reversed(text.STAGES):
            st.metric(f"{text.MARKS[name]} {name}", counts[name], border=True)
        st.metric("New, 4 weeks", len(fresh), border=True)
        st.metric("Only here", sum(map(_only_here, rows)), border=True)


def _only_here(row: Mapping[str, Any]) -> bool:
    """Tell whether an app is in use here and nowhere else."""
    return row["active_people"] != 0 and not row["also"]


def department_table(store: Store, rows: Rows) -> None:
    """Show a department's apps by stage, each with its year and who else uses it."""
    known = decisions.read(store.folder)
    made = [
        {**row, "status": known.get(row["app"], Decision(row["app"])).status,
         "also_said": "only here" if _only_here(row) else text.listed(row["also"], 1) or "–"}
        for row in rows
    ]  # fmt: skip
    with st.container(key="unprinted-table"):
        widgets.table(made, DEPARTMENT, opens=lambda row: (row["app"], row["department"]))
    with st.container(key="printed"):
        st.table([_printed(row) for row in made], hide_index=True)


def _printed(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row for paper; the cells of this table are Markdown, so all is escaped."""
    said = {
        "App": row["name"], "Stage": text.stage(row["stage"]),
        "People": f"{text.people(row['regular_people'])} of {text.people(row['covered_people'])}",
        "Share": text.share(row["share"]), "First seen": text.day(row["first_week"]),
        "Decision": row["status"], "Also used by": row["also_said"],
    }  # fmt: skip
    return {key: text.md(value) for key, value in said.items()}


def department_notes(store: Store, rows: Rows, week: date) -> None:
    """Say what is new, what is only here, and which approved app does the same job."""
    known = decisions.read(store.folder)
    good = {app for app, made in known.items() if made.status.startswith("approved")}
    every = {row["app"]: row for row in queries.apps(store)}
    fresh = [row["name"] for row in rows if row["first_week"] > week - timedelta(weeks=4)]
    alone = [row["name"] for row in rows if _only_here(row)]
    notes = []
    if fresh:
        notes.append(f"New in four weeks: {text.listed(fresh, 8)}.")
    if alone:
        notes.append(f"Only here: {text.listed(alone, 8)}.")
    for row in rows:
        same = [
            every[app]["name"] for app in sorted(good) if app in every and app != row["app"]
            and set(every[app]["categories"] or ()) & set(every[row["app"]]["categories"] or ())
        ]  # fmt: skip
        if same and row["app"] not in good:
            notes.append(f"{row['name']}: {text.listed(same)} is approved for the same job.")
    if notes:
        st.subheader("Worth a conversation")
        st.markdown("\n".join(f"- {text.md(note)}" for note in notes[:8]))
