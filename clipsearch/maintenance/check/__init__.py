"""Check a library's catalog, vector caches and previews against each other, and repair them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clipsearch.catalog.catalog import Catalog
from clipsearch.maintenance.check.catalog import check_catalog, repair_catalog
from clipsearch.maintenance.check.embeddings import check_embeddings, repair_embeddings
from clipsearch.maintenance.check.findings import DEFAULT_SAMPLE, CheckReport, Checkup, Finding
from clipsearch.maintenance.check.previews import check_previews, count_previews, repair_previews
from clipsearch.maintenance.check.temporaries import check_temporaries, repair_temporaries
from clipsearch.maintenance.check.vector_caches import check_vector_caches, repair_vector_caches
from clipsearch.text import Notify

__all__ = ["CheckReport", "Finding", "check_library", "repair_library"]

_REPAIRS: tuple[tuple[str, Callable[[Checkup], None]], ...] = (
    ("catalog-", repair_catalog),
    ("embedding-", repair_embeddings),
    ("cache-", repair_vector_caches),
    ("temporary", repair_temporaries),
    ("preview-", repair_previews),
)
"""By prefix of the finding's code; the catalog first, as everything else is compared with it."""


def check_library(store: Catalog, *, sample: int | None = DEFAULT_SAMPLE, notify: Notify) -> CheckReport:
    """Look for damage; changes nothing and takes no lock.

    Args:
        store: the catalog.
        sample: number of embeddings and previews of each kind to verify; ``None`` for all.
        notify: callback for one-line user notices.
    """
    checkup = Checkup(store, sample, notify)
    findings = list(check_catalog(checkup))
    if any(finding.code in ("catalog-pages", "catalog-indexes") for finding in findings):
        # other checks of a damaged file would be meaningless
        return CheckReport(0, 0, 0, 0, sample, findings, stopped=True)
    for check in (check_embeddings, check_vector_caches, check_temporaries, check_previews):
        findings += check(checkup)
    counts = store.counts()
    return CheckReport(
        files=counts.files,
        images=counts.images,
        embeddings=store.upkeep.count_embeddings(),
        previews=count_previews(store.directory),
        sample=sample,
        findings=findings,
    )


def repair_library(store: Catalog, *, sample: int | None = DEFAULT_SAMPLE, notify: Notify) -> CheckReport:
    """Check, repair and check again.

    Args:
        store: the catalog.
        sample: see `check_library`; repairs always verify all of a damaged kind.
        notify: callback for one-line user notices.

    Returns:
        The remaining and the repaired findings.

    Raises:
        LibraryLockedError: another process is writing to this library.
        LibraryError: the library is not writable.
    """
    with store.writer_lock():
        report = check_library(store, sample=sample, notify=notify)
        tried: dict[str, Finding] = {}
        for _ in range(2):  # a damaged index hides other damage
            repairable = {
                finding.code: finding for finding in report.findings if finding.repairable and finding.code not in tried
            }
            if not repairable:
                break
            for prefix, repair in _REPAIRS:
                if any(code.startswith(prefix) for code in repairable):
                    repair(Checkup(store, None, notify))
            tried |= repairable
            report = check_library(store, sample=sample, notify=notify)
    remaining = {finding.code for finding in report.findings}
    return replace(report, repaired=[finding for code, finding in tried.items() if code not in remaining])
