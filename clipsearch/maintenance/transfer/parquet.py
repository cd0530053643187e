"""An export as ``images.parquet``, or as several files ``images-….parquet``, for data frames and databases.

One row per content: ``content_hash``, ``width``, ``height``, ``format``, the metadata, ``keywords``, ``files``
(``root`` is an index into the manifest's ``roots``), ``tags`` (``score`` is null from a person, and ``present`` false
where one has said that the tag does not fit), ``segments`` (``kind`` and ``position`` of each that is embedded, the
whole first), ``text`` (JSON: what read the text in it, and its lines) and ``embeddings``, a list of their embeddings,
float16 lists of fixed size. Parquet's text is UTF-8: a byte of a path that is not is written as ``//`` and its two hex
digits, which occur in no other path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from clipsearch.catalog.chunks import CHUNK
from clipsearch.catalog.path_text import path_to_text, text_to_path
from clipsearch.catalog.transfer import IMAGE_FIELDS, REQUIRED_FIELDS, ExchangedImage
from clipsearch.errors import ConfigError
from clipsearch.maintenance.transfer.rows import from_row, to_row

IMAGES_NAME = "images.parquet"
SUFFIX = ".parquet"

_NEWER = frozenset({"segments", "tags", "text", "taken_precision", "taken_source", "position_source", "embedded"}) | {
    "duration_ms",
    "frame_rate",
    "codec",
}
"""Columns that older exports lack."""

_LEAST_FIELDS = 4
"""Of a file: its root, path, size and time of last change."""

_ROW_GROUP = 10 * CHUNK
"""Contents written, and kept in memory, at a time."""


def import_pyarrow() -> Any:
    """Load pyarrow with its Parquet part.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install pyarrow, or take the format npz") from error
    return pyarrow


def write_parquet(file: Path | BinaryIO, blocks: Iterable[list[ExchangedImage]], *, dim: int) -> None:
    """Write contents into a file as they come, one group of rows in memory at a time."""
    pyarrow = import_pyarrow()
    schema = _schema(pyarrow, dim)
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        group: list[ExchangedImage] = []
        for block in blocks:
            group += block
            if len(group) >= _ROW_GROUP:
                writer.write_table(_table(pyarrow, schema, group))
                group = []
        writer.write_table(_table(pyarrow, schema, group))


