"""The machine: processors, memory, locks, threads, optional packages and remote files."""
