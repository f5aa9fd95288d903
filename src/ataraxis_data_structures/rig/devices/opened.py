"""The one place that knows all kinds of devices."""

from ..plan import SourcePlan
from .device import Device


def open_device(plan: SourcePlan) -> Device:
    """Open what a source's messages come from.

    Raises:
        OSError: There is no such device, or it can't be opened.
        ImportError: A library or a module is missing.
        ValueError: The device is there and gives something else than the source declares.
    """
    if plan.kind == "udp":
        from .udp import open_udp  # noqa: PLC0415 each kind brings libraries of its own

        return open_udp(plan)
    if plan.kind == "serial":
        from .serial_port import open_serial  # noqa: PLC0415

        return open_serial(plan)
    if plan.kind == "lsl":
        from .lsl import open_lsl  # noqa: PLC0415

        return open_lsl(plan)
    from .function import open_function  # noqa: PLC0415

    return open_function(plan)
