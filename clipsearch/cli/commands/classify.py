"""``clipsearch classify``: zero-shot classification by label names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import QueryCommand, query_line
from clipsearch.cli.options import Settings, common_options, encoder_options, json_option, open_library
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.config import typed_path

if TYPE_CHECKING:
    from clipsearch.labeling.classification import Classification

FOLDERS = "folders"
"""The value of ``--truth`` for which the name of a picture's folder is its true label."""

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Task:
    """What to classify by, from the options.

    Attributes:
        labels: label names; ``None`` to take them from the truth.
        templates: prompt templates for the labels.
        true_labels: true label by path, from a table.
        by_folder: whether the name of a picture's folder is its true label.
    """

    labels: tuple[str, ...] | None
    templates: tuple[str, ...]
    true_labels: Mapping[str, str] | None
    by_folder: bool


@click.command(cls=QueryCommand)
@click.argument("words", metavar="FOLDER|QUERY...", nargs=-1, required=True)
@click.option("--labels", metavar="LIST", help='The label names, for example "plane,car,dog,bird".')
@click.option("--labels-file", type=_FILE, metavar="FILE", help="Read the label names from a file, one per line.")
@click.option(
    "--templates",
    metavar="SET|FILE",
    help="Use a prompt ensemble: photo, sketch, satellite, document, or a file with one template per line.",
)
@click.option(
    "--template",
    "extra_templates",
    multiple=True,
    metavar="TEXT",
    help='Add a prompt template, such as "a drawing of a {}".',
)
@click.option("-k", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Labels per picture.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="With a QUERY: classify the N best results; 1,000 by default.",
)
@click.option(
    "--truth",
    metavar=f"{FOLDERS}|FILE",
    help="Measure the accuracy: true labels are the folder names, or in a table with the columns image and label.",
)
@click.option("--model", "spec", metavar="SPEC", help="With a FOLDER: the model; the library's by default.")
@json_option("Print a JSON object.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Print one JSON object per picture and line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all probabilities as CSV.")
@encoder_options
@common_options
@click.pass_context
def classify(
    context: click.Context,
    *,
    words: tuple[str, ...],
    labels: str | None,
    labels_file: Path | None,
    templates: str | None,
    extra_templates: tuple[str, ...],
    k: int,
    limit: int | None,
    truth: str | None,
    spec: str | None,
    as_json: bool,
    as_jsonl: bool,
    as_csv: bool,
    runtime: str,
    device: str,
) -> None:
    """Classify pictures by label names (zero-shot).

    With a FOLDER, reads and embeds all its pictures and needs no library. With a QUERY, classifies the pictures that
    the query finds in the library. The probabilities of a picture sum to 1 over the labels; if none may fit, add a
    label such as "something else". With --truth, --labels is optional. See docs/labels.md.

    \b
    Examples:
      clipsearch classify ~/Pictures/birds --labels "robin,blackbird,sparrow"
      clipsearch classify folder:Crete date:2021 --labels "beach,town,mountain" --templates photo
      clipsearch classify tests/photos --truth folders --json
    """
    if sum((as_json, as_jsonl, as_csv)) > 1:
        raise click.UsageError("--json, --jsonl and --csv cannot be combined", context)
    task = _task(
        context,
        labels=labels,
        labels_file=labels_file,
        templates=templates,
        extra_templates=extra_templates,
        truth=truth,
    )
    folder = typed_path(words[0]) if len(words) == 1 else None
    if folder is not None and folder.exists():
        classification = _of_folder(context, folder, task, spec=spec, runtime=runtime, device=device)
    else:
        if spec is not None:
            raise click.UsageError("--model requires a FOLDER; a QUERY uses the model of the library", context)
        classification = _of_query(context, query_line(words), task, limit=limit, runtime=runtime, device=device)
    from clipsearch.cli import classification_text

    classification_text.write(
        classification,
        truth=_truth(classification.paths, task),
        k=k,
        as_json=as_json,
        as_jsonl=as_jsonl,
        as_csv=as_csv,
    )


