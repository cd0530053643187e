"""What a run embeds as Parquet files, in the form of an export, so that `clipsearch import` takes it elsewhere.

A shard is written before the catalog has its contents, so that what the catalog has of a run is in its shards,
however the run ends. A content may be in two of them then; importing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipsearch.catalog.batch import Batch, image_values
from clipsearch.catalog.blobs import to_blob
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import NewEmbedding, RootRecord
from clipsearch.catalog.transfer import ExchangedFile, ExchangedImage, ExchangedRoot
from clipsearch.errors import ConfigError
from clipsearch.maintenance.transfer import exported_model
from clipsearch.maintenance.transfer.manifest import (
    MANIFEST_NAME,
    ExportedModel,
    Manifest,
    file_checksum,
    read_manifest,
    write_manifest,
)
from clipsearch.maintenance.transfer.parquet import SUFFIX, count_parquet, import_pyarrow, write_parquet
from clipsearch.system import atomic

_UNFINISHED = "unfinished"
"""The directory inside with a manifest that names no files: what the shards of a run at work refer to."""

_PREFIX = "images-"


class Shards:
    """The shards of one directory, to which every run with it adds; the manifest is written when one is done."""

    def __init__(self, store: Catalog, directory: Path) -> None:
        """Bind a catalog and a directory, which is made if need be.

        Raises:
            ConfigError: it holds something else, or cannot be written, or pyarrow is missing.
        """
        import_pyarrow()
        self._store = store
        self._directory = directory
        self._model: ExportedModel | None = None
        self._roots: list[ExchangedRoot] = []
        self._is_noted = False
        with _told(directory):
            directory.mkdir(parents=True, exist_ok=True)
            earlier = [place for place in (directory / _UNFINISHED, directory) if (place / MANIFEST_NAME).exists()]
            if earlier:
                manifest = read_manifest(earlier[0])
                self._model, self._roots = manifest.model, manifest.roots
            elif any(directory.iterdir()):
                raise ConfigError(f"{directory} has other files than shards; choose a new directory")
            self._number = max((int(path.stem.removeprefix(_PREFIX)) for path in self._files()), default=0)

    def keep(self, root: RootRecord, batch: Batch) -> None:
        """Write what a batch embeds, with the files of the batch that hold it.

        Raises:
            ConfigError: it cannot be written, or earlier shards are of another model.
        """
        if not batch.embeddings:
            return
        with _told(self._directory):
            model, index = self._describe(root)
            path = self._directory / f"{_PREFIX}{self._number + 1:08}{SUFFIX}"
            with atomic.replacing(path, durable=True) as file:
                write_parquet(file, [_images(batch, index)], dim=model.dim)
            self._number += 1

    def finish(self) -> None:
        """Say in the manifest what there is.

        Raises:
            ConfigError: it cannot be written, or a shard is damaged.
        """
        if self._model is None:  # nothing was ever kept
            return
        with _told(self._directory):
            files = self._files()
            counts = [count_parquet(path, dim=self._model.dim) for path in files]
            images, embeddings = (sum(column) for column in zip(*counts, strict=True))
            checksums = {path.name: file_checksum(path) for path in files}
            manifest = Manifest("parquet", self._model, self._roots, images, embeddings, checksums)
            write_manifest(self._directory, manifest)
            (self._directory / _UNFINISHED / MANIFEST_NAME).unlink(missing_ok=True)

    def _describe(self, root: RootRecord) -> tuple[ExportedModel, int]:
        """The model, and the index of a root; noted in the directory before the first shard that refers to them."""
        active = self._store.models.active()
        assert active is not None  # a run has chosen its model before it commits
        model = exported_model(active)
        known = self._model or model
        if (known.spec, known.fingerprint, known.dim) != (model.spec, model.fingerprint, model.dim):
            raise ConfigError(f"{self._directory} has shards of {known.spec}; choose another directory")
        place = ExchangedRoot(root.path, root.volume_id, root.volume_path)
        if place not in self._roots:
            self._roots.append(place)
            self._is_noted = False
        if not self._is_noted:
            state = self._directory / _UNFINISHED
            state.mkdir(exist_ok=True)
            write_manifest(state, Manifest("parquet", known, self._roots, 0, 0, {}))
            self._model, self._is_noted = known, True
        return known, self._roots.index(place)

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(f"{_PREFIX}*{SUFFIX}"))


def _images(batch: Batch, root: int) -> list[ExchangedImage]:
    """The contents that a batch embeds."""
    embedded: dict[str, list[NewEmbedding]] = {}
    for embedding in batch.embeddings:
        embedded.setdefault(embedding.content_hash, []).append(embedding)
    files: dict[str, list[ExchangedFile]] = {}
    for file in batch.files:
        files.setdefault(file.content_hash, []).append(
            ExchangedFile(root, file.relative_path, file.size, file.mtime_ns, file.sidecar_stamp, file.sidecar)
        )
    return [
        ExchangedImage(
            image.content_hash,
            image_values(image),
            tuple(image.metadata.keywords),
            tuple(files.get(image.content_hash, ())),
            tuple(embedding.segment for embedding in embedded[image.content_hash]),
            tuple(to_blob(embedding.embedding) for embedding in embedded[image.content_hash]),
        )
        for image in batch.images
        if image.content_hash in embedded
    ]


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    """What is wrong with the directory, as an error for people."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write {directory}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"the shards in {directory} are damaged ({error}); choose another directory") from error
