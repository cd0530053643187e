"""``clipsearch train``: fine-tune a model on pictures with captions, or train one from scratch."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import debug_option
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.training.report import TrainingProgress, TrainingReport
    from clipsearch.training.settings import PairSource, TrainSettings
    from clipsearch.training.validation import HitRates

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--model", required=True, metavar="SPEC", help="The model to start from; see `clipsearch models`.")
@click.option("--images", required=True, type=_PATH, metavar="DIR", help="The folder of the pictures.")
@click.option(
    "--pairs",
    type=_PATH,
    metavar="FILE",
    help="Captions: .tsv or .csv (image, caption), .jsonl, or COCO's .json; without it, files beside the pictures.",
)
@click.option("--split", metavar="NAME", help="Use only the rows of this split.")
@click.option("--output", required=True, type=_PATH, metavar="DIR", help="Where the model goes.")
@click.option(
    "--train", "parts", default="heads", show_default=True, metavar="PARTS", help="heads, last:N (layers) or all."
)
@click.option(
    "--init",
    type=click.Choice(["pretrained", "random"]),
    default="pretrained",
    show_default=True,
    help="random trains any open_clip architecture from scratch.",
)
@click.option("--epochs", default=10, show_default=True, metavar="N", help="Passes over the pictures, at most.")
@click.option("--batch-size", default=64, show_default=True, metavar="N", help="Pictures in memory at once.")
@click.option(
    "--accumulate", default=1, show_default=True, metavar="N", help="Batches that are contrasted in one step."
)
@click.option("--lr", type=float, metavar="RATE", help="Highest learning rate; by default one that suits --train.")
@click.option("--warmup", default=0.1, show_default=True, metavar="SHARE", help="Share of the steps it rises for.")
@click.option("--weight-decay", default=0.05, show_default=True, metavar="RATE", help="Of AdamW.")
@click.option(
    "--patience", default=3, show_default=True, metavar="N", help="Epochs without gain after which to stop; 0: never."
)
@click.option("--seed", default=0, show_default=True, metavar="N", help="The same seed gives the same model.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="Of the arithmetic; auto is mixed precision on CUDA and fp32 elsewhere.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu or cuda.")
@click.option(
    "--validation", default=0.1, show_default=True, metavar="SHARE", help="Share of the pictures to hold out."
)
@click.option("--validation-pairs", type=_PATH, metavar="FILE", help="Held-out captions of their own instead.")
@click.option("--validation-images", type=_PATH, metavar="DIR", help="Their pictures, if not in --images.")
@click.option("--retention", type=_PATH, metavar="FILE", help="Captions of what the model is not to forget.")
@click.option("--retention-images", type=_PATH, metavar="DIR", help="Their pictures, if not in --images.")
@click.option("--retention-split", metavar="NAME", help="Use only these rows of them.")
@click.option(
    "--retention-loss", default=1.0, show_default=True, metavar="POINTS", help="Loss of hit rate @10 there, at most."
)
@click.option(
    "--ensemble", default="auto", show_default=True, metavar="SHARE", help="Of the trained weights in the result, 0-1."
)
@click.option("--checkpoint-every", default=200, show_default=True, metavar="STEPS", help="Besides after each epoch.")
@click.option("--resume", is_flag=True, help="Go on with the run in --output, if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as a JSON object.")
@debug_option
def train(**options: object) -> None:
    """Fine-tune a model on pictures with captions, or train one from scratch.

    Trains by contrast, as CLIP was: each picture is to be nearer to its own caption than to every other one of the
    batch. The result is a model directory for every --model option, `clipsearch migrate` and `clipsearch evaluate`.

    After each epoch the hit rates on held-out pictures are shown, and the best epoch counts. At the end its weights
    are mixed with the original ones, in the share that is best on the held-out pictures and, with --retention, loses
    no more than --retention-loss on what the model could do before.

    An interrupted run goes on with --resume and comes to the same weights as an undisturbed one. docs/training.md
    tells more.

    \b
    Examples:
      clipsearch train --model mini --pairs captions.tsv --images photos --output models/mine
      clipsearch train --model base --images photos --output models/mine --train last:2
      clipsearch train --model ViT-S-32-alt --init random --images photos --output models/new
    """
    as_json, resume = bool(options.pop("as_json")), bool(options.pop("resume"))
    settings = _settings(**options)  # type: ignore[arg-type]
    require_extra("train", "torch", "open_clip", "onnx", what="clipsearch train")
    from clipsearch.training.run import finetune

    shown = _Progress()
    try:
        report = finetune(settings, resume=resume, progress=shown, notify=notify_on_stderr)
    finally:
        shown.close()
    if as_json:
        write_json(_plain(report))
    else:
        click.echo(report_lines(report))


def _settings(
    *,
    images: Path,
    pairs: Path | None,
    split: str | None,
    parts: str,
    ensemble: str,
    validation_pairs: Path | None,
    validation_images: Path | None,
    retention: Path | None,
    retention_images: Path | None,
    retention_split: str | None,
    **others: object,
) -> TrainSettings:
    from clipsearch.training.settings import PairSource, TrainSettings, parse_parts

    def source(captions: Path | None, folder: Path | None, own_split: str | None) -> PairSource | None:
        if captions is None and folder is None:
            return None
        return PairSource(folder or images, captions, own_split)

    return TrainSettings(
        source=PairSource(images, pairs, split),
        parts=parse_parts(parts),
        ensemble=_share(ensemble),
        validation_source=source(validation_pairs, validation_images, None),
        retention_source=source(retention, retention_images, retention_split),
        **others,  # type: ignore[arg-type]
    )


def _share(text: str) -> float | None:
    try:
        return None if text == "auto" else float(text)
    except ValueError as error:
        raise ConfigError(f"--ensemble takes auto or a number from 0 to 1, not {text!r}") from error


def report_lines(report: TrainingReport) -> str:
    """The report as a person reads it."""
    lines = [
        ("model", display_text(report.model)),
        ("trained", f"{report.parts}, on {format_count(report.pictures, 'picture')} with {report.captions:,} captions"),
        ("epochs", f"{report.epochs}, the best was {report.best_epoch}"),
    ]
    if report.shares:
        lines.append(("ensemble", f"{report.share:.0%} of the trained weights, the rest original"))
    for name, count, before, after in (
        ("held out", report.held_out, report.before, report.after),
        ("retention", report.retained, report.retention_before, report.retention_after),
    ):
        if after is not None:
            first = f"{_rates(before)} -> " if before is not None else ""
            lines.append((name, f"{first}{_rates(after)} hit rate @1/5/10, {format_count(count, 'picture')}"))
    if report.skipped:
        lines.append(("skipped", format_count(report.skipped, "picture")))
    lines += [("time", format_seconds(report.seconds)), ("written", display_text(str(report.output)))]
    text = "\n".join(f"{name:<12}{value}" for name, value in lines)
    if report.best_epoch == 0:
        text += "\nno epoch was better on the held-out pictures than the start: the weights are the original's"
    return text


def _rates(rates: HitRates) -> str:
    return f"{rates.at_1:.1%} / {rates.at_5:.1%} / {rates.at_10:.1%}"


def _plain(report: TrainingReport) -> dict[str, object]:
    return {**asdict(report), "output": str(report.output)}


class _Progress:
    """A line for each epoch on stderr; on a terminal also one that is rewritten at each step."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def __call__(self, progress: TrainingProgress) -> None:
        where = f"epoch {progress.epoch} of {progress.epochs}"
        loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
        if progress.validation is not None:
            self._line(f"{where}{loss}: hit rate @1/5/10 {_rates(progress.validation)}")
        elif self._terminal:
            click.echo(f"\r\033[K{where}, step {progress.step} of {progress.steps}{loss}", err=True, nl=False)

    def close(self) -> None:
        if self._terminal:
            click.echo("\r\033[K", err=True, nl=False)

    def _line(self, text: str) -> None:
        click.echo(f"\r\033[K{text}" if self._terminal else text, err=True)
