"""The benchmark suite: ``make bench`` or ``python -m tests.benchmarks``; see `tests.benchmarks.__main__`."""
