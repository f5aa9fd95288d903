"""`axds data`: what data sets hold, and where they come from."""
