"""What Prometheus is told: requests, their latency, the batches of texts, the lanes and the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from clipsearch.server.worker_pool import WorkerPool

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TEXTS = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The metrics of one server. Its methods may be called from any thread."""

    def __init__(self) -> None:
        """Make the metrics; all at zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second number beside each, which nothing here is in want of
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "clipsearch_requests",
            "Requests that were answered.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "clipsearch_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._texts = Histogram(
            "clipsearch_batch_texts",
            "Texts that were embedded in one call.",
            buckets=_TEXTS,
            registry=self._registry,
        )
        self._inside = Gauge(
            "clipsearch_lane_requests", "Requests at work or waiting.", ("lane",), registry=self._registry
        )
        self._library = {
            name: Gauge(f"clipsearch_library_{name}", text, registry=self._registry)
            for name, text in (
                ("files", "Picture files in the library."),
                ("pictures", "Distinct pictures among them."),
                ("failures", "Files that could not be read."),
                ("revision", "Rises with every change of the library."),
            )
        }
        ProcessCollector(registry=self._registry)

    def count_request(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, str(status)).observe(seconds)

    def count_batch(self, texts: int) -> None:
        """Count a call of the text tower."""
        self._texts.observe(texts)

    def watch(self, lanes: Sequence[WorkerPool]) -> None:
        """Tell how much is in each lane, whenever somebody asks."""
        for lane in lanes:
            self._inside.labels(lane.name).set_function(_length_of(lane))

    def tell_library(self, *, files: int, pictures: int, failures: int, revision: int) -> None:
        """Say how much the library holds."""
        counts = {"files": files, "pictures": pictures, "failures": failures, "revision": revision}
        for name, count in counts.items():
            self._library[name].set(count)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)


def _length_of(lane: WorkerPool) -> Callable[[], float]:
    return lambda: float(lane.inside)
