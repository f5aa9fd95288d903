"""Write the reconstruction of an npz file as a Ptychodus product file (HDF5), or read one back.

Metadata default to zeros, pixels to 50 nm (object) and 125 nm (probe). The frames and the positions in pixels go along
in /raw_data, bit for bit, unless --no-include-diffraction leaves them out. Needs h5py (extra hdf5).

Example:
    axds data product --input-npz datasets/run1084.npz --output-product outputs/ptychodus_products/run1084.h5
    axds data product --input-product outputs/ptychodus_products/run1084.h5 --output-npz datasets/again.npz
"""

import argparse
from pathlib import Path

from ..render import add_json, print_json
from ..terminal import print_line

_NUMBERS = {
    "detector-distance-m": (0.0, "detector to object, metres"),
    "probe-energy-eV": (0.0, "photon energy, eV"),
    "exposure-time-s": (0.0, "exposure of each position, seconds"),
    "object-pixel-size-m": (5e-8, "pixel of the object, metres"),
    "probe-pixel-size-m": (1.25e-7, "pixel of the probe, metres"),
    "object-center-x-m": (0.0, "centre of the object, metres"),
    "object-center-y-m": (0.0, "centre of the object, metres"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input-npz", type=Path, metavar="FILE", help="the reconstruction to write as a product")
    source.add_argument("--input-product", type=Path, metavar="FILE", help="a product to read back")
    parser.add_argument("--output-product", type=Path, metavar="FILE", help="the product to write, .h5 or .hdf5")
    parser.add_argument("--output-npz", type=Path, metavar="FILE", help="the npz file to write")
    parser.add_argument("--name", default="", help="name of the product")
    parser.add_argument("--comments", default="", help="what else is to be said")
    for flag, (default, what) in _NUMBERS.items():
        parser.add_argument(f"--{flag}", type=float, default=default, metavar="X", help=f"{what} (default {default:g})")
    parser.add_argument(
        "--include-diffraction", action=argparse.BooleanOptionalAction, default=True, help="add /raw_data (default)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file and print where it is."""
    written = _export(arguments) if arguments.input_npz else _import(arguments)
    if arguments.json:
        print_json({"written": written})
    else:
        print_line(f"wrote {written}")
    return 0


def _export(arguments: argparse.Namespace) -> Path:
    from ...datasets.product import ExportMeta, RawData, export_product_from_rawdata  # noqa: PLC0415 not for --help

    path = _required(arguments.output_product, "--output-product", (".h5", ".hdf5"))
    meta = ExportMeta(
        name=arguments.name,
        comments=arguments.comments,
        detector_distance_m=arguments.detector_distance_m,
        probe_energy_eV=arguments.probe_energy_eV,
        exposure_time_s=arguments.exposure_time_s,
        object_pixel_width_m=arguments.object_pixel_size_m,
        object_pixel_height_m=arguments.object_pixel_size_m,
        probe_pixel_width_m=arguments.probe_pixel_size_m,
        probe_pixel_height_m=arguments.probe_pixel_size_m,
        object_center_x_m=arguments.object_center_x_m,
        object_center_y_m=arguments.object_center_y_m,
    )
    raw = RawData.from_npz(arguments.input_npz)
    export_product_from_rawdata(raw, path, meta, include_raw=arguments.include_diffraction)
    return path


def _import(arguments: argparse.Namespace) -> Path:
    from ...datasets.product import import_product_to_rawdata  # noqa: PLC0415

    path = _required(arguments.output_npz, "--output-npz", (".npz",))
    import_product_to_rawdata(arguments.input_product).to_npz(path)
    return path


def _required(path: Path | None, flag: str, endings: tuple[str, ...]) -> Path:
    if path is None or path.suffix.lower() not in endings:
        raise ValueError(f"expected {flag} with a file that ends in {' or '.join(endings)}, got {path}")
    return path
