"""What the search for duplicates needs of a library, read from its catalog."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.media.stacks import stacks_of
from clipsearch.retrieval.duplicates.values import LibraryContent, LibraryFile


def library_contents(
    store: Catalog, model: ModelRecord, *, within: Path | None = None, with_stacks: bool = True
) -> tuple[list[LibraryContent], NDArray[np.float16]]:
    """The contents that files hold, with their embeddings.

    Args:
        store: the catalog.
        model: whose embeddings.
        within: only files in this folder; all of them by default.
        with_stacks: only the first file of each stack (`clipsearch.media.stacks`) counts, and names the others.

    Returns:
        Contents, and the embedding of each, float16 [contents, dim].
    """
    others = _stacks(store, model) if with_stacks else {}
    behind = {path for paths in others.values() for path in paths}
    contents: list[LibraryContent] = []
    rows: list[NDArray[np.float16]] = []
    _, ids = store.live_embedding_ids(model.id, wholes_only=True)
    for block, vectors in store.embeddings(ids, dim=model.dim):
        fingerprints = store.fingerprints_of(block.tolist())
        for row_id, files in store.files_of(block.tolist()).items():
            versions = tuple(
                LibraryFile(file.path, file.size, file.mtime_ns, others.get(file.path, ()))
                for file in files
                if file.path not in behind and (within is None or file.path.is_relative_to(within))
            )
            if not versions:
                continue
            first = files[0]
            contents.append(
                LibraryContent(
                    content_hash=first.content_hash,
                    width=first.width,
                    height=first.height,
                    format=first.format,
                    files=versions,
                    fingerprint=fingerprints.get(row_id),
                    taken_at=first.taken_at if first.taken_precision is None else None,
                    camera=first.camera,
                    duration_ms=first.duration_ms,
                )
            )
            rows.append(vectors[int(np.searchsorted(block, row_id))])
    stacked = np.stack(rows) if rows else np.empty((0, model.dim), np.float16)
    return contents, stacked


def _stacks(store: Catalog, model: ModelRecord) -> dict[Path, tuple[Path, ...]]:
    """The first file of each stack, and the others."""
    members = store.stack_files(model.id, store.shared_stack_keys())
    stacks = [stack for of_root in members.values() for stack in stacks_of(of_root)]
    return {stack[0].path: tuple(member.path for member in stack[1:]) for stack in stacks if stack[0].embedding_id}
