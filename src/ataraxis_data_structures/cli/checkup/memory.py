"""Is /dev/shm big enough for the lanes of the producers?"""

import os

from ...memory import segment
from ...system import platform
from ..render import human_bytes
from .finding import Finding
from .rig import Plan

_LANE_BYTES = 8 << 20  # what each producer takes unless the logger says otherwise
_HUB_BYTES = 1 << 20


def examine_memory(plan: Plan) -> list[Finding]:
    """Compare the room with what the plan needs, and look for what others left."""
    status = os.statvfs(platform.FOLDER)
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    need = plan.sources * (_LANE_BYTES + (64 << 10)) + _HUB_BYTES
    figures = {"size_bytes": size, "free_bytes": free, "needed_bytes": need}
    said = f"{human_bytes(free)} of {human_bytes(size)} free, {plan.sources} producers take {human_bytes(need)}"
    advice = ""
    if free < need:
        advice = (
            f"lanes would shrink, which leaves less time when the disk stalls: in a container use "
            f"--shm-size={(need * 2 >> 20) + 1}m, else `mount -o remount,size=...` it, "
            "or give DataLogger smaller lane_bytes"
        )
    findings = [Finding(str(platform.FOLDER), said, free >= need, advice, figures)]
    stale = [name for name in segment.list_segments() if segment.is_stale(name)]
    if stale:
        way = "`axds shm rm --stale` removes arrays; `axds log recover DIRECTORY` completes logs"
        said = f"{len(stale)} that nobody uses"
        findings.append(Finding("left-over segments", said, advice=way, figures={"names": stale}))
    if platform.PORTABLE:
        said = "portable: no robust mutex and no futex here"
        findings.append(Finding("backend", said, advice="use Linux for the guarantees at deaths"))
    return findings
