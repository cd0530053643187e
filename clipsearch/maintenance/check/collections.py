"""The collections on Milvus against the catalog, where a library's vectors are there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import LibraryError
from clipsearch.maintenance.check.findings import Checkup, Finding
from clipsearch.maintenance.check.vector_contents import damaged_cache, differing_vectors, stray_caches
from clipsearch.vectors.engine import MilvusEngine
from clipsearch.vectors.milvus.collections import ModelCollections, drop_rows, space_prefix
from clipsearch.vectors.milvus.connection import MilvusConnection, connect


def check_collections(checkup: Checkup, engine: MilvusEngine) -> Iterator[Finding]:
    """Compare each model's collection with the catalog's vectors; one that is behind or missing is in order."""
    library = checkup.store.directory
    try:
        connection = connect(engine.address(library), local=engine.is_local)
        faults = _faults(checkup, engine, connection)
        stray = _stray(checkup, engine, connection)
    except LibraryError as error:
        yield Finding(
            "cache-unreachable",
            1,
            "vector cache",
            "that was not looked at",
            str(error),
            "check again when it can be reached",
            is_damage=False,
            repairable=False,
        )
        return
    for collections, fault in faults:
        yield damaged_cache(fault, collections.model.spec, remedy="repairing makes it again from the catalog")
    if stray:
        yield stray_caches(len(stray), stray[0])


def mend_collections(checkup: Checkup, engine: MilvusEngine) -> None:
    """Delete the collections that disagree with the catalog, and those of no model."""
    library = checkup.store.directory
    connection = connect(engine.address(library), local=engine.is_local)
    for name in _stray(checkup, engine, connection):
        connection.drop(name)
        drop_rows(library, name)
    for collections, _ in _faults(checkup, engine, connection):
        collections.drop()


def _faults(checkup: Checkup, engine: MilvusEngine, connection: MilvusConnection) -> list[tuple[ModelCollections, str]]:
    """What is wrong with the collections of which models, in words."""
    every = [_of(checkup, engine, connection, model) for model in checkup.store.upkeep.models()]
    found = [(collections, _fault(checkup, collections)) for collections in every]
    return [(collections, fault) for collections, fault in found if fault is not None]


def _fault(checkup: Checkup, collections: ModelCollections) -> str | None:
    saved, model = collections.current(), collections.model
    revision, live = checkup.store.live_embedding_ids(model.id)
    if saved is None or not saved.stamp.whole or saved.stamp.revision != revision:
        return None  # the next search brings it up to date
    if not np.array_equal(collections.connection.ids(saved.name), live):
        return "it does not hold what the catalog holds"
    return differing_vectors(checkup, model, collections.opened(saved, live), live)


def _stray(checkup: Checkup, engine: MilvusEngine, connection: MilvusConnection) -> list[str]:
    """Collections of the library's space that are of no model of it."""
    models = checkup.store.upkeep.models()
    own = {name for model in models for name in _of(checkup, engine, connection, model).names()}
    return [name for name in connection.collections(space_prefix(engine)) if name not in own]


def _of(checkup: Checkup, engine: MilvusEngine, connection: MilvusConnection, model: ModelRecord) -> ModelCollections:
    return ModelCollections(connection, checkup.store.directory, engine, model)
