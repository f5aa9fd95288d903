"""The release: a wheel that is built from the sdist alone does its work in an environment that holds nothing else."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "ataraxis_data_structures"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Build the sdist, and from it the wheel; return both."""
    folder = tmp_path_factory.mktemp("dist")
    # Without a flag, `build` makes the wheel from the sdist, unpacked elsewhere.
    command = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """Install the wheel into a new environment; return a function that runs a program of it, far from the sources."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=True)
    bin_folder = home / "venv" / "bin"
    subprocess.run([bin_folder / "python", "-m", "pip", "install", "--quiet", built[1]], check=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(program, *words):
        command = [bin_folder / program, *map(str, words)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=home, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def sources():
    """Return what somebody wrote below src: no compiled modules, no C that Cython made."""
    made = {".so", ".c", ".pyc"}
    files = (path for path in (ROOT / "src" / PACKAGE).rglob("*") if path.is_file() and path.suffix not in made)
    return {path.relative_to(ROOT / "src").as_posix() for path in files}


def test_the_sdist_holds_every_source(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/src/")[2] for name in archive.getnames()}
    assert not sources() - names


def test_the_wheel_holds_every_source_and_a_stub_for_each_compiled_module(built):
    names = set(zipfile.ZipFile(built[1]).namelist())
    assert not sources() - names
    assert f"{PACKAGE}/py.typed" in names
    compiled = {name.partition(".")[0] for name in names if name.endswith(".so")}
    assert compiled
    assert {f"{module}.pyi" for module in compiled} <= names


def test_an_installed_wheel_needs_the_five_libraries_and_no_other(built):
    wheel = zipfile.ZipFile(built[1])
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    needed = {line.split()[1] for line in metadata.splitlines() if line.startswith("Requires-Dist") and ";" not in line}
    assert {name.partition(">")[0] for name in needed} == {"filelock", "numpy", "pyyaml", "tqdm", "xxhash"}


def test_every_public_name_is_imported_from_the_installed_wheel(installed):
    code = f"import {PACKAGE} as a; [getattr(a, name) for name in a.__all__]; print(a.__file__)"
    assert "site-packages" in installed("python", "-c", code)


def test_a_round_trip_through_an_array_and_an_archive_is_made(installed):
    installed("python", Path(__file__).with_name("smoke.py"))


def test_the_installed_command_demonstrates_and_reports(installed, tmp_path):
    assert "axds demo" in installed("axds", "--help")
    found = json.loads(installed("axds", "demo", tmp_path, "--seconds", "2", "--json"))
    assert [source["missing"] + source["duplicated"] for source in found["sources"]] == [0, 0, 0, 0]
    installed("axds", "log", "report", tmp_path / "demo_data_log", "-o", tmp_path / "report.html")
    assert "prefers-color-scheme" in (tmp_path / "report.html").read_text()
