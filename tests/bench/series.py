"""Interpolation beside numpy and the published library."""

import measure
import numpy as np
import peers

from ataraxis_data_structures import interpolate_data

PEER = """
import time
import numpy as np
from ataraxis_data_structures import interpolate_data
dtype, count = args
rng = np.random.default_rng(0)
x, t = (np.sort(rng.integers(0, 2**60, count)).astype(dtype) for _ in range(2))
y = rng.random(count)
interpolate_data(x[:9], y[:9], t, is_discrete=True)
start = time.perf_counter()
interpolate_data(x, y, t, is_discrete=True)
print(time.perf_counter() - start)
"""
COUNT = 1_000_000


def main():
    """Measure 1 million points at 1 million sorted targets."""
    tables = []
    for dtype in ("float64", "int64", "uint64"):
        rng = np.random.default_rng(0)
        sources, targets = (np.sort(rng.integers(0, 2**60, COUNT)).astype(dtype) for _ in range(2))
        values = rng.random(COUNT)

        def ours(is_discrete, sources=sources, targets=targets, values=values):
            return measure.seconds(lambda: interpolate_data(sources, values, targets, is_discrete=is_discrete))

        found = measure.interleaved(
            {
                "continuous": lambda ours=ours: ours(False),
                "numpy": lambda s=sources, t=targets, v=values: measure.seconds(lambda: np.interp(t, s, v)),
                "discrete": lambda ours=ours: ours(True),
                "peer": lambda dtype=dtype: peers.run(PEER, dtype, COUNT),
            }
        )
        table = measure.Table(f"Interpolation, {COUNT:,} points at {COUNT:,} sorted targets, {dtype}")
        for kind, theirs in (("continuous", "numpy"), ("discrete", "peer")):
            ratio = found[kind] / found[theirs]
            table.add(f"{kind} / {theirs}", found[kind], found[theirs], ratio, 0.5, unit="s", at_least=False)
        table.print()
        tables.append(table)
    return tables


if __name__ == "__main__":
    main()
