"""`python -m ataraxis_data_structures.cli`, for environments without the script."""

from . import main

raise SystemExit(main())
