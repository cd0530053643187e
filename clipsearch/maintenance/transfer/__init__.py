"""Exporting a library's paths, metadata, embeddings and concepts to open formats, and importing them again."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.exclusion_patterns import anchored
from clipsearch.catalog.models import MIXED_POOLING
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.transfer import Added, ExchangedImage, ExchangedRoot
from clipsearch.catalog.transfer_concepts import ExchangedConcepts
from clipsearch.errors import ConfigError, IndexMismatchError, LibraryError
from clipsearch.maintenance.check.embeddings import unit_vectors
from clipsearch.maintenance.places import name_places
from clipsearch.maintenance.transfer.concepts import CONCEPTS_NAME, read_concepts, write_concepts
from clipsearch.maintenance.transfer.manifest import (
    FORMATS,
    ExportedModel,
    Manifest,
    file_checksum,
    read_manifest,
    write_manifest,
)
from clipsearch.maintenance.transfer.npz import read_npz, write_npz
from clipsearch.maintenance.transfer.parquet import IMAGES_NAME, SUFFIX, import_pyarrow, read_parquet, write_parquet
from clipsearch.models.parity import spaces_agree
from clipsearch.system import atomic
from clipsearch.text import Notify
from clipsearch.vectors.engine import current_index

__all__ = ["ExportReport", "ImportReport", "export_library", "import_library"]


@dataclass(frozen=True)
class ExportReport:
    """What was exported: distinct pictures, embeddings of them, files that hold them, and named concepts."""

    images: int
    embeddings: int
    files: int
    concepts: int


@dataclass(frozen=True)
class ImportReport:
    """What an import brought.

    Attributes:
        images: contents that the library did not know.
        embeddings: that it did not have.
        files: that it did not know.
        known_files: that it knew already, and left as they were.
        concepts: that it did not know, or to which something was added.
    """

    images: int
    embeddings: int
    files: int
    known_files: int
    concepts: int


def export_library(store: Catalog, directory: Path, *, file_format: str = "npz") -> ExportReport:
    """Write all that the catalog says of the pictures that files hold, and its concepts, into a new directory.

    It is one state of the catalog, also while another process writes. The directory appears whole at the end.

    Args:
        store: the catalog.
        directory: to be made.
        file_format: ``npz`` (``images.jsonl`` and ``embeddings.npz``) or ``parquet`` (``images.parquet``).

    Raises:
        ConfigError: there is something at `directory`, it cannot be written, or `file_format` is unknown or needs a
            package that is not installed.
        LibraryError: embeddings in the catalog are damaged.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"unknown format {file_format}; choose one of: {', '.join(FORMATS)}")
    if file_format == "parquet":
        import_pyarrow()
    with _made_whole(directory) as unfinished, store.exchange.snapshot() as snapshot:
        model = snapshot.model()
        images, embeddings = snapshot.count(model)
        dim = model.dim if model is not None else 0
        counter = _Counter(snapshot.images(model), dim)
        if file_format == "npz":
            write_npz(unfinished, counter, dim=dim, embeddings=embeddings)
        else:
            write_parquet(unfinished / IMAGES_NAME, counter, dim=dim)
        concepts = snapshot.concepts()
        write_concepts(unfinished, concepts)
        checksums = {path.name: file_checksum(path) for path in sorted(unfinished.iterdir())}
        exported = exported_model(model) if model is not None else None
        manifest = Manifest(file_format, exported, snapshot.roots, images, embeddings, checksums, snapshot.exclusions)
        write_manifest(unfinished, manifest)
    return ExportReport(images, embeddings, counter.files, len(concepts.concepts))


def import_library(store: Catalog, directory: Path, *, notify: Notify) -> ImportReport:
    """Add what was exported to a library; no picture is read and nothing is embedded.

    What the library knows already stays as it is; a concept that it knows gets the examples that it lacks. An
    interrupted import goes on when it is done again.

    Args:
        store: the catalog.
        directory: as `export_library` made it.
        notify: callback for one-line user notices.

    Raises:
        ConfigError: it is no export, is damaged, or is of a newer clipsearch; nothing is changed then.
        IndexMismatchError: its embeddings are another model's than the library's.
        LibraryLockedError: another process is writing to this library.
    """
    manifest = read_manifest(directory)
    with _told_as_damage(directory):
        files = _check_contents(directory, manifest)
        concepts = read_concepts(directory) if CONCEPTS_NAME in manifest.checksums else ExchangedConcepts()
    with store.writer_lock():
        model = _model(store, directory, manifest)
        roots = _place_roots(store, directory, manifest.roots)
        _add_exclusions(store, manifest, roots)
        total = Added()
        for block in _read(directory, manifest):
            added = store.exchange.add(block, roots, model.id if model is not None else None)
            total = Added(total.images + added.images, total.embeddings + added.embeddings, total.files + added.files)
        changed = store.exchange.add_concepts(concepts)
        name_places(store)
        if model is not None:
            current_index(store, model, notify=notify, locked=True)
    known = files - total.files
    return ImportReport(total.images, total.embeddings, total.files, known_files=known, concepts=changed)


class _Counter:
    """Passes contents on, counts their files, and sees that their embeddings are sound."""

    def __init__(self, blocks: Iterable[list[ExchangedImage]], dim: int) -> None:
        self._blocks = blocks
        self._dim = dim
        self.files = 0

    def __iter__(self) -> Iterator[list[ExchangedImage]]:
        for block in self._blocks:
            if not _are_sound(block, self._dim):
                raise LibraryError("embeddings in the catalog are damaged; repair them with: clipsearch check --repair")
            self.files += sum(len(image.files) for image in block)
            yield block


