"""``clipsearch classify``: tell pictures apart by the names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import QueryCommand, query_line
from clipsearch.cli.options import Settings, common_options, encoder_options, open_library
from clipsearch.cli.progress import notify_on_stderr

if TYPE_CHECKING:
    from clipsearch.labeling.classification import Classification

FOLDERS = "folders"
"""The value of ``--truth`` that takes the folders' names for the classes."""

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Asked:
    """What the options say.

    Attributes:
        labels: that are named; ``None`` to take them from the truth.
        templates: that the labels are put into.
        listed: class by path, from a table.
        by_folder: whether the folders' names are the classes.
    """

    labels: tuple[str, ...] | None
    templates: tuple[str, ...]
    listed: Mapping[str, str] | None
    by_folder: bool


@click.command(cls=QueryCommand)
@click.argument("words", metavar="FOLDER|QUERY...", nargs=-1, required=True)
@click.option("--labels", metavar="LIST", help='What to choose from, for example "plane,car,dog,bird".')
@click.option("--labels-file", type=_FILE, metavar="FILE", help="The same, from a file with one label in each line.")
@click.option(
    "--templates",
    metavar="SET|FILE",
    help="Put the labels into several prompts: photo, sketch, satellite, document, or a file with one in each line.",
)
@click.option(
    "--template",
    "extra_templates",
    multiple=True,
    metavar="TEXT",
    help='A prompt of your own, such as "a drawing of a {}".',
)
@click.option("-k", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Labels per picture.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Of a QUERY: classify the N best, not 1,000.")
@click.option(
    "--truth",
    metavar=f"{FOLDERS}|FILE",
    help="Measure: what is true is the name of each picture's folder, or in a table with the columns image and label.",
)
@click.option("--model", "spec", metavar="SPEC", help="For a FOLDER: the model; the library's by default.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Print a JSON object for each picture, one a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table of all probabilities.")
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
    """Tell pictures apart by the names of classes, without examples.

    This is zero-shot classification. Of a FOLDER all pictures are read, and no library is needed; of a QUERY it is the
    pictures that it finds in the library, which are embedded already. The probabilities say which of the labels fits
    best if one of them fits: add a label such as "something else" where none may. Labels may be left out where --truth
    gives them. docs/labels.md has more.

    \b
    Examples:
      clipsearch classify ~/Pictures/birds --labels "robin,blackbird,sparrow"
      clipsearch classify folder:Crete date:2021 --labels "beach,town,mountain" --templates photo
      clipsearch classify tests/photos --truth folders --json
    """
    if sum((as_json, as_jsonl, as_csv)) > 1:
        raise click.UsageError("--json, --jsonl and --csv do not go together", context)
    asked = _asked(
        context,
        labels=labels,
        labels_file=labels_file,
        templates=templates,
        extra_templates=extra_templates,
        truth=truth,
    )
    folder = Path(words[0]).expanduser() if len(words) == 1 else None
    if folder is not None and folder.exists():
        classification = _of_folder(context, folder, asked, spec=spec, runtime=runtime, device=device)
    else:
        if spec is not None:
            raise click.UsageError("--model is for a FOLDER; a library has its own", context)
        classification = _of_query(context, query_line(words), asked, limit=limit, runtime=runtime, device=device)
    from clipsearch.cli import classification_text

    classification_text.write(
        classification,
        truth=_truth(classification.paths, asked),
        k=k,
        as_json=as_json,
        as_jsonl=as_jsonl,
        as_csv=as_csv,
    )


def _asked(
    context: click.Context,
    *,
    labels: str | None,
    labels_file: Path | None,
    templates: str | None,
    extra_templates: tuple[str, ...],
    truth: str | None,
) -> _Asked:
    """What the options say, checked before any time is spent."""
    from clipsearch.labeling.zero_shot import (
        DEFAULT_TEMPLATES,
        check_labels,
        check_templates,
        load_templates,
        read_labels,
    )

    if labels is not None and labels_file is not None:
        raise click.UsageError("--labels and --labels-file do not go together", context)
    if labels is None and labels_file is None and truth is None:
        raise click.UsageError('name the labels to choose from: --labels "plane,car,dog,bird"', context)
    named = check_labels(labels.split(",")) if labels is not None else None
    named = read_labels(labels_file.expanduser()) if labels_file is not None else named
    prompts = load_templates(templates) if templates is not None else ()
    prompts += check_templates(extra_templates, "--template") if extra_templates else ()
    listed = _listed(Path(truth).expanduser()) if truth is not None and truth != FOLDERS else None
    if named is None and listed is not None:
        named = check_labels(list(listed.values()))
    return _Asked(named, prompts or DEFAULT_TEMPLATES, listed, truth == FOLDERS)


def _listed(file: Path) -> dict[str, str]:
    from clipsearch.evaluation import read_captions

    return {row.image: row.text for row in read_captions(file)}


def _truth(paths: Sequence[Path], asked: _Asked) -> dict[Path, str]:
    from clipsearch.labeling.classification import folder_truth, listed_truth

    if asked.by_folder:
        return folder_truth(paths)
    return listed_truth(paths, asked.listed) if asked.listed is not None else {}


def _of_folder(
    context: click.Context, folder: Path, asked: _Asked, *, spec: str | None, runtime: str, device: str
) -> Classification:
    from clipsearch.labeling.classification import classify as classify_pictures
    from clipsearch.labeling.zero_shot import check_labels
    from clipsearch.models.loading import load_encoder
    from indexer.embed_folder import embed_files, pictures_in

    files = pictures_in(folder, notify=notify_on_stderr)
    labels = asked.labels or check_labels(sorted({file.path.parent.name for file in files}))
    chosen = spec or _library_model(context) or _default_model()
    encoder = load_encoder(chosen, runtime=runtime, device=device, notify=notify_on_stderr)
    paths, embeddings = embed_files(encoder, files, notify=notify_on_stderr)
    return classify_pictures(encoder, paths, embeddings, labels=labels, templates=asked.templates)


def _of_query(
    context: click.Context, line: str, asked: _Asked, *, limit: int | None, runtime: str, device: str
) -> Classification:
    from clipsearch.library import MAX_CLASSIFIED

    if asked.labels is None:
        raise click.UsageError("a QUERY needs --labels or --labels-file", context)
    with open_library(runtime=runtime, device=device) as library:
        return library.classify(line, asked.labels, templates=asked.templates, limit=limit or MAX_CLASSIFIED)


def _library_model(context: click.Context) -> str | None:
    """The model of the library at hand, if there is one."""
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
