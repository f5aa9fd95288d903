"""Examine this machine as a rig: shared memory, clock, disk, the logs in DIRECTORY, and whether it holds your plan.

The last is tried out: as many processes as sources put messages of that size at that rate into a logger that writes
to DIRECTORY. Status 1 if something would go wrong; each finding says what to do.

Example:
    axds doctor /data --sources 4 --rate 1000 --payload 4096
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from .advice import require_directory
from .checkup.clock import examine_clock
from .checkup.disk import examine_disk
from .checkup.finding import Finding
from .checkup.logs import examine_logs
from .checkup.memory import examine_memory
from .checkup.rig import Plan, examine_rig
from .render import add_json, print_json, shows_progress
from .terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="where logs will go (default: here)")
    parser.add_argument("--sources", type=_positive, default=4, metavar="N", help="producer processes (default 4)")
    parser.add_argument("--rate", type=_positive, default=1000, metavar="HZ", help="messages a second of each (1000)")
    parser.add_argument("--payload", type=_positive, default=64, metavar="BYTES", help="size of each message (64)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="how long to try (default 3)")
    parser.add_argument("--storage", choices=("npy", "journal"), default="npy", help="of the logger (default npy)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings."""
    directory = arguments.directory
    require_directory(directory)
    plan = Plan(
        arguments.sources, arguments.rate, arguments.payload, max(arguments.seconds, 0.5), arguments.storage, directory
    )
    examinations: tuple[Callable[[], list[Finding]], ...] = (
        lambda: examine_memory(plan),
        examine_clock,
        lambda: examine_disk(plan),
        lambda: examine_logs(plan.directory),
        lambda: examine_rig(plan),
    )
    findings: list[Finding] = []
    for examine in tqdm(
        examinations, desc="examining", unit="part", leave=False, disable=not shows_progress(arguments)
    ):
        findings += examine()
    healthy = all(finding.passed is not False for finding in findings)
    if arguments.json:
        print_json({"healthy": healthy, "findings": [vars(finding) for finding in findings]})
        return 0 if healthy else 1
    for finding in findings:
        print_line(f"{finding.mark:<5} {finding.name}: {finding.said}")
        if finding.advice:
            print_line(f"      -> {finding.advice}")
    print_line("this machine is fit for the plan" if healthy else "this machine is not fit for the plan as it is")
    return 0 if healthy else 1


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return value
