"""What every section of the suite is given, and what it may ask for."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from clipsearch.models.encoder import Encoder
from tests.benchmarks.models import ARCHITECTURE, PRECISIONS, checkpoint, compiled
from tests.benchmarks.rclip_peer import Rclip
from tests.benchmarks.timing import offline

MINI = "mini"


@dataclass(frozen=True)
class Candidate:
    """A model of ours at a precision.

    Attributes:
        model: its name in the report.
        spec: what loads it.
        precision: one of `PRECISIONS`; ``None`` for a model that comes in one.
    """

    model: str
    spec: str
    precision: str | None = None

    @property
    def name(self) -> str:
        return f"{self.model} {self.precision}" if self.precision else self.model


@dataclass(frozen=True)
class Setting:
    """Where a run works and how much it does.

    Attributes:
        cache: for what later runs use again: photos, models, the peer.
        scratch: for everything else; on the same file system, so that files can be linked.
        quick: few photos and rounds: to see that all of it works.
        data: a folder with ``flickr8k/captions.tsv`` and ``flickr8k/images``, if there is one.
        peer: rclip, if it could be installed.
        reference: what loads the bundled model in fp32, if it is there.
    """

    cache: Path
    scratch: Path
    quick: bool = False
    data: Path | None = None
    peer: Rclip | None = None
    reference: str | None = None

    @property
    def models(self) -> Path:
        """The directory of `tests.benchmarks.models`."""
        return self.cache / "models"

    @property
    def photos(self) -> Path:
        """Where folders of photos are made."""
        return self.cache / "photos"

    @property
    def base(self) -> list[Candidate]:
        """The peer's architecture with random weights, at each precision: one embedding space."""
        spec = f"local-dir:{checkpoint(self.models)}"
        return [Candidate(ARCHITECTURE, spec, precision) for precision in PRECISIONS]

    @property
    def mini(self) -> Candidate:
        """The bundled model."""
        return Candidate(MINI, MINI)

    @property
    def candidates(self) -> list[Candidate]:
        """All that is measured of ours."""
        reference = [Candidate("mini-fp32", self.reference)] if self.reference else []
        return [*self.base, self.mini, *reference]

    def load(self, candidate: Candidate) -> Encoder:
        """An encoder in this process."""
        from clipsearch.models.loading import load_encoder

        with mock.patch.dict(os.environ, CLIPSEARCH_CACHE=str(self._cache_of(candidate))):
            return load_encoder(candidate.spec, runtime="compiled")

    def environment(self, candidate: Candidate, library: Path) -> dict[str, str]:
        """Of a clipsearch process that works on a library with a candidate."""
        return offline(CLIPSEARCH_LIBRARY=library, CLIPSEARCH_CACHE=self._cache_of(candidate))

    def forget_queries(self, candidate: Candidate) -> None:
        """Empty the cache of query embeddings, which an earlier run has filled with the same texts."""
        shutil.rmtree(self._cache_of(candidate) / "queries", ignore_errors=True)

    def _cache_of(self, candidate: Candidate) -> Path:
        return compiled(self.models, candidate.precision or PRECISIONS[0])

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder, gone afterwards."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
