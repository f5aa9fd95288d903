"""Archives: found, opened, verified, read in batches, exported, and what they say of their sessions."""
