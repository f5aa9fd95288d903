"""Archives: made from files and journals, opened, verified, read in batches and exported."""
