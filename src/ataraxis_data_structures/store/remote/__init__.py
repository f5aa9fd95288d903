"""A store behind a URL: pushed to, pulled from, and read in parts."""

# place      files behind a URL, by fsspec
# chain      the ledger there: segments that are created once, so the second of two pushers is told
# share      push and pull
# arrays     arrays and archives there, read by ranges
