"""Packages that only some features need: the extras of pyproject.toml, found without importing anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from clipsearch.errors import ConfigError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "openclip": ("torch", "open_clip", "transformers", "onnx", "onnxscript", "safetensors"),
        "train": ("torch", "open_clip", "onnx", "timm"),
        "map": ("plotly", "umap"),
        "evaluate": ("matplotlib",),
        "server": ("fastapi", "mcp", "multipart", "prometheus_client", "uvicorn"),
        "scale": ("fsspec", "milvus_lite", "psycopg", "pymilvus", "ray"),
        "demo": ("skimage",),
    }
)
"""The extras, each with the modules that it brings."""


def has_extra(extra: str, *modules: str) -> bool:
    """Whether an extra is installed, or those of its modules that are named."""
    return all(_is_there(module) for module in modules or EXTRAS[extra])


def _is_there(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def require_extra(extra: str, *modules: str, what: str) -> None:
    """Make sure that an extra is installed, before anything of it is imported.

    Args:
        extra: its name, as for pip.
        modules: those of its modules that are needed; all of them by default.
        what: what needs it, for the message.

    Raises:
        ConfigError: one of them is missing.
    """
    if not has_extra(extra, *modules):
        raise ConfigError(f"{what} needs more than is installed; install it with: pip install 'clipsearch[{extra}]'")
