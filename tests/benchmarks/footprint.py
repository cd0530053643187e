"""What a library takes on disk, a picture: its row in each kind of catalog, its embedding, its preview.

    python -m tests.benchmarks.footprint [--pictures N]

The rows are written by the code that indexing commits with, and say of a picture what a camera does. A catalog is
filled for each dimension that a preset has, as a database may keep longer embeddings in another way. Previews are those
of photographs of Python packages (see `clipsearch.demo`), made as indexing makes them. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.demo import find_photographs
from clipsearch.media.decoding import content_hash, load_image
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.perceptual_hash import FINGERPRINT_BYTES
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_jpeg
from clipsearch.models.presets import PRESETS
from tests.benchmarks.libraries import made_up_files
from tests.benchmarks.timing import Figures, say
from tests.benchmarks.vector_search import synthetic_vectors

if TYPE_CHECKING:
    from tests.benchmarks.setting import Setting

PICTURES = 20_000
QUICK_PICTURES = 2_000
DIMS = tuple(sorted({preset.dim for preset in PRESETS.values()}))
BATCH = 512

_METADATA = ImageMetadata(
    camera="Canon EOS 5D Mark IV",
    lens="EF24-70mm f/2.8L II USM",
    focal_length_mm=50.0,
    f_number=2.8,
    exposure_s=0.004,
    iso=400,
    latitude=35.33,
    longitude=25.14,
    altitude_m=41.0,
    orientation=1,
)


def measure(setting: Setting) -> Figures:
    """The figures, in bytes a picture."""
    return measure_pictures(QUICK_PICTURES if setting.quick else PICTURES, scratch=setting.scratch)


def measure_pictures(count: int, *, scratch: Path | None = None) -> Figures:
    """As `measure`, for a number of pictures."""
    from tests.postgres.server import PostgresServer

    with TemporaryDirectory(dir=scratch) as folder, PostgresServer.start() as server:

        def in_sqlite(dim: int) -> float:
            library = Path(folder) / str(dim)
            library.mkdir()
            fill(library, count, dim)
            return float((library / CATALOG_NAME).stat().st_size)

        def in_postgresql(dim: int) -> float:
            place = server.catalog()
            size = "SELECT pg_database_size(current_database())"
            name = urlsplit(place.text).path.strip("/")
            before = server.execute(size, name)[0][0]
            fill(place, count, dim)
            return float(server.execute(size, name)[0][0] - before)

        kinds = {"sqlite": in_sqlite, "postgresql": in_postgresql}
        catalogs = {name: {str(dim): round(size_of(dim) / count) for dim in DIMS} for name, size_of in kinds.items()}
    say("  previews")
    previews = list(preview_sizes())
    return {
        "pictures": count,
        "catalog": catalogs,
        "preview": {"longest_side": THUMBNAIL_SIDE, "photographs": len(previews), "bytes": round(mean(previews))},
    }


def fill(place: LibraryPlace, count: int, dim: int) -> None:
    """Commit so many pictures to a catalog, as indexing does."""
    say(f"  {count:,} pictures, {dim} dimensions")
    store = Catalog(place, create=True)
    try:
        model = store.models.activate(spec="synthetic", fingerprint="0" * 16, dim=dim, precision="fp32")
        root_id = store.roots.add(Path("/srv/pictures"))
        for batch in batches(count, dim, root_id):
            store.commit(batch, model.id)
    finally:
        store.close()


def batches(count: int, dim: int, root_id: int) -> Iterator[Batch]:
    """What indexing would commit of so many pictures."""
    files, began, random = made_up_files(count), datetime(2020, 1, 1), np.random.default_rng(5)
    for ids, vectors in synthetic_vectors(count, dim):
        for start in range(0, len(ids), BATCH):
            rows = list(zip(ids[start : start + BATCH].tolist(), vectors[start : start + BATCH], strict=True))
            seen = list(islice(files, len(rows)))
            digests = [content_hash(item.relative_path.encode()) for item in seen]
            yield Batch(
                root_id,
                images=[
                    NewImage(
                        digest,
                        4000,
                        3000,
                        "JPEG",
                        replace(_METADATA, taken_at=began + timedelta(minutes=number)),
                        random.bytes(FINGERPRINT_BYTES),
                    )
                    for (number, _), digest in zip(rows, digests, strict=True)
                ],
                embeddings=[NewEmbedding(digest, row) for (_, row), digest in zip(rows, digests, strict=True)],
                files=[
                    FileRecord(item.relative_path, item.size, item.mtime_ns, digest)
                    for item, digest in zip(seen, digests, strict=True)
                ],
            )


def preview_sizes() -> Iterator[int]:
    """Bytes of the previews of photographs."""
    for path in find_photographs():
        yield len(thumbnail_jpeg(load_image(path, min_side=THUMBNAIL_SIDE).image))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    print(json.dumps(measure_pictures(parser.parse_args().pictures), indent=2))


if __name__ == "__main__":
    main()
