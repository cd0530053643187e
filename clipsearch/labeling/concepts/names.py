"""Validate and look up the names of concepts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clipsearch.catalog.concept_records import ConceptRecord
from clipsearch.errors import ConfigError
from clipsearch.query import ConceptTerm
from clipsearch.text import closest, composed, fold

_MAX_NAME = 100


def checked_name(name: str) -> str:
    """Normalize and validate a name; a leading ``@``, as in queries, is removed.

    Raises:
        ConfigError: the name is invalid.

    >>> checked_name(" @my  dog ")
    'my dog'
    """
    name = normalized(name)
    if not name or len(name) > _MAX_NAME or name[0] in "-@" or not name.isprintable():
        raise ConfigError(
            f"the name of a concept must have 1 to {_MAX_NAME} characters, no control characters, and not begin with "
            "- or @"
        )
    return name


def normalized(name: str) -> str:
    """Normalize a name without validation: NFC, single spaces."""
    return composed(re.sub(" +", " ", name.strip().removeprefix("@").strip()))


def with_name(name: str, concepts: Sequence[ConceptRecord]) -> ConceptRecord | None:
    """The concept with a name, compared by `clipsearch.text.fold`; ``None`` if there is none."""
    exact = normalized(name)
    same = [concept for concept in concepts if fold(concept.name) == fold(exact)]
    return next((concept for concept in same if concept.name == exact), next(iter(same), None))


def unknown_name_message(name: str, concepts: Sequence[ConceptRecord]) -> str:
    """Error message for an unknown name, with the closest known one."""
    known = {fold(concept.name): concept.name for concept in concepts}
    close = closest(fold(normalized(name)), known)
    if close is not None:
        hint = f"did you mean {ConceptTerm(known[close])}?"
    else:
        hint = f"see: clipsearch concept {'list' if known else 'add --help'}"
    return f"the library has no concept {ConceptTerm(normalized(name))}; {hint}"