def _task(
    context: click.Context,
    *,
    labels: str | None,
    labels_file: Path | None,
    templates: str | None,
    extra_templates: tuple[str, ...],
    truth: str | None,
) -> _Task:
    """The task, validated before time is spent on pictures."""
    from clipsearch.labeling.zero_shot import (
        DEFAULT_TEMPLATES,
        check_labels,
        check_templates,
        load_templates,
        read_labels,
    )

    if labels is not None and labels_file is not None:
        raise click.UsageError("--labels and --labels-file cannot be combined", context)
    if labels is None and labels_file is None and truth is None:
        raise click.UsageError('--labels is missing, for example: --labels "plane,car,dog,bird"', context)
    named = check_labels(labels.split(",")) if labels is not None else None
    named = read_labels(typed_path(labels_file)) if labels_file is not None else named
    prompts = load_templates(templates) if templates is not None else ()
    prompts += check_templates(extra_templates, "--template") if extra_templates else ()
    true_labels = _read_truth(typed_path(truth)) if truth is not None and truth != FOLDERS else None
    if named is None and true_labels is not None:
        named = check_labels(list(true_labels.values()))
    return _Task(named, prompts or DEFAULT_TEMPLATES, true_labels, truth == FOLDERS)


def _read_truth(file: Path) -> dict[str, str]:
    from clipsearch.evaluation import read_captions

    return {row.image: row.text for row in read_captions(file)}


def _truth(paths: Sequence[Path], task: _Task) -> dict[Path, str]:
    from clipsearch.labeling.classification import folder_truth, listed_truth

    if task.by_folder:
        return folder_truth(paths)
    return listed_truth(paths, task.true_labels) if task.true_labels is not None else {}


def _of_folder(
    context: click.Context, folder: Path, task: _Task, *, spec: str | None, runtime: str, device: str
) -> Classification:
    from clipsearch.labeling.classification import classify as classify_pictures
    from clipsearch.labeling.zero_shot import check_labels
    from clipsearch.models.loading import load_encoder
    from indexer.embed_folder import embed_files, pictures_in

    files = pictures_in(folder, notify=notify_on_stderr)
    labels = task.labels or check_labels(sorted({file.path.parent.name for file in files}))
    chosen = spec or _library_model(context) or _default_model()
    encoder = load_encoder(chosen, runtime=runtime, device=device, notify=notify_on_stderr)
    paths, embeddings = embed_files(encoder, files, notify=notify_on_stderr)
    return classify_pictures(encoder, paths, embeddings, labels=labels, templates=task.templates)


def _of_query(
    context: click.Context, line: str, task: _Task, *, limit: int | None, runtime: str, device: str
) -> Classification:
    from clipsearch.library import MAX_CLASSIFIED

    if task.labels is None:
        raise click.UsageError("a QUERY requires --labels or --labels-file", context)
    with open_library(runtime=runtime, device=device) as library:
        return library.classify(line, task.labels, templates=task.templates, limit=limit or MAX_CLASSIFIED)


def _library_model(context: click.Context) -> str | None:
    """The model of the library, if there is a library."""
    from clipsearch.catalog.lazy_catalog import LazyCatalog
    from clipsearch.catalog.sqlite.file import CATALOG_NAME
    from clipsearch.config import library_place

    place = context.ensure_object(Settings).library or library_place()
    if isinstance(place, Path) and not (place / CATALOG_NAME).is_file():
        return None
    catalog = LazyCatalog(place)
    try:
        model = catalog.active_model()
    finally:
        catalog.close()
    return model.spec if model is not None else None


def _default_model() -> str:
    from clipsearch.models.presets import resolve_auto

    spec, notice = resolve_auto()
    if notice:
        notify_on_stderr(notice)
    return spec
