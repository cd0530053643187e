"""The options of all evaluations, and their common steps: load the models, measure, write the report."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import debug_option, encoder_options, json_option
from clipsearch.cli.progress import notify_on_stderr

if TYPE_CHECKING:
    from clipsearch.evaluation import EvaluationReport, Progress
    from clipsearch.models.encoder import Encoder

_PATH = click.Path(path_type=Path)

_MIN_RESAMPLES = 100


@dataclass(frozen=True)
class EvaluationSettings:
    """What to measure, and the output.

    Attributes:
        spec: the model; ``None`` if two are compared.
        compare: the two models that are compared; ``None`` if there is one.
        table: captions or labels.
        images: the folder of the pictures in the table.
        split: the split of the table; ``None`` for all rows.
        resamples: bootstrap resamples.
        seed: the random seed.
        as_json: write JSON.
        plot: also write a plot to this file.
        runtime: value of ``--runtime``.
        device: value of ``--device``.
    """

    spec: str | None
    compare: tuple[str, str] | None
    table: Path
    images: Path
    split: str | None
    resamples: int
    seed: int
    as_json: bool
    plot: Path | None
    runtime: str
    device: str

    @property
    def specs(self) -> tuple[str, ...]:
        """The one or two models."""
        return self.compare if self.compare is not None else (self.spec or "",)


def evaluation_options(*, table: str, table_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of every evaluation, passed on as `settings`, an `EvaluationSettings`.

    Args:
        table: the option of the table, ``--captions`` or ``--labels``.
        table_help: its help.
    """
    options = (
        click.option("--model", "spec", metavar="SPEC", help="The model; see: clipsearch models."),
        click.option(
            "--compare",
            nargs=2,
            metavar="A B",
            help="Instead of --model: compare two models.",
        ),
        click.option(table, "table", type=_PATH, metavar="FILE", help=table_help),
        click.option("--images", type=_PATH, metavar="DIR", help="The folder of the pictures or videos in FILE."),
        click.option("--split", metavar="NAME", help="Use only the rows of this split."),
        json_option("Print a JSON object; rates are between 0 and 1."),
        click.option("--plot", type=_PATH, metavar="FILE", help="Also plot the results, as .png or .svg."),
        click.option(
            "--resamples",
            type=click.IntRange(min=_MIN_RESAMPLES),
            default=2000,
            show_default=True,
            metavar="N",
            help="Bootstrap resamples for confidence intervals and p-values.",
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="The random seed."
        ),
        encoder_options,
        debug_option,
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_settings(*arguments: Any, **values: Any) -> Any:
            chosen = {field.name: values.pop(field.name) for field in fields(EvaluationSettings)}
            if click.get_current_context().invoked_subcommand is not None:
                return command(*arguments, settings=None, **values)
            for name, value in ((table, chosen["table"]), ("--images", chosen["images"])):
                if value is None:
                    raise click.UsageError(f"missing option '{name}'", click.get_current_context())
            if (chosen["spec"] is None) == (chosen["compare"] is None):
                message = (
                    "missing option '--model'"
                    if chosen["spec"] is None
                    else "--model cannot be combined with --compare"
                )
                raise click.UsageError(message, click.get_current_context())
            return command(*arguments, settings=EvaluationSettings(**chosen), **values)

        decorated: Callable[..., Any] = with_settings
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def run_evaluation(
    settings: EvaluationSettings,
    measure: Callable[[Encoder, Progress], EvaluationReport],
    *,
    per_model: Callable[[Encoder], None] = lambda encoder: None,
) -> None:
    """Measure one model, or compare two, and write the report.

    Args:
        settings: the options.
        measure: measures a model.
        per_model: called with each model afterwards.
    """
    from clipsearch.cli.evaluation_text import write_reports
    from clipsearch.evaluation import Bootstrap
    from clipsearch.models.loading import load_encoder

    if settings.plot is not None:
        from clipsearch.evaluation.plots import check_plot_path

        check_plot_path(settings.plot)
    reports = []
    for spec in settings.specs:
        encoder = load_encoder(spec, runtime=settings.runtime, device=settings.device, notify=notify_on_stderr)
        progress = EmbeddingProgress()
        try:
            reports.append(measure(encoder, progress))
        finally:
            progress.close()
        per_model(encoder)
    for skipped in reports[0].skipped:
        notify_on_stderr(f"skipping {skipped.image}: {skipped.reason}")
    bootstrap = Bootstrap(settings.resamples, settings.seed)
    write_reports(reports, bootstrap, as_json=settings.as_json)
    if settings.plot is not None:
        from clipsearch.evaluation.plots import plot_reports

        plot_reports(settings.plot, reports, bootstrap)


class EmbeddingProgress:
    """One line on stderr: updated on a terminal, else one per tenth."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last_shown = ("", 0)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show the progress."""
        tenth = 10 * done // total
        if self._terminal:
            click.echo(f"\r\033[Kembedding {what}: {done:,} of {total:,}", err=True, nl=False)
        elif tenth and (what, tenth) != self._last_shown:
            click.echo(f"embedding {what}: {done:,} of {total:,}", err=True)
        self._last_shown = (what, tenth)

    def close(self) -> None:
        """Leave the terminal clean."""
        if self._terminal:
            click.echo("\r\033[K", err=True, nl=False)
