"""The saved vector indexes against the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clipsearch.catalog.records import ModelRecord
from clipsearch.maintenance.check.findings import Checkup, Finding
from clipsearch.maintenance.check.vector_contents import damaged_cache, differing_vectors, stray_caches
from clipsearch.vectors.engine import VECTORS_NAME, library_engine
from clipsearch.vectors.faiss.files import IndexFileError
from clipsearch.vectors.faiss.saved import delete_index, open_index, recent_path
from clipsearch.vectors.sync import current_index, index_path, is_stamped_for


def check_vector_caches(checkup: Checkup) -> Iterator[Finding]:
    """Compare each model's saved vectors with the catalog's; one that is behind or missing is in order."""
    engine = library_engine(checkup.store.directory)
    if engine is not None:
        from clipsearch.maintenance.check.collections import check_collections

        yield from check_collections(checkup, engine)
        return
    models = checkup.store.upkeep.models()
    for model in models:
        path = index_path(checkup.store.directory, model)
        fault = _fault(checkup, model, path) if path.exists() else None
        if fault is not None:
            remedy = "repairing makes it again from the catalog; so does the next search, if its checksum is wrong"
            yield damaged_cache(fault, _shown(path), remedy=remedy)
    stray = _stray_caches(checkup, models)
    if stray:
        yield stray_caches(len(stray), _shown(stray[0]))


def mend_vector_caches(checkup: Checkup) -> None:
    """Delete the caches that disagree with the catalog and those of no model, and make the active model's again."""
    engine = library_engine(checkup.store.directory)
    if engine is None:
        _mend_files(checkup)
    else:
        from clipsearch.maintenance.check.collections import mend_collections

        mend_collections(checkup, engine)
    active = checkup.store.models.active()
    if active is not None:
        current_index(checkup.store, active, notify=checkup.notify, locked=True)


def _mend_files(checkup: Checkup) -> None:
    models = checkup.store.upkeep.models()
    for path in _stray_caches(checkup, models):
        path.unlink(missing_ok=True)
    for model in models:
        path = index_path(checkup.store.directory, model)
        if path.exists() and _fault(checkup, model, path) is not None:
            delete_index(path)


def _fault(checkup: Checkup, model: ModelRecord, path: Path) -> str | None:
    """What is wrong with a saved index, in words."""
    revision, live = checkup.store.live_embedding_ids(model.id)
    try:
        index, stamp = open_index(path, verify=True)
    except IndexFileError as error:
        return str(error)
    if not is_stamped_for(stamp, model):
        return "it belongs to another model"
    if stamp.revision != revision:
        return None  # the next search brings it up to date
    if not np.array_equal(index.ids(), live):
        return "it does not hold what the catalog holds"
    return differing_vectors(checkup, model, index, live)


def _stray_caches(checkup: Checkup, models: list[ModelRecord]) -> list[Path]:
    paths = [index_path(checkup.store.directory, model) for model in models]
    own = {*paths, *(recent_path(path) for path in paths)}
    return sorted(path for path in (checkup.store.directory / VECTORS_NAME).glob("*.faiss") if path not in own)


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
