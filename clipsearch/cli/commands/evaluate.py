"""``clipsearch evaluate``: measure a model on pictures with captions or labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.evaluation_options import EvaluationSettings, evaluation_options, run_evaluation

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from clipsearch.evaluation import Progress
    from clipsearch.models.encoder import Encoder

_PATH = click.Path(path_type=Path)

CAPTIONS_HELP = "A table with the columns image, caption (or label) and maybe split: tab-separated, or .csv."
LABELS_HELP = "A table with the columns image, label (or caption) and maybe split: tab-separated, or .csv."
TEMPLATE_HELP = 'Wrap each caption, for example "a photo of a {}".'


@click.group(invoke_without_command=True)
@evaluation_options(table="--captions", says=CAPTIONS_HELP)
@click.option("--template", metavar="TEXT", help=TEMPLATE_HELP)
@click.option(
    "--heatmap", type=_PATH, metavar="FILE", help="Draw the cosines of some pictures and captions too, .png or .svg."
)
@click.pass_context
def evaluate(
    context: click.Context, settings: EvaluationSettings | None, template: str | None, heatmap: Path | None
) -> None:
    """Measure a model, or compare two: retrieval, labels, few-shot, robustness.

    Without a subcommand, retrieval: every caption is searched among all the pictures that the file names, and every
    picture among all captions. Reported are hit rates at 1, 5 and 10, which CLIP papers call R@k, recall, the mean
    reciprocal rank, nDCG and mAP, each with a 95 % interval. No library is read or written.

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
    read_captions(table, split=split, template=template)  # a wrong file is told before a model is fetched
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
@evaluation_options(table="--labels", says=LABELS_HELP)
@click.option("--prompt", default="a photo of {a}", show_default=True, metavar="TEXT", help="The one prompt.")
@click.option(
    "--templates",
    default="photo",
    show_default=True,
    metavar="SET",
    help="The ensemble: a bundled set, or a file of templates.",
)
def labels(settings: EvaluationSettings, prompt: str, templates: str) -> None:
    """Measure zero-shot accuracy and prompts.

    Top-1 and top-5 accuracy with bare labels, one prompt and an ensemble, which of them is better, accuracy class by
    class, and image-to-image mAP: how well a picture finds others of its label.

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
@evaluation_options(table="--labels", says=LABELS_HELP)
@click.option(
    "--templates", metavar="SET", help="Put labels into a bundled set or a file of templates; by default, one prompt."
)
@click.option(
    "--shots", default="1,2,4,8,16", show_default=True, metavar="N,N…", help="Labelled pictures of each class."
)
@click.option(
    "--draws", type=click.IntRange(min=2), default=10, show_default=True, metavar="N", help="How often they are drawn."
)
def few_shot(settings: EvaluationSettings, templates: str | None, shots: str, draws: int) -> None:
    """Measure few-shot curves and a linear probe.

    Zero-shot, a linear probe and both blended, with 1, 2, 4, 8 and 16 labelled pictures of each class; and a linear
    probe of all labels, tested on pictures it did not see.

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
@evaluation_options(table="--captions", says=CAPTIONS_HELP)
@click.option("--template", metavar="TEXT", help=TEMPLATE_HELP)
@click.option(
    "--severity", type=click.IntRange(1, 5), default=3, show_default=True, help="How strong the corruptions are."
)
def robustness(settings: EvaluationSettings, template: str | None, severity: int) -> None:
    """Measure what corrupted pictures cost.

    Retrieval with clean pictures, again with blur, noise, JPEG, small size, grey and rotation, and the gap to clean.

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
@evaluation_options(table="--captions", says=CAPTIONS_HELP)
@click.option("--template", metavar="TEXT", help=TEMPLATE_HELP)
@click.option("--training", type=_PATH, metavar="DIR", help="The folder of the training pictures.")
@click.option("--training-split", metavar="NAME", help="Instead of --training: the split of FILE that was trained on.")
def overlap(
    settings: EvaluationSettings, template: str | None, training: Path | None, training_split: str | None
) -> None:
    """Measure what overlap with training adds.

    Retrieval with and without the pictures that were seen in training: those that the training set has as well, as
    copies or re-saved, cropped, turned or edited. They are found as `clipsearch duplicates` finds them; when two models
    are compared, those that the first one's embeddings lead to count for both.

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


def _shot_counts(line: str) -> list[int]:
    counts = [part.strip() for part in line.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in counts):
        message = f"'--shots': numbers from 1 with commas between them, not {line}"
        raise click.UsageError(message, click.get_current_context())
    return [int(part) for part in counts]


def _refuse_options_before(context: click.Context) -> None:
    """Options of a subcommand belong after it; before it they would be lost."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.expose_value and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} belongs after {context.invoked_subcommand}", context)
