"""Says how far to trust the other pages: what the logs see, what they miss, and the cure."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, health, queries, text, widgets

store = widgets.open_store()
week = widgets.this_week(store)
places = queries.coverage(store, week)

st.title("How much of the company do these numbers see?", anchor=False)
health.answer(queries.summary(store, week), queries.meta(store), week)
st.subheader("Coverage by department and week")
history = queries.coverage_history(store)
if not history:
    widgets.teach_directory()
else:
    widgets.draw(charts.coverage_strip(history, widgets.palette()), "coverage")
    with st.expander("The same as a table"):
        widgets.table(history, health.COVERAGE)
st.subheader("What these logs cannot tell, and what to change")
holes = health.blind_spots(
    queries.sources(store), places, queries.placed(store, week), queries.skews(store)
)
for line, cure in holes:
    st.markdown(f"- {text.md(line)} **{text.md(cure)}**")
hidden = health.contacts(queries.hidden(store, week))
if hidden:
    st.subheader("Who may do more than these logs show")
    st.caption("Contacts of four weeks. What went through them nobody can tell.")
    widgets.table(hidden, health.HIDDEN)
conflicts = health.conflicts(queries.conflicts(store, week))
if conflicts:
    st.subheader("Addresses of which nobody can say whose they were")
    st.caption("Conflicts of four weeks. What came from there then counts as traffic, for nobody.")
    widgets.table(conflicts, health.CONFLICTS)
st.subheader("Sources")
widgets.table(queries.sources(store), health.SOURCES)
ledger = queries.ledger(store)
if ledger:
    st.subheader("What each source saw, of what it used to see")
    widgets.draw(charts.ledger_strip(ledger, widgets.palette()), "ledger")
    with st.expander("The ledger by source, department and day"):
        widgets.table(ledger, health.LEDGER)
st.subheader("Files")
widgets.table(queries.files(store), health.FILES)
st.subheader("Lines that were left out")
rejects = queries.rejects(store)
if not rejects:
    st.text("No line was left out.")
else:
    widgets.table(rejects, health.REJECTS)
