"""Image-caption pairs from a table, JSON lines, COCO JSON or sidecar files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.evaluation import read_captions
from clipsearch.media.decoding import load_image
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.media.metadata.xmp import read_xmp
from clipsearch.training.settings import PairSource

_TABLES = (".tsv", ".csv", ".txt")
_CAPTION_KEYS = ("captions", "caption", "text", "label")
_IMAGE_KEYS = ("image", "file_name", "filepath", "path")


@dataclass(frozen=True)
class CaptionedImage:
    """An image file with one or more captions."""

    path: Path
    captions: tuple[str, ...]


def read_pairs(source: PairSource) -> list[CaptionedImage]:
    """Read image-caption pairs, in the order of first occurrence, without opening images from a file of pairs.

    The file's suffix determines its format: ``.tsv`` (or ``.txt``) and ``.csv`` are tables as for `clipsearch
    evaluate`, ``.jsonl`` has an object per line with ``image`` and ``caption`` (or ``captions``), ``.json`` is COCO's.
    Without a file, an image's captions are the lines of a ``.txt`` file beside it, or the caption in its XMP sidecar
    or its own metadata.

    Raises:
        ConfigError: the folder or file is missing, damaged, or has no pair.
    """
    if not source.images.is_dir():
        raise ConfigError(f"the image folder {source.images} does not exist")
    captions: dict[str, dict[str, None]] = {}
    for image, caption in _rows(source):
        captions.setdefault(image, {})[caption] = None
    if not captions:
        raise ConfigError(f"{source.pairs or source.images} has no image with a caption")
    return [CaptionedImage(source.images / image, tuple(texts)) for image, texts in captions.items()]


def split_pairs(
    pairs: list[CaptionedImage], share: float, seed: int
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """Split pairs randomly into training and held-out pairs, both in their order.

    Args:
        pairs: the pairs.
        share: held-out share, 0–1; at least two pairs unless 0.
        seed: seed of the split.

    Raises:
        ConfigError: there are too few pairs.
    """
    if not share:
        return list(pairs), []
    count = max(2, round(share * len(pairs)))
    if len(pairs) - count < 2:
        raise ConfigError(f"{len(pairs)} images are too few to hold out {count} of them; see --validation")
    held_out = set(np.random.default_rng([seed, 1]).permutation(len(pairs))[:count].tolist())
    return (
        [pair for number, pair in enumerate(pairs) if number not in held_out],
        [pair for number, pair in enumerate(pairs) if number in held_out],
    )


def _rows(source: PairSource) -> Iterator[tuple[str, str]]:
    """Image names, relative to the folder, and captions."""
    if source.pairs is None:
        return _sidecar_rows(source.images)
    suffix = source.pairs.suffix.lower()
    if suffix in _TABLES:
        return ((row.image, row.text) for row in read_captions(source.pairs, split=source.split))
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(source.pairs, source.split)
    if suffix == ".json":
        return _coco_rows(source.pairs)
    raise ConfigError(f"{source.pairs} has an unknown format; supported are .tsv, .csv, .jsonl and .json (COCO)")


def _json_lines(path: Path, split: str | None) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{path} line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{path} line {number} is not a JSON object")
        if split is None or row.get("split") == split:
            image = _first(row, _IMAGE_KEYS)
            captions = _first(row, _CAPTION_KEYS)
            texts = [captions] if isinstance(captions, str) else captions
            if not isinstance(image, str) or not image or not isinstance(texts, list) or not texts:
                raise ConfigError(f"{path} line {number} needs an image and a caption")
            yield from ((image, _caption(text, f"{path} line {number}")) for text in texts)


def _coco_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Source: Lin et al. 2014, Microsoft COCO; Chen et al. 2015, Microsoft COCO Captions (file format)."""
    try:
        content = json.loads(_text(path))
        names = {image["id"]: image["file_name"] for image in content["images"]}
        captions = [(annotation["image_id"], annotation["caption"]) for annotation in content["annotations"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is not COCO's captions: it needs images and annotations ({error})") from error
    for image, caption in captions:
        if image not in names:
            raise ConfigError(f"{path} has a caption of an unknown image {image}")
        yield names[image], _caption(caption, str(path))


def _sidecar_rows(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            name = path.relative_to(folder).as_posix()
            yield from ((name, caption) for caption in _sidecar_captions(path))


def _sidecar_captions(image: Path) -> list[str]:
    for path in (image.with_suffix(".txt"), image.with_name(f"{image.name}.txt")):
        if path.is_file():
            return [line.strip() for line in _text(path).splitlines() if line.strip()]
    return _embedded_captions(image)


def _embedded_captions(image: Path) -> list[str]:
    """Caption, or else title, of the XMP sidecar or of the image's metadata."""
    for path in (image.with_suffix(".xmp"), image.with_name(f"{image.name}.xmp")):
        if path.is_file():
            xmp = read_xmp(_text(path).encode())
            return [text for text in (xmp.caption or xmp.title,) if text]
    try:
        metadata = load_image(image, min_side=1).metadata
    except ImageReadError:
        return []
    return [text for text in (metadata.caption or metadata.title,) if text]


def _first(row: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((row[key] for key in keys if key in row), None)


def _caption(text: object, where: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{where} has an empty caption")
    return text.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
