"""Evaluation reports as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.output import write_json
from clipsearch.text import display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.evaluation import Bootstrap, Difference, EvaluationReport, Figure

_HARDEST = 10
"""Classes in the text; JSON has all of them."""


def write_reports(reports: Sequence[EvaluationReport], bootstrap: Bootstrap, *, as_json: bool) -> None:
    """Write one report, or two and their comparison, on stdout."""
    from clipsearch.evaluation import compare

    if len(reports) == 1:
        if as_json:
            write_json(report_to_json(reports[0], bootstrap))
        else:
            click.echo("\n".join(report_lines(reports[0], bootstrap)))
        return
    first, second = reports
    differences = compare(first, second, bootstrap)
    if as_json:
        both = {"first": report_to_json(first, bootstrap), "second": report_to_json(second, bootstrap)}
        write_json({**both, "differences": [asdict(difference) for difference in differences]})
    else:
        click.echo("\n".join(comparison_lines(first, second, differences, bootstrap)))


def report_to_json(report: EvaluationReport, bootstrap: Bootstrap) -> dict[str, Any]:
    """A report as an object; docs/evaluation.md lists the fields."""
    from clipsearch.evaluation import RetrievalReport
    from clipsearch.evaluation.video import VideoReport

    fields: dict[str, Any] = {
        "task": report.task,
        "model": report.model,
        "queries": report.queries,
        "images": report.images,
    }
    if isinstance(report, RetrievalReport):
        for name in ("hit_rate_at_1", "hit_rate_at_5", "hit_rate_at_10", "mean_reciprocal_rank"):
            fields[name] = getattr(report, name)
    if isinstance(report, VideoReport):
        fields["ranks"] = [
            {"name": mean.name, "median": asdict(median), "mean": asdict(mean)}
            for median, mean in report.rank_figures(bootstrap)
        ]
    return {
        **fields,
        "figures": [asdict(figure) for figure in report.figures(bootstrap)],
        "contrasts": [asdict(difference) for difference in report.differences(bootstrap)],
        **report.details(),
        "resamples": bootstrap.resamples,
        "seed": bootstrap.seed,
        "seconds": report.seconds,
        "skipped": [asdict(skipped) for skipped in report.skipped],
    }


def report_lines(report: EvaluationReport, bootstrap: Bootstrap) -> list[str]:
    """A report as text."""
    rows = [
        (figure.name, f"{figure.value:.1%}", f"{figure.low:.1%} – {figure.high:.1%}", f"{figure.queries:,}")
        for figure in report.figures(bootstrap)
    ]
    lines = [*_head(report, bootstrap), "", *_table(("Measure", "Value", "95 % interval", "Queries"), rows)]
    contrasts = report.differences(bootstrap)
    if contrasts:
        lines += ["", *_table(("Comparison", *_DIFFERENCE), [(one.name, *_cells(one)) for one in contrasts])]
    return [*lines, *_details(report, bootstrap)]


def comparison_lines(
    first: EvaluationReport, second: EvaluationReport, differences: Sequence[Difference], bootstrap: Bootstrap
) -> list[str]:
    """A comparison of two models as text."""
    rows = [
        (one.name, f"{first.value(one.name):.1%}", f"{second.value(one.name):.1%}", *_cells(one)) for one in differences
    ]
    head = [f"{'A':<10}{display_text(first.model)}", f"{'B':<10}{display_text(second.model)}"]
    return [*head, *_head(first, bootstrap)[1:], "", *_table(("Measure", "A", "B", *_DIFFERENCE), rows)]


_DIFFERENCE = ("Difference", "95 % interval", "p", "McNemar p", "")


def _cells(difference: Difference) -> tuple[str, ...]:
    mcnemar = "" if difference.mcnemar_p is None else _p(difference.mcnemar_p)
    points = (f"{100 * value:+.1f}" for value in (difference.low, difference.high))
    return (
        f"{100 * difference.value:+.1f} points",
        " – ".join(points),
        _p(difference.p_value),
        mcnemar,
        difference.verdict,
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _head(report: EvaluationReport, bootstrap: Bootstrap) -> list[str]:
    pairs = [
        ("model", display_text(report.model)),
        ("data", f"{format_count(report.queries, 'query')}, {format_count(report.images, report.candidates)}"),
        ("intervals", f"{bootstrap.resamples:,} resamples of {report.resampled}, seed {bootstrap.seed}"),
        ("time", format_seconds(report.seconds)),
    ]
    if report.skipped:
        pairs.append(("skipped", format_count(len(report.skipped), "picture")))
    return [f"{name:<10}{value}" for name, value in pairs]


def _details(report: EvaluationReport, bootstrap: Bootstrap) -> list[str]:
    from clipsearch.evaluation.labels import ENSEMBLE, LabelsReport
    from clipsearch.evaluation.overlap import OverlapReport
    from clipsearch.evaluation.video import VideoReport

    if isinstance(report, VideoReport):
        ranks = [
            (mean.name, f"{median.value:.0f}", _ranks(median), f"{mean.value:.1f}", _ranks(mean))
            for median, mean in report.rank_figures(bootstrap)
        ]
        heading = ("Rank", "Median", "95 % interval", "Mean", "95 % interval")
        uses = f"whole-video embeddings: {report.pooling}; re-ranking: {report.reranking}"
        return ["", *_table(heading, ranks), "", uses]
    if isinstance(report, LabelsReport):
        hardest = sorted(report.classes, key=lambda one: one.top_1[ENSEMBLE])[:_HARDEST]
        rows = [
            (
                display_text(one.label),
                f"{one.images:,}",
                *(f"{share:.0%}" for share in one.top_1.values()),
                "" if one.image_map is None else f"{one.image_map:.0%}",
            )
            for one in hardest
        ]
        ways = (f"Top-1 {way}" for way in report.classes[0].top_1)
        return ["", *_table(("Hardest class", "Pictures", *ways, "Image-to-image mAP"), rows)]
    if isinstance(report, OverlapReport):
        share = f"{len(report.seen) / report.images:.1%}"
        count = f"{len(report.seen):,} of {format_count(report.images, 'picture')}"
        return ["", f"{count} ({share}) are also among the {report.training_images:,} of the training set"]
    return []


def _ranks(figure: Figure) -> str:
    return f"{figure.low:.1f} – {figure.high:.1f}"


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Aligned columns: the first to the left, the others to the right, a last one without a heading to the left."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    ends_in_text = heading[-1] == ""
    aligned = []
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        if ends_in_text:
            cells[-1] = line[-1]
        aligned.append("  ".join(cells).rstrip())
    return aligned
