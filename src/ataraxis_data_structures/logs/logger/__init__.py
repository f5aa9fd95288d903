"""The logger: what the acquisition program holds, and the process that writes for it."""
