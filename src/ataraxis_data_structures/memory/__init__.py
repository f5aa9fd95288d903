"""Memory that outlives any one process: named segments, the shared array, the queue of records."""
