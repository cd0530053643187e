"""``clipsearch train --video``: from options to temporal heads, and their report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from clipsearch.cli.evaluation_options import EmbeddingProgress
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.models.video_heads import HeadType
    from clipsearch.training.report import TrainingProgress
    from clipsearch.training.settings import TrainSettings
    from clipsearch.training.video.run import HeadsReport

HEADS: tuple[HeadType, ...] = ("lstm", "transformer", "tight")

_OF_PICTURES = (
    "pairs", "parts", "init", "validation_pairs", "validation_images", "retention", "retention_images",
    "retention_split", "retention_loss", "ensemble",
)  # fmt: skip
"""Options that mean nothing for heads."""


def check_video_options(context: click.Context, *, is_video: bool) -> None:
    """Refuse options of pictures with ``--video``, and ``--head`` without it."""
    values = {
        name for name in context.params if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name in _OF_PICTURES if is_video else ("heads",):
        if name in values:
            reason = "cannot be combined with --video" if is_video else "needs --video"
            raise click.UsageError(f"{options[name]} {reason}", context)


def run_heads_training(settings: TrainSettings, heads: Sequence[HeadType], *, resume: bool, as_json: bool) -> None:
    """Train heads and print the report."""
    require_extra("video", what="clipsearch train --video")
    require_extra("train", "torch", "onnx", what="clipsearch train")
    from clipsearch.training.video.fit import LEARNING_RATE
    from clipsearch.training.video.run import train_heads

    shown = EmbeddingProgress()
    try:
        report = train_heads(
            replace(settings, lr=settings.lr or LEARNING_RATE),
            heads or HEADS,
            resume=resume,
            embedding=shown,
            training=_show_epoch,
            notify=notify_on_stderr,
        )
    finally:
        shown.close()
    if as_json:
        write_json({**asdict(report), "output": str(report.output)})
    else:
        click.echo(report_lines(report))


def _show_epoch(kind: HeadType, progress: TrainingProgress) -> None:
    if progress.validation is not None:
        loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
        rates = (progress.validation.at_1, progress.validation.at_5, progress.validation.at_10)
        shown = " / ".join(f"{rate:.1%}" for rate in rates)
        click.echo(f"{kind}, epoch {progress.epoch} of {progress.epochs}{loss}: hit rate @1/5/10 {shown}", err=True)


def report_lines(report: HeadsReport) -> str:
    """The report as text, several lines."""
    clips = f"{format_count(report.clips, 'clip')} with {report.captions:,} captions"
    lines = [
        ("model", display_text(report.model)),
        ("trained", f"{', '.join(kind for kind in report.mean_reciprocal_rank if kind != 'mean')}, on {clips}"),
        ("held out", format_count(report.held_out, "clip")),
        *((kind, f"{rank:.3f} mean reciprocal rank") for kind, rank in report.mean_reciprocal_rank.items()),
        ("used", f"{report.pooling} for whole videos, {report.reranking} for re-ranking"),
    ]
    if report.skipped:
        lines.append(("skipped", format_count(report.skipped, "video")))
    lines += [("time", format_seconds(report.seconds)), ("written", display_text(str(report.output)))]
    return "\n".join(f"{name:<13}{value}" for name, value in lines)
