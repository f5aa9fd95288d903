"""Write the archives of a log in the format of other programs: Parquet, HDF5 or MCAP, a file for each source.

This needs the libraries of those formats: pip install 'ataraxis-data-structures[export]'.

Example:
    axds log export /data/session_01/rig_data_log --format parquet -o /data/session_01/tables
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from ...logs.export import export_archive
from ..render import add_json, print_json, require, shows_progress
from .session import require_log

_LIBRARIES = {"parquet": "pyarrow", "h5": "h5py", "mcap": "mcap"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    parser.add_argument("--format", choices=sorted(_LIBRARIES), default="parquet", help="default: parquet")
    parser.add_argument("-o", "--output", type=Path, default=Path(), help="the folder to write to (default: here)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the files."""
    contents = require_log(arguments.directory)
    if not contents.archives:
        raise ValueError(f"{arguments.directory}: expected archives, got none; run `axds log assemble` first")
    require(_LIBRARIES[arguments.format], "export")
    arguments.output.mkdir(parents=True, exist_ok=True)
    written = []
    for path in tqdm(contents.archives.values(), desc="export", unit="archive", disable=not shows_progress(arguments)):
        target = arguments.output / f"{path.stem}.{arguments.format}"
        partial = target.with_name(f".partial-{target.name}")
        try:
            export_archive(path, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        written.append(target)
    if arguments.json:
        print_json({"written": written})
    else:
        print("\n".join(map(str, written)))
    return 0
