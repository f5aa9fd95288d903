"""Folders to copy, sum and remove, and a user who may not read everything."""

import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest_cli import axds  # noqa: F401 a fixture

NOBODY = 65534
MEMORY = Path(os.environ["AXDS_SHM_FOLDER"])  # a folder in memory, where there is /dev/shm


@pytest.fixture
def tmp_path(request, tmp_path):
    """Return a folder in memory, where a sync waits for no other process's writes; on the disk for tests marked so."""
    if request.node.get_closest_marker("disk") or not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="test-files-") as folder:
        yield Path(folder)


@pytest.fixture
def unprivileged():
    """Return a block in which this thread's files are opened as a user without privileges, who owns `folder`."""

    @contextmanager
    def as_nobody(folder):
        if os.geteuid():
            yield
            return
        for path in [folder, *Path(folder).rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        for parent in Path(folder).parents:
            if parent.stat().st_mode & 0o055 != 0o055:
                parent.chmod(parent.stat().st_mode | 0o055)  # pytest's own folders are closed to others
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return as_nobody


@pytest.fixture
def plant():
    """Return a function that makes a folder from {name: contents}: None is a folder, a callable makes what it likes."""

    def make(root, entries):
        root.mkdir(parents=True, exist_ok=True)
        for name, contents in entries.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if contents is None:
                path.mkdir(exist_ok=True)
            elif callable(contents):
                contents(path)
            else:
                path.write_bytes(contents)
        return root

    return make


@pytest.fixture
def make_socket():
    """Return a function that leaves a socket at a path of any length."""

    def make(path):
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)
        finally:
            os.chdir(here)

    return make
