"""One page for the head of a department: what it uses, what is new, what others use too."""

from __future__ import annotations

import streamlit as st

from dashboard import panels, queries, text, widgets

store = widgets.open_store("What does a department use?")
week = widgets.this_week(store)
places = queries.coverage(store, week)
if not places:
    st.title("What does a department use?", anchor=False)
    widgets.teach_directory()
    st.stop()
with st.sidebar:
    names = {row["department"]: row["department"] for row in places}
    name = widgets.choose("Department", names, "department") or ""
place = next(row for row in places if row["department"] == name)
rows = queries.department_apps(store, place["department"], week)

st.title(f"What does {text.md(name)} use?", anchor=False)
panels.department_line(place, week)
if not place["visible"]:
    st.text(f"{text.safe(text.unseen(name, place))} What is listed was seen before.")
if not rows:
    st.text("No app of the catalogue was used here by anybody whom the logs can see.")
    st.stop()
panels.department_strip(rows, week)
panels.department_table(store, rows)
panels.department_notes(store, rows, week)
