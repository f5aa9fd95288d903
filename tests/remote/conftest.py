"""These tests need a server of their own, which `tox -e remote` brings; elsewhere they are not collected."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("s3fs") and find_spec("moto") else ["test_*.py"]


@pytest.fixture(autouse=True)
def no_leaks():
    """Leave the leaks of this folder uncounted: the S3 client keeps a thread and its connections for the process."""


@pytest.fixture(scope="session")
def server():
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        for line in child.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        yield found[0]
        child.kill()


@pytest.fixture
def options(server):
    return {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": server, "region_name": "eu-west-1"}}


@pytest.fixture
def bucket(options, request):
    import fsspec

    files = fsspec.filesystem("s3", **options)
    name = "b" + str(abs(hash(request.node.name)))
    files.mkdir(name)
    return files, name
