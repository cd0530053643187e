"""`clipsearch evaluate`: measure a model on a captions file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clipsearch.evaluation import RetrievalReport


@click.command(short_help="Measure a model on a captions file.")
@click.option("--model", "spec", required=True, metavar="SPEC", help="The model to measure; see `clipsearch models`.")
@click.option(
    "--captions",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A table with the columns image, caption (or label) and maybe split: tab-separated, or .csv.",
)
@click.option("--images", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where the pictures are.")
@click.option("--split", metavar="NAME", help="Use only the rows of this split.")
@click.option("--template", metavar="TEXT", help='Wrap each caption, for example "a photo of a {}".')
@click.option(
    "--runtime",
    type=click.Choice(["auto", "onnx", "torch"]),
    default="auto",
    show_default=True,
    help="Run the compiled model, or the original one with torch.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Embedded at once.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    spec: str,
    captions: Path,
    images: Path,
    split: str | None,
    template: str | None,
    runtime: str,
    batch_size: int,
    as_json: bool,
) -> None:
    """Measure how well a model finds pictures by words, without touching any library.

    Every caption is searched among all the pictures that the file names; reported are the hit rate at 1, 5
    and 10 (what CLIP papers call R@k) and the mean reciprocal rank of the caption's own picture.

    Example: clipsearch evaluate --model mini --captions captions.tsv --images photos --split dev
    """
    from clipsearch.encoders.loading import load_encoder
    from clipsearch.evaluation import evaluate_retrieval, read_captions

    read_captions(captions, split=split, template=template)  # a wrong file is told before a model is fetched
    encoder = load_encoder(spec, runtime=runtime, notify=lambda line: click.echo(line, err=True))
    progress = _Progress()
    report = evaluate_retrieval(
        encoder, captions, images, split=split, template=template, batch_size=batch_size, progress=progress
    )
    progress.close()
    for skipped in report.skipped:
        click.echo(f"skipping {skipped.image}: {skipped.reason}", err=True)
    click.echo(json.dumps(asdict(report), ensure_ascii=False, indent=2) if as_json else report_lines(report))


def report_lines(report: RetrievalReport) -> str:
    """The report as a person reads it."""
    lines = [
        ("model", report.model),
        ("queries", f"{report.queries} captions, each among {report.images} images"),
        ("hit rate @1", f"{report.hit_rate_at_1:.1%}"),
        ("hit rate @5", f"{report.hit_rate_at_5:.1%}"),
        ("hit rate @10", f"{report.hit_rate_at_10:.1%}"),
        ("mean reciprocal rank", f"{report.mean_reciprocal_rank:.3f}"),
        ("time", f"{report.seconds:.1f} s"),
    ]
    if report.skipped:
        lines.append(("skipped", f"{len(report.skipped)} images that cannot be read"))
    return "\n".join(f"{name:<22}{value}" for name, value in lines)


class _Progress:
    """One line on stderr, rewritten on a terminal; elsewhere one line per tenth."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told: tuple[str, int] = ("", 0)

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total
        if self._terminal:
            click.echo(f"\r\033[Kembedding {what}: {done} of {total}", err=True, nl=False)
        elif (what, tenth) != self._told and tenth:
            click.echo(f"embedding {what}: {done} of {total}", err=True)
        self._told = (what, tenth)

    def close(self) -> None:
        if self._terminal:
            click.echo("\r\033[K", err=True, nl=False)
