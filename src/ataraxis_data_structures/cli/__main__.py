"""`python -m ataraxis_data_structures.cli`, for environments without the script."""

from . import main

if __name__ == "__main__":
    raise SystemExit(main())
