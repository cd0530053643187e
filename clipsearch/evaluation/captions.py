"""Captions files: tables of images and their captions."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipsearch.errors import ConfigError


@dataclass(frozen=True)
class Caption:
    """One row of a captions file.

    Attributes:
        image: path of the image, relative to the image folder.
        text: the caption.
    """

    image: str
    text: str


def read_captions(path: Path, *, split: str | None = None, template: str | None = None) -> list[Caption]:
    """Read a captions file with the columns ``image``, ``caption`` (or ``label``) and optionally ``split``.

    Tab-separated without quoting; comma-separated with quoting if the suffix is ``.csv``.

    Args:
        path: the file.
        split: use only the rows of this split.
        template: text around each caption, which replaces ``{}``.

    Raises:
        ConfigError: the file cannot be read, lacks a column, has a damaged row, or has no row of `split`.
    """
    if template is not None and "{}" not in template:
        raise ConfigError(f"the template {template!r} has no {{}} for the caption")
    rows = table_rows(path)
    _, header = next(rows, (0, []))
    columns = [name.strip().lower() for name in header]
    text_column = "caption" if "caption" in columns else "label"
    for column in ("image", text_column):
        if column not in columns:
            missing = "image" if column == "image" else "caption (or label)"
            raise ConfigError(f"{path} has no column {missing}; the header has {', '.join(columns) or 'no columns'}")
    if split is not None and "split" not in columns:
        raise ConfigError(f"{path} has no column split for --split {split}")

    captions: list[Caption] = []
    splits: set[str] = set()
    for number, fields in rows:
        if len(fields) != len(columns):
            raise ConfigError(f"{path} line {number} has {len(fields)} columns instead of {len(columns)}")
        row = {name: field.strip() for name, field in zip(columns, fields, strict=True)}
        splits.add(row.get("split", ""))
        if split is not None and row["split"] != split:
            continue
        if not row["image"] or not row[text_column]:
            raise ConfigError(f"{path} line {number} has an empty {text_column if row['image'] else 'image'}")
        text = row[text_column] if template is None else template.replace("{}", row[text_column])
        captions.append(Caption(image=row["image"], text=text))
    if not captions and split is not None and splits:
        raise ConfigError(f"{path} has no rows of the split {split}; its splits are {', '.join(sorted(splits))}")
    if not captions:
        raise ConfigError(f"{path} has no captions")
    return captions


def table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each non-blank row, including the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                reader = csv.reader(file, strict=True)
            else:
                reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for fields in reader:
                if any(field.strip() for field in fields):
                    yield reader.line_num, fields
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot read the captions file {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the captions file {path} is not UTF-8 text") from error
    except csv.Error as error:
        raise ConfigError(f"the captions file {path} is damaged: {error}") from error
