"""The collections on Milvus against the catalog, where a library's vectors are there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clipsearch.checkup.findings import Checkup, Finding
from clipsearch.errors import LibraryError
from clipsearch.store.records import ModelRecord
from clipsearch.vectors.engine import MilvusEngine
from clipsearch.vectors.milvus_collections import ModelCollections, drop_rows, space_prefix
from clipsearch.vectors.milvus_connection import MilvusConnection, connect


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
        yield Finding(
            "cache-damaged",
            1,
            "vector cache",
            f"({fault})",
            collections.model.spec,
            "repairing makes it again from the catalog",
            is_damage=True,
            repairable=True,
        )
    if stray:
        yield Finding(
            "cache-stray",
            len(stray),
            "vector cache",
            "of no model of this library",
            stray[0],
            "repairing deletes it",
            is_damage=False,
            repairable=True,
        )


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
    index, ids = collections.opened(saved, live), live
    if checkup.sample is not None and checkup.sample < len(ids):
        ids = np.sort(checkup.random.choice(ids, checkup.sample, replace=False))
    well_formed, _ = checkup.store.upkeep.embedding_ids(model)
    for block, vectors in checkup.store.embeddings(np.intersect1d(ids, well_formed), dim=model.dim):
        if not np.array_equal(index.vectors(block).astype(np.float16), vectors, equal_nan=True):
            return "its vectors are not the catalog's"
    return None


def _stray(checkup: Checkup, engine: MilvusEngine, connection: MilvusConnection) -> list[str]:
    """Collections of the library's space that are of no model of it."""
    models = checkup.store.upkeep.models()
    own = {name for model in models for name in _of(checkup, engine, connection, model).names()}
    return [name for name in connection.collections(space_prefix(engine)) if name not in own]


def _of(checkup: Checkup, engine: MilvusEngine, connection: MilvusConnection, model: ModelRecord) -> ModelCollections:
    return ModelCollections(connection, checkup.store.directory, engine, model)
