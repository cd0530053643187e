"""What ``clipsearch classify`` writes: labels of pictures, and how often they are right."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.output import write_json
from clipsearch.text import display_path, display_text, format_count

if TYPE_CHECKING:
    from clipsearch.labeling.classification import Classification, LabelledPicture
    from clipsearch.labeling.zero_shot import Accuracy

_WIDEST_MATRIX = 12
"""Labels up to which the confusion matrix is shown as a table; of more, the most frequent confusions."""

_CONFUSIONS = 10


def write(
    classification: Classification, *, truth: Mapping[Path, str], k: int, as_json: bool, as_jsonl: bool, as_csv: bool
) -> None:
    """Write a classification on stdout.

    Args:
        classification: what to write.
        truth: the class of pictures where it is known.
        k: labels of each picture; ``--csv`` has all.
        as_json: one object, accuracy included.
        as_jsonl: an object for each picture.
        as_csv: a column for each label.
    """
    accuracy = classification.accuracy(truth) if truth else None
    pictures = classification.best(k)
    if as_json:
        write_json(_as_object(classification, pictures, truth, accuracy))
    elif as_jsonl:
        for picture in pictures:
            click.echo(json.dumps(_record(picture, truth)))
    elif as_csv:
        _write_csv(classification, truth)
    else:
        _write_pictures(pictures, truth)
    if accuracy is not None and not as_json:
        # where the pictures are data, the figures are told beside them
        click.echo("\n".join(accuracy_lines(accuracy, classification.labels)), err=as_jsonl or as_csv)
    if truth and accuracy is None:
        click.echo("no picture's class is among the labels: nothing could be measured", err=True)


def accuracy_lines(accuracy: Accuracy, labels: tuple[str, ...]) -> list[str]:
    """The figures and the confusion matrix as a person reads them."""
    lines = [
        "",
        f"accuracy over {format_count(accuracy.pictures, 'picture')}: top-1 {accuracy.top1:.1%}, "
        f"top-5 {accuracy.top5:.1%}",
        "",
    ]
    width = max(len(display_text(label)) for label in labels)
    lines.append(f"{'class':<{width}}  pictures   top-1   top-5")
    lines += [
        f"{display_text(one.label):<{width}}  {one.pictures:>8,}  {one.top1:>6.1%}  {one.top5:>6.1%}"
        for one in accuracy.classes
    ]
    return [*lines, "", *_confusion_lines(accuracy, labels, width)]


def _confusion_lines(accuracy: Accuracy, labels: tuple[str, ...], width: int) -> list[str]:
    matrix = accuracy.confusion
    if len(labels) <= _WIDEST_MATRIX:
        cells = [max(len(display_text(label)), len(str(matrix.max()))) for label in labels]
        head = "  ".join(f"{display_text(label):>{cell}}" for label, cell in zip(labels, cells, strict=True))
        rows = [
            f"{display_text(label):<{width}}  "
            + "  ".join(f"{count:>{cell}}" for count, cell in zip(row, cells, strict=True))
            for label, row in zip(labels, matrix.tolist(), strict=True)
        ]
        return ["confusion: a row for each class, a column for what it was taken for", f"{'':<{width}}  {head}", *rows]
    wrong = [
        (count, labels[row], labels[column])
        for row, counts in enumerate(matrix.tolist())
        for column, count in enumerate(counts)
        if count and row != column
    ]
    frequent = sorted(wrong, key=lambda item: (-item[0], item[1], item[2]))[:_CONFUSIONS]
    if not frequent:
        return ["no confusions"]
    taken = [f"{count:>4,}  {display_text(one)} taken for {display_text(other)}" for count, one, other in frequent]
    return ["most frequent confusions", *taken]


def _write_pictures(pictures: list[LabelledPicture], truth: Mapping[Path, str]) -> None:
    widths = [
        max(len(display_text(picture.labels[rank].name)) for picture in pictures)
        for rank in range(len(pictures[0].labels))
    ]
    for picture in pictures:
        labels = "  ".join(
            f"{label.probability:>6.1%} {display_text(label.name):<{width}}"
            for label, width in zip(picture.labels, widths, strict=True)
        )
        known = f"  (is {display_text(truth[picture.path])})" if picture.path in truth else ""
        click.echo(f"{labels}  {display_path(picture.path)}{known}")


def _record(picture: LabelledPicture, truth: Mapping[Path, str]) -> dict[str, Any]:
    return {
        "path": str(picture.path),
        "labels": [{"label": item.name, "probability": round(item.probability, 6)} for item in picture.labels],
        "truth": truth.get(picture.path),
    }


def _as_object(
    classification: Classification,
    pictures: list[LabelledPicture],
    truth: Mapping[Path, str],
    accuracy: Accuracy | None,
) -> dict[str, Any]:
    measured = None
    if accuracy is not None:
        measured = {
            "pictures": accuracy.pictures,
            "top1": accuracy.top1,
            "top5": accuracy.top5,
            "classes": [vars(one) for one in accuracy.classes],
            "confusion": accuracy.confusion.tolist(),
        }
    return {
        "model": classification.model,
        "labels": list(classification.labels),
        "templates": list(classification.templates),
        "pictures": [_record(picture, truth) for picture in pictures],
        "accuracy": measured,
    }


def _write_csv(classification: Classification, truth: Mapping[Path, str]) -> None:
    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\r\n")
    table.writerow(["path", "truth", *classification.labels])
    for path, row in zip(classification.paths, classification.probabilities.tolist(), strict=True):
        table.writerow([str(path), truth.get(path, ""), *(round(value, 6) for value in row)])
    click.echo(written.getvalue().encode("utf-8", "backslashreplace"), nl=False)
