"""Writes the logs of all four sources day by day, so that no more than one day is in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from agent.demo.days import Days
from agent.demo.performance import Show, Written
from agent.demo.plan import silent_weeks
from agent.demo.proxies import Squid, Zscaler
from agent.demo.resolvers import Bind, Dnsmasq
from agent.demo.rotation import LogWriter, file_names
from agent.demo.scenario import SOURCES, SQUID, STORY_WEEKS, ZONE

_LAYOUTS = (Squid, Zscaler, Bind, Dnsmasq)
"""By the number of the source."""


def write_logs(show: Show, tell: Callable[[str, int, int], None]) -> Written:
    """Write all log files; ``tell`` hears what is done, how much of it, and of how much."""
    hosts, days = show.story.hosts, show.weeks * 7
    story_days = Days(show)
    layouts = [layout(show, story_days.machines) for layout in _LAYOUTS]
    writers = _writers(show)
    refused = np.zeros(len(hosts), dtype=np.int64)
    torn = 0
    for number in range(days):
        tell("writing logs", number, days)
        midnight = datetime.combine(show.day(0, number), datetime.min.time(), ZONE)
        rng = np.random.default_rng([show.seed, 2, number])
        asked = story_days.events(number, rng)
        for source, (writer, layout) in enumerate(zip(writers, layouts, strict=True)):
            if number % 7 == 0:
                writer.rotate(number // 7, midnight + timedelta(days=7, seconds=-1))
            if not writer.open:
                layout.stop()
                continue
            events = asked[source]
            rows = layout.lines(midnight, events, rng)
            if source == SQUID and number % 56 == 30:
                # The proxy lost power in the middle of a line.
                rows.insert(len(rows) // 2, rows[len(rows) // 2][:31] + "\n")
                torn += 1
            writer.write(rows)
            refused += np.bincount(events.host[events.refused], minlength=len(hosts))
    for writer in writers:
        writer.close()
    tell("writing logs", days, days)
    apps = {app.app: int(refused[list(app.hosts)].sum()) for app in show.story.apps}
    return Written(
        {path: count for writer in writers for path, count in writer.lines.items()},
        {app: count for app, count in apps.items() if count},
        torn,
    )


def _writers(show: Show) -> list[LogWriter]:
    """Open a writer for each source, with a file for every week that is logged."""
    silent = silent_weeks(show.story, max(show.weeks, STORY_WEEKS))
    logged = [np.flatnonzero(~silent[i, : show.weeks]).tolist() for i in range(len(SOURCES))]
    return [
        LogWriter(show.folder, name, file_names(i, logged[i], show.first_day))
        for i, name in enumerate(SOURCES)
    ]
