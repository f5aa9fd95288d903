"""The ledger: its lines, what a name means after them, and how a transaction gets into it."""
