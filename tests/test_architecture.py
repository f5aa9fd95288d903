"""The layers: a package imports only from those beneath it, no module imports in a circle, each fact has its files."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ataraxis_data_structures"
PACKAGE = "ataraxis_data_structures"
LAYERS = [
    ["_core", "errors"],
    ["system"],
    ["memory", "files", "config", "series"],
    ["logs.control_words", "logs.owner_record", "logs.names", "logs.descriptions"],
    ["logs.log_directory"],
    ["logs.journal"],
    ["logs.sessions", "logs.pending"],
    ["logs.recovery"],
    ["logs.logger", "logs.archive", "jobs"],
    ["logs.assembly", "logs.export"],
    ["store"],
    ["datasets"],
    ["rig"],
    ["__init__"],  # the public names, for commands
    ["cli"],
    ["__main__"],
]
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
FOLDERS_WITHIN = ("logs",)  # packages whose own packages are layers
IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+)?c?import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
ONLY_IN = {
    r"\b(?:import|from) fcntl\b": {"system/platform.py"},
    r"\bFCNTL\b": {"system/platform.py", "system/disk.py", "system/locks.py"},
    r"\b(?:import|from) struct\b": {
        "jobs/index.py", "logs/journal/layout.py", "logs/journal/resume.py", "logs/journal/npy_files.py",
        "memory/lane.py", "memory/segment.py",
    },
    r"[\"'/]proc[/\"']": {
        "system/process.py", "system/disk.py", "files/places.py", "cli/checkup/telemetry.py",
    },
}  # fmt: skip


def sources():
    return {
        path.relative_to(SOURCE).as_posix(): path.read_text()
        for path in sorted(SOURCE.rglob("*"))
        if path.suffix in (".py", ".pyx", ".pxd")
    }


def module_of(path):
    return path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")


def without_strings(code):
    return re.sub(r'"""(?:.|\n)*?"""', '""', code)


def at_run_time(code):
    """Return the code without what only type checkers import."""
    return re.sub(r"^if TYPE_CHECKING:\n(?:[ \t]+[^\n]*\n|\n)+", "", code, flags=re.MULTILINE)


def imported(path, code, modules):
    """Yield the modules of ours that a file imports or cimports, at any depth of its code."""
    here = module_of(path).split(".")
    inside = here if path.endswith("__init__.py") else here[:-1]
    for origin, names in IMPORT.findall(without_strings(code)):
        dots = len(origin) - len(origin.lstrip("."))
        if dots:
            base = [*inside[: len(inside) - dots + 1], *filter(None, origin.lstrip(".").split("."))]
        elif origin.split(".")[0] == PACKAGE:
            base = origin.split(".")[1:]
        elif not origin:
            for name in names.split(","):
                parts = name.split(" as ")[0].strip().split(".")
                if parts[0] == PACKAGE:
                    yield ".".join(parts[1:]) or "__init__"
            continue
        else:
            continue
        for name in names.strip("()").split(","):
            bare = re.sub(r"#[^\n]*", "", name).split(" as ")[0].strip()
            if bare:
                whole = ".".join([*base, bare])
                yield whole if whole in modules else ".".join(base) or "__init__"


def unit_of(module):
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in FOLDERS_WITHIN else parts[0]


def wrong_arrows(path, code, modules):
    """Return what a file imports from its own layer or from those above it."""
    mine = unit_of(module_of(path))
    if mine in FOLDERS_WITHIN:  # it holds nothing but packages
        return []
    arrows = {unit_of(module) for module in imported(path, code, modules)} - {mine}
    return sorted(f"{mine} -> {other}" for other in arrows if LEVEL.get(other, 99) >= LEVEL[mine])


def circles(files):
    """Return the groups of modules that import each other, imports within functions counted."""
    modules = {module_of(path) for path in files}
    graph = {module: set() for module in modules}
    for path, code in files.items():
        found = imported(path, at_run_time(code), modules)
        graph[module_of(path)] |= {module for module in found if module != module_of(path)}
    reached = {module: reach(graph, module) for module in graph}
    return {frozenset(other for other in reached[module] if module in reached[other]) for module in graph
            if module in reached[module]}  # fmt: skip


def reach(graph, start):
    seen, pending = set(), [*graph[start]]
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending += graph.get(module, ())
    return seen


def test_every_package_has_its_layer():
    units = {unit_of(module_of(path)) for path in sources()} - set(FOLDERS_WITHIN)
    assert units <= set(LEVEL)


def test_imports_point_down():
    files = sources()
    modules = {module_of(path) for path in files}
    assert [arrow for path, code in files.items() for arrow in wrong_arrows(path, code, modules)] == []


def test_no_modules_import_each_other_in_a_circle():
    assert circles(sources()) == set()


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("memory/array.py", "from ..logs.archive import reader"),
        ("memory/array.py", "from ..files.markers import discover_marker_files"),
        ("files/walk.py", "from .. import config"),
        ("logs/archive/reader.py", "def f():\n    import ataraxis_data_structures.jobs.tracker"),
        ("logs/archive/reader.py", "from ..logger.statistics import LoggerStatistics"),
        ("logs/journal/reader.py", "from ..recovery.recover import (\n    Recovery,\n    recover_log_directory,\n)"),
        ("series.py", "from . import config"),
        ("errors.py", "from ._core import crc"),
        ("_core/frame.pyx", "from ..system import process"),
        ("_core/lane.pxd", "from ataraxis_data_structures.errors cimport something"),
        ("system/process.py", "from ..memory import segment"),
        ("logs/archive/reader.py", "from ataraxis_data_structures import DataLogger"),
    ],
)
def test_a_planted_import_is_found(path, planted):
    files = sources()
    assert wrong_arrows(path, planted, {module_of(known) for known in files}) != []


def test_a_planted_circle_is_found_also_where_it_is_lazy():
    files = sources()
    files["files/walk.py"] += "\n\ndef f():\n    from .transfer import transfer_directory\n"
    assert any({"files.walk", "files.transfer"} <= circle for circle in circles(files))


@pytest.mark.parametrize("word", ONLY_IN)
def test_a_service_of_the_system_is_used_in_the_files_that_own_it(word):
    found = {path for path, code in sources().items()
             if path.endswith(".py") and re.search(word, without_strings(code))}  # fmt: skip
    assert found <= ONLY_IN[word]


def test_a_folder_holds_at_most_sixteen_files():
    written = [path for path in SOURCE.rglob("*") if path.suffix in (".py", ".pyi", ".pyx", ".pxd", ".h", ".css")]
    counts = Counter(path.relative_to(SOURCE).parent.as_posix() for path in written)
    assert {folder: count for folder, count in counts.items() if count > 16} == {}


def test_at_most_six_modules_are_compiled():
    settings = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())
    compiled = {module["name"] for module in settings["tool"]["setuptools"]["ext-modules"]}
    assert compiled == {f"{PACKAGE}.{module_of(path)}" for path in sources() if path.endswith(".pyx")}
    assert len(compiled) <= 6
