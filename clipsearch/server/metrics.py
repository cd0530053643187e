"""Prometheus metrics: requests, latency, text batches, worker pools and the library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

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
    """The metrics of one server. Thread-safe."""

    def __init__(self) -> None:
        """Register the metrics."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "clipsearch_requests",
            "Answered requests.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "clipsearch_request_seconds",
            "Time from the first byte of a request to the last of its response.",
            ("route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._texts = Histogram(
            "clipsearch_batch_texts",
            "Texts embedded in one call.",
            buckets=_TEXTS,
            registry=self._registry,
        )
        self._pool_requests = Gauge(
            "clipsearch_pool_requests", "Requests running or queued.", ("pool",), registry=self._registry
        )
        self._library = {
            name: Gauge(f"clipsearch_library_{name}", text, registry=self._registry)
            for name, text in (
                ("files", "Picture files in the library."),
                ("pictures", "Distinct pictures among them."),
                ("failures", "Unreadable files."),
                ("revision", "Increases with every change of the library."),
            )
        }
        ProcessCollector(registry=self._registry)

    def count_request(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, str(status)).observe(seconds)

    def count_batch(self, texts: int) -> None:
        """Count a call of the text tower."""
        self._texts.observe(texts)

    def watch(self, pools: Sequence[WorkerPool]) -> None:
        """Report the length of worker pools."""
        for pool in pools:
            self._pool_requests.labels(pool.name).set_function(partial(getattr, pool, "requests"))

    def set_library(self, **counts: int) -> None:
        """Set the library's gauges: files, pictures, failures and revision."""
        for name, count in counts.items():
            self._library[name].set(count)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)
