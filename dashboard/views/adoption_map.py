"""Answers on one screen which department adopted which app, and what is moving."""

from __future__ import annotations

import streamlit as st

from dashboard import decisions, panels, queries, text, widgets
from dashboard.decisions import Decision

st.title("Which departments adopted what?", anchor=False)
store = widgets.open_store()
chosen = widgets.filters(store)
said = queries.summary(store, chosen.week)
places = queries.coverage(store, chosen.week)
decided = decisions.read(store.folder)

st.caption(
    f"Week of {text.day(chosen.week)}. Tone: share of covered people in regular use, in per cent. "
    "· trial  ▪ workgroup  ■ division  ▽ stalled  × abandoned  ▨ not visible. "
    "A bar over a name: company-wide. Click a cell, an app or a department."
)
panels.strip(said)
if not places:
    widgets.teach_directory()
    st.stop()

columns, hidden = [], dict.fromkeys(("category", "status", "stage"), 0)
every = queries.reach(store, chosen.week)
for app in every:
    status = decided.get(app["app"], Decision(app["app"])).status
    by = chosen.hides(app, status)
    hidden |= {name: hidden[name] + 1 for name in by}
    if not by:
        columns.append(app)

if not every:
    st.text("No catalogued app was used in this week by anybody whom the logs can see.")
elif not columns:
    panels.nothing_left({name: count for name, count in hidden.items() if count}, len(every))
else:
    everything = len(columns) <= panels.COLUMNS or st.sidebar.toggle(
        f"Show all {len(columns)} apps", key="all", bind="query-params"
    )
    panels.the_map(store, chosen.week, columns, widgets.palette(), everything=everything)
    panels.change_list(store, chosen.week, widgets.this_week(store))
    panels.divisions(queries.divisions(store, chosen.week))
    panels.map_twin(store, chosen.week, columns)
