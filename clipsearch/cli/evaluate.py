"""``clipsearch evaluate``: measure a model on a captions file."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.display import display_text, format_count, format_seconds
from clipsearch.cli.options import debug_option, encoder_options
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import notify_on_stderr

if TYPE_CHECKING:
    from clipsearch.evaluation import RetrievalReport

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--model", "spec", required=True, metavar="SPEC", help="The model to measure; see `clipsearch models`.")
@click.option(
    "--captions",
    required=True,
    type=_PATH,
    metavar="FILE",
    help="A table with the columns image, caption (or label) and maybe split: tab-separated, or .csv.",
)
@click.option("--images", required=True, type=_PATH, metavar="DIR", help="The folder of the pictures that FILE names.")
@click.option("--split", metavar="NAME", help="Use only the rows of this split.")
@click.option("--template", metavar="TEXT", help='Wrap each caption, for example "a photo of a {}".')
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; rates are between 0 and 1.")
@encoder_options
@debug_option
def evaluate(
    *,
    spec: str,
    captions: Path,
    images: Path,
    split: str | None,
    template: str | None,
    as_json: bool,
    runtime: str,
    device: str,
) -> None:
    """Measure a model's text-to-image retrieval.

    Every caption is searched among all the pictures that the file names. Reported are the hit rate at 1, 5
    and 10, which CLIP papers call R@k, and the mean reciprocal rank of the caption's own picture. No library
    is read or written.

    \b
    Example:
      clipsearch evaluate --model mini --captions captions.tsv --images photos --split dev
    """
    from clipsearch.encoders.loading import load_encoder
    from clipsearch.evaluation import evaluate_retrieval, read_captions

    read_captions(captions, split=split, template=template)  # a wrong file is told before a model is fetched
    encoder = load_encoder(spec, runtime=runtime, device=device, notify=notify_on_stderr)
    progress = _Progress()
    try:
        report = evaluate_retrieval(encoder, captions, images, split=split, template=template, progress=progress)
    finally:
        progress.close()
    for skipped in report.skipped:
        notify_on_stderr(f"skipping {skipped.image}: {skipped.reason}")
    if as_json:
        write_json(asdict(report))
    else:
        click.echo(report_lines(report))


def report_lines(report: RetrievalReport) -> str:
    """The report as a person reads it."""
    lines = [
        ("model", display_text(report.model)),
        ("queries", f"{format_count(report.queries, 'caption')}, each among {format_count(report.images, 'picture')}"),
        ("hit rate @1", f"{report.hit_rate_at_1:.1%}"),
        ("hit rate @5", f"{report.hit_rate_at_5:.1%}"),
        ("hit rate @10", f"{report.hit_rate_at_10:.1%}"),
        ("mean reciprocal rank", f"{report.mean_reciprocal_rank:.3f}"),
        ("time", format_seconds(report.seconds)),
    ]
    if report.skipped:
        lines.append(("skipped", format_count(len(report.skipped), "picture")))
    return "\n".join(f"{name:<22}{value}" for name, value in lines)


class _Progress:
    """One line on stderr, rewritten on a terminal; elsewhere a line per tenth."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told = ("", 0)

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total
        if self._terminal:
            click.echo(f"\r\033[Kembedding {what}: {done:,} of {total:,}", err=True, nl=False)
        elif tenth and (what, tenth) != self._told:
            click.echo(f"embedding {what}: {done:,} of {total:,}", err=True)
        self._told = (what, tenth)

    def close(self) -> None:
        if self._terminal:
            click.echo("\r\033[K", err=True, nl=False)
