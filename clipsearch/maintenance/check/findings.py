"""What a checkup finds, and what its parts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from clipsearch.catalog.catalog import Catalog

DEFAULT_SAMPLE = 1000
"""Embeddings and previews of each kind that are looked into, unless all are asked for."""


@dataclass(frozen=True)
class Finding:
    """One kind of thing that is not as it should be, or worth knowing.

    Attributes:
        code: fixed name of the kind, for programs.
        count: how many of it, in what was looked at.
        noun: what is counted, in the singular.
        rest: goes on after the noun, for one and for many.
        example: one of them, or the words of who found it.
        remedy: what becomes of it, or what to do.
        is_damage: something is wrong; otherwise it is only said.
        repairable: `repair_library` mends it.
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
class CheckReport:
    """What a checkup found.

    Attributes:
        files: picture files in the catalog.
        images: distinct contents among them.
        embeddings: of all models.
        previews: that are there.
        sample: how many embeddings and previews of each kind were looked into; ``None`` for all.
        findings: that are there now.
        mended: that were there and no longer are; empty unless it was asked to repair.
        stopped: the catalog's own file is damaged, and nothing else was looked at.
    """

    files: int
    images: int
    embeddings: int
    previews: int
    sample: int | None
    findings: list[Finding] = field(default_factory=list)
    mended: list[Finding] = field(default_factory=list)
    stopped: bool = False

    @property
    def is_sound(self) -> bool:
        """Nothing that is wrong is left."""
        return not any(finding.is_damage for finding in self.findings)


@dataclass(frozen=True)
class Checkup:
    """What every check works with.

    Attributes:
        store: the catalog.
        sample: how many embeddings and previews of each kind to look into; ``None`` for all.
        notify: told in one line what takes long.
        random: chooses the sample.
    """

    store: Catalog
    sample: int | None
    notify: Callable[[str], None]
    random: np.random.Generator = field(default_factory=np.random.default_rng)
