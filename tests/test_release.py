"""What the settings of builds, doors and workflows point to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = [
    *(ROOT / name for name in ("pyproject.toml", "tox.ini", ".ci/run")),
    *(path for folder in (".github", "envs") for path in (ROOT / folder).rglob("*") if path.is_file()),
]
NAMED = re.compile(r"(?<![\w./])(?:\{project\}/)?((?:tests|docs|src|envs|stubs|\.ci)/[\w./-]*\w)")


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_settings_name_exist(settings):
    named = set(NAMED.findall(settings.read_text()))
    assert not {name for name in named if not (ROOT / name).exists()}


def test_the_door_of_the_wheels_names_tests():
    assert {"tests/_core", "tests/memory", "tests/wheel/smoke.py"} <= set(
        NAMED.findall((ROOT / "pyproject.toml").read_text())
    )


def test_the_changelog_tells_of_the_version_that_is_built():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
