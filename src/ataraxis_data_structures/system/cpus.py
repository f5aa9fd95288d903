"""How many CPUs this process may use, and how many workers a request for workers means."""

import os


def usable_cpus() -> int:
    """Return how many CPUs this process may use: fewer than the machine has under taskset, a cpuset or a scheduler."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_workers(workers: int | None) -> int:
    """Return a positive request capped at the usable CPUs, and for any other all of them but two, at least one."""
    cpus = usable_cpus()
    return min(workers, cpus) if workers is not None and workers > 0 else max(1, cpus - 2)
