"""The headers of the compiled modules: each of them alone, and all of them in one program."""

import subprocess
from pathlib import Path

from ataraxis_data_structures import _core

FOLDER = Path(_core.__file__).parent / "include"
HEADERS = sorted(path.name for path in FOLDER.glob("*.h"))
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter"]


def check(folder, programs):
    """Compile programs that include these headers; returns what the compiler says."""
    for number, names in enumerate(programs):
        includes = "".join(f'#include "{name}"\n' for name in names)
        (folder / f"{number}.c").write_text(includes + "int main(void) { return 0; }\n")
    command = ["gcc", "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE", *WARNINGS, f"-I{FOLDER}", *folder.glob("*.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_each_header_stands_alone(tmp_path):
    assert check(tmp_path, [[name] for name in HEADERS]) == (0, "")


def test_all_headers_stand_in_one_program_in_any_order(tmp_path):
    assert len(HEADERS) > 5
    assert check(tmp_path, [HEADERS, HEADERS[::-1]]) == (0, "")


def test_a_second_definition_would_be_found(tmp_path):
    (tmp_path / "again.h").write_text("#include <stdint.h>\nstatic uint64_t axds_forks = 1;\n")
    code, said = check(tmp_path, [[*HEADERS, tmp_path / "again.h"]])
    assert code != 0
    assert "redefinition of" in said
    assert "axds_forks" in said
