"""A stream of the lab streaming layer; its own times are kept, on the clock of the session."""

from functools import partial
from typing import Any

import numpy as np

from ...logs.logger.source import LogSource
from ..plan import SourcePlan
from .device import Device, Losses

_WAIT_S = 0.05
_CORRECT_EVERY_S = 5.0
_MOST_SAMPLES = 4096


def open_lsl(plan: SourcePlan) -> Device:
    """Find a stream and open an inlet; OSError if none comes in time, ImportError without pylsl."""
    try:
        import pylsl  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415 an extra
    except (ImportError, RuntimeError) as error:  # RuntimeError: the shared library is missing
        raise ImportError(
            f"this needs pylsl and its library, which is not installed: pip install "
            f"'ataraxis-data-structures[lsl]' ({' '.join(str(error).split())[:200]})"
        ) from None
    wanted = " and ".join(f"{key}='{value}'" for key, value in plan.target.items())
    found = pylsl.resolve_bypred(wanted, 1, plan.options["wait_s"])
    if not found:
        raise OSError(f"expected a stream with {wanted}, found none within {plan.options['wait_s']:g} s")
    inlet = pylsl.StreamInlet(found[0], max_buflen=360)
    info = inlet.info(plan.options["wait_s"])
    if info.channel_format() == pylsl.cf_string:
        raise ValueError(f"expected a stream of numbers, got one of texts with {wanted}")
    kind = np.dtype(pylsl.lib.fmt2type[info.channel_format()])
    if plan.dtype is not None and np.dtype(plan.dtype) != kind:
        raise ValueError(f"expected a stream of {np.dtype(plan.dtype)}, got {kind}")
    count = info.channel_count()
    shape = (count,) if count > 1 else ()
    if plan.shape is not None and int(np.prod(plan.shape)) != count:
        raise ValueError(f"expected a stream of the shape {plan.shape}, got {count} channels")
    inlet.open_stream(plan.options["wait_s"])
    known = {
        "dtype": kind.str,
        "shape": shape if plan.shape is None else plan.shape,
        "rate_hz": info.nominal_srate() or None,
    }
    return Device(partial(_produce, pylsl, inlet), inlet.close_stream, inlet.flush, known)


def _produce(pylsl: Any, inlet: Any, source: LogSource, losses: Losses) -> None:
    shift_us = source.elapsed_us() - pylsl.local_clock() * 1e6
    corrected_s, correction_s = -_CORRECT_EVERY_S, 0.0
    for elapsed_s in source.running():
        if elapsed_s - corrected_s >= _CORRECT_EVERY_S:
            corrected_s = elapsed_s
            try:
                correction_s = inlet.time_correction(2.0)
            except pylsl.TimeoutError:  # the last one holds on
                losses.skip(0, "the clock of the stream did not answer")
        samples, times = inlet.pull_chunk(_WAIT_S, _MOST_SAMPLES)
        if not times:
            continue
        rows = np.asarray(samples, source.dtype).reshape(len(times), *source.shape)
        times_us = np.rint((np.asarray(times) + correction_s) * 1e6 + shift_us)
        source.put_many(rows, np.maximum(times_us, 1).astype(np.uint64))
