"""open_clip without what most models do not need, and models without a random initialization.

open_clip imports transformers, timm and, through torchvision, torch's compiler, for a few architectures only: five
sixths of its import. Here they are imported when one of those is built.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_LATER = {
    "open_clip.hf_model": ("HFTextEncoder",),
    "open_clip.timm_model": ("TimmModel",),
    "torch._dynamo.utils": ("is_compile_supported",),
}
"""Modules, and the functions and classes that are called when they are needed and not before."""

_RANDOM = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_}


class _ImportedLater(ModuleType):
    """Stands in for a module until something of it is used."""

    def __init__(self, name: str, functions: tuple[str, ...]) -> None:
        super().__init__(name)
        for function in functions:
            setattr(self, function, _called_later(self, function))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by who looks through all modules
            raise AttributeError(name)
        return getattr(_real(self), name)


def _called_later(module: _ImportedLater, name: str) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(_real(module), name)(*arguments, **options)

    return call


def _real(module: _ImportedLater) -> ModuleType:
    name = module.__name__
    if sys.modules.get(name) is module:
        del sys.modules[name]
    return importlib.import_module(name)


def import_open_clip() -> Any:
    """open_clip, with `_LATER` imported later, and without what only generates captions."""
    if "open_clip" in sys.modules:
        return sys.modules["open_clip"]
    stand_ins = {name: _ImportedLater(name, functions) for name, functions in _LATER.items() if name not in sys.modules}
    sys.modules.update(stand_ins)
    hides_transformers = "transformers" not in sys.modules
    if hides_transformers:
        sys.modules["transformers"] = None  # type: ignore[assignment]  # an import of it fails, as if not installed
    try:
        package = importlib.import_module("open_clip")
        for name, module in stand_ins.items():  # as the import of a module does
            if sys.modules.get(name) is module and name.startswith("open_clip."):
                setattr(package, name.rpartition(".")[2], module)
        return package
    finally:
        if hides_transformers:
            del sys.modules["transformers"]
        for name, module in stand_ins.items():  # the rest of torch finds its own module again
            if sys.modules.get(name) is module and not name.startswith("open_clip."):
                del sys.modules[name]


@contextlib.contextmanager
def uninitialized() -> Iterator[None]:
    """Context in which modules are built with undefined weights: for those that are all loaded from a checkpoint."""
    with _SkipInitialization():
        yield


class _SkipInitialization(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RANDOM or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
