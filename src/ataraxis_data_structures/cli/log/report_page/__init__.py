"""The report of a session as one page: its figures, its charts and its text."""
