"""The command `axds`, one file for each of its commands."""

import argparse
import sys


def main() -> int:
    """Run the command line and return its exit status."""
    argparse.ArgumentParser(prog="axds", description=__doc__).parse_args(sys.argv[1:])
    return 0
