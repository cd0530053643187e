"""Whole-video embeddings after the temporal head of a model has changed, without decoding."""

from __future__ import annotations

import numpy as np

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord, NewEmbedding
from clipsearch.media.segments import WHOLE_VIDEO
from clipsearch.models.encoder import Encoder
from clipsearch.models.video_heads import pool_frames, pooling_id
from clipsearch.text import Notify, format_count
from indexer.batches import blocks_of

_VIDEOS = 64
"""Videos committed at a time."""


def pool_again(store: Catalog, encoder: Encoder, model: ModelRecord, *, notify: Notify) -> None:
    """Compute whole-video embeddings from the catalog's frame embeddings, if others made them than would now.

    An interrupted run begins again with the next one.

    Args:
        store: the catalog.
        encoder: the model with its heads.
        model: its row.
        notify: callback for one-line user notices.
    """
    pooling = pooling_id(encoder)
    if store.models.pooling_of(model) == pooling:
        return
    videos = store.videos_of(model.id)
    for block in blocks_of(videos, _VIDEOS):
        pooled = [
            NewEmbedding(digest, pool_frames(encoder, frames.vectors.astype(np.float32)), WHOLE_VIDEO)
            for digest in block
            if len((frames := store.frames_of_content(digest, model.id, dim=model.dim)).vectors)
        ]
        store.commit(Batch(None, embeddings=pooled), model.id)
    store.models.set_pooling(model, pooling)
    if videos:
        notify(
            f"the embeddings of {format_count(len(videos), 'video')} are computed again from their frames, by {pooling}"
        )
