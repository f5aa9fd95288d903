"""The hook that runs before each commit, and the patterns that keep data from being staged."""

import os
import shlex
import sys
from pathlib import Path

from ...system.atomic import atomic_write
from .git import run_git

_SIGN = "# Installed by `axds data guard install`."
_COMMAND = "-P -m ataraxis_data_structures.cli data guard check"  # -P: no module of the repository is imported

# As the rules are: small data of tests, documents and pointers stay possible.
_IGNORED = """\
*.npz
*.h5
*.hdf5
*.h5.zip
*.groups_cache.npz
*.dill
!tests/data/**
/datasets/**
!/datasets/**/
!/datasets/**/*.md
!/datasets/**/*.rst
!/datasets/**/*.dvc
!/datasets/**/.gitignore
outputs/
*_outputs/
*_output/
memoized_data/
memoized_simulated_data/
tmp/
*.tmp
"""


def install(repository: Path | str = ".", *, gitignore: bool = True) -> list[Path]:
    """Install the guard as the pre-commit hook of a repository, and add its patterns to `.gitignore`.

    Args:
        repository: A folder within it.
        gitignore: Whether missing patterns are added to the `.gitignore` at its top.

    Returns:
        The files that were written; none of what was as it should be.

    Raises:
        FileExistsError: Another hook is there; add the guard to it, or use `.pre-commit-hooks.yaml`.
        ValueError: This is no git repository, or its hooks lie outside of it (core.hooksPath).
    """
    top = Path(_rev_parse(repository, "--show-toplevel"))
    return [*_install_hook(_hook_path(repository)), *(_patch(top / ".gitignore") if gitignore else ())]


def _hook_path(repository: Path | str) -> Path:
    folder = Path(repository, _rev_parse(repository, "--git-path", "hooks")).resolve()
    own = [
        Path(repository, _rev_parse(repository, place)).resolve() for place in ("--git-common-dir", "--show-toplevel")
    ]
    if not any(folder.is_relative_to(place) for place in own):
        raise ValueError(f"expected hooks of this repository alone, got {folder} (core.hooksPath), which others share")
    return folder / "pre-commit"


def _install_hook(path: Path) -> list[Path]:
    python = shlex.quote(sys.executable)
    text = (
        f"#!/bin/sh\n{_SIGN}\n"
        f"if [ -x {python} ]; then exec {python} {_COMMAND}; fi\n"
        "exec axds data guard check  # that interpreter is gone: where none is found, nothing is committed\n"
    )
    if path.exists() or path.is_symlink():
        held = path.read_text(errors="replace")
        if held == text:
            return []
        if _SIGN not in held:
            raise FileExistsError(f"another hook is there: {path}; add `axds data guard check` to it")
    with atomic_write(path) as file:
        file.write(text)
    path.chmod(0o755)
    return [path]


def _patch(path: Path) -> list[Path]:
    """Add the missing patterns to a `.gitignore`; the order of its lines is kept, since later ones win."""
    held = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
    lines = held.splitlines()
    missing = [pattern for pattern in _IGNORED.splitlines() if pattern not in lines]
    if not missing:
        return []
    if held and not held.endswith("\n"):
        held += "\n"
    title = "# Data files (axds data guard)\n"
    with atomic_write(path.resolve(), binary=True) as file:
        file.write((held + title + "\n".join(missing) + "\n").encode("utf-8", "surrogateescape"))
    return [path]


def _rev_parse(repository: Path | str, *words: str) -> str:
    return os.fsdecode(run_git(repository, "rev-parse", *words).removesuffix(b"\n"))
