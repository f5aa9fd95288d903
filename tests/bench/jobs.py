"""What one change of a tracker costs as the tracker grows, beside the published library on the same folder."""

import statistics
import tempfile
from pathlib import Path

import measure
import peers

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker

SMALL, MIDDLE, LARGE = 10, 1_000, 100_000
CHANGES = 40

PEER = """
import time
from pathlib import Path
from ataraxis_data_structures import ProcessingTracker
tracker = ProcessingTracker(file_path=Path(args[0]))
ids = tracker.initialize_jobs([("process_video", f"session_{number:06d}") for number in range(args[1])])
times = []
for job_id in ids[: args[2]]:
    for deed in (tracker.start_job, tracker.complete_job):
        start = time.perf_counter()
        deed(job_id)
        times.append(time.perf_counter() - start)
print(json.dumps(sorted(times)[len(times) // 2]))
"""


def jobs(count):
    return [("process_video", f"session_{number:06d}") for number in range(count)]


def prepared(folder, count):
    tracker = ProcessingTracker(folder / f"{count}.yaml")
    return tracker.file_path, tracker.initialize_jobs(jobs(count))


def changes(path, ids, start):
    """Return the median time of a change, each by an instance of its own, so that nothing is remembered."""
    times = []
    for number in range(CHANGES):
        job_id = ids[(start + number * 7919) % len(ids)]
        times.append(measure.seconds(lambda job_id=job_id: ProcessingTracker(path).start_job(job_id)))
        times.append(measure.seconds(lambda job_id=job_id: ProcessingTracker(path).complete_job(job_id)))
    return statistics.median(times)


def bounded(table, what, deeds, limit_s):
    """Note the median time of deeds that must stay below a limit."""
    took = statistics.median(measure.seconds(deed) for deed in deeds)
    table.add(f"{what} (against {limit_s} s)", took, limit_s, took / limit_s, 1, unit="s", at_least=False)


def without_room(path):
    """Write the file as the published library lays it out."""
    lines = path.read_bytes().splitlines(keepends=True)
    bare = path.with_name("bare.yaml")
    bare.write_bytes(b"".join(line for line in lines if line.strip() and not line.startswith(b"#")))
    return bare


def summarize(path):
    summary = ProcessingTracker(path).get_summary()
    assert sum(summary.values()) == LARGE
    assert summary[ProcessingStatus.SCHEDULED] > 0


def main():
    with tempfile.TemporaryDirectory() as name:
        folder, turn = Path(name), iter(range(0, 10**9, 1_009))
        files = {count: prepared(folder, count) for count in (SMALL, MIDDLE, LARGE)}
        cases = {count: lambda count=count: changes(*files[count], next(turn)) for count in files}
        cases["peer"] = lambda: peers.run(PEER, str(folder / f"peer{next(turn)}.yaml"), MIDDLE, 2)
        us = {case: seconds * 1e6 for case, seconds in measure.interleaved(cases, rounds=5).items()}
        table = measure.Table("Jobs")
        for what, ours, theirs, bound in (
            ("one change, 100,000 jobs against 10", us[LARGE], us[SMALL], 2),
            ("one change at 1,000 jobs against the peer", us[MIDDLE], us["peer"], 1 / 200),
        ):
            table.add(what, ours, theirs, ours / theirs, bound, unit="us", at_least=False)
        new = [folder / f"new{number}.yaml" for number in range(3)]
        makes = [lambda path=path: ProcessingTracker(path).initialize_jobs(jobs(LARGE)) for path in new]
        bounded(table, "initialize_jobs of 100,000", makes, 5)
        for layout, path in (("our pages", files[LARGE][0]), ("the peer's layout", without_room(files[LARGE][0]))):
            bounded(table, f"fresh summary of 100,000 in {layout}", [lambda path=path: summarize(path)] * 3, 1)
        table.print()
    return [table]


if __name__ == "__main__":
    main()
