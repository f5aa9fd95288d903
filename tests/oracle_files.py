"""The checksum of a folder and interpolation, slowly and obviously."""

import os
from fractions import Fraction

from xxhash import xxh3_128_digest, xxh3_128_hexdigest


def checksum(root, excluded=("ax_checksum.txt",)):
    paths = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if name not in excluded and os.path.isfile(path):
                paths.append(os.path.relpath(path, root))
    parts = []
    for path in sorted(paths):
        with open(os.path.join(root, path), "rb") as file:
            parts += [os.fsencode(path), xxh3_128_digest(os.fsencode(path) + file.read())]
    return xxh3_128_hexdigest(b"".join(parts))


def last_known(sources, values, target):
    """Values are any; coordinates are Python numbers, compared exactly."""
    below = [value for source, value in zip(sources, values, strict=True) if source <= target]
    return below[-1] if below else values[0]


def linear(sources, values, target):
    """Everything is a rational number."""
    below = [i for i, source in enumerate(sources) if source <= target]
    if not below:
        return Fraction(values[0])
    i = below[-1]
    if i == len(sources) - 1:
        return Fraction(values[i])
    low, high = Fraction(sources[i]), Fraction(sources[i + 1])
    return Fraction(values[i]) + (Fraction(values[i + 1]) - Fraction(values[i])) * (Fraction(target) - low) / (
        high - low
    )
