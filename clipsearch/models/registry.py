"""Registry of the runtimes of encoders, by the values of ``--runtime``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from clipsearch.errors import ModelError
from clipsearch.models.encoder import Encoder
from clipsearch.models.specs import ModelSpec
from clipsearch.text import Notify

AUTO = "auto"
"""Chooses the runtime by model and machine."""

EncoderLoader: TypeAlias = Callable[[ModelSpec, str, Notify], Encoder]
"""Loads a model on a device (``auto``, ``cpu``, ``cuda``, ``mps``…)."""

_loaders: dict[str, EncoderLoader] = {}


def runtime(name: str) -> Callable[[EncoderLoader], EncoderLoader]:
    """Decorator that registers the loader of a runtime."""

    def register(loader: EncoderLoader) -> EncoderLoader:
        _loaders[name] = loader
        return loader

    return register


def loader_of(name: str) -> EncoderLoader:
    """The loader of a runtime.

    Raises:
        ModelError: the runtime is unknown.
    """
    if name not in _loaders:
        raise ModelError(f"unknown runtime {name!r}; it is one of {', '.join((AUTO, *_loaders))}")
    return _loaders[name]
