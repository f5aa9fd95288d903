"""How long an installation from source takes, beside another commit: python tests/platforms/installation.py COMMIT.

Needs git, a compiler, and the build requirements (setuptools, cython) in the environment that runs it. Each round
installs a clean copy of either commit into an empty folder, in turns, without a compiler cache. Prints a table of
medians: the time that passed, and the processor time, which other programs on the machine disturb less.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir"]


def installed(commit):
    """Install a clean copy of a commit; returns (seconds, processor seconds, bytes installed)."""
    archive = subprocess.run(["git", "archive", commit], cwd=HERE, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        tree, target = Path(folder, "tree"), Path(folder, "target")
        with tarfile.open(fileobj=BytesIO(archive)) as packed:
            packed.extractall(tree, filter="data")
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        environment = {**os.environ, "CCACHE_DISABLE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        subprocess.run([*PIP, "--target", target, tree], check=True, env=environment)
        passed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return passed, used, sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def main():
    """Measure both trees in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="what to compare with")
    parser.add_argument("--this", default="HEAD", help="the commit that is measured (HEAD)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures = {options.this: [], options.commit: []}
    for _ in range(options.rounds):
        for commit, measured in figures.items():
            measured.append(installed(commit))
    this, other = ([statistics.median(column) for column in zip(*rows, strict=True)] for rows in figures.values())
    print(f"| | {options.this} | {options.commit} | ratio |\n|---|--:|--:|--:|")
    for what, mine, theirs in zip(("time, s", "processor time, s", "installed, MB"), this, other, strict=True):
        scale = 1e6 if "MB" in what else 1
        print(f"| {what} | {mine / scale:.1f} | {theirs / scale:.1f} | {mine / theirs:.2f} |")


if __name__ == "__main__":
    main()
