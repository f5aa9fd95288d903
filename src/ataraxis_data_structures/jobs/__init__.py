"""Who is working on it: the tracker of jobs and the worker processes' settings."""
