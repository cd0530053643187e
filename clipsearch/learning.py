"""What a library learns: labels and tags from words, concepts from a few pictures."""

from __future__ import annotations

from clipsearch.searching import Searching


class Learning(Searching):
    """The part of `clipsearch.library.Library` that names what pictures show."""
