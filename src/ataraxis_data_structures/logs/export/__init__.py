"""Archives in the formats of other programs."""
