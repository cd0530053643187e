"""The summary of an indexing run, and of a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipsearch.system.optional_packages import has_extra
from clipsearch.text import display_path, display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.catalog.reports import FileFailure, IndexPreview, IndexReport


def format_report(report: IndexReport) -> str:
    """The summary as text, several lines."""
    speed = f", {report.embedded / report.seconds:.1f} images/s" if report.embedded and report.seconds > 0 else ""
    reused = f" ({report.reused:,} with reused embeddings)" if report.reused else ""
    lines = [
        f"indexed    {format_count(report.indexed, 'picture')} in {format_seconds(report.seconds)}{speed}{reused}",
        f"unchanged  {report.unchanged:,}"
        + (f" ({report.sidecars:,} with changed sidecars)" if report.sidecars else ""),
        f"removed    {report.removed:,}" + (f" (and {report.moved:,} moved)" if report.moved else ""),
    ]
    if report.missing:
        lines.append(f"missing    {report.missing:,} (kept; list them with: clipsearch index --dry-run)")
    if report.excluded:
        lines.append(f"excluded   {report.excluded:,} (list the patterns with: clipsearch roots)")
    lines += [f"offline    {display_path(folder)}" for folder in report.offline]
    if report.unread:
        lines.append(f"not read   {format_kinds(report.unread)}")
    lines.append(f"failed     {len(report.failures):,}")
    return "\n".join(lines + _reasons(report.failures))


def report_to_json(report: IndexReport) -> dict[str, Any]:
    """The output of ``clipsearch index --json``."""
    return {
        "indexed": report.indexed,
        "embedded": report.embedded,
        "reused": report.reused,
        "unchanged": report.unchanged,
        "sidecars": report.sidecars,
        "moved": report.moved,
        "removed": report.removed,
        "missing": report.missing,
        "excluded": report.excluded,
        "unread": report.unread,
        "offline": [str(folder) for folder in report.offline],
        "skipped": _failures_to_json(report.failures),
        "seconds": round(report.seconds, 3),
        "stages": [asdict(stage) | {"seconds": round(stage.seconds, 3)} for stage in report.stages],
    }


def format_stages(report: IndexReport) -> str:
    """The time of each stage, as a table.

    The last column is the throughput of the stage alone.
    """
    shared = max((stage.processes for stage in report.stages), default=0)
    lines = [f"{'stage':<20}{'seconds':>9}{'share':>12}{'images/s':>10}"]
    for stage in report.stages:
        alone = stage.seconds / max(1, stage.processes)
        share = f"{alone / report.seconds:.0%}" if report.seconds else ""
        rate = f"{report.embedded / alone:,.0f}" if report.embedded and alone > 0 else ""
        name = f"{stage.stage} *" if stage.processes else stage.stage
        lines.append(f"{name:<20}{stage.seconds:>9.2f}{share:>12}{rate:>10}".rstrip())
    if shared:
        lines.append(f"* in {format_count(shared, 'decoding process')}")
    return "\n".join(lines)


def format_preview(preview: IndexPreview) -> str:
    """The summary of a dry run as text, with the path of every missing file."""
    lines = [f"missing    {display_path(path)}" for path in preview.gone]
    lines += [f"excluded   {display_path(path)}" for path in preview.excluded]
    lines += [f"offline    {display_path(folder)}" for folder in preview.offline]
    if preview.unread:
        lines.append(f"not read   {format_kinds(preview.unread)}")
    return "\n".join(
        [
            *lines,
            f"would index  {format_count(len(preview.to_read), 'new or changed file')}",
            f"would remove {format_count(len(preview.gone), 'path')} of missing, renamed or moved files",
            f"would skip   {preview.unchanged:,} unchanged, {len(preview.failures):,} failed before",
        ]
    )


def preview_to_json(preview: IndexPreview) -> dict[str, Any]:
    """The output of ``clipsearch index --dry-run --json``."""
    return {
        "to_read": [str(path) for path in preview.to_read],
        "gone": [str(path) for path in preview.gone],
        "excluded": [str(path) for path in preview.excluded],
        "unread": preview.unread,
        "unchanged": preview.unchanged,
        "offline": [str(folder) for folder in preview.offline],
        "failures": _failures_to_json(preview.failures),
    }


def format_kinds(kinds: Mapping[str, int]) -> str:
    """Files of formats that are not read, by kind, and how to have videos among them read.

    >>> format_kinds({"svg": 12, "psd": 3})
    '12 svg, 3 psd'
    """
    from clipsearch.media.formats import VIDEO_SUFFIXES

    counted = ", ".join(f"{count:,} {display_text(kind)}" for kind, count in kinds.items())
    is_missing = any(f".{kind}" in VIDEO_SUFFIXES for kind in kinds) and not has_extra("video")
    return f"{counted} (for videos: pip install 'clipsearch[video]')" if is_missing else counted


def _reasons(failures: Sequence[FileFailure]) -> list[str]:
    """The reasons by frequency."""
    reasons = Counter(display_text(failure.reason) for failure in failures)
    width = len(f"{max(reasons.values(), default=0):,}")
    return [f"  {count:>{width},} × {reason}" for reason, count in reasons.most_common()]


def _failures_to_json(failures: Sequence[FileFailure]) -> list[dict[str, str]]:
    return [{"path": str(failure.path), "reason": failure.reason} for failure in failures]
