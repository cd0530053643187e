"""The summary of an indexing run, and of what one would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipsearch.text import display_path, display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.library import FileFailure, IndexPreview, IndexReport


def format_report(report: IndexReport) -> str:
    """What a run of the indexer did, several lines for people."""
    speed = f", {report.embedded / report.seconds:.1f} images/s" if report.embedded and report.seconds > 0 else ""
    reused = f" ({report.reused:,} of them moved, copied or restored: no inference needed)" if report.reused else ""
    lines = [
        f"indexed    {format_count(report.indexed, 'picture')} in {format_seconds(report.seconds)}{speed}{reused}",
        f"unchanged  {report.unchanged:,}",
        f"removed    {report.removed:,}" + (f" (and {report.moved:,} under their old names)" if report.moved else ""),
    ]
    if report.missing:
        lines.append(f"missing    {report.missing:,} (kept; see: clipsearch index --dry-run)")
    lines += [f"offline    {display_path(folder)}" for folder in report.offline]
    lines.append(f"skipped    {len(report.failures):,}")
    return "\n".join(lines + _reasons(report.failures))


def report_to_json(report: IndexReport) -> dict[str, Any]:
    """What ``clipsearch index --json`` prints."""
    return {
        "indexed": report.indexed,
        "embedded": report.embedded,
        "reused": report.reused,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "removed": report.removed,
        "missing": report.missing,
        "offline": [str(folder) for folder in report.offline],
        "skipped": _failures_to_json(report.failures),
        "seconds": round(report.seconds, 3),
        "stages": [asdict(stage) | {"seconds": round(stage.seconds, 3)} for stage in report.stages],
    }


def format_stages(report: IndexReport) -> str:
    """Where the time of a run went; for people.

    The last column is how fast the run would have been if that stage had been all there was to do.
    """
    shared = max((stage.processes for stage in report.stages), default=0)
    lines = [f"{'stage':<20}{'seconds':>9}{'of the run':>12}{'images/s':>10}"]
    for stage in report.stages:
        alone = stage.seconds / max(1, stage.processes)
        share = f"{alone / report.seconds:.0%}" if report.seconds else ""
        rate = f"{report.embedded / alone:,.0f}" if report.embedded and alone > 0 else ""
        name = f"{stage.stage} *" if stage.processes else stage.stage
        lines.append(f"{name:<20}{stage.seconds:>9.2f}{share:>12}{rate:>10}".rstrip())
    if shared:
        lines.append(f"* shared by {shared} decoding process{'es' if shared > 1 else ''} beside this one")
    return "\n".join(lines)


def format_preview(preview: IndexPreview) -> str:
    """What a run would do, with the name of every file that is gone; for people."""
    lines = [f"gone       {display_path(path)}" for path in preview.gone]
    lines += [f"offline    {display_path(folder)}" for folder in preview.offline]
    return "\n".join(
        [
            *lines,
            f"would read      {format_count(len(preview.to_read), 'new or changed file')}",
            f"would remove    {format_count(len(preview.gone), 'old name')} of files gone, renamed or moved",
            f"would pass over {preview.unchanged:,} unchanged, {len(preview.failures):,} unreadable",
        ]
    )


def preview_to_json(preview: IndexPreview) -> dict[str, Any]:
    """What ``clipsearch index --dry-run --json`` prints."""
    return {
        "to_read": [str(path) for path in preview.to_read],
        "gone": [str(path) for path in preview.gone],
        "unchanged": preview.unchanged,
        "offline": [str(folder) for folder in preview.offline],
        "failures": _failures_to_json(preview.failures),
    }


def _reasons(failures: Sequence[FileFailure]) -> list[str]:
    """How often each reason occurs, the most frequent first."""
    reasons = Counter(display_text(failure.reason) for failure in failures)
    width = len(f"{max(reasons.values(), default=0):,}")
    return [f"  {count:>{width},} × {reason}" for reason, count in reasons.most_common()]


def _failures_to_json(failures: Sequence[FileFailure]) -> list[dict[str, str]]:
    return [{"path": str(failure.path), "reason": failure.reason} for failure in failures]
