"""What `import clipsearch` offers, and that a library on this machine and one over HTTP offer the same."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import clipsearch
from clipsearch.library import Library
from clipsearch.library_parts.browse import Browse
from clipsearch.library_parts.duplicates import Duplicates
from clipsearch.library_parts.protocol import BrowsableLibrary, SearchableLibrary, VersionFinder
from clipsearch.retrieval.results import SearchOptions
from clipsearch.server.client.library import RemoteBrowse, RemoteDuplicates, RemoteLibrary
from clipsearch.server.schemas import MatchingRequest

GROUPS = ("browse", "concepts", "duplicates", "maintenance", "roots", "saved", "tags", "texts")


def test_the_public_surface() -> None:
    assert clipsearch.__all__ == [
        "Box", "ClipSearchError", "ConfigError", "EmptyLibraryError", "Explanation", "ImageReadError",
        "IndexMismatchError", "IndexReport",
        "Library", "LibraryError", "LibraryLockedError", "LibraryStatus", "ModelError", "NoLibraryError", "QueryError",
        "SchemaVersionError", "SearchOptions", "SearchResult",
    ]  # fmt: skip
    for name in clipsearch.__all__:
        assert inspect.getdoc(getattr(clipsearch, name)), name


def test_the_library_has_a_few_verbs_and_its_groups() -> None:
    verbs = {name for name, _ in inspect.getmembers(Library, inspect.isfunction) if not name.startswith("_")}
    assert verbs == {
        "active_model", "classify", "close", "counts", "explain", "index", "migrate", "preview_index", "revision",
        "search", "similar", "status",
    }  # fmt: skip
    heavy = "sorted({'torch', 'sqlalchemy', 'faiss'} & sys.modules.keys())"
    code = f"import sys, clipsearch; clipsearch.SearchOptions; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("protocol", "implementations"),
    [
        (SearchableLibrary, (Library, RemoteLibrary)),
        (BrowsableLibrary, (Browse, RemoteBrowse)),
        (VersionFinder, (Duplicates, RemoteDuplicates)),
    ],
)
def test_a_library_over_http_has_the_signatures_of_the_local_one(
    protocol: type, implementations: tuple[type, type]
) -> None:
    names = [name for name, member in vars(protocol).items() if inspect.isfunction(member) and name[0] != "_"]
    assert names
    for name in names:
        wanted = inspect.signature(getattr(protocol, name)).parameters
        for implementation in implementations:
            found = inspect.signature(getattr(implementation, name)).parameters
            assert [(item.name, item.kind, item.default) for item in found.values()] == [
                (item.name, item.kind, item.default) for item in wanted.values()
            ], (implementation, name)


def test_a_request_to_the_server_has_the_options_of_a_search_with_their_defaults() -> None:
    assert MatchingRequest().options() == SearchOptions()
    assert set(MatchingRequest.model_fields) == set(SearchOptions.__dataclass_fields__)


def test_a_library_has_its_groups(indexed: Library) -> None:
    for name in GROUPS:
        assert inspect.getdoc(getattr(indexed, name))
