"""What shows a library to a person: what it holds, a picture with all that is known of it, what is put away."""

from __future__ import annotations

from clipsearch.housekeeping import Housekeeping


class Browsing(Housekeeping):
    """The part of `clipsearch.library.Library` that is looked at, and needs no model."""
