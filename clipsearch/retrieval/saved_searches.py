"""Saved searches and their new results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clipsearch.config import typed_path
from clipsearch.errors import ConfigError, ImageReadError, QueryError
from clipsearch.query import ImageTerm, Query, Term, parse_query
from clipsearch.text import Notify, closest, composed

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.catalog.saved_searches import SavedSearchRecord
    from clipsearch.retrieval.results import SearchResult

NEW_AMONG = 20
"""Number of best results among which new ones are reported."""

_MAX_NAME = 100


@dataclass(frozen=True)
class NewMatches:
    """The new results of a saved search since it was last viewed.

    Attributes:
        name: of the saved search.
        line: its query.
        count: number of new pictures, without copies.
    """

    name: str
    line: str
    count: int


def save_search(store: Catalog, name: str, line: str, *, replace: bool) -> SavedSearchRecord:
    """See `Library.saved.add`."""
    name = _checked_name(name)
    query = str(_with_full_paths(parse_query(line)))
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            "a path in the query is not UTF-8; use the content hash of the picture instead, ~#…"
        ) from error
    if not store.saved.put(name, query, replace=replace):
        raise ConfigError(f"{name} is already saved: {find(store, name).line}; use --replace or choose another name")
    return find(store, name)


def find(store: Catalog, name: str) -> SavedSearchRecord:
    """The saved search with a name.

    Raises:
        ConfigError: there is none.
    """
    saved = {composed(record.name): record for record in store.saved.all()}
    name = composed(name.strip())
    if name not in saved:
        close = closest(name, saved)
        hint = f"did you mean {close}?" if close is not None else "see: clipsearch saved"
        raise ConfigError(f"no saved search is named {name}; {hint}")
    return saved[name]


def new_results(
    store: Catalog,
    saved: SavedSearchRecord,
    *,
    search: Callable[[str], list[SearchResult]],
    notify: Notify,
) -> list[SearchResult]:
    """The results whose content is new since the search was last viewed; marks them as seen.

    Args:
        store: the catalog.
        saved: the saved search.
        search: returns the results of a query line.
        notify: callback for one-line user notices.
    """
    # before the search: pictures that another process adds meanwhile are new the next time
    oldest, newest = store.saved.embedding_ids()
    if _forgotten(saved, oldest):
        notify(f"saved search {saved.name}: new results are unknown after a change of the model; reported from now on")
        results = []
    else:
        results = _only_new(store, saved, search(saved.line))
    store.saved.mark_seen(saved.name, newest)
    return results


def new_matches(store: Catalog, *, search: Callable[[str], list[SearchResult]], notify: Notify) -> list[NewMatches]:
    """Saved searches with new results, by name; marks nothing as seen.

    Args:
        store: the catalog.
        search: returns the results of a query line.
        notify: callback for one-line user notices, for example on a search whose picture is missing.
    """
    oldest, newest = store.saved.embedding_ids()
    matches = []
    for saved in store.saved.all():
        if saved.seen_embedding_id >= newest:
            continue
        if _forgotten(saved, oldest):
            store.saved.mark_seen(saved.name, newest)
            continue
        try:
            results = search(saved.line)
        except (QueryError, ImageReadError) as error:
            notify(f"saved search {saved.name}: {error}")
            continue
        new = {result.content_hash for result in _only_new(store, saved, results)}
        if new:
            matches.append(NewMatches(saved.name, saved.line, len(new)))
    return matches


def _only_new(store: Catalog, saved: SavedSearchRecord, results: Sequence[SearchResult]) -> list[SearchResult]:
    known = store.saved.known_contents([result.content_hash for result in results], saved.seen_embedding_id)
    return [result for result in results if result.content_hash not in known]


def _forgotten(saved: SavedSearchRecord, oldest: int) -> bool:
    """Whether all embeddings of that time were replaced by those of another model."""
    return 0 < saved.seen_embedding_id < oldest


def _checked_name(name: str) -> str:
    name = composed(name.strip())
    if not name or len(name) > _MAX_NAME or name.startswith("-") or not name.isprintable():
        raise ConfigError(
            f"the name of a saved search must have 1 to {_MAX_NAME} characters, no control characters, and not begin "
            "with -"
        )
    return name


def _with_full_paths(query: Query) -> Query:
    """The query with absolute paths of its pictures."""
    return replace(query, terms=tuple(_with_full_path(term) for term in query.terms))


def _with_full_path(term: Term) -> Term:
    if isinstance(term, ImageTerm) and term.path is not None:
        return replace(term, reference=str(typed_path(term.path).absolute()))
    return term
