"""A room imports only from the floors beneath it, and never from a neighbour."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ataraxis_data_structures"
FLOORS = {
    "_core": 0, "errors": 0,
    "system": 1,
    "memory": 2, "files": 2, "config": 2, "series": 2,
    "logs": 3, "jobs": 3,
    "store": 4, "datasets": 5, "cli": 100,  # the roof may import anything
}  # fmt: skip
PACKAGE = "ataraxis_data_structures"


def rooms_imported(code, depth):
    """Yield the room of every import of ours, at any nesting, in a module `depth` folders under the package."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level in (0, depth + 1):
            base = ([PACKAGE] if node.level else []) + ([node.module] if node.module else [])
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE:
                yield [*name.split("."), ""][1]


def trespasses(path, code):
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room == "__init__":
        return []
    imported = rooms_imported(code, len(path.relative_to(SOURCE).parts) - 1)
    return [f"{room} -> {other}" for other in imported if other != room and FLOORS.get(other, 99) >= FLOORS[room]]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path):
    assert trespasses(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("memory/array.py", "from ..logs import reader"),
        ("memory/array.py", "from ..files.markers import discover_marker_files"),
        ("files/walk.py", "from .. import config"),
        ("logs/archive/reader.py", "def f():\n    import ataraxis_data_structures.jobs.tracker"),
        ("series.py", "from . import config"),
        ("errors.py", "from ._core import crc"),
        ("system/process.py", "from ..memory import segment"),
        ("logs/archive/reader.py", "from ataraxis_data_structures import DataLogger"),
    ],
)
def test_a_planted_trespass_is_found(path, planted):
    assert trespasses(SOURCE / path, planted) != []
