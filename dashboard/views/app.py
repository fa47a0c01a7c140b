"""Tells the story of one app: where it arrived, how far it spread, what its traffic proves."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, panels, queries, text, widgets

store = widgets.open_store("How did an app spread, and what is it used for?")
week = widgets.this_week(store)
apps = queries.apps(store)
if not apps:
    st.title("How did an app spread, and what is it used for?", anchor=False)
    st.text("No catalogued app was seen in these logs yet.")
    st.stop()
with st.sidebar:
    # The weightiest news is what the next question is about; without news, the app most use.
    news = queries.changes(store, week, 1) or queries.reach(store, week)
    names = {row["app"]: row["name"] for row in apps}
    app = widgets.choose("App", names, "app", start=news[0]["app"] if news else None)
    history = queries.app_history(store, app or "")
    places = {name: name for name in sorted({row["department"] for row in history})}
    place = widgets.choose("Department", places, "at", "all departments")
head = next(row for row in apps if row["app"] == app)
paint = widgets.palette()

st.title(f"How did {text.md(head['name'])} spread, and what is it used for?", anchor=False)
left, right = st.columns([3, 2], gap="large")
with left:
    panels.vendor(head)
    panels.story(store, head, history, place, week)
with right:
    panels.decision(store, head)
weeks = sorted(queries.weeks(store))
if not history:
    st.text("Its hosts were seen, but nobody is known to have used it.")
else:
    st.subheader("Share of covered people by department")
    panels.multiples(history, queries.coverage_history(store), place, paint)
    with st.expander("The same as a table"):
        now = [row for row in history if row["week"] == week]
        widgets.table(now, panels.PLACES, opens=lambda row: (None, row["department"]))
left, right = st.columns([1, 1], gap="large")
with left:
    if history:
        st.subheader("In which order departments arrived")
        widgets.draw(charts.arrivals(history, weeks, paint), "arrivals")
    panels.same_capability(store, head["app"], week)
with right:
    panels.traffic(store, head["app"], week)
    panels.tenants(store, head["app"])
panels.confidence(store, head["app"])
panels.hosts(store, head["app"])
panels.due_diligence(store, head["app"])
