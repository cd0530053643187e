"""The machine underneath: processors, memory, locks, threads, optional packages and files elsewhere."""
