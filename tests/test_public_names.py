import importlib.metadata
import subprocess
import sys
from pathlib import Path

import ataraxis_data_structures as package
import log_files

ROOT = Path(__file__).parents[1]


def test_every_public_name_is_found():
    assert set(package.__all__) == set(package._HOMES)
    assert package.__version__ == importlib.metadata.version("ataraxis-data-structures")
    for name in package._HOMES:
        assert getattr(package, name) is getattr(
            importlib.import_module(f"{package.__name__}.{package._HOMES[name]}"), name
        )


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("yaml", "tqdm", "filelock", "multiprocessing", "concurrent.futures")
    code = f"import sys, ataraxis_data_structures; print([m for m in {heavy} if m in sys.modules])"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert got.strip() == "[]"


def test_type_checkers_see_the_names_that_the_table_holds(tmp_path):
    made = tmp_path / "package_stub.py"
    made.write_text((ROOT / "stubs/package_stub.py").read_text() + "\nimport sys; sys.stdout.write(stub())\n")
    code = f"import runpy; runpy.run_path({str(made)!r})"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert got == Path(package.__file__).with_suffix(".pyi").read_text()


def test_every_exception_is_public():
    from ataraxis_data_structures import errors

    own = {name for name, found in vars(errors).items() if getattr(found, "__module__", "") == errors.__name__}
    assert own <= set(package.__all__)


ABSENT = """
import os, signal, sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.modules.pop("fcntl", None)
for name in ("posix_fallocate", "fdatasync", "pidfd_open"):
    delattr(os, name)
del signal.SIGPIPE
"""


def test_analysis_works_without_what_only_linux_has(tmp_path):
    """Reading, assembly, settings, trackers, checksums and interpolation, as on a machine without these calls."""
    log_files.save_session(tmp_path / "log", 1, [(time, [time]) for time in range(1, 30)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore:only soft file lock", "-c", ABSENT + ANALYSIS, tmp_path],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "29\n"), done.stderr


ANALYSIS = """
import dataclasses
from pathlib import Path
import numpy as np
import ataraxis_data_structures as package
for name in package.__all__:
    getattr(package, name)
from ataraxis_data_structures import *
folder = Path(sys.argv[1])
assemble_log_archives(folder / "log")
reader = LogArchiveReader(folder / "log" / "1_log.npz", onset_us=0)
@dataclasses.dataclass
class Settings(YamlConfig):
    rate: float = 1.5
Settings().to_yaml(folder / "settings.yaml")
assert Settings.from_yaml(folder / "settings.yaml") == Settings()
tracker = ProcessingTracker(folder / "tracker.yaml")
(job,) = tracker.initialize_jobs([("a", "")])
tracker.start_job(job)
tracker.complete_job(job)
assert tracker.complete
assert len(calculate_directory_checksum(folder / "log")) == 32
assert interpolate_data(np.array([0, 2]), np.array([0.0, 2.0]), np.array([1]), is_discrete=False).tolist() == [1.0]
import ataraxis_data_structures.cli
print(sum(1 for _ in reader.iter_messages()))
"""
