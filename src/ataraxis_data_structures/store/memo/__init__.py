"""Results of functions that are computed once: how arguments become a key, the file of a result, the decorator."""
