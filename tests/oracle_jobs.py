"""A slow, obvious tracker: every call reads the whole file with PyYAML, changes a mapping, and writes it all."""

import os
from pathlib import Path

import yaml
from filelock import FileLock

FRESH = {"status": 0, "executor_id": None, "error_message": None, "started_at": None, "completed_at": None}


class WholeFileTracker:
    """Also what a host with the published library does to a shared file; `layout` is "6.0.0" (in place) or "7.2.0"."""

    def __init__(self, path, layout="7.2.0"):
        self.path, self.layout = Path(path), layout

    def change(self, job_id, **values):
        with FileLock(f"{self.path}.lock", timeout=10):
            jobs = self.read()
            jobs[job_id] |= values
            self.write(jobs)

    def read(self):
        return yaml.safe_load(self.path.read_text())["jobs"]

    def write(self, jobs):
        document = {"jobs": jobs} if self.layout == "7.2.0" else {"file_path": ".", "jobs": jobs, "lock_path": ""}
        text = dump(document)
        if self.layout == "6.0.0":
            self.path.write_text(text)
            return
        aside = self.path.with_name(".aside")
        aside.write_text(text)
        os.replace(aside, self.path)


def dump(document):
    options = {"explicit_start": True, "explicit_end": True, "sort_keys": False, "width": 200, "indent": 2}
    return yaml.safe_dump(document, default_flow_style=False, **options)


def add(jobs, job_id, name, specifier):
    jobs[job_id] = {"job_name": name, "specifier": specifier, **FRESH}
    return jobs
