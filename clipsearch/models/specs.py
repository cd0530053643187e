"""Model specs: parsing, and the cache path of the compiled model. Does not import torch or open_clip."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from clipsearch.config import cache_dir, typed_path
from clipsearch.errors import ModelError

MANIFEST_NAME = "model.json"
"""Manifest file of a compiled model."""

HF_HUB_PREFIX = "hf-hub:"
LOCAL_DIR_PREFIX = "local-dir:"
OPEN_CLIP_CONFIG = "open_clip_config.json"

EXPORT_VERSION = 5
"""Part of the cache path; to be incremented when the exporter's output changes."""

_CHECKPOINT_SUFFIXES = (".safetensors", ".bin", ".pth")


@dataclass(frozen=True)
class ModelSpec:
    """A parsed spec.

    Attributes:
        text: the spec stored in a library.
        kind: ``pair`` (``architecture/pretrained``), ``hf-hub`` or ``local-dir``.
        name: the architecture, the hub repository or the absolute directory.
        pretrained: tag or file of a pair's weights; otherwise ``None``.
    """

    text: str
    kind: Literal["pair", "hf-hub", "local-dir"]
    name: str
    pretrained: str | None = None

    @property
    def directory(self) -> Path | None:
        """The directory of a ``local-dir`` spec."""
        return Path(self.name) if self.kind == "local-dir" else None

    @property
    def open_clip_name(self) -> str:
        """The `model_name` argument of open_clip's functions."""
        return self.name if self.kind == "pair" else f"{self.kind}:{self.name}"


def parse_spec(text: str, *, suggestions: Iterable[str] = ()) -> ModelSpec:
    """Parse ``architecture/pretrained``, ``hf-hub:org/name``, ``local-dir:PATH`` or an existing directory.

    Args:
        text: the user's input.
        suggestions: further valid names to suggest in the message for an unknown name.

    Raises:
        ModelError: the spec is invalid; the message suggests similar names.
    """
    text = text.strip()
    if text.startswith(HF_HUB_PREFIX):
        repository = text.removeprefix(HF_HUB_PREFIX).strip("/")
        if repository.count("/") != 1:
            raise ModelError(f"{text!r} is not a hub model: write hf-hub:organization/name")
        return ModelSpec(HF_HUB_PREFIX + repository, "hf-hub", repository)
    if text.startswith(LOCAL_DIR_PREFIX):
        return _local(text.removeprefix(LOCAL_DIR_PREFIX))
    architecture, _, pretrained = text.partition("/")
    known = known_architectures()
    # without open_clip names cannot be checked; the model may already be compiled
    is_unchecked = not known and bool(pretrained) and not typed_path(text).is_dir()
    if architecture in known or is_unchecked:
        if not pretrained:
            raise ModelError(f"{text!r} is an architecture without weights; use ARCHITECTURE/WEIGHTS")
        if Path(pretrained).is_file():
            pretrained = str(Path(pretrained).resolve())
        return ModelSpec(f"{architecture}/{pretrained}", "pair", architecture, pretrained)
    if text and typed_path(text).is_dir():
        return _local(text)
    raise ModelError(unknown_model(text, architecture, [*suggestions, *known]))


def unknown_model(text: str, wrong: str, valid: list[str]) -> str:
    """The message for an unknown name, with suggestions."""
    import difflib

    nearest = difflib.get_close_matches(wrong, valid, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return f"unknown model {text!r}; {hint}`clipsearch models` lists the presets"


def known_architectures() -> list[str]:
    """Names of open_clip's architectures, including those registered at run time."""
    loaded = sys.modules.get("open_clip")
    if loaded is not None and hasattr(loaded, "list_models"):
        return list(loaded.list_models())
    return list(_bundled_architectures())


def slug(text: str) -> str:
    """A readable and unique file name for a spec."""
    readable = "".join(character if character.isalnum() or character in "-_." else "-" for character in text)
    return f"{readable[-80:].strip('-.')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def compiled_dir(spec: ModelSpec, *, cache: Path | None = None) -> Path:
    """The cache directory of a compiled model, existing or not.

    Its last part has the exporter's version and, for local weights, the state of the files, so that replaced weights
    are compiled again.

    Args:
        spec: the model.
        cache: overrides `clipsearch.config.cache_dir`.
    """
    version = f"v{EXPORT_VERSION}"
    if spec.directory is not None:
        version += f"-{_directory_stamp(spec.directory)}"
    elif spec.pretrained is not None and Path(spec.pretrained).is_file():
        version += f"-{_files_stamp([Path(spec.pretrained)])}"
    return (cache or cache_dir()) / "models" / slug(spec.text) / version


def is_compiled(directory: Path) -> bool:
    """Whether a directory is a compiled model."""
    return (directory / MANIFEST_NAME).is_file()


def model_config(spec: ModelSpec) -> dict[str, Any]:
    """open_clip's `model_cfg` of a local directory or a built-in architecture; ``{}`` if unknown.

    Raises:
        ModelError: the directory's configuration is missing or damaged.
    """
    if spec.directory is not None:
        return _local_config(spec.directory)
    if spec.kind == "pair" and spec.name in _bundled_architectures():
        config: dict[str, Any] = json.loads(_bundled_architectures()[spec.name].read_text(encoding="utf-8"))
        return config
    return {}


def _local(path: str) -> ModelSpec:
    directory = typed_path(path).resolve()
    if not path or not directory.is_dir():
        raise ModelError(f"the model directory {path or '(none named)'} does not exist")
    return ModelSpec(f"{LOCAL_DIR_PREFIX}{directory}", "local-dir", str(directory))


def _local_config(directory: Path) -> dict[str, Any]:
    path = directory / OPEN_CLIP_CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        _ = config["text_cfg"], config["vision_cfg"]
    except FileNotFoundError as error:
        raise ModelError(
            f"{directory} is not a model: it has neither {OPEN_CLIP_CONFIG} nor {MANIFEST_NAME}"
        ) from error
    except KeyError as error:
        raise ModelError(f"{path} has no {error.args[0]!r}; it is not an open_clip configuration") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    return config


def _directory_stamp(directory: Path) -> str:
    try:
        files = [child for child in directory.iterdir() if child.suffix in (*_CHECKPOINT_SUFFIXES, ".json", ".model")]
    except OSError as error:
        raise ModelError(f"the model directory {directory} cannot be read: {error.strerror}") from error
    return _files_stamp(files)


def _files_stamp(files: list[Path]) -> str:
    # size and time rather than content: hashing gigabytes would delay the search
    states = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return hashlib.sha256(repr(states).encode()).hexdigest()[:12]


@cache
def _bundled_architectures() -> dict[str, Path]:
    package = importlib.util.find_spec("open_clip")  # does not import it
    if package is None or not package.submodule_search_locations:
        return {}
    folder = Path(package.submodule_search_locations[0]) / "model_configs"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}
