"""How a benchmark measures: cases interleaved in one run, medians of several rounds, a table with ratios."""

import os
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np

HEAD = "| what | ours | theirs | unit | ratio | asked | held |\n|---|--:|--:|---|--:|--:|---|\n"


def seconds(deed):
    """Return how long one call of `deed` takes."""
    start = time.perf_counter()
    deed()
    return time.perf_counter() - start


def interleaved(cases, rounds=7):
    """Return {name: median}; each case is a callable that returns its own figure, all run in turns."""
    figures = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            figures[name].append(case())
    return {name: statistics.median(values) for name, values in figures.items()}


def settle(folder):
    """Leave memory and disk alike before each run: in a virtual machine, a page never used yet costs ten others."""
    path = folder / "settle"
    with path.open("wb", buffering=0) as file:
        for _ in range(256):
            file.write(bytes(2**20))
    os.sync()
    path.unlink()
    os.sync()


def machine():
    """Return one line on what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    cores = len(os.sched_getaffinity(0))
    software = f"Linux {platform.release()}, CPython {platform.python_version()}, numpy {np.__version__}"
    return f"{model}, {cores} cores, {software}"


class Table:
    """Lines of measured ratios, each against what it must reach."""

    def __init__(self, title):
        self.title = title
        self.lines = []

    def add(self, what, ours, theirs, ratio, bound, *, unit="", at_least=True):
        """Note one ratio; `bound` is what it must be at least, or at most, or None if nothing is asked of it."""
        asked = held = ""
        if bound is not None:
            asked = f"{'>=' if at_least else '<='} {bound:g}"
            held = "yes" if (ratio >= bound if at_least else ratio <= bound) else "NO"
        self.lines.append((what, ours, theirs, unit, ratio, asked, held))

    def rows(self):
        """Return the lines as rows of a Markdown table."""
        return [
            f"| {what} | {ours:,.4g} | {theirs:,.4g} | {unit} | {ratio:,.3g} | {asked} | {held} |"
            for what, ours, theirs, unit, ratio, asked, held in self.lines
        ]

    def markdown(self):
        """Return the table as Markdown."""
        return f"### {self.title}\n\n{HEAD}" + "\n".join(self.rows()) + "\n"

    def print(self):
        """Print the table and the machine."""
        sys.stdout.write(f"{self.markdown()}\n{machine()}\n\n")
