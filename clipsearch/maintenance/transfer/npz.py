"""An export as ``images.jsonl`` and ``embeddings.npz``, which every language reads.

A line of the first is a JSON object: ``content_hash``, ``width``, ``height``, ``format``, the metadata that the
picture has, ``keywords``, ``files`` (``root`` is an index into the manifest's ``roots``), ``tags`` (``score`` is null
from a person, and ``present`` false where one has said that the tag does not fit), ``segments`` (``kind`` and
``position`` of each that is embedded, the whole first) and ``embedding``, the row of the first segment in the array
``embeddings`` (float16) of the second file, or null; the other segments' rows follow. A byte of a path that is not
UTF-8 is a lone surrogate, ``\\udc80`` to ``\\udcff``, as in `os.fsdecode`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np

from clipsearch.catalog.chunks import CHUNK
from clipsearch.catalog.transfer import ExchangedImage
from clipsearch.maintenance.transfer.rows import from_row, to_row, typed

IMAGES_NAME = "images.jsonl"
EMBEDDINGS_NAME = "embeddings.npz"
_ARRAY = "embeddings.npy"
_DTYPE = np.dtype("<f2")


def write_npz(directory: Path, blocks: Iterable[list[ExchangedImage]], *, dim: int, embeddings: int) -> None:
    """Write contents as they come, one block in memory at a time.

    Args:
        directory: where the files go.
        blocks: the contents.
        dim: of their embeddings.
        embeddings: how many the contents have.
    """
    row = 0
    with (
        (directory / IMAGES_NAME).open("w", encoding="ascii", newline="\n") as lines,
        zipfile.ZipFile(directory / EMBEDDINGS_NAME, "w") as archive,
        # a fixed date, so that the same embeddings are the same bytes
        archive.open(zipfile.ZipInfo(_ARRAY), "w", force_zip64=True) as array,
    ):
        header = {"descr": _DTYPE.str, "fortran_order": False, "shape": (embeddings, dim)}
        np.lib.format.write_array_header_1_0(array, header)
        for block in blocks:
            for image in block:
                values = {name: value for name, value in to_row(image).items() if value is not None}
                values["embedding"] = row if image.vectors else None
                lines.write(json.dumps(values, default=datetime.isoformat) + "\n")
                array.write(b"".join(image.vectors))
                row += len(image.vectors)


def read_npz(directory: Path, *, dim: int, embeddings: int, roots: int) -> Iterator[list[ExchangedImage]]:
    """Read contents in blocks.

    Args:
        directory: where the files are.
        dim: that their embeddings must have.
        embeddings: how many there must be.
        roots: how many roots their files may name.

    Raises:
        ValueError: the files are damaged; also `zipfile.BadZipFile` and `OSError`.
    """
    with (
        (directory / IMAGES_NAME).open(encoding="utf-8") as lines,
        zipfile.ZipFile(directory / EMBEDDINGS_NAME) as archive,
        archive.open(_ARRAY) as array,
    ):
        _check_header(array, (embeddings, dim))
        block: list[ExchangedImage] = []
        row = 0
        for line in lines:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("a line is not a JSON object")
            first_row = values.pop("embedding", None)
            if "segments" in values:
                count = len(typed("segments", values["segments"], list))
            else:  # an older export: the number of tiles, if any
                count = 0 if first_row is None else 1 + typed("parts", values.pop("parts", 0), int)
            if first_row != (row if count else None) or not 0 <= count <= embeddings - row:
                raise ValueError("its embeddings are out of order")
            vectors = tuple(array.read(dim * _DTYPE.itemsize) for _ in range(count))
            row += count
            block.append(from_row(values, roots=roots, vectors=vectors))
            if len(block) == CHUNK:
                yield block
                block = []
        yield block


def _check_header(array: IO[bytes], shape: tuple[int, int]) -> None:
    header: tuple[Any, ...] = ()
    if np.lib.format.read_magic(array) == (1, 0):
        header = np.lib.format.read_array_header_1_0(array)
    if header != (shape, False, _DTYPE):
        raise ValueError(f"its array is not float16 of shape {shape[0]} × {shape[1]}")
