"""Standing queries: searches kept by name, and what of their results is new."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ConfigError, ImageReadError, QueryError
from clipsearch.query import ImageTerm, Query, Term, parse_query

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.catalog.saved_searches import SavedSearchRecord
    from clipsearch.retrieval.results import SearchResult

NEW_AMONG = 20
"""A new picture is worth telling if it is among so many of the best."""

_MAX_NAME = 100


@dataclass(frozen=True)
class NewMatches:
    """What a saved search finds that was not there when it was last looked at.

    Attributes:
        name: of the saved search.
        line: its query.
        count: new pictures, copies not counted.
    """

    name: str
    line: str
    count: int


def save_search(store: Catalog, name: str, line: str, *, replace: bool) -> SavedSearchRecord:
    """Keep a query line; see `Library.saved.add`."""
    name = _checked_name(name)
    query = str(_with_full_paths(parse_query(line)))
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("a path in the query is not UTF-8; name the picture by its content hash, ~#…") from error
    if not store.saved.put(name, query, replace=replace):
        raise ConfigError(f"{name} is saved already: {find(store, name).line}; say --replace, or choose another name")
    return find(store, name)


def find(store: Catalog, name: str) -> SavedSearchRecord:
    """The search of that name.

    Raises:
        ConfigError: there is none.
    """
    saved = {record.name: record for record in store.saved.all()}
    wanted = unicodedata.normalize("NFC", name.strip())
    if wanted not in saved:
        close = get_close_matches(wanted, saved, n=1)
        hint = f"did you mean {close[0]}?" if close else "see: clipsearch saved"
        raise ConfigError(f"no search is saved as {wanted}; {hint}")
    return saved[wanted]


def remove(store: Catalog, name: str) -> SavedSearchRecord:
    """Forget the search of that name, and return what it was.

    Raises:
        ConfigError: there is none.
    """
    saved = find(store, name)
    store.saved.remove(saved.name)
    return saved


def new_results(
    store: Catalog,
    saved: SavedSearchRecord,
    *,
    search: Callable[[str], list[SearchResult]],
    notify: Callable[[str], None],
) -> list[SearchResult]:
    """Those results whose content was not there when they were last looked at; now they have been.

    Args:
        store: the catalog.
        saved: the saved search.
        search: gives the results of a query line.
        notify: told in one line if what is new cannot be told.
    """
    # before the search: what another process adds meanwhile is new the next time
    oldest, newest = store.saved.embedding_ids()
    if _forgotten(saved, oldest):
        notify(f"what is new for {saved.name} cannot be told after a change of the model; from now on it can")
        results = []
    else:
        results = _only_new(store, saved, search(saved.line))
    store.saved.mark_seen(saved.name, newest)
    return results


def new_matches(
    store: Catalog, *, search: Callable[[str], list[SearchResult]], notify: Callable[[str], None]
) -> list[NewMatches]:
    """Saved searches with new pictures among their results, by name; these stay new until they are looked at.

    Args:
        store: the catalog.
        search: gives the results of a query line.
        notify: told in one line of a search that cannot be done any more, for instance because its picture is gone.
    """
    oldest, newest = store.saved.embedding_ids()
    found = []
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
            found.append(NewMatches(saved.name, saved.line, len(new)))
    return found


def _only_new(store: Catalog, saved: SavedSearchRecord, results: Sequence[SearchResult]) -> list[SearchResult]:
    known = store.saved.known_contents([result.content_hash for result in results], saved.seen_embedding_id)
    return [result for result in results if result.content_hash not in known]


def _forgotten(saved: SavedSearchRecord, oldest: int) -> bool:
    """Whether everything that was there then has been embedded anew and its old embeddings dropped."""
    return 0 < saved.seen_embedding_id < oldest


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name.strip())
    if not name or len(name) > _MAX_NAME or name.startswith("-") or not name.isprintable():
        raise ConfigError(
            f"a saved search has a name of 1 to {_MAX_NAME} characters, none of them a control character, that does "
            "not begin with -"
        )
    return name


def _with_full_paths(query: Query) -> Query:
    """The query with the paths of its pictures in full, so that it means the same from every folder."""
    return replace(query, terms=tuple(_with_full_path(term) for term in query.terms))


def _with_full_path(term: Term) -> Term:
    if isinstance(term, ImageTerm) and term.path is not None:
        return replace(term, reference=str(Path(term.path).expanduser().absolute()))
    return term
