"""The vector index alone, for the report: see `tests.benchmarks.vector_search`."""

from __future__ import annotations

from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import Figures, growth_exponent
from tests.benchmarks.vector_search import measure as measure_searches


def measure(setting: Setting) -> Figures:
    """Building, opening, searching and recall by number of vectors, and how the time of a search grows."""
    figures = measure_searches(setting)
    sizes: dict[str, Figures] = figures["sizes"]  # type: ignore[assignment]
    counts = [int(count) for count in sizes]
    times = [found["search"]["p50_ms"] for found in sizes.values()]  # type: ignore[index]
    return {**figures, "growth": {"vectors": counts, "exponent": growth_exponent(counts, times)}}