def read_parquet(path: Path, *, dim: int, roots: int) -> Iterator[list[ExchangedImage]]:
    """Read contents in blocks.

    Args:
        path: the file.
        dim: that their embeddings must have.
        roots: how many roots their files may name.

    Raises:
        ValueError: the file is damaged (pyarrow's own errors are mostly such, too); also `OSError`.
        ConfigError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if not _is_known(file.schema_arrow, _schema(pyarrow, dim)):
                raise ValueError("its columns are not those of an export")
            for batch in file.iter_batches(batch_size=CHUNK):
                yield _images(batch, dim, roots)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def count_parquet(path: Path, *, dim: int) -> tuple[int, int]:
    """How many contents and embeddings a file holds each of whose contents has one, by its footer alone.

    Raises:
        ValueError: as `read_parquet`; also `OSError`.
    """
    pyarrow = import_pyarrow()
    try:
        footer = pyarrow.parquet.read_metadata(path)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    groups = (footer.row_group(number) for number in range(footer.num_row_groups))
    values = sum(group.column(group.num_columns - 1).num_values for group in groups)  # the embeddings come last
    return footer.num_rows, values // dim


def _is_known(found: Any, schema: Any) -> bool:
    """Whether a file has the columns of an export in their order; older ones lack some, and some fields of files."""
    expected = [field for field in schema if field.name in found.names or field.name not in _NEWER]
    if len(expected) != len(found.names):
        return False
    return all(read.equals(field) or _are_files(read, field) for read, field in zip(found, expected, strict=True))


def _are_files(own: Any, field: Any) -> bool:
    fields = _fields(own)
    return (
        own.name == field.name == "files" and len(fields) >= _LEAST_FIELDS and fields == _fields(field)[: len(fields)]
    )


def _fields(files: Any) -> list[Any]:
    """The fields of a column that lists files."""
    kind: Any = getattr(files.type, "value_type", None)
    return [kind.field(number) for number in range(getattr(kind, "num_fields", 0))]


def _schema(pyarrow: Any, dim: int) -> Any:
    types = {
        bool: pyarrow.bool_(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        str: pyarrow.string(),
        bytes: pyarrow.string(),  # as `to_row` writes them
        datetime: pyarrow.timestamp("us"),
    }
    file = pyarrow.struct(
        [
            pyarrow.field("root", pyarrow.int64()),
            pyarrow.field("path", pyarrow.string()),
            pyarrow.field("size", pyarrow.int64()),
            pyarrow.field("mtime_ns", pyarrow.int64()),
            pyarrow.field("sidecar_stamp", pyarrow.string()),
            pyarrow.field("sidecar", pyarrow.string()),
        ]
    )
    tag = pyarrow.struct(
        [
            pyarrow.field("tag", pyarrow.string()),
            pyarrow.field("score", pyarrow.float64()),
            pyarrow.field("present", pyarrow.bool_()),
        ]
    )
    segment = pyarrow.struct([pyarrow.field("kind", pyarrow.string()), pyarrow.field("position", pyarrow.int64())])
    return pyarrow.schema(
        [
            pyarrow.field("content_hash", pyarrow.string(), nullable=False),
            *(
                pyarrow.field(name, types[kind], nullable=name not in REQUIRED_FIELDS)
                for name, kind in IMAGE_FIELDS.items()
            ),
            pyarrow.field("keywords", pyarrow.list_(pyarrow.string())),
            pyarrow.field("files", pyarrow.list_(file)),
            pyarrow.field("from_preview", pyarrow.bool_(), nullable=False),
            pyarrow.field("tags", pyarrow.list_(tag)),
            pyarrow.field("segments", pyarrow.list_(segment)),
            pyarrow.field("text", pyarrow.string()),
            *([pyarrow.field("embeddings", pyarrow.list_(pyarrow.list_(pyarrow.float16(), dim)))] if dim else []),
        ]
    )


def _table(pyarrow: Any, schema: Any, images: list[ExchangedImage]) -> Any:
    rows = [to_row(image, path=path_to_text) for image in images]
    columns = [
        _embeddings(pyarrow, schema.field(name).type, images)
        if name == "embeddings"
        else pyarrow.array([row[name] for row in rows], schema.field(name).type)
        for name in schema.names
    ]
    return pyarrow.Table.from_arrays(columns, schema=schema)


def _embeddings(pyarrow: Any, kind: Any, images: list[ExchangedImage]) -> Any:
    values = np.frombuffer(b"".join(vector for image in images for vector in image.vectors), "<f2")
    vectors = pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(values.astype(np.float16), pyarrow.float16()), type=kind.value_type
    )
    offsets = np.cumsum([0, *(len(image.vectors) for image in images)], dtype=np.int32)
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets), vectors, type=kind)


def _images(batch: Any, dim: int, roots: int) -> list[ExchangedImage]:
    rows = batch.to_pylist() if not dim else batch.drop_columns(["embeddings"]).to_pylist()
    if not dim:
        return [from_row(row, roots=roots, vectors=(), path=text_to_path) for row in rows]
    embeddings = batch.column("embeddings")
    values = embeddings.flatten().flatten().to_numpy(zero_copy_only=False).astype("<f2")
    vectors = (vector.tobytes() for vector in values.reshape(-1, dim))
    return [
        from_row(row, roots=roots, vectors=tuple(islice(vectors, count)), path=text_to_path)
        for row, count in zip(rows, embeddings.value_lengths().fill_null(0).to_pylist(), strict=True)
    ]
