"""Folders and files as wholes: written, found, summed, moved, removed."""
