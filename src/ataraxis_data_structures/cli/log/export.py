"""Write the archives of a log in the format of other programs: Parquet, HDF5, MCAP, CSV, NWB or Zarr.

Each source gets a file, of typed values where its program described it.

All but CSV need a library: pip install 'ataraxis-data-structures[export,nwb,zarr]'.

Example:
    axds log export /data/session_01/rig_data_log --format parquet -o /data/session_01/tables
"""

import argparse
import shutil
from pathlib import Path

from ...logs.export.export import export_archive
from ...system.progress import progress_bar
from ..render import add_json, print_json, require, shows_progress
from ..terminal import print_line
from .session import require_log, tell_passed_over

_NEEDED = {
    "csv": ("csv", ""),
    "h5": ("h5py", "export"),
    "mcap": ("mcap", "export"),
    "nwb": ("pynwb", "nwb"),
    "parquet": ("pyarrow", "export"),
    "zarr": ("zarr", "zarr"),
}
"""Format -> the library that it needs, and the extra that installs it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    parser.add_argument("--format", choices=sorted(_NEEDED), default="parquet", help="default: parquet")
    parser.add_argument("-o", "--output", type=Path, default=Path(), help="the folder to write to (default: here)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the files."""
    contents = require_log(arguments.directory)
    tell_passed_over(contents)
    if not contents.archives:
        raise ValueError(f"{arguments.directory}: expected archives, got none; run `axds log assemble` first")
    require(*_NEEDED[arguments.format])
    arguments.output.mkdir(parents=True, exist_ok=True)
    written = []
    shown = shows_progress(arguments)
    with progress_bar("export", len(contents.archives), shown=shown, unit="archive") as advance:
        for path in contents.archives.values():
            written.append(_export(path, arguments.output / f"{path.stem}.{arguments.format}"))
            advance(1)
    if arguments.json:
        print_json({"written": written})
    else:
        for path in written:
            print_line(path)
    return 0


def _export(archive: Path, target: Path) -> Path:
    """Write one file, which has its name only when it is whole."""
    partial = target.with_name(f".partial-{target.name}")
    try:
        export_archive(archive, partial)
        if target.is_dir():
            shutil.rmtree(target)  # a Zarr group of before
        partial.replace(target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
    return target
