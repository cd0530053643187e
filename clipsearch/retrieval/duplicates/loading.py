"""What the search for duplicates needs of a library, read from its catalog."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.retrieval.duplicates.values import HeldContent, HeldFile


def held_contents(
    store: Catalog, model: ModelRecord, *, within: Path | None = None
) -> tuple[list[HeldContent], NDArray[np.float16]]:
    """The contents that files hold, with their embeddings.

    Args:
        store: the catalog.
        model: whose embeddings.
        within: only files in this folder; all of them by default.

    Returns:
        Contents, and the embedding of each, float16 [contents, dim].
    """
    contents: list[HeldContent] = []
    rows: list[NDArray[np.float16]] = []
    _, ids = store.live_embedding_ids(model.id, wholes_only=True)
    for block, vectors in store.embeddings(ids, dim=model.dim):
        looks = store.fingerprints_of(block.tolist())
        for row_id, files in store.files_of(block.tolist()).items():
            held = tuple(
                HeldFile(file.path, file.size) for file in files if within is None or file.path.is_relative_to(within)
            )
            if not held:
                continue
            first = files[0]
            contents.append(
                HeldContent(
                    content_hash=first.content_hash,
                    width=first.width,
                    height=first.height,
                    format=first.format,
                    files=held,
                    fingerprint=looks.get(row_id),
                    taken_at=first.taken_at,
                )
            )
            rows.append(vectors[int(np.searchsorted(block, row_id))])
    stacked = np.stack(rows) if rows else np.empty((0, model.dim), np.float16)
    return contents, stacked
