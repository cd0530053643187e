"""The findings of a checkup, and what its checks share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.text import Notify

DEFAULT_SAMPLE = 1000
"""Default number of embeddings and previews of each kind to verify."""


@dataclass(frozen=True)
class Finding:
    """A kind of damage, or information.

    Attributes:
        code: stable identifier of the kind.
        count: number of cases in the sample.
        noun: what is counted, in the singular.
        rest: continues after the noun, for one and for many.
        example: one case, or the error message.
        remedy: what to do.
        is_damage: whether it is damage; otherwise it is information.
        repairable: whether `repair_library` repairs it.
    """

    code: str
    count: int
    noun: str
    rest: str
    example: str | None
    remedy: str
    is_damage: bool
    repairable: bool


@dataclass(frozen=True)
class _Kind:
    noun: str
    rest: str
    remedy: str
    is_damage: bool = False
    repairable: bool = True


_RESTORE = "restore {store} from a backup, or delete it and index again"
_DANGLING = "of the catalog with a missing referenced row"
_REEMBED = "repairing deletes them; the next run of clipsearch index embeds those pictures again"
_KINDS = {
    "catalog-pages": _Kind("damaged place", "in the catalog's tables", _RESTORE, is_damage=True, repairable=False),
    "catalog-indexes": _Kind(
        "damaged place",
        "in the catalog's indexes",
        f"repairing rebuilds the indexes from their tables; if that fails, {_RESTORE}",
        is_damage=True,
    ),
    "catalog-dangling": _Kind(
        "row", _DANGLING, "repairing deletes them; the next run of clipsearch index adds them again", is_damage=True
    ),
    "catalog-dangling-lost": _Kind("row", _DANGLING, _RESTORE, is_damage=True, repairable=False),
    "embedding-length": _Kind("embedding", "of {model} of the wrong length in bytes", _REEMBED, is_damage=True),
    "embedding-value": _Kind("embedding", "of {model} that is not a unit vector", _REEMBED, is_damage=True),
    "unembedded": _Kind(
        "picture", "without an embedding", "the next run of clipsearch index embeds it", repairable=False
    ),
    "unheld": _Kind(
        "picture",
        "in no file any more",
        "kept so that restored files need no embedding; clipsearch compact deletes them",
        repairable=False,
    ),
    "cache-unreachable": _Kind(
        "vector cache", "that could not be checked", "check again when it can be reached", repairable=False
    ),
    "cache-damaged": _Kind("vector cache", "({fault})", "repairing rebuilds it from the catalog", is_damage=True),
    "cache-stray": _Kind("vector cache", "of no model of this library", "repairing deletes it"),
    "temporary": _Kind("temporary file", "of processes that were killed", "repairing deletes them"),
    "preview-damaged": _Kind(
        "preview",
        "that cannot be decoded",
        "repairing makes them again from the pictures, or deletes them if those are offline",
        is_damage=True,
    ),
    "preview-stray": _Kind("preview", "of no picture in the catalog", "repairing deletes them"),
    "preview-missing": _Kind(
        "picture", "without a preview", "repairing makes it if the picture is online and can be read"
    ),
}


def finding(code: str, count: int, example: str | None, **details: str) -> Finding:
    """A finding of a known kind; `details` are the placeholders of its texts."""
    kind = _KINDS[code]
    rest, remedy = kind.rest.format(**details), kind.remedy.format(**details)
    return Finding(code, count, kind.noun, rest, example, remedy, kind.is_damage, kind.repairable)


@dataclass(frozen=True)
class CheckReport:
    """Result of a checkup.

    Attributes:
        files: number of picture files in the catalog.
        images: number of distinct contents.
        embeddings: number of embeddings of all models.
        previews: number of previews.
        sample: number of embeddings and previews of each kind that were verified; ``None`` for all.
        findings: current findings.
        repaired: repaired findings; empty without repair.
        stopped: whether nothing else was checked because the catalog's database is damaged.
    """

    files: int
    images: int
    embeddings: int
    previews: int
    sample: int | None
    findings: list[Finding] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)
    stopped: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether there is no damage."""
        return not any(finding.is_damage for finding in self.findings)


@dataclass(frozen=True)
class Checkup:
    """The context of all checks.

    Attributes:
        store: the catalog.
        sample: number of embeddings and previews of each kind to verify; ``None`` for all.
        notify: callback for one-line user notices.
        random: draws the sample.
    """

    store: Catalog
    sample: int | None
    notify: Notify
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    def sampled(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids to verify, ascending."""
        if self.sample is None or self.sample >= len(ids):
            return ids
        return np.sort(self.random.choice(ids, self.sample, replace=False))
