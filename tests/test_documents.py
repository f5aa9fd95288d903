"""Every code block of the README and the documents runs as it stands, and what they point to exists.

The blocks of one page run in their order in one folder: a python block is a program of its own (saved under the name
that its first line gives, `# rig.py`), and a console block runs its `$ axds` and `$ python` lines. A block whose first
line says `# needs: dask` runs only where that package is installed.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ataraxis_data_structures

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROOF = re.compile(r"(test_\w+\.py)::(test_\w+)")


def commands(page):
    """Yield (file name or None, text, needed package or None)."""
    for number, (kind, text) in enumerate(BLOCK.findall(page.read_text())):
        needs = re.search(r"\A(?:# \w+\.py\n)?# needs: (\w+)\n", text)
        package = needs[1] if needs else None
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", text)
            yield name[1] if name else f"block_{number}.py", text, package
        else:
            yield from (
                (None, line[2:], package) for line in text.splitlines() if line.startswith(("$ axds", "$ python "))
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "AXDS_SHM_FOLDER"}  # as a reader's
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name, text, package in commands(page):
        if name:
            (tmp_path / name).write_text(text)
        if package and importlib.util.find_spec(package) is None:
            continue
        command = [sys.executable, name] if name else ["bash", "-c", text]
        done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tests_that_a_page_names_exist(page):
    files = {path.name: path.read_text() for path in TESTS.rglob("test_*.py")}
    named = PROOF.findall(page.read_text())
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in files.get(file, "")]
    assert not missing


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text() for page in (DOCS / "reference").rglob("*.md"))
    told = {room for rooms in re.findall(r"^```{axds-names} (.+)$", text, re.MULTILINE) for room in rooms.split()}
    homes = ataraxis_data_structures._HOMES
    assert not {name: homes[name] for name in homes if homes[name].split(".")[0] not in told}


@pytest.mark.skipif(not importlib.util.find_spec("myst_parser"), reason="built where the docs extra is installed")
def test_the_documents_build_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
