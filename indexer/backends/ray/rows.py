"""What goes between the program that indexes and its workers, as rows of Ray Data."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from indexer.read import ReadFile
from indexer.scan import ScannedFile

COLUMN = "message"
"""The one column of the rows; what is in it is pickled, as both ends run the same program."""

Rows: TypeAlias = dict[str, NDArray[np.object_]]


@dataclass(frozen=True)
class Task:
    """What a worker is given at once.

    Attributes:
        name: of its own.
        files: to be read and embedded.
        attempts: how often it may be begun, as workers may die with it.
    """

    name: str
    files: Sequence[ScannedFile]
    attempts: int


@dataclass(frozen=True)
class GivenUp:
    """A task that has been begun often enough."""

    name: str


@dataclass(frozen=True, kw_only=True)
class EmbeddedFile(ReadFile):
    """A file after a worker has read and embedded it.

    Attributes:
        views: float32 [segments, dim]; ``None`` if its content is embedded already, or failed.
        host: the machine of the worker.
    """

    views: FloatMatrix | None = None
    host: str = ""

    @property
    def is_decoded(self) -> bool:
        """Whether there is something to commit."""
        return self.views is not None


@dataclass(frozen=True)
class WorkerError:
    """Why a worker can do nothing at all; the run ends with it.

    Attributes:
        host: its machine.
        reason: in one line.
        of_model: the model cannot be loaded or run there.
    """

    host: str
    reason: str
    of_model: bool


def to_rows(messages: Iterable[object]) -> Rows:
    """Messages as Ray Data passes them on."""
    pickled = [pickle.dumps(message, pickle.HIGHEST_PROTOCOL) for message in messages]
    column = np.empty(len(pickled), dtype=object)
    column[:] = pickled
    return {COLUMN: column}


def from_rows(column: Iterable[bytes]) -> list[Any]:
    """The messages again."""
    return [pickle.loads(message) for message in column]
