"""Libraries and peers' databases filled without embedding anything, to measure searches and rescans at any size.

The rows are written by the same code that indexing commits with; only names and vectors are made up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage, SeenFile
from clipsearch.catalog.volumes import place_of
from clipsearch.media.decoding import content_hash
from clipsearch.models.encoder import Encoder
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.engine import current_index
from tests.benchmarks.rclip_peer import DATABASE, DIM, Rclip
from tests.benchmarks.vector_search import synthetic_vectors


def made_up_files(count: int) -> Iterator[SeenFile]:
    """Files that are not there, in folders of 500."""
    for number in range(count):
        yield SeenFile(f"{number // 500:04}/IMG_{number:07}.jpg", 3_000_000 + number, 10**18 + number, False)


def fill_library(directory: Path, *, root: Path, files: Iterable[SeenFile], count: int, encoder: Encoder) -> None:
    """Make a library that holds files of a root, each with a content and an embedding of its own.

    Args:
        directory: where the library is made.
        root: the folder that the files are said to be in; it exists.
        files: what the catalog is to know of each.
        count: how many they are.
        encoder: whose embeddings they are to be.
    """
    directory.mkdir(parents=True)
    store = Catalog(directory, create=True)
    try:
        model = store.models.activate(
            spec=encoder.spec, fingerprint=encoder.fingerprint, dim=encoder.dim, precision=encoder.precision
        )
        place = place_of(root)
        root_id = store.roots.add(root, volume_id=place.volume_id, volume_path=place.volume_path)
        left = iter(files)
        for _, vectors in synthetic_vectors(count, encoder.dim):
            seen = list(islice(left, len(vectors)))
            digests = [content_hash(item.relative_path.encode()) for item in seen]
            batch = Batch(
                root_id,
                images=[NewImage(digest, 4000, 3000, "JPEG") for digest in digests],
                embeddings=[NewEmbedding(digest, row) for digest, row in zip(digests, vectors, strict=True)],
                files=[
                    FileRecord(item.relative_path, item.size, item.mtime_ns, digest)
                    for item, digest in zip(seen, digests, strict=True)
                ],
            )
            store.commit(batch, model.id)
        with writer_lock(directory):  # as at the end of indexing: who holds it may train
            current_index(store, model, notify=lambda _: None, locked=True)
    finally:
        store.close()


def fill_database(peer: Rclip, data: Path, *, root: Path, files: Iterable[SeenFile], count: int) -> None:
    """Fill the peer's database with the files and vectors of `fill_library`."""
    probe = root / "empty"
    probe.mkdir(exist_ok=True)
    peer.index(probe, data=data)  # so that the tables are its own
    connection = sqlite3.connect(data / DATABASE)
    vectors = (row.tobytes() for _, block in synthetic_vectors(count, DIM) for row in block)
    rows = (
        (str(root / item.relative_path), item.mtime_ns / 1e9, item.size, vector, f"{number:064x}")
        for number, (item, vector) in enumerate(zip(files, vectors, strict=True))
    )
    try:
        connection.executemany(
            "INSERT INTO images (filepath, modified_at, size, vector, hash) VALUES (?, ?, ?, ?, ?)", rows
        )
        connection.commit()
    finally:
        connection.close()
