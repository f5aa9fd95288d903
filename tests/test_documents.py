"""Every code block of the README and the documents runs as it stands.

The blocks of one page run in their order in one folder: a python block is a program of its own (saved under the name
that its first line gives, `# rig.py`), and a console block runs its `$ axds` and `$ python` lines.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands(page):
    for number, (kind, text) in enumerate(BLOCK.findall(page.read_text())):
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", text)
            yield name[1] if name else f"block_{number}.py", text
        else:
            yield from ((None, line[2:]) for line in text.splitlines() if line.startswith(("$ axds", "$ python ")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page, tmp_path):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name, text in commands(page):
        if name:
            (tmp_path / name).write_text(text)
        command = [sys.executable, name] if name else ["bash", "-c", text]
        done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
