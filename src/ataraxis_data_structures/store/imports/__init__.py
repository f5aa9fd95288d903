"""Folders of other programs, taken over into a store."""
