"""The bare limit of each stage of indexing: what it would reach if the others cost nothing.

Each is measured alone, warm, and without the start of processes. On a machine where decoding and inference share the
same cores both cannot reach their limit at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.media.decoding import content_hash, read_image_bytes
from clipsearch.media.transform import ImageTransform
from clipsearch.models.encoder import Encoder
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.system.cpu import available_cores
from indexer.embedding import SMALL_BATCH
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool
from tests.benchmarks.indexing import COUNTS, QUICK_COUNTS, photos_of
from tests.benchmarks.photos import SIZES
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import Figures, rate, say
from tests.benchmarks.vector_search import synthetic_vectors

INFERENCE_BATCHES = (8, 32)
INFERENCE_SECONDS = 8.0
QUICK_INFERENCE_SECONDS = 0.5
COMMITTED = 2000
LOOK_AHEAD = 96
DIM = 512
WARM_FILES = 16
"""Read before the clock starts, so that every decoding process is there."""


def measure(setting: Setting) -> Figures:
    """Reading, decoding (bare, and with previews and metadata as indexing wants it), inference and commits."""
    encoders = {each.name: setting.load(each) for each in setting.candidates}
    transforms = {each.model: encoders[each.name].transform for each in setting.candidates}
    return {
        "sizes": _decoding(setting, transforms),
        "inference_images_per_s": {name: _inference(setting, name, encoder) for name, encoder in encoders.items()},
        "precision": {name: encoder.precision for name, encoder in encoders.items()},
        "commit_images_per_s": _commits(setting),
        "tried": _tried(setting),
    }


def _tried(setting: Setting) -> list[dict[str, object]]:
    """What the compiler measured of each form of the architecture's towers, and which it would have kept."""
    encoder = setting.load(setting.base[0])
    assert isinstance(encoder, CompiledEncoder)
    return [asdict(form) for form in encoder.manifest.candidates]


def _decoding(setting: Setting, transforms: dict[str, ImageTransform]) -> Figures:
    counts = QUICK_COUNTS if setting.quick else COUNTS
    figures: Figures = {}
    for size in SIZES:
        files = scanned_files(photos_of(setting, size, counts[size.name]))
        say(f"  decoding {len(files)} photos of {size.name}")
        started = time.perf_counter()
        for file in files:
            content_hash(read_image_bytes(file.path))
        reading = time.perf_counter() - started
        with setting.folder() as library:
            figures[size.name] = {
                "read_images_per_s": rate(len(files), [reading]),
                "decode_images_per_s": {name: decode_rate(files, each, None) for name, each in transforms.items()},
                "decode_all_images_per_s": {
                    name: decode_rate(files, each, library / name) for name, each in transforms.items()
                },
            }
    return figures


def scanned_files(folder: Path) -> list[ScannedFile]:
    """The files of a folder as indexing finds them."""
    from indexer.scan import scan

    return list(scan(folder, on_error=lambda *_: None))


def decode_rate(files: list[ScannedFile], transform: ImageTransform, previews: Path | None) -> float:
    """Images a second of the processes that indexing decodes with, writing previews if a folder is given."""
    warm = min(WARM_FILES, len(files) // 4)
    with DecodingPool(transform, thumbnails=previews, workers=max(2, available_cores())) as pool:
        for _ in pool.read(files[:warm], wanted_from=lambda _: 0, look_ahead=LOOK_AHEAD):
            pass
        started = time.perf_counter()
        for read in pool.read(files[warm:], wanted_from=lambda _: 0, look_ahead=LOOK_AHEAD):
            assert read.pixels is not None, read.failure
        return rate(len(files) - warm, [time.perf_counter() - started])


def _inference(setting: Setting, name: str, encoder: Encoder) -> Figures:
    """Images a second of the image tower over pixels in memory, by batch size."""
    height, width = encoder.transform.spec.size
    pixels = np.random.default_rng(0).integers(0, 256, (max(INFERENCE_BATCHES), height, width, 3), dtype=np.uint8)
    limit = QUICK_INFERENCE_SECONDS if setting.quick else INFERENCE_SECONDS
    figures: Figures = {}
    for batch in INFERENCE_BATCHES:
        say(f"  inference of {name}, batch {batch}")
        encoder.encode_pixels(pixels[:batch])
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < limit:
            encoder.encode_pixels(pixels[:batch])
            done += batch
        figures[str(batch)] = rate(done, [time.perf_counter() - started])
    return figures


def _commits(setting: Setting) -> float:
    say("  commits")
    with setting.folder() as directory:
        return commit_rate(directory, batch=SMALL_BATCH)


def commit_rate(directory: Path, *, batch: int) -> float:
    """Images a second of the catalog alone, in batches as indexing commits them."""
    directory.mkdir(exist_ok=True)
    store = Catalog(directory, create=True)
    model = store.models.activate(spec="none", fingerprint="0" * 16, dim=DIM, precision="fp32")
    root_id = store.roots.add(directory)
    vectors = np.concatenate([block for _, block in synthetic_vectors(COMMITTED, DIM)])
    started = time.perf_counter()
    for each in _batches(root_id, vectors, batch):
        store.commit(each, model.id)
    seconds = time.perf_counter() - started
    store.close()
    return rate(COMMITTED, [seconds])


def _batches(root_id: int, vectors: Iterable[np.ndarray], size: int) -> Iterator[Batch]:
    rows = list(enumerate(vectors))
    for start in range(0, len(rows), size):
        part = [(f"{number:032x}", row) for number, row in rows[start : start + size]]
        yield Batch(
            root_id,
            images=[NewImage(digest, 4000, 3000, "JPEG") for digest, _ in part],
            embeddings=[NewEmbedding(digest, row) for digest, row in part],
            files=[FileRecord(f"{digest}.jpg", 1, 1, digest) for digest, _ in part],
        )
