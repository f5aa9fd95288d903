"""The page of a logger that runs."""
