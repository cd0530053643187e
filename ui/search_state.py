"""What the search page shows, as the address says it: one truth, which a link carries along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import streamlit as st

from clipsearch.errors import QueryError
from clipsearch.query import Query, parse_query
from clipsearch.retrieval.results import SORTS, Sort

_HASH_DIGITS = 12
"""Of a content hash that stands in a query line."""

_MOST_PAGES = 10_000

_VERSIONS = "versions"
"""What an address says is folded; exact copies always are."""


@dataclass(frozen=True)
class SearchState:
    """The search page's part of an address.

    Attributes:
        line: what stands in the box, in the query language.
        filters: what the filters are set to, in the same language.
        box: the part of the picture in `line` that is looked for, as `clipsearch.media.box.Box` reads it; empty for
            all.
        sort: how the results are ordered.
        fold: whether all versions of a picture are one result.
        page: of the results, from 1.
        view: the content hash of the picture that is opened; empty for the results.
    """

    line: str = ""
    filters: str = ""
    box: str = ""
    sort: Sort = "score"
    fold: bool = False
    page: int = 1
    view: str = ""

    @classmethod
    def read(cls, params: Mapping[str, str]) -> SearchState:
        """From query parameters; what makes no sense is as if it was not there."""
        sort, page = params.get("sort", "score"), params.get("page", "1")
        return cls(
            line=params.get("q", "").strip(),
            filters=params.get("f", "").strip(),
            box=params.get("box", ""),
            sort=cast("Sort", sort) if sort in SORTS else "score",
            fold=params.get("fold") == _VERSIONS,
            page=max(1, min(int(page[:9]), _MOST_PAGES)) if page.isdecimal() else 1,
            view=params.get("view", ""),
        )

    def params(self) -> dict[str, str]:
        """As query parameters, without what is usual."""
        values = {
            "q": self.line,
            "f": self.filters,
            "box": self.box,
            "sort": "" if self.sort == "score" else self.sort,
            "fold": _VERSIONS if self.fold else "",
            "page": "" if self.page == 1 else str(self.page),
            "view": self.view,
        }
        return {name: value for name, value in values.items() if value}

    def searching(self, line: str) -> SearchState:
        """Another line under the same filters, from the first page on."""
        return replace(self, line=line, box="", page=1, view="")

    def filtered(self, filters: str) -> SearchState:
        """Other filters, from the first page on."""
        return replace(self, filters=filters, page=1, view="")

    def like(self, content_hash: str, *, box: str = "") -> SearchState:
        """What is like a picture, or a part of it, under the same filters, those in the line included."""
        line = f"~#{content_hash[:_HASH_DIGITS]} {_filters_of(self.line)}".strip()
        return replace(self.searching(line), box=box)

    def with_picture(self, content_hash: str, *, sign: str = "") -> SearchState:
        """The same line and a picture more, with ``-`` as one to keep away from."""
        return self.searching(f"{self.line} {sign}~#{content_hash[:_HASH_DIGITS]}".strip())

    def viewing(self, content_hash: str) -> SearchState:
        """A picture opened, or with an empty hash closed."""
        return replace(self, view=content_hash)


def _filters_of(line: str) -> str:
    """The filters of a query line; none of a wrong one."""
    try:
        return str(Query((), parse_query(line).filter)) if line else ""
    except QueryError:
        return ""


def current_state() -> SearchState:
    """What the address of this session says."""
    return SearchState.read(cast("Mapping[str, Any]", st.query_params))


def go(state: SearchState) -> None:
    """Make it the address: for callbacks, after which the script runs anyway."""
    st.query_params.from_dict(state.params())
