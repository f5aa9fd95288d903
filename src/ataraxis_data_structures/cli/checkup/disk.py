"""How fast is the disk: in a row, in small files, and in promises that outlive a power cut."""

import os
import tempfile
import time
from pathlib import Path

from ..._core import frame, npz
from ...system.disk import sync_data
from ..render import human_bytes, human_seconds
from .finding import Finding
from .rig import Plan

_TOTAL_BYTES = 128 << 20
_CHUNK_BYTES = 4 << 20
_MOST_S = 4.0
_FILES = 2000
_SYNCS = 20
_RECORD_BYTES = frame.RECORD_BYTES + 7  # with what fills it up to a multiple of 8
_ARCHIVED_BYTES = 320  # of a message beside its payload
_HEADROOM = 2.0  # a disk is fit at twice the rate that the plan needs


def examine_disk(plan: Plan) -> list[Finding]:
    """Write into a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix=".axds-doctor-", dir=plan.directory) as folder:
        return [_free(plan), _stream(plan, Path(folder)), _small_files(plan, Path(folder)), _sync(Path(folder))]


def _free(plan: Plan) -> Finding:
    status = os.statvfs(plan.directory)
    free = status.f_bavail * status.f_frsize
    each = _stored_bytes(plan, status.f_frsize) + plan.payload + _ARCHIVED_BYTES
    hours = free / (plan.messages_per_s * each) / 3600
    said = f"{human_bytes(free)} free: {hours:,.1f} h of the plan, with its archives beside it"
    if plan.storage == "npy" and status.f_files:  # 0: a disk that makes file numbers as it goes
        by_files = status.f_favail / plan.messages_per_s / 3600
        said += f"; {status.f_favail:,} files free: {by_files:,.1f} h of a file for each message"
        hours = min(hours, by_files)
    spare = "free some space" + (" or use storage='journal'" if plan.storage == "npy" else "")
    advice = "" if hours > 1 else f"{spare}: less than an hour of the plan fits"
    return Finding("room", said, hours > 1, advice, {"free_bytes": free, "hours": hours})


def _stored_bytes(plan: Plan, block: int) -> int:
    """Return what a message takes on the disk until it is in an archive; a file takes whole blocks."""
    if plan.storage == "journal":
        return plan.payload + _RECORD_BYTES
    return -(-(plan.payload + npz.PREFIX_BYTES) // block) * block


def _stream(plan: Plan, folder: Path) -> Finding:
    chunk = os.urandom(_CHUNK_BYTES)  # zeros would flatter a disk that compresses
    descriptor = os.open(folder / "stream", os.O_WRONLY | os.O_CREAT)
    written, begun = 0, time.perf_counter()
    try:
        while written < _TOTAL_BYTES and time.perf_counter() - begun < _MOST_S:
            written += os.write(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    speed = written / (time.perf_counter() - begun)
    good = speed > _HEADROOM * plan.bytes_per_s
    said = f"{human_bytes(speed)}/s in a row, synced; the plan writes {human_bytes(plan.bytes_per_s)}/s"
    advice = "" if good else "choose a faster disk, smaller payloads, or compress images before they are put"
    return Finding("disk", said, good, advice, {"bytes_per_s": speed, "planned_bytes_per_s": plan.bytes_per_s})


def _small_files(plan: Plan, folder: Path) -> Finding:
    data = bytes(plan.payload + npz.PREFIX_BYTES)
    begun = time.perf_counter()
    made = 0
    while made < _FILES and time.perf_counter() - begun < _MOST_S:
        descriptor = os.open(folder / f"{made}.npy", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, data)
        os.close(descriptor)
        made += 1
    rate = made / (time.perf_counter() - begun)
    asked = plan.messages_per_s
    good = True if plan.storage == "journal" or rate > asked else None
    said = f"{rate:,.0f} small files a second; the plan puts {asked:,} messages a second"
    advice = (
        "" if good else "use storage='journal': files would be made later than messages come, and stop() wait for them"
    )
    return Finding("small files", said, good, advice, {"files_per_s": rate, "planned_per_s": asked})


def _sync(folder: Path) -> Finding:
    times = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(_SYNCS):
            os.write(descriptor, bytes(4096))
            begun = time.perf_counter()
            sync_data(descriptor)
            times.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
    median, worst = sorted(times)[len(times) // 2], max(times)
    said = f"{human_seconds(median)} for a sync, at most {human_seconds(worst)}"
    return Finding("sync", said, figures={"median_s": median, "worst_s": worst})
