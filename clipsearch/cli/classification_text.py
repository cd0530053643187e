"""The output of ``clipsearch classify``: labels of pictures, and their accuracy."""

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
    from clipsearch.labeling.classification import Classification, LabeledPicture
    from clipsearch.labeling.zero_shot import Accuracy

_MAX_MATRIX = 12
"""Labels up to which the whole confusion matrix is shown; with more, only the most frequent confusions."""

_CONFUSIONS = 10


def write(
    classification: Classification, *, truth: Mapping[Path, str], k: int, as_json: bool, as_jsonl: bool, as_csv: bool
) -> None:
    """Write a classification on stdout.

    Args:
        classification: labels and probabilities of pictures.
        truth: true labels by path.
        k: labels per picture; ``--csv`` has all.
        as_json: one object, accuracy included.
        as_jsonl: one object per picture.
        as_csv: one column per label.
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
        # keep stdout machine-readable
        click.echo("\n".join(accuracy_lines(accuracy, classification.labels)), err=as_jsonl or as_csv)
    if truth and accuracy is None:
        click.echo("no accuracy: no true label is among the labels", err=True)


def accuracy_lines(accuracy: Accuracy, labels: tuple[str, ...]) -> list[str]:
    """The accuracy and the confusion matrix as text."""
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
    if len(labels) <= _MAX_MATRIX:
        cells = [max(len(display_text(label)), len(str(matrix.max()))) for label in labels]
        head = "  ".join(f"{display_text(label):>{cell}}" for label, cell in zip(labels, cells, strict=True))
        rows = [
            f"{display_text(label):<{width}}  "
            + "  ".join(f"{count:>{cell}}" for count, cell in zip(row, cells, strict=True))
            for label, row in zip(labels, matrix.tolist(), strict=True)
        ]
        return ["confusion matrix: rows are true labels, columns predicted labels", f"{'':<{width}}  {head}", *rows]
    wrong = [
        (count, labels[row], labels[column])
        for row, counts in enumerate(matrix.tolist())
        for column, count in enumerate(counts)
        if count and row != column
    ]
    frequent = sorted(wrong, key=lambda item: (-item[0], item[1], item[2]))[:_CONFUSIONS]
    if not frequent:
        return ["no confusions"]
    lines = [f"{count:>4,}  {display_text(one)} → {display_text(other)}" for count, one, other in frequent]
    return ["most frequent confusions (true → predicted)", *lines]


def _write_pictures(pictures: list[LabeledPicture], truth: Mapping[Path, str]) -> None:
    widths = [
        max(len(display_text(picture.labels[rank].name)) for picture in pictures)
        for rank in range(len(pictures[0].labels))
    ]
    for picture in pictures:
        labels = "  ".join(
            f"{label.probability:>6.1%} {display_text(label.name):<{width}}"
            for label, width in zip(picture.labels, widths, strict=True)
        )
        true_label = f"  (true: {display_text(truth[picture.path])})" if picture.path in truth else ""
        click.echo(f"{labels}  {display_path(picture.path)}{true_label}")


def _record(picture: LabeledPicture, truth: Mapping[Path, str]) -> dict[str, Any]:
    return {
        "path": str(picture.path),
        "labels": [{"label": item.name, "probability": round(item.probability, 6)} for item in picture.labels],
        "truth": truth.get(picture.path),
    }


def _as_object(
    classification: Classification,
    pictures: list[LabeledPicture],
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
