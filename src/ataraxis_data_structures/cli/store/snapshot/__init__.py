"""Commands for snapshots of a store."""
