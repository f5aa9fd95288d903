"""What several commands find out about a log."""