@contextmanager
def _made_whole(directory: Path) -> Iterator[Path]:
    """A directory to fill, which gets its name when that is done, and vanishes if it is not."""
    taken = ConfigError(f"there is something at {directory} already; name a directory that is to be made")
    if os.path.lexists(directory):
        raise taken
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        for path in unfinished.iterdir():
            atomic.sync_file(path)
        if os.path.lexists(directory):
            raise taken
        unfinished.rename(directory)
    except OSError as error:
        raise ConfigError(f"cannot write {directory}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _read(directory: Path, manifest: Manifest) -> Iterator[list[ExchangedImage]]:
    dim = manifest.model.dim if manifest.model is not None else 0
    if manifest.file_format == "npz":
        return read_npz(directory, dim=dim, embeddings=manifest.embeddings, roots=len(manifest.roots))
    names = [name for name in manifest.checksums if name.endswith(SUFFIX)]
    if not names:
        raise ValueError("it names no pictures")
    files = (read_parquet(directory / name, dim=dim, roots=len(manifest.roots)) for name in names)
    return chain.from_iterable(files)


def _check_contents(directory: Path, manifest: Manifest) -> int:
    """Read all of an export before anything is changed, and return how many files it names."""
    images = embeddings = files = 0
    dim = manifest.model.dim if manifest.model is not None else 0
    for block in _read(directory, manifest):
        if not _are_sound(block, dim):
            raise ValueError("an embedding is not a unit vector of the model's dimension")
        images += len(block)
        embeddings += sum(len(image.vectors) for image in block)
        files += sum(len(image.files) for image in block)
    if (images, embeddings) != (manifest.images, manifest.embeddings):
        raise ValueError("it does not hold what its manifest says")
    return files


@contextmanager
def _told_as_damage(directory: Path) -> Iterator[None]:
    """What is wrong with the files of an export, as an error for people."""
    try:
        yield
    except (ValueError, TypeError, KeyError, RecursionError, OSError, zipfile.BadZipFile, EOFError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigError(f"the export {directory} is damaged ({reason}); export again") from error


def _are_sound(images: list[ExchangedImage], dim: int) -> bool:
    vectors = [vector for image in images for vector in image.vectors]
    if any(len(vector) != 2 * dim for vector in vectors):
        return False
    return not vectors or bool(unit_vectors(np.frombuffer(b"".join(vectors), "<f2").reshape(-1, dim)).all())


def exported_model(model: ModelRecord) -> ExportedModel:
    """What a manifest says of a model."""
    return ExportedModel(model.spec, model.fingerprint, model.dim, model.precision, model.parity)


def _model(store: Catalog, directory: Path, manifest: Manifest) -> ModelRecord | None:
    """The row of the export's model, which a library without one takes over."""
    exported, active = manifest.model, store.models.active()
    if exported is None:
        return active
    if active is None:
        active = store.models.activate(**vars(exported))
    if active.spec != exported.spec or not spaces_agree(active, exported):
        raise IndexMismatchError(
            f"{directory} has embeddings of the model {exported.spec} ({exported.fingerprint}), the library "
            f"{store.directory} those of {active.spec} ({active.fingerprint}); import it into another one with "
            "--library DIR"
        )
    store.models.set_pooling(active, MIXED_POOLING)  # the export's videos may be pooled by another head
    return active


def _add_exclusions(store: Catalog, manifest: Manifest, placed: list[tuple[int, str]]) -> None:
    """Add the patterns that the library lacks; they come before its own, which go on deciding."""
    _add_lacking(store, manifest.exclusions, store.exclusions.of_library(), None)
    for root, (row_id, prefix) in zip(manifest.roots, placed, strict=True):
        known = next(known for known in store.roots.all() if known.id == row_id)
        patterns = [anchored(pattern, prefix.rstrip("/")) for pattern in root.exclusions]
        _add_lacking(store, patterns, known.exclusions, row_id)
        if not root.default_exclusions and not prefix and not known.files:
            store.exclusions.use_defaults(False, row_id)


def _add_lacking(store: Catalog, patterns: Sequence[str], known: Sequence[str], root_id: int | None) -> None:
    lacking = [pattern for pattern in patterns if pattern not in known]
    if lacking:
        store.exclusions.add([*lacking, *known], root_id)


def _place_roots(store: Catalog, directory: Path, roots: list[ExchangedRoot]) -> list[tuple[int, str]]:
    """For each root of an export, its row in the catalog and what comes before its files' paths there."""
    placed: dict[Path, tuple[int, str]] = {}
    for root in sorted(roots, key=lambda root: len(root.path.parts)):  # outer ones first: they take in the inner
        around = [
            known
            for known in store.roots.all()
            if root.path.is_relative_to(known.path) and (known.path == root.path or known.volume_id == root.volume_id)
        ]
        if not around:
            row_id = store.roots.add(root.path, volume_id=root.volume_id, volume_path=root.volume_path)
            placed[root.path] = (row_id, "")
            continue
        outer = max(around, key=lambda known: len(known.path.parts))
        if None not in (outer.volume_id, root.volume_id) and outer.volume_id != root.volume_id:
            raise ConfigError(
                f"{root.path} is on another drive in the library than in {directory}; say where the library's is "
                "with clipsearch roots move, or import into another library with --library DIR"
            )
        relative = root.path.relative_to(outer.path).as_posix()
        placed[root.path] = (outer.id, "" if relative == "." else f"{relative}/")
    return [placed[root.path] for root in roots]
