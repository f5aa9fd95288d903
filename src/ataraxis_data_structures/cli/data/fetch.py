"""Download a file once, whole and checked, into a data store; or load one again that the store knows by its name.

The file becomes the item external/NAME and a plain file of that name. Without --sha256 it is trusted at its first
download, and its hash is printed and recorded. An interrupted download goes on where it was. --auth names the variable
of the environment or of .env that holds the key; the key goes to the URL's host alone.

Example:
    axds data fetch https://zenodo.org/records/1/files/fly001.npz fly001 --sha256 9f86d081884c7d65...
    axds data fetch fly001
"""

import argparse
from pathlib import Path

from ..render import add_json, print_json
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("url", metavar="URL|NAME", help="what to download, or the name of what was downloaded once")
    parser.add_argument("name", nargs="?", help="what to call it (default: the file's name)")
    parser.add_argument("--sha256", metavar="HEX", help="what the file must have")
    parser.add_argument("--auth", metavar="VARIABLE", help="where the key is, as DATASET_API_KEY")
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="longest wait for a piece (default 60)"
    )
    parser.add_argument(
        "--retries", type=int, default=3, metavar="N", help="attempts that may bring nothing (default 3)"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="the data store (default: $AXDS_DATA, else data)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print where the file is and what its hash is."""
    from ...datasets.registry import download_dataset, fetch_again, file_facts  # noqa: PLC0415 not for --help

    options = {"auth": arguments.auth, "timeout": arguments.timeout, "retries": arguments.retries}
    if "://" in arguments.url or arguments.url.startswith("doi:"):
        name = arguments.name or Path(arguments.url.partition("?")[0]).stem
        path = download_dataset(arguments.url, name, arguments.sha256, root=arguments.root, **options)
    else:
        name = arguments.url
        path = fetch_again(name, arguments.sha256, root=arguments.root, **options)
    facts = file_facts(name, root=arguments.root)
    if arguments.json:
        print_json({"name": f"external/{name}", "path": path, **facts})
    else:
        print_line(f"{path}: {facts.get('bytes'):,} bytes, sha256 {facts.get('sha256')}")
    return 0
