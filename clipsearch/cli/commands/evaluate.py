"""``clipsearch evaluate``: measure a model on pictures with captions or labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.evaluation_options import EvaluationSettings, evaluation_options, run_evaluation
from clipsearch.system.optional_packages import require_extra

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from clipsearch.evaluation import Progress
    from clipsearch.models.encoder import Encoder

_PATH = click.Path(path_type=Path)

CAPTIONS_HELP = "A table with the columns image, caption (or label) and optionally split: tab-separated or .csv."
LABELS_HELP = "A table with the columns image, label (or caption) and optionally split: tab-separated or .csv."
CLIPS_HELP = (
    "A table with the columns video, start, end (seconds), caption and optionally split: tab-separated or .csv."
)
TEMPLATE_HELP = 'Put each caption into a template, for example "a photo of a {}".'


@click.group(invoke_without_command=True)
@evaluation_options(table="--captions", table_help=CAPTIONS_HELP)
@click.option("--template", metavar="TEXT", help=TEMPLATE_HELP)
@click.option(
    "--heatmap",
    type=_PATH,
    metavar="FILE",
    help="Also plot the cosines of a few pictures and captions, as .png or .svg.",
)
@click.pass_context
def evaluate(
    context: click.Context, settings: EvaluationSettings | None, template: str | None, heatmap: Path | None
) -> None:
    """Evaluate a model, or compare two.

    Without a subcommand, measures retrieval: every caption is a query for the pictures of the table, and every picture
    one for the captions. Reports hit rates at 1, 5 and 10 (R@k in CLIP papers), recall, mean reciprocal rank, nDCG and
    mAP, each with a 95 % confidence interval. No library is read or written. See docs/evaluation.md.

    \b
    Examples:
      clipsearch evaluate --model mini --captions captions.tsv --images photos --split dev
      clipsearch evaluate --compare mini local-dir:tuned --captions captions.tsv --images photos
      clipsearch evaluate labels --model mini --labels labels.tsv --images photos
    """
    if settings is None:
        _refuse_options_before(context)
        return
    from clipsearch.evaluation import evaluate_retrieval, pair_similarities, read_captions
    from clipsearch.evaluation.plots import check_plot_path, plot_similarities

    table, images, split = settings.table, settings.images, settings.split
    read_captions(table, split=split, template=template)  # report a bad file before a model is downloaded
    matrices: list[tuple[str, NDArray[float32]]] = []
    texts: list[str] = []

    def draw(encoder: Encoder) -> None:
        if heatmap is not None:
            texts[:], cosines = pair_similarities(encoder, table, images, split=split, template=template)
            matrices.append((encoder.spec, cosines))

    if heatmap is not None:
        check_plot_path(heatmap)
    run_evaluation(
        settings,
        lambda encoder, progress: evaluate_retrieval(
            encoder, table, images, split=split, template=template, progress=progress
        ),
        per_model=draw,
    )
    if heatmap is not None:
        plot_similarities(heatmap, matrices, texts)


@evaluate.command("labels")
@evaluation_options(table="--labels", table_help=LABELS_HELP)
@click.option("--prompt", default="a photo of {a}", show_default=True, metavar="TEXT", help="The single prompt.")
@click.option(
    "--templates",
    default="photo",
    show_default=True,
    metavar="SET",
    help="The prompt ensemble: a bundled set, or a file of templates.",
)
def labels(settings: EvaluationSettings, prompt: str, templates: str) -> None:
    """Measure zero-shot accuracy and prompts.

    Top-1 and top-5 accuracy with bare labels, one prompt and a prompt ensemble, tests between the three, accuracy per
    class, and image-to-image mAP, which measures how well a picture finds others of its label.

    \b
    Example:
      clipsearch evaluate labels --model mini --labels labels.tsv --images photos --plot labels.png
    """
    from clipsearch.evaluation import read_captions
    from clipsearch.evaluation.labels import evaluate_labels
    from clipsearch.labeling.zero_shot import check_templates, load_templates

    chosen = load_templates(templates)
    check_templates([prompt], "--prompt")
    read_captions(settings.table, split=settings.split)
    run_evaluation(
        settings,
        lambda encoder, progress: evaluate_labels(
            encoder,
            settings.table,
            settings.images,
            prompt=prompt,
            templates=chosen,
            split=settings.split,
            progress=progress,
        ),
    )


@evaluate.command("few-shot")
@evaluation_options(table="--labels", table_help=LABELS_HELP)
@click.option(
    "--templates",
    metavar="SET",
    help="The prompt ensemble: a bundled set, or a file of templates; by default one prompt.",
)
@click.option("--shots", default="1,2,4,8,16", show_default=True, metavar="N,N…", help="Labeled pictures per class.")
@click.option(
    "--draws",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    metavar="N",
    help="Random draws per number of shots.",
)
def few_shot(settings: EvaluationSettings, templates: str | None, shots: str, draws: int) -> None:
    """Measure few-shot curves and a linear probe.

    Zero-shot, a linear probe and both combined, with 1, 2, 4, 8 and 16 labeled pictures per class; and a linear probe
    on all labels, tested on held-out pictures.

    \b
    Example:
      clipsearch evaluate few-shot --model mini --labels labels.tsv --images photos --plot curve.svg
    """
    from clipsearch.evaluation import read_captions
    from clipsearch.evaluation.few_shot import evaluate_few_shot
    from clipsearch.labeling.zero_shot import DEFAULT_TEMPLATES, load_templates

    counts = _shot_counts(shots)
    chosen = load_templates(templates) if templates is not None else DEFAULT_TEMPLATES
    read_captions(settings.table, split=settings.split)
    run_evaluation(
        settings,
        lambda encoder, progress: evaluate_few_shot(
            encoder,
            settings.table,
            settings.images,
            templates=chosen,
            shots=counts,
            draws=draws,
            seed=settings.seed,
            split=settings.split,
            progress=progress,
        ),
    )


@evaluate.command("robustness")
@evaluation_options(table="--captions", table_help=CAPTIONS_HELP)
@click.option("--template", metavar="TEXT", help=TEMPLATE_HELP)
@click.option(
    "--severity",
    type=click.IntRange(1, 5),
    default=3,
    show_default=True,
    metavar="N",
    help="The strength of the corruptions.",
)
def robustness(settings: EvaluationSettings, template: str | None, severity: int) -> None:
    """Measure robustness to corrupted pictures.

    Retrieval on clean pictures and on blurred, noisy, JPEG-compressed, downscaled, gray and rotated ones, and the
    difference.

    \b
    Example:
      clipsearch evaluate robustness --model mini --captions captions.tsv --images photos --severity 2
    """
    from clipsearch.evaluation import read_captions
    from clipsearch.evaluation.robustness import evaluate_robustness

    read_captions(settings.table, split=settings.split, template=template)
    run_evaluation(
        settings,
        lambda encoder, progress: evaluate_robustness(
            encoder,
            settings.table,
            settings.images,
            severity=severity,
            seed=settings.seed,
            split=settings.split,
            template=template,
            progress=progress,
        ),
    )


@evaluate.command("overlap")
@evaluation_options(table="--captions", table_help=CAPTIONS_HELP)
@click.option("--template", metavar="TEXT", help=TEMPLATE_HELP)
@click.option("--training", type=_PATH, metavar="DIR", help="The folder of the training pictures.")
@click.option("--training-split", metavar="NAME", help="Instead of --training: the split of FILE used in training.")
def overlap(
    settings: EvaluationSettings, template: str | None, training: Path | None, training_split: str | None
) -> None:
    """Measure the effect of overlap with the training set.

    Retrieval with and without the pictures that are in the training set, too: exact or near-duplicates, as
    `clipsearch duplicates` finds them. In a comparison, the overlap found with the first model is used for both.

    \b
    Example:
      clipsearch evaluate overlap --model mini --captions captions.tsv --images photos --training old
    """
    from clipsearch.evaluation import read_captions
    from clipsearch.evaluation.overlap import OverlapReport, check_training, evaluate_overlap

    read_captions(settings.table, split=settings.split, template=template)
    check_training(training, training_split)
    known: list[OverlapReport] = []

    def measure(encoder: Encoder, progress: Progress) -> OverlapReport:
        report = evaluate_overlap(
            encoder,
            settings.table,
            settings.images,
            training=training,
            training_split=training_split,
            known=known[0] if known else None,
            split=settings.split,
            template=template,
            progress=progress,
        )
        known.append(report)
        return report

    run_evaluation(settings, measure)


@evaluate.command("video")
@evaluation_options(table="--captions", table_help=CLIPS_HELP)
def video(settings: EvaluationSettings) -> None:
    """Measure retrieval of captioned clips of videos.

    Text-to-video and video-to-text hit rates, median and mean rank, by mean pooling of the frame embeddings and by
    every temporal head of the model, which clipsearch train --video adds.

    \b
    Example:
      clipsearch evaluate video --model local-dir:mine --captions clips.tsv --images videos
    """
    from clipsearch.evaluation.clips import read_clips
    from clipsearch.evaluation.video import evaluate_video

    read_clips(settings.table, split=settings.split)
    require_extra("video", what="clipsearch evaluate video")
    run_evaluation(
        settings,
        lambda encoder, progress: evaluate_video(
            encoder, settings.table, settings.images, split=settings.split, progress=progress
        ),
    )


def _shot_counts(line: str) -> list[int]:
    counts = [part.strip() for part in line.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in counts):
        message = f"invalid value for '--shots': {line} is not a list of positive numbers such as 1,2,4"
        raise click.UsageError(message, click.get_current_context())
    return [int(part) for part in counts]


def _refuse_options_before(context: click.Context) -> None:
    """Refuse options before the subcommand, which would have no effect."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.expose_value and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"put {parameter.opts[0]} after {context.invoked_subcommand}", context)
