"""What the tests of data sets share."""

import numpy as np
import pytest

from conftest_cli import axds, refused  # noqa: F401 fixtures


@pytest.fixture
def good():
    """Arrays that keep `ptycho-npz@1`."""
    random = np.random.default_rng(1)
    return {
        "diffraction": random.random((20, 16, 16), np.float32),
        "objectGuess": random.random((32, 32)).astype(np.complex64),
        "probeGuess": random.random((16, 16)).astype(np.complex64),
        "xcoords": random.random(20),
        "ycoords": random.random(20),
    }
