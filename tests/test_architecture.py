"""The law of the house: who may import whom, what rooms are called, and who may speak."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import agent
import dashboard
import rules

ROOT = Path(__file__).resolve().parent.parent
OURS = ("agent", "dashboard", "rules", "tests", "benchmarks")
COMMANDS = tuple(
    f"agent.commands.{name}" for name in "logs rules findings people privacy options".split()
)
FLOW = (
    "agent.cli",
    *COMMANDS,
    "agent.terminal",
    "agent.scan",
    "agent.upkeep",
    "agent.reveals",
    "agent.publication",
    "agent.staff",
    "agent.doctor",
    "agent.show",
    "agent.lint",
    "agent.understood",
    "agent.draft",
    "agent.intake",
    "agent.claims",
    "agent.reading",
    "agent.telling",
    "agent.own_rules",
    "agent.rulebook",
    "agent.proof",
)
"""What brings stages together; each may use the rooms that stand after it, and every stage."""
GROUND = (
    "agent.shipped",
    "agent.errors",
    "agent.model",
    "agent.sql",
    "agent.looks",
    "agent.compiled",
    "agent.__init__",
)
"""What every room stands on; each may use those after it, and nothing else of ours."""
CELLARS = {
    "agent.parse": (
        "wording transforms cuts relays pairs cells signs spans",
        "each way to cut a line, and to read a cell, is SQL or a look at all bytes of its own",
    ),
    "agent.files": (
        "packing elements leveling",
        "a log may lie packed in many ways, and some of them are traps",
    ),
    "agent.capture": (
        "layers questions replies quic greetings first_words streams packet_files resolvers",
        "each protocol between a capture file and a name is read by rules of its own",
    ),
    "agent.people": (
        (
            "directory exports units subnets devices dates sheet workbook ldif csv_cells "
            "pseudonyms addresses"
        ),
        "what an operator's files say is understood before anybody is placed",
    ),
    "agent.catalogue": (
        "shelves layout entries vendor_facts rule_file host_names",
        "to read rules and name every fault takes three times the room of a look-up",
    ),
    "agent.adoption": (
        "thresholds confidence",
        "the numbers are data with faults of their own; the stage itself is SQL",
    ),
    "agent.demo.__init__": (
        (
            "truth stages operator_files logs rotation proxies resolvers layout days working_day "
            "events performance plan cast scenario"
        ),
        "a story is told in scenes, and the truth must not come from the logs",
    ),
}
"""Stage to the rooms under it, from the top down, and the reason that there are any: nobody but
their stage enters, and each may use the rooms that stand after it."""
DOORS = {"agent.cli", *COMMANDS, "agent.terminal", "dashboard.__main__", "dashboard.app"}
"""Where a program starts: the only modules that print or read the environment."""
SIGNS_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def modules(*packages: str) -> list[str]:
    """List dotted module names of packages, ``agent.__init__`` included, in order."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in packages
        for path in (ROOT / package).rglob("*.py")
    )


