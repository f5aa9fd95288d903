"""`axds data guard`: keeps data files out of git."""
