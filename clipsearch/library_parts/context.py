"""The state that all parts of one open library share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import EmptyLibraryError
from clipsearch.query import ConceptTerm, Region
from clipsearch.retrieval.filters import QueryFilters
from clipsearch.retrieval.model_session import ModelSession
from clipsearch.text import Notify

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clipsearch.browse.embedding_map.map_cache import MapCache
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.labeling.concepts.concept_space import ConceptSpace
    from clipsearch.models.encoder import Encoder
    from clipsearch.retrieval.query_encoder import QueryEncoder
    from clipsearch.retrieval.searcher import Searcher


class LibraryContext:
    """The catalog, the model and the searcher of one library.

    Attributes:
        catalog: of the library.
        session: the library's model, loaded on demand.
        notify: callback for one-line user notices.
        filters: compiles the filters of queries.
    """

    def __init__(self, catalog: LazyCatalog, session: ModelSession, notify: Notify) -> None:
        """Bind the parts; nothing is loaded."""
        self.catalog = catalog
        self.session = session
        self.notify = notify
        self.filters = QueryFilters(catalog, self._contents_in)
        self._searcher: Searcher | None = None
        self._lock = threading.Lock()

    @property
    def store(self) -> Catalog:
        """The whole catalog, opened on first use."""
        return self.catalog.store

    @cached_property
    def maps(self) -> MapCache:
        """The library's embedding map."""
        from clipsearch.browse.embedding_map.map_cache import MapCache

        return MapCache(self.catalog)

    def searcher(self) -> Searcher:
        """The searcher of the active model; a new one if another process has changed the model.

        Raises:
            QueryError: the library has no images.
        """
        from clipsearch.retrieval.searcher import Searcher

        with self._lock:
            model = self.active_model()
            if self._searcher is None or self._searcher.model != model:
                self._searcher = Searcher(
                    self.catalog, model, embedder=self._query_encoder(model), filters=self.filters, notify=self.notify
                )
            return self._searcher

    def active_model(self) -> ModelRecord:
        """The model that searches use.

        Raises:
            EmptyLibraryError: the library has no images, so no model yet.
        """
        model = self.catalog.active_model()
        if model is None:
            raise EmptyLibraryError
        return model

    def encoder_of(self, model: ModelRecord) -> Callable[[], Encoder]:
        """A function that loads the encoder of a model of the catalog."""
        return lambda: self.session.encoder_of(model)

    def concept_space(self, model: ModelRecord | None = None) -> ConceptSpace:
        """The library's concepts in the embedding space of a model, by default the active one.

        Raises:
            QueryError: the library has no images.
        """
        if model is None:
            searcher = self.searcher()
            return self._concept_space(searcher.model, searcher.embedder)
        return self._concept_space(model, self._query_encoder(model))

    def close(self) -> None:
        """Close the catalog and the vector index."""
        self._searcher = None
        self.catalog.close()

    def _query_encoder(self, model: ModelRecord) -> QueryEncoder:
        from clipsearch.retrieval.query_encoder import QueryEncoder

        def concept_vector(term: ConceptTerm) -> NDArray[np.float32]:
            return self._concept_space(model, encoder).direction_of(term)

        encoder = QueryEncoder(
            self.catalog,
            model,
            load_encoder=self.encoder_of(model),
            concept_vector=concept_vector,
            cache_texts=self.session.is_loaded_by_spec,
            notify=self.notify,
        )
        return encoder

    def _concept_space(self, model: ModelRecord, encoder: QueryEncoder) -> ConceptSpace:
        from clipsearch.labeling.concepts.concept_space import ConceptSpace

        return ConceptSpace(self.store, model, encoder, self.notify)

    def _contents_in(self, region: Region) -> list[str]:
        from clipsearch.browse.embedding_map.regions import contents_in

        return contents_in(self.store, region)
