"""What a concept may be called, and which one is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches

from clipsearch.catalog.concept_records import ConceptRecord
from clipsearch.errors import ConfigError
from clipsearch.query import ConceptTerm

_MAX_NAME = 100


def checked_name(name: str) -> str:
    """A name as it is kept; a leading ``@``, as in queries, is left out.

    Raises:
        ConfigError: it cannot be one.

    >>> checked_name(" @my  dog ")
    'my dog'
    """
    kept = normalised(name)
    if not kept or len(kept) > _MAX_NAME or kept[0] in "-@" or not kept.isprintable():
        raise ConfigError(
            f"a concept has a name of 1 to {_MAX_NAME} characters, none of them a control character, that does not "
            "begin with - or @"
        )
    return kept


def normalised(name: str) -> str:
    """A name as it is kept, whether it can be one or not."""
    return unicodedata.normalize("NFC", re.sub(" +", " ", name.strip().removeprefix("@").strip()))


def with_name(name: str, concepts: Sequence[ConceptRecord]) -> ConceptRecord | None:
    """The concept of that name, upper and lower case being the same; ``None`` if there is none."""
    wanted = normalised(name).casefold()
    return next((concept for concept in concepts if concept.name.casefold() == wanted), None)


def unknown(name: str, concepts: Sequence[ConceptRecord]) -> str:
    """What to say of a name that no concept has: the nearest that there is."""
    known = {concept.name.casefold(): concept.name for concept in concepts}
    close = get_close_matches(normalised(name).casefold(), known, n=1)
    if close:
        hint = f"did you mean {ConceptTerm(known[close[0]])}?"
    else:
        hint = f"see: clipsearch concept {'list' if known else 'add --help'}"
    return f"the library knows no concept {ConceptTerm(normalised(name))}; {hint}"
