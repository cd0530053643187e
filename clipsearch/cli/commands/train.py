"""``clipsearch train``: fine-tune a model on captioned pictures, or train one from scratch."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.heads_training import HEADS, check_video_options, run_heads_training
from clipsearch.cli.options import Choice, debug_option, json_option
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.models.video_heads import HeadType
    from clipsearch.training.report import TrainingProgress, TrainingReport
    from clipsearch.training.settings import PairSource, TrainSettings
    from clipsearch.training.validation import HitRates

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--model", required=True, metavar="SPEC", help="The model to start from; see: clipsearch models.")
@click.option("--images", required=True, type=_PATH, metavar="DIR", help="The folder of the pictures or videos.")
@click.option(
    "--pairs",
    type=_PATH,
    metavar="FILE",
    help="Captions: .tsv or .csv (image, caption), .jsonl, or COCO .json; by default, text files beside the pictures.",
)
@click.option(
    "--video",
    type=_PATH,
    metavar="FILE",
    help="Train temporal heads on clips instead: .tsv or .csv (video, start, end in seconds, caption).",
)
@click.option(
    "--head",
    "heads",
    type=Choice(HEADS),
    multiple=True,
    help="With --video: train only this head; repeatable.",
)
@click.option("--split", metavar="NAME", help="Use only the rows of this split.")
@click.option("--output", required=True, type=_PATH, metavar="DIR", help="The directory of the new model.")
@click.option(
    "--train", "parts", default="heads", show_default=True, metavar="PARTS", help="Train heads, last:N (layers) or all."
)
@click.option(
    "--init",
    type=Choice(["pretrained", "random"]),
    default="pretrained",
    show_default=True,
    help="Initial weights; random trains any open_clip architecture from scratch.",
)
@click.option("--epochs", default=10, show_default=True, metavar="N", help="The maximum number of epochs.")
@click.option("--batch-size", default=64, show_default=True, metavar="N", help="Pictures per batch.")
@click.option(
    "--accumulate",
    default=1,
    show_default=True,
    metavar="N",
    help="Batches per step; the loss contrasts all their pictures.",
)
@click.option("--lr", type=float, metavar="RATE", help="The peak learning rate; the default depends on --train.")
@click.option(
    "--warmup",
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="The share of steps in which the learning rate rises.",
)
@click.option("--weight-decay", default=0.05, show_default=True, metavar="RATE", help="The weight decay of AdamW.")
@click.option(
    "--patience",
    default=3,
    show_default=True,
    metavar="N",
    help="Stop after N epochs without improvement; 0 for never.",
)
@click.option("--seed", default=0, show_default=True, metavar="N", help="The random seed.")
@click.option(
    "--precision",
    type=Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="The arithmetic precision; auto is mixed precision on CUDA and fp32 elsewhere.",
)
@click.option(
    "--device", default="auto", show_default=True, metavar="NAME", help="Train on this device: auto, cpu or cuda."
)
@click.option(
    "--validation",
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="The share of pictures held out for validation.",
)
@click.option(
    "--validation-pairs", type=_PATH, metavar="FILE", help="Instead of --validation: captions of a validation set."
)
@click.option("--validation-images", type=_PATH, metavar="DIR", help="The folder of its pictures, if not --images.")
@click.option(
    "--retention", type=_PATH, metavar="FILE", help="Captions of a retention set, which the model must not forget."
)
@click.option("--retention-images", type=_PATH, metavar="DIR", help="The folder of its pictures, if not --images.")
@click.option("--retention-split", metavar="NAME", help="Use only this split of the retention set.")
@click.option(
    "--retention-loss",
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="The maximum loss of hit rate @10 on the retention set.",
)
@click.option(
    "--ensemble",
    default="auto",
    show_default=True,
    metavar="SHARE",
    help="The share of the trained weights in the result, 0 to 1.",
)
@click.option(
    "--checkpoint-every",
    default=200,
    show_default=True,
    metavar="STEPS",
    help="Write a checkpoint every STEPS steps and after each epoch.",
)
@click.option("--resume", is_flag=True, help="Resume the run in --output, if there is one.")
@json_option("Print the report as a JSON object.")
@debug_option
@click.pass_context
def train(context: click.Context, /, *, video: Path | None, heads: tuple[HeadType, ...], **options: object) -> None:
    """Fine-tune a model on captioned pictures, or train one from scratch.

    Minimizes the contrastive loss of CLIP. The result is a model directory for the option --model of every command.

    Prints the hit rates on held-out pictures after each epoch, and keeps the best epoch. Its weights are averaged with
    the original ones, in the share that is best on the held-out pictures and, with --retention, loses no more than
    --retention-loss on the retention set.

    With --video, the model stays as it is, and the result has temporal heads beside it: an LSTM and a transformer, of
    which the better one makes whole-video embeddings, and a tight head, which re-ranks. One that is no better than the
    mean of the frames on held-out videos is not used.

    An interrupted run continues with --resume and ends with the same weights. See docs/training.md.

    \b
    Examples:
      clipsearch train --model mini --pairs captions.tsv --images photos --output models/mine
      clipsearch train --model base --images photos --output models/mine --train last:2
      clipsearch train --model mini --video clips.tsv --images videos --output models/mine
      clipsearch train --model ViT-S-32-alt --init random --images photos --output models/new
    """
    as_json, resume = bool(options.pop("as_json")), bool(options.pop("resume"))
    check_video_options(context, is_video=video is not None)
    if video is not None:
        options["pairs"] = video
    settings = _settings(**options)  # type: ignore[arg-type]
    if video is not None:
        run_heads_training(settings, heads, resume=resume, as_json=as_json)
        return
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
    **values: object,
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
        **values,  # type: ignore[arg-type]
    )


def _share(text: str) -> float | None:
    try:
        return None if text == "auto" else float(text)
    except ValueError as error:
        raise ConfigError(f"--ensemble takes auto or a number from 0 to 1, not {text!r}") from error


def report_lines(report: TrainingReport) -> str:
    """The report as text, several lines."""
    lines = [
        ("model", display_text(report.model)),
        ("trained", f"{report.parts}, on {format_count(report.pictures, 'picture')} with {report.captions:,} captions"),
        ("epochs", f"{report.epochs}, best {report.best_epoch}"),
    ]
    if report.shares:
        lines.append(("ensemble", f"{report.share:.0%} trained weights, {1 - report.share:.0%} original"))
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
        text += "\nno epoch improved on the original weights, which are the result"
    return text


def _rates(rates: HitRates) -> str:
    return f"{rates.at_1:.1%} / {rates.at_5:.1%} / {rates.at_10:.1%}"


def _plain(report: TrainingReport) -> dict[str, object]:
    return {**asdict(report), "output": str(report.output)}


class _Progress:
    """One line per epoch on stderr; on a terminal also a line that is updated at each step."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def __call__(self, progress: TrainingProgress) -> None:
        epoch = f"epoch {progress.epoch} of {progress.epochs}"
        loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
        if progress.validation is not None:
            self._line(f"{epoch}{loss}: hit rate @1/5/10 {_rates(progress.validation)}")
        elif self._terminal:
            click.echo(f"\r\033[K{epoch}, step {progress.step} of {progress.steps}{loss}", err=True, nl=False)

    def close(self) -> None:
        if self._terminal:
            click.echo("\r\033[K", err=True, nl=False)

    def _line(self, text: str) -> None:
        click.echo(f"\r\033[K{text}" if self._terminal else text, err=True)
