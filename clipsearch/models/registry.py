"""What encoders run on, by the names that ``--runtime`` takes: where another kind of encoder joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from clipsearch.errors import ModelError
from clipsearch.models.encoder import Encoder
from clipsearch.models.specs import ModelSpec

AUTO = "auto"
"""No runtime in particular: whichever suits the model and the machine."""

Notify: TypeAlias = Callable[[str], None]
EncoderLoader: TypeAlias = Callable[[ModelSpec, str, Notify], Encoder]
"""Loads a model on a device, ``auto``, ``cpu``, ``cuda``, ``mps``…; notifies of what takes time."""

_loaders: dict[str, EncoderLoader] = {}


def runtime(name: str) -> Callable[[EncoderLoader], EncoderLoader]:
    """Register what loads models for a runtime."""

    def register(loader: EncoderLoader) -> EncoderLoader:
        _loaders[name] = loader
        return loader

    return register


def loader_of(name: str) -> EncoderLoader:
    """What loads models for a runtime.

    Raises:
        ModelError: there is no such runtime.
    """
    if name not in _loaders:
        raise ModelError(f"unknown runtime {name!r}; it is one of {', '.join((AUTO, *_loaders))}")
    return _loaders[name]
