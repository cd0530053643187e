"""Checking a library's catalog, vector caches and previews against each other, and mending what can be mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clipsearch.catalog.catalog import Catalog
from clipsearch.maintenance.check.catalog import check_catalog, mend_catalog
from clipsearch.maintenance.check.embeddings import check_embeddings, mend_embeddings
from clipsearch.maintenance.check.findings import DEFAULT_SAMPLE, CheckReport, Checkup, Finding
from clipsearch.maintenance.check.previews import check_previews, count_previews, mend_previews
from clipsearch.maintenance.check.temporaries import check_temporaries, mend_temporaries
from clipsearch.maintenance.check.vector_caches import check_vector_caches, mend_vector_caches

__all__ = ["CheckReport", "Finding", "check_library", "repair_library"]

_MENDING: tuple[tuple[str, Callable[[Checkup], None]], ...] = (
    ("catalog-", mend_catalog),
    ("embedding-", mend_embeddings),
    ("cache-", mend_vector_caches),
    ("temporary", mend_temporaries),
    ("preview-", mend_previews),
)
"""By how a finding's code begins; the catalog first, since everything else is compared with it."""


def check_library(store: Catalog, *, sample: int | None = DEFAULT_SAMPLE, notify: Callable[[str], None]) -> CheckReport:
    """Look for damage; nothing is changed, and others may read and write meanwhile.

    Args:
        store: the catalog.
        sample: how many embeddings and previews of each kind to look into; ``None`` for all.
        notify: told in one line what takes long.
    """
    checkup = Checkup(store, sample, notify)
    findings = list(check_catalog(checkup))
    if any(finding.code in ("catalog-pages", "catalog-indexes") for finding in findings):
        # whatever else is read from such a file says nothing
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


def repair_library(
    store: Catalog, *, sample: int | None = DEFAULT_SAMPLE, notify: Callable[[str], None]
) -> CheckReport:
    """Check, mend what can be mended, and check again.

    Args:
        store: the catalog.
        sample: as for `check_library`; where a sample holds damage, all of its kind is looked into.
        notify: told in one line what takes long.

    Returns:
        What is left, and what was mended.

    Raises:
        LibraryLockedError: another process is writing to this library.
        LibraryError: the library cannot be written to.
    """
    with store.writer_lock():
        report = check_library(store, sample=sample, notify=notify)
        tried: dict[str, Finding] = {}
        for _ in range(2):  # a damaged index hides what else is wrong
            to_mend = {
                finding.code: finding for finding in report.findings if finding.repairable and finding.code not in tried
            }
            if not to_mend:
                break
            for prefix, mend in _MENDING:
                if any(code.startswith(prefix) for code in to_mend):
                    mend(Checkup(store, None, notify))
            tried |= to_mend
            report = check_library(store, sample=sample, notify=notify)
    left = {finding.code for finding in report.findings}
    return replace(report, mended=[finding for code, finding in tried.items() if code not in left])
