"""How many workers a request for workers means."""

import os


def resolve_workers(workers: int | None) -> int:
    """Return a positive request capped at the number of CPUs, and for any other all CPUs but two, at least one."""
    cpus = os.cpu_count() or 1
    return min(workers, cpus) if workers is not None and workers > 0 else max(1, cpus - 2)