@cache
def tree_of(module: str) -> ast.Module:
    """Parse one of our modules."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(module: str) -> Iterator[str]:
    """Name everything a module imports, also inside functions and under TYPE_CHECKING.

    ``from agent import model`` gives ``agent`` and ``agent.model``, so that neither form of an
    import hides what it reaches.
    """
    package = module.split(".")[:-1]
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def our_modules_in(names: Iterator[str]) -> set[str]:
    """Keep the names that are modules of ours; a package goes by its ``__init__``."""
    known = set(modules(*OURS))
    return {room for name in names for room in (name, f"{name}.__init__") if room in known}


def cellars_of(stage: str) -> list[str]:
    """The rooms under a stage, from the top down."""
    package = stage.removesuffix(".__init__") if stage.endswith(".__init__") else "agent"
    rooms, _ = CELLARS.get(stage, ("", ""))
    return [f"{package}.{room}" for room in rooms.split()]


ABOVE = {cellar: stage for stage in CELLARS for cellar in cellars_of(stage)}
STAGES = [room for room in modules("agent") if room not in {*FLOW, *GROUND, *ABOVE}]


def below(module: str) -> set[str]:
    """Every room of the agent that a module may import."""
    if module in GROUND:
        return {*GROUND[GROUND.index(module) + 1 :]}
    if module in FLOW:
        return {*FLOW[FLOW.index(module) + 1 :], *STAGES, *GROUND}
    rooms = cellars_of(ABOVE.get(module, module))
    first = rooms.index(module) + 1 if module in ABOVE else 0
    return {*rooms[first:], *GROUND}


def house() -> str:
    """Draw the agent from the door down to the ground."""
    lines = [f"flow     {' → '.join(FLOW)}"]
    for stage in STAGES:
        lines.append(f"stage    {stage}")
        if stage in CELLARS:
            rooms, reason = CELLARS[stage]
            lines.append(f"  below  {', '.join(rooms.split())}: {reason}")
    return "\n".join([*lines, f"ground   {', '.join(GROUND)}"])


def top(name: str) -> str:
    """The package or library that a dotted name starts with."""
    return name.split(".", maxsplit=1)[0]


def test_every_room_of_the_agent_has_one_place() -> None:
    """The house is drawn whole: see it with ``pytest -s -k one_place``."""
    print(f"\n{house()}")  # noqa: T201 - pytest shows it when asked, or when the law is broken
    assert sorted([*FLOW, *STAGES, *ABOVE, *GROUND]) == modules("agent")


@pytest.mark.parametrize("module", modules("agent"))
def test_imports_of_the_agent_go_down_only(module: str) -> None:
    """From the door down the flow to the stages and the ground; a stage never imports a stage."""
    assert our_modules_in(imports_of(module)) <= below(module), house()


@pytest.mark.parametrize(("package", "stranger"), [("agent", "dashboard"), ("dashboard", "agent")])
def test_agent_and_dashboard_meet_only_in_the_published_file(package: str, stranger: str) -> None:
    """Neither imports the other, and data imports neither."""
    for module in modules(package, "rules"):
        assert stranger not in set(map(top, imports_of(module))), module


@pytest.mark.parametrize("package", ["agent", "dashboard", "rules"])
def test_the_product_does_not_import_its_tests_or_benchmarks(package: str) -> None:
    """What is shipped stands without what is not."""
    for module in modules(package):
        assert not {"tests", "benchmarks"} & set(map(top, imports_of(module))), module


@pytest.mark.parametrize("module", [*modules("agent"), "dashboard.charts"])
def test_streamlit_stays_out(module: str) -> None:
    """Logs are read and charts are drawn without a web server in the process."""
    if not ROOT.joinpath(*module.split(".")).with_suffix(".py").exists():
        pytest.fail(f"{module} is gone: does this law still hold where it went?")
    assert "streamlit" not in set(map(top, imports_of(module)))


@pytest.mark.parametrize("module", modules("agent", "dashboard", "rules"))
def test_only_the_doors_speak(module: str) -> None:
    """Printing, the standard streams and the environment belong to the doors alone."""
    if module in DOORS:
        return
    libraries = {"rich", "typer"} & set(map(top, imports_of(module)))
    assert not libraries, f"{module} imports {libraries}: let the caller speak"
    assert not list(_words(tree_of(module))), f"{module} speaks: return or raise instead"


def _words(tree: ast.Module) -> Iterator[str]:
    """Name each use of print, input, the standard streams or the environment."""
    spoken = {"os.environ", "os.getenv", "sys.stdout", "sys.stderr", "sys.stdin"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in {"print", "input"}:
                yield f"{node.func.id} in line {node.lineno}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in spoken:
            yield f"{ast.unparse(node)} in line {node.lineno}"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if f"{node.module}.{alias.name}" in spoken:
                    yield f"{node.module}.{alias.name} in line {node.lineno}"


@pytest.mark.parametrize("module", modules(*OURS))
def test_every_room_has_a_sign_that_says_something(module: str) -> None:
    """A module is named for what it does and opens with a sentence about what it is for."""
    assert not SIGNS_THAT_SAY_NOTHING & set(module.split("."))
    assert _sign(module), f"{module} has no docstring"


def test_no_two_signs_are_alike() -> None:
    """The first sentence of a module's docstring is its own."""
    rooms = defaultdict(list)
    for module in modules(*OURS):
        rooms[_sign(module)].append(module)
    assert [alike for sign, alike in rooms.items() if sign and len(alike) > 1] == []


def _sign(module: str) -> str:
    """The first sentence of a module's docstring, empty where there is none."""
    text = " ".join((ast.get_docstring(tree_of(module)) or "").split())
    return text.partition(". ")[0].rstrip(".")


def test_dashboard_has_no_pages_folder() -> None:
    """Streamlit serves a folder of that name by itself, past the access gate in app.py."""
    assert not [path for path in (ROOT / "dashboard").rglob("pages") if path.is_dir()]


@pytest.mark.parametrize("package", [agent, dashboard, rules], ids=lambda package: package.__name__)
def test_our_packages_are_ours(package: object) -> None:
    """Generic names may be taken by another distribution in the same environment."""
    found = Path(str(getattr(package, "__file__", None))).resolve()
    assert found == ROOT / str(getattr(package, "__name__", "")) / "__init__.py"
