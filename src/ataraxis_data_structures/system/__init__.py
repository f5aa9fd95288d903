"""What the operating system gives, once: processes, locks, whole files, the platform, CPUs, progress. No numpy."""
