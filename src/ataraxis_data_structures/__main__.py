"""`python -m ataraxis_data_structures` is `axds`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
