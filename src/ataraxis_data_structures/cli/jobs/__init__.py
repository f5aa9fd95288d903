"""Commands on trackers of processing jobs."""
