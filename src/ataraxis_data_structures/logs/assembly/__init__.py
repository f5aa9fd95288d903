"""Makes archives of message files and journals, all or nothing, each session its own."""
