"""Shows the blind side of the catalogue: hosts that people use and no rule names."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, text, widgets
from dashboard.widgets import Column, Table

HOSTS = Table("unknown-hosts", "Hosts outside the catalogue.", most=18, columns=(
    Column("host", "Host", width="medium"),
    Column("people", "People", "people"),
    Column("reach", "Departments", "number"),
    Column("where", "Which", width="medium"),
    Column("requests", "Requests", "number"),
    Column("blocked", "Blocked", "number"),
    Column("bytes_out", "Sent out", "size"),
    Column("first_seen", "First seen", "day"),
    Column("last_seen", "Last seen", "day"),
))  # fmt: skip

QUEUE = Table("unknown-queue", "Unknown domains that look like a service.", most=10, columns=(
    Column("domain", "Domain", width=180),
    Column("points", "Points", "number", width=70),
    Column("why", "Why", width=560),
    Column("people", "People", "people", width=75),
    Column("first_seen", "First seen", "day", width=110),
))  # fmt: skip

st.title("What do people use that the catalogue does not know?", anchor=False)
store = widgets.open_store()
rows = queries.unknown_hosts(store)
if not rows:
    st.text("Every host in these logs is in the catalogue.")
    st.stop()
wide = [row for row in rows if row["reach"] > 1]
most = "The most used " if len(rows) == queries.MOST_HOSTS else ""
far = rows[0]
furthest = (
    f" Furthest: {text.safe(far['host'])}, about {text.people(far['people'])} "
    f"{'person' if far['people'] == 1 else 'people'} in {text.some(far['reach'], 'department')}."
)
st.text(
    f"{most}{text.some(len(rows), 'host')} outside the catalogue, {text.number(len(wide))} of them "
    f"used in more than one department.{furthest if far['reach'] else ''}"
)
queue = queries.unknown_queue(store)
if queue:
    st.subheader("Which of them look like a service")
    widgets.table(queue, QUEUE)
    st.caption(
        "Points add up what speaks for a service and against it. To name one: "
        "sundial catalogue add DOMAIN, with --name and --category."
    )
    st.subheader("All hosts")
asked = st.sidebar.text_input("Host contains", key="host", bind="query-params") or ""
widest = max(row["reach"] for row in rows)
least = min(1, widest)
if widest > 1:
    least = st.sidebar.number_input(
        "Departments at least", 1, widest, key="reach", bind="query-params"
    )
left = [row for row in rows if asked.lower() in row["host"].lower() and row["reach"] >= least]
if not left:
    st.text(f"The filters hide all {len(rows)} hosts.")
else:
    said = [{**row, "where": text.listed(row["departments"], 2)} for row in left]
    widgets.table(said, HOSTS)
st.caption(
    "People are estimates over all weeks; where a log names no user, addresses stand for them. "
    "Machine-made names are folded to one. Many are advertising or infrastructure; one that people "
    "of several departments sign in to is worth an entry in the catalogue."
)
