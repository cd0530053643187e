"""Captions files: which picture is asked for with which words."""

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
        image: name of the picture, relative to the folder of pictures.
        text: what it is asked for with.
    """

    image: str
    text: str


def read_captions(path: Path, *, split: str | None = None, template: str | None = None) -> list[Caption]:
    """Read a captions file; columns ``image``, ``caption`` (or ``label``) and maybe ``split``.

    Tab-separated, without quoting: a quotation mark stands for itself; comma-separated if its name ends in ``.csv``.

    Raises:
        ConfigError: it cannot be read, lacks a column, has a broken row, or has no row of `split`.
    """
    if template is not None and "{}" not in template:
        raise ConfigError(f"the template {template!r} has no {{}} where the caption goes")
    rows = _table_rows(path)
    _, header = next(rows, (0, []))
    columns = [name.strip().lower() for name in header]
    text_column = "caption" if "caption" in columns else "label"
    for wanted in ("image", text_column):
        if wanted not in columns:
            missing = "image" if wanted == "image" else "caption (or label)"
            raise ConfigError(f"{path} has no column {missing}; its first line names {', '.join(columns) or 'nothing'}")
    if split is not None and "split" not in columns:
        raise ConfigError(f"{path} has no column split, so that --split {split} cannot be chosen")

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
        raise ConfigError(f"{path} has no rows of the split {split}; there are: {', '.join(sorted(splits))}")
    if not captions:
        raise ConfigError(f"{path} has no captions")
    return captions


def _table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line number and the fields of each row that is not blank, the header included."""
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
        raise ConfigError(f"the captions file {path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the captions file {path} is not UTF-8 text") from error
    except csv.Error as error:
        raise ConfigError(f"the captions file {path} is damaged: {error}") from error
