"""The journal: the one file that every accepted message goes to, its writing and its reading ends."""
