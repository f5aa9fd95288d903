"""The flags under which CI compiles refuse what newer compilers refuse: a pointer of another type is an error."""

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from ataraxis_data_structures import _core

CORE = Path(_core.__file__).parent
CI = Path(__file__).parents[2] / ".ci" / "run"
# What once did not compile with GCC 14: lane.h takes a pointer to pointers to readers that it may change.
PLANT = {
    "lane.pyx": (
        "cdef axds_reader **each = <axds_reader **>",
        "cdef const axds_reader **each = <const axds_reader **>",
    ),
    "lane.pxd": ("(axds_hub *hub, axds_reader **readers", "(axds_hub *hub, const axds_reader **readers"),
}


def flags_of_ci():
    (found,) = re.findall(r'^export CFLAGS="([^"]+)"$', CI.read_text(), re.MULTILINE)
    return shlex.split(found)


def compiled(folder, planted):
    """Compile a copy of the lane's module as far as its types go; returns the compiler's status and what it says."""
    copy = folder / "ataraxis_data_structures" / "_core"
    shutil.copytree(CORE, copy, ignore=shutil.ignore_patterns("*.c", "*.so", "*.pyi", "__pycache__"))
    (copy.parent / "__init__.py").touch()
    for name, (before, after) in planted.items():
        text = (copy / name).read_text()
        assert text.count(before) == 1
        (copy / name).write_text(text.replace(before, after))
    subprocess.run([sys.executable, "-m", "cython", "-3", copy / "lane.pyx"], cwd=folder, check=True)
    include = f"-I{sysconfig.get_paths()['include']}"
    command = ["gcc", "-fsyntax-only", *flags_of_ci(), include, copy / "lane.c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_ci_compiles_with_what_newer_compilers_refuse():
    assert {"-Werror=incompatible-pointer-types", "-Werror=int-conversion"} <= set(flags_of_ci())


def test_the_module_compiles_under_the_flags_of_ci(tmp_path):
    assert compiled(tmp_path, {}) == (0, "")


def test_a_planted_const_is_an_error_under_the_flags_of_ci(tmp_path):
    status, said = compiled(tmp_path, PLANT)
    assert status != 0
    assert "axds_wait_for_records" in said
    assert "incompatible" in said
