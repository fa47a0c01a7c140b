"""What the operator of the demo company keeps by hand: people.csv, subnets.csv and sundial.toml."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.demo.performance import Show
from agent.demo.scenario import NOWHERE, SOURCES, ZONE, ZSCALER, Scenario


def write_operator_files(show: Show) -> None:
    """Write the directory, the address plan and the settings of a scan beside the logs."""
    _write_table(show.folder / "people.csv", "login,mail,department,from,to", _people(show))
    columns = "cidr,department,site,shared,people"
    _write_table(show.folder / "subnets.csv", columns, _subnets(show.story))
    settings = '[people]\nfile = "people.csv"\n\n[subnets]\nfile = "subnets.csv"\n'
    for i, name in enumerate(SOURCES):
        zone = "UTC" if i == ZSCALER else str(ZONE)
        settings += f'\n[source.{name}]\nmatch = "{name}/*"\ntimezone = "{zone}"\n'
    (show.folder / "sundial.toml").write_text(settings, encoding="utf-8")


def _write_table(path: Path, columns: str, rows: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns.split(","))
        table.writerows(rows)


def _people(show: Show) -> Iterator[tuple[str, ...]]:
    for login, mail, department, begin, end in sorted(show.cast.directory):
        if begin < show.weeks:
            first = "" if begin == 0 else str(show.day(begin))
            last = "" if end == NOWHERE else str(show.day(end, -1))
            yield login, mail, department, first, last


def _subnets(story: Scenario) -> Iterator[tuple[str, ...]]:
    for department in story.departments:
        people = "" if department.directory else str(department.people)
        row = (department.name, department.site, "no")
        yield (f"{department.subnet}.0/24", *row, people)
        if department.site == "Berlin":
            yield (f"2001:db8:1:{department.subnet.rpartition('.')[2]}::/64", *row, people)
    yield ("10.1.98.0/28", "", "Berlin", "yes", "")  # terminal servers
    yield ("10.1.99.0/24", "", "Berlin", "yes", "")  # guests
    yield ("10.1.250.0/24", "IT", "Berlin", "no", "")  # servers
    yield ("10.9.9.0/24", "", "Leipzig", "yes", "")  # guests
