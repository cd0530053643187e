"""Evaluates a model in all tasks on the training photos' sets, and writes a report.

Run::

    make evaluate DATA=../shared/data
    python -m clipsearch.training.mini.evaluate --data ../shared/data --output docs

Prints Markdown; with ``--output`` it goes to ``evaluation-MODEL.md`` there, with plots beside it. Seeded; several
minutes, most of them for embedding pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from clipsearch.evaluation import Bootstrap, EvaluationReport, Progress, evaluate_retrieval, read_captions
from clipsearch.evaluation.few_shot import evaluate_few_shot
from clipsearch.evaluation.labels import LabelsReport, evaluate_labels
from clipsearch.evaluation.overlap import evaluate_overlap
from clipsearch.evaluation.plots import plot_reports
from clipsearch.evaluation.robustness import evaluate_robustness
from clipsearch.labeling.zero_shot import DEFAULT_TEMPLATES, load_templates
from clipsearch.models.encoder import Encoder
from clipsearch.models.loading import load_encoder
from clipsearch.training.mini.evaluation_markdown import introduction, section
from clipsearch.training.mini.evaluation_sets import coco_captions, named_stamps, stamp_categories, write_labels

PROMPT = DEFAULT_TEMPLATES[0]


@dataclass(frozen=True)
class Task:
    """One part of the report.

    Attributes:
        title: its heading.
        name: of its plot.
        says: what is measured on what, and what to keep in mind.
        measure: measures the model.
    """

    title: str
    name: str
    says: str
    measure: Callable[[Encoder], EvaluationReport]


def tasks(data: Path, scratch: Path, progress: Progress) -> Iterator[Task]:
    """What is measured, in the report's order.

    Args:
        data: the folder of the training photos.
        scratch: for tables of labels.
        progress: progress callback.

    Raises:
        ConfigError: a list is missing.
    """
    flickr, photos = data / "flickr8k" / "captions.tsv", data / "flickr8k" / "images"
    samples, stamps = data / "imagenet-samples", data / "tuxpaint-stamps"
    names = write_labels(scratch / "named-stamps.tsv", named_stamps(data))
    categories = write_labels(scratch / "stamp-categories.tsv", stamp_categories(data))
    english = write_labels(scratch / "coco.tsv", coco_captions(data))
    named = write_labels(scratch / "named.tsv", read_captions(data / "named" / "labels.tsv", split="dev"))

    def labels(table: Path, images: Path, templates: str) -> Callable[[Encoder], LabelsReport]:
        chosen = load_templates(templates)
        return lambda encoder: evaluate_labels(
            encoder, table, images, prompt=PROMPT, templates=chosen, progress=progress
        )

    yield Task(
        "Retrieval on Flickr8k",
        "retrieval",
        "Every caption of the `dev` split searched among its photos, and every photo among their captions.",
        lambda encoder: evaluate_retrieval(encoder, flickr, photos, split="dev", progress=progress),
    )
    yield Task(
        "Retrieval on COCO",
        "coco",
        "English captions of the `dev` photos searched among these photos, and every photo among their captions.",
        lambda encoder: evaluate_retrieval(encoder, english, data / "coco" / "images", progress=progress),
    )
    yield Task(
        "Zero-shot on named pictures",
        "named",
        "Groceries, clothes, scenes, weather, waste and more: the `dev` pictures among all names of the set.",
        labels(named, data / "named" / "images", "photo"),
    )
    yield Task(
        "Label search on the ImageNet samples",
        "label-search",
        f"Every class name, as `{PROMPT}`, searched among one photo of each class.",
        lambda encoder: evaluate_retrieval(
            encoder, samples / "labels.tsv", samples, template=PROMPT.replace("{a}", "a {}"), progress=progress
        ),
    )
    yield Task(
        "Zero-shot on the ImageNet samples",
        "imagenet-samples",
        "Every photo classified by the names of all classes; the ensemble is `data/prompts/photo.txt`.",
        labels(samples / "labels.tsv", samples, "photo"),
    )
    yield Task(
        "Zero-shot on the Tux Paint stamps",
        "stamps",
        "Stamps whose caption is a bare name, classified by all these names; the ensemble is `data/prompts/photo.txt`.",
        labels(names, stamps / "images", "photo"),
    )
    yield Task(
        "Zero-shot on the stamps' categories",
        "stamp-categories",
        "Stamps classified by the names of their folders; the ensemble is `data/prompts/photo.txt`.",
        labels(categories, stamps / "images", "photo"),
    )
    yield Task(
        "Few-shot on the stamps' categories",
        "few-shot",
        "Stamps of folders with at least 21, classified from examples; intervals are over ten draws of the examples.",
        lambda encoder: evaluate_few_shot(encoder, categories, stamps / "images", progress=progress),
    )
    yield Task(
        "Robustness on Flickr8k",
        "robustness",
        "The `dev` split with every photo corrupted.",
        lambda encoder: evaluate_robustness(encoder, flickr, photos, split="dev", progress=progress),
    )
    yield Task(
        "Data overlap of Flickr8k's splits",
        "overlap",
        "Photos of `dev` that are also in `train`, and the figures without them.",
        lambda encoder: evaluate_overlap(
            encoder, flickr, photos, split="dev", training_split="train", progress=progress
        ),
    )


def tell(what: str, done: int, total: int) -> None:
    """Print completed steps to stderr."""
    if done == total:
        click.echo(f"embedded {what}: {total:,}", err=True)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the training photos.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write to.")
@click.option("--model", default="mini", show_default=True, help="The model; what `clipsearch evaluate` takes.")
@click.option("--resamples", default=2000, show_default=True, help="Of the bootstrap.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="A part to measure, by the name of its plot; may be repeated."
)
def main(data: Path, output: Path | None, model: str, resamples: int, only: tuple[str, ...]) -> None:
    """Measure, print or write."""
    encoder = load_encoder(model)
    bootstrap = Bootstrap(resamples)
    name = f"evaluation-{model.replace('/', '-').replace(':', '-')}"
    parts = [introduction(encoder, bootstrap)]
    with tempfile.TemporaryDirectory() as scratch:
        for task in tasks(data, Path(scratch), tell):
            if only and task.name not in only:
                continue
            click.echo(task.title, err=True)
            report = task.measure(encoder)
            plot = None
            if output is not None:
                output.mkdir(parents=True, exist_ok=True)
                plot = output / f"{name}-{task.name}.svg"
                plot_reports(plot, [report], bootstrap)
            parts.append(section(task.title, task.says, report, bootstrap, plot=plot))
            if output is not None:  # after each part, so that an interrupted run keeps its results
                (output / f"{name}.md").write_text("\n".join(parts), encoding="utf-8", newline="\n")
    if output is None:
        click.echo("\n".join(parts))


if __name__ == "__main__":
    main()
