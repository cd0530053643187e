"""The state of the search page, which is its URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import streamlit as st

from clipsearch.errors import QueryError
from clipsearch.query import Query, parse_query
from clipsearch.retrieval.results import SORTS, Sort

_HASH_DIGITS = 12
"""Digits of a content hash in a query."""

_MOST_PAGES = 10_000

_VERSIONS = "versions"
"""Value of the URL parameter ``fold`` that groups near-duplicates; identical files always are."""


@dataclass(frozen=True)
class SearchState:
    """The URL parameters of the search page.

    Attributes:
        line: the text of the search box, in the query language.
        filters: the filters of the widgets, in the query language.
        at: a time in seconds in the video in `line`; empty for the whole video.
        box: a region of the picture in `line`, as `clipsearch.media.box.Box` parses it; empty for the whole picture.
        sort: the sort order.
        fold: whether near-duplicates are one result.
        page: the page of results, from 1.
        view: the content hash of the open picture; empty for the results.
    """

    line: str = ""
    filters: str = ""
    box: str = ""
    at: str = ""
    sort: Sort = "score"
    fold: bool = False
    page: int = 1
    view: str = ""

    @classmethod
    def read(cls, params: Mapping[str, str]) -> SearchState:
        """From URL parameters; invalid ones are ignored."""
        sort, page = params.get("sort", "score"), params.get("page", "1")
        return cls(
            line=params.get("q", "").strip(),
            filters=params.get("f", "").strip(),
            box=params.get("box", ""),
            at=params.get("at", "") if is_time(params.get("at", "")) else "",
            sort=cast("Sort", sort) if sort in SORTS else "score",
            fold=params.get("fold") == _VERSIONS,
            page=max(1, min(int(page[:9]), _MOST_PAGES)) if page.isdecimal() else 1,
            view=params.get("view", ""),
        )

    def params(self) -> dict[str, str]:
        """As URL parameters, without defaults."""
        values = {
            "q": self.line,
            "f": self.filters,
            "box": self.box,
            "at": self.at,
            "sort": "" if self.sort == "score" else self.sort,
            "fold": _VERSIONS if self.fold else "",
            "page": "" if self.page == 1 else str(self.page),
            "view": self.view,
        }
        return {name: value for name, value in values.items() if value}

    def searching(self, line: str) -> SearchState:
        """The first page of another query with the same filters."""
        return replace(self, line=line, box="", at="", page=1, view="")

    def filtered(self, filters: str) -> SearchState:
        """The first page with other filters."""
        return replace(self, filters=filters, page=1, view="")

    def like(self, content_hash: str, *, box: str = "", at: str = "") -> SearchState:
        """A search similar to a picture, a region of it or a moment, with the same filters, also those in the line."""
        line = f"~#{content_hash[:_HASH_DIGITS]} {_filters_of(self.line)}".strip()
        return replace(self.searching(line), box=box, at=at)

    def with_picture(self, content_hash: str, *, sign: str = "") -> SearchState:
        """The query with a picture added, or with ``-`` subtracted."""
        return self.searching(f"{self.line} {sign}~#{content_hash[:_HASH_DIGITS]}".strip())

    def viewing(self, content_hash: str) -> SearchState:
        """A picture open, or none for an empty hash."""
        return replace(self, view=content_hash)


def is_time(text: str) -> bool:
    """Whether a text is a time in a video in seconds."""
    return re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) is not None


def _filters_of(line: str) -> str:
    """The filters of a query; empty if it is invalid."""
    try:
        return str(Query((), parse_query(line).filter)) if line else ""
    except QueryError:
        return ""


def current_state() -> SearchState:
    """The state of this session's URL."""
    return SearchState.read(cast("Mapping[str, Any]", st.query_params))


def go(state: SearchState) -> None:
    """Change the URL; for callbacks, after which the script runs."""
    st.query_params.from_dict(state.params())
