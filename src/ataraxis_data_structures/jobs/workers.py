"""How many threads the libraries of a worker process may start."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module

_LIMITED = (
    "BLIS_NUM_THREADS",
    "FLEXIBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FFMPEG_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TIFFFILE_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_CEILINGS = ("DUCC0_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")  # read once, at the widest


@contextmanager
def limit_worker_threads(
    thread_count: int = 1,
    maximum_thread_count: int | None = None,
    additional_thread_variables: Mapping[str, int] | None = None,
) -> Generator[None, None, None]:
    """Set the thread variables that child processes inherit, and put the former values back at the end.

    Variables that libraries read only once take `maximum_thread_count` (default: `thread_count`); the additional ones
    override. Raises ValueError for a width below 1, a maximum below the count, or a blank name, before anything is set.
    """
    variables = _variables(thread_count, maximum_thread_count, additional_thread_variables)
    former = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def initialize_worker_threads(
    thread_count: int = 1,
    maximum_thread_count: int | None = None,
    additional_thread_variables: Mapping[str, int] | None = None,
) -> None:
    """Set the same variables in this process for good; fits a pool's `initializer`.

    Numba, where it is installed, is told through its own setter, because it refuses a variable that changes later.
    """
    os.environ.update(_variables(thread_count, maximum_thread_count, additional_thread_variables))
    try:
        numba = import_module("numba")
    except ImportError:
        return
    numba.set_num_threads(min(thread_count, numba.config.NUMBA_NUM_THREADS))


def _variables(thread_count: int, maximum: int | None, additional: Mapping[str, int] | None) -> dict[str, str]:
    ceiling = thread_count if maximum is None else maximum
    extra = additional or {}
    if thread_count < 1:
        raise ValueError(f"expected a thread_count of at least 1, got {thread_count}")
    if ceiling < thread_count:
        raise ValueError(f"expected a maximum_thread_count of at least {thread_count}, got {ceiling}")
    for name, width in extra.items():
        if not name.strip():
            raise ValueError(f"expected the name of a variable, got {name!r}")
        if width < 1:
            raise ValueError(f"expected a width of at least 1 for {name}, got {width}")
    return {
        **dict.fromkeys(_LIMITED, str(thread_count)),
        **dict.fromkeys(_CEILINGS, str(ceiling)),
        **{name: str(width) for name, width in extra.items()},
    }
