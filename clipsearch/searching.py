"""What finds pictures in a library: by words, by pictures, by saved searches; and what tells why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch import standing
from clipsearch.browsing import Browsing
from clipsearch.errors import QueryError
from clipsearch.model_choice import ModelChoice
from clipsearch.query import explainable_query, parse_query
from clipsearch.query_embedding import Direction, Picture
from clipsearch.results import SearchResult, Shown, Sort
from clipsearch.search import Searcher
from clipsearch.store.catalog import Catalog

if TYPE_CHECKING:
    from clipsearch.boxes import Box
    from clipsearch.calibration import MinMatch
    from clipsearch.encoders.base import Encoder
    from clipsearch.explain import Explanation


class Searching(Browsing):
    """The part of `clipsearch.library.Library` that answers queries."""

    def __init__(self, catalog: Catalog, model: ModelChoice, notify: Callable[[str], None]) -> None:
        """Bind the catalog, the model, and who is told what a person should know."""
        super().__init__(catalog, notify)
        self._model = model
        self._searcher: Searcher | None = None
        self._lock = threading.Lock()

    @property
    def encoder_at_hand(self) -> Encoder | None:
        """The encoder, if anything has needed it by now; another `Library` of this process can be given it."""
        return self._model.loaded

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        offset: int = 0,
        sort: Sort = "score",
        among: int | None = None,
        group_copies: bool = False,
        group_duplicates: bool = False,
        min_match: MinMatch = "any",
    ) -> list[SearchResult]:
        """The files that match a query line best.

        Args:
            query: what to look for: words, pictures, weights and filters, as docs/query.md describes.
            k: how many results at most, from 1.
            offset: how many of the best to pass over, from 0.
            sort: ``score``; or ``date`` (newest first) or ``path``, the order in which the k best are given.
                Without anything to look for, filters alone, the newest are the best, or with ``path`` the first.
            among: put so many of the best in the order of `sort`, and give k of these from `offset` on, so that one
                page carries on where the one before it ended. By default each k best are in an order of their own.
                Filters alone are always in order as a whole.
            group_copies: one result for all files of the same content, the others its `copies`.
            group_duplicates: one result for all files of the same content, its `copies`, and of other versions of
                the picture, its `near_duplicates`.
            min_match: leave out what matches less than ``strong`` or ``possible`` (docs/matching.md).

        Returns:
            Up to `k` results; fewer when fewer files pass the filters. With filters these are the k best of
            all that pass.

        Raises:
            QueryError: the query is empty or wrong, `k` is below 1, or the library has no images.
            ImageReadError: a picture of the query cannot be read.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        shown = Shown(k, offset, sort, among, group_copies, group_duplicates, min_match)
        return self._current_searcher().search(query, shown)

    def similar(
        self,
        picture: Picture | Sequence[Picture],
        *,
        box: Box | None = None,
        where: str = "",
        k: int = 10,
        offset: int = 0,
        sort: Sort = "score",
        among: int | None = None,
        group_copies: bool = False,
        group_duplicates: bool = False,
    ) -> list[SearchResult]:
        """The files most like a picture, without the picture itself and its exact copies.

        Args:
            picture: a file, in the library or not; ``~#`` and the first digits, at least 6, of the content hash of one
                that is in it; a Pillow image; or several of these: then what is most like all of them together, by
                the mean of their embeddings.
            box: look for what is like this part of the picture only.
            where: filters that the files have to pass, in the language of queries: ``"date:2021 folder:Crete"``.
            k: how many results at most, from 1.
            offset: as for `search`.
            sort: as for `search`.
            among: as for `search`.
            group_copies: as for `search`.
            group_duplicates: as for `search`.

        Returns:
            Up to `k` results.

        Raises:
            ImageReadError: a picture cannot be read; of one given by its hash that is only with a box.
            QueryError: a hash is unknown or ambiguous, the box reaches outside of the picture or goes with several,
                `where` is wrong or has more than filters, `k` is below 1, or the library has no images.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        shown = Shown(k, offset, sort, among, group_copies, group_duplicates)
        return self._current_searcher().similar(_several(picture), shown, box=box, where=where)

    def near_versions(self, content_hash: str) -> list[Path]:
        """The files that hold another version of a picture: re-saved, resized, lightly cropped or edited; by path.

        Args:
            content_hash: the picture's, or its first digits, at least 6.

        Raises:
            QueryError: the library holds no such picture, or several.
        """
        return self._current_searcher().versions_of(content_hash)

    def explain(self, picture: SearchResult | Path | str, query: str) -> Explanation:
        """Where in a picture the match with a query is: what speaks for it when it is covered up.

        Takes as long as embedding about 90 pictures.

        Args:
            picture: a result, a file, or ``~#`` and the first digits of a content hash. The library's preview stands in
                for a result whose file is not there.
            query: as for `search`; its filters play no part.

        Raises:
            QueryError: the query has nothing but filters, or as for `search`.
            ImageReadError: the picture cannot be read, and the library has no preview of it.
        """
        parsed = explainable_query(query)
        searcher = self._current_searcher()
        return self._explanation(searcher, picture, searcher.direction_of(parsed))

    def explain_similar(
        self, picture: SearchResult | Path | str, like: Picture | Sequence[Picture], *, box: Box | None = None
    ) -> Explanation:
        """Where in a picture its likeness to others is; see `explain`.

        Args:
            picture: as for `explain`.
            like: as the picture for `similar`.
            box: as for `similar`.

        Raises:
            QueryError: as for `similar`.
            ImageReadError: one of the pictures cannot be read.
        """
        searcher = self._current_searcher()
        return self._explanation(searcher, picture, searcher.embedder.of_pictures(_several(like), box=box))

    def new_results(
        self,
        name: str,
        *,
        k: int = standing.NEW_AMONG,
        offset: int = 0,
        sort: Sort = "score",
        group_duplicates: bool = False,
    ) -> list[SearchResult]:
        """What a saved search finds among its k best that was not there the last time that this was asked.

        Filters alone have no best: then it is all that pass and are new.

        Args:
            name: of the saved search.
            k: how many of the best to look at, from 1.
            offset: as for `search`.
            sort: as for `search`.
            group_duplicates: as for `search`; a new version of a picture is told where it comes before the old one.

        Raises:
            ConfigError: there is no such search.
            QueryError: as for `search`.
        """

        def search(line: str) -> list[SearchResult]:
            wanted = k if parse_query(line).terms else max(k, self._store.counts().files)
            return self.search(line, k=wanted, offset=offset, sort=sort, group_duplicates=group_duplicates)

        return standing.new_results(self._store, self.saved_search(name), search=search, notify=self._notify)

    def new_matches(self, *, k: int = standing.NEW_AMONG) -> list[standing.NewMatches]:
        """The saved searches with new pictures among their k best (of filters alone: among all that pass), by name.

        They stay new until `new_results` is asked for them.
        """

        def search(line: str) -> list[SearchResult]:
            return self.search(line, k=k if parse_query(line).terms else max(k, self._store.counts().files))

        return standing.new_matches(self._store, search=search, notify=self._notify)

    def _explanation(self, searcher: Searcher, picture: SearchResult | Path | str, direction: Direction) -> Explanation:
        from clipsearch.explain import PICTURE_SIDE, explain_picture

        encoder = searcher.embedder.encoder
        min_side = max(encoder.transform.min_side, PICTURE_SIDE)
        image, is_preview = searcher.load_picture(picture, min_side=min_side)
        return explain_picture(encoder, image, direction.vector, from_preview=is_preview)

    def _current_searcher(self) -> Searcher:
        with self._lock:
            model = self._catalog.active_model()
            if model is None:
                raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
            if self._searcher is None or self._searcher.model != model:  # another process may have changed it
                self._searcher = Searcher(
                    self._catalog,
                    model,
                    load_encoder=lambda: self._model.encoder_of(model),
                    cache_texts=self._model.is_loaded_by_spec,
                    notify=self._notify,
                )
            return self._searcher


def _several(picture: Picture | Sequence[Picture]) -> Sequence[Picture]:
    from PIL import Image

    return [picture] if isinstance(picture, str | Path | Image.Image) else picture
