"""Commands on shared memory."""
