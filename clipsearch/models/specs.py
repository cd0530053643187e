"""Names of models: what a user may write, what a library remembers, and where the compiled form is cached.

Nothing here imports torch or open_clip, so that a search with a compiled model starts at once.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from clipsearch.config import cache_dir
from clipsearch.errors import ModelError

MANIFEST_NAME = "model.json"
"""In the directory of a compiled model."""

HF_HUB_PREFIX = "hf-hub:"
LOCAL_DIR_PREFIX = "local-dir:"
OPEN_CLIP_CONFIG = "open_clip_config.json"

EXPORT_VERSION = 4
"""Part of the cache path; to be raised when the exporter makes something different of the same weights."""

_CHECKPOINT_SUFFIXES = (".safetensors", ".bin", ".pth")


@dataclass(frozen=True)
class ModelSpec:
    """A parsed spec.

    Attributes:
        text: the spec as a library remembers it.
        kind: ``pair`` (``architecture/pretrained``), ``hf-hub`` or ``local-dir``.
        name: the architecture, the hub repository or the absolute directory.
        pretrained: tag or file of a pair's weights, else ``None``.
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
        """What open_clip's functions take as `model_name`."""
        return self.name if self.kind == "pair" else f"{self.kind}:{self.name}"


def parse_spec(text: str, *, suggestions: Iterable[str] = ()) -> ModelSpec:
    """Parse ``architecture/pretrained``, ``hf-hub:org/name``, ``local-dir:PATH`` or an existing directory.

    Args:
        text: what the user wrote.
        suggestions: further valid names that the message for an unknown one may propose.

    Raises:
        ModelError: it is none of them; the message names the nearest valid ones.
    """
    text = text.strip()
    if text.startswith(HF_HUB_PREFIX):
        repository = text.removeprefix(HF_HUB_PREFIX).strip("/")
        if repository.count("/") != 1:
            raise ModelError(f"{text!r} is not a hub model: write hf-hub:organisation/name")
        return ModelSpec(HF_HUB_PREFIX + repository, "hf-hub", repository)
    if text.startswith(LOCAL_DIR_PREFIX):
        return _local(text.removeprefix(LOCAL_DIR_PREFIX))
    architecture, _, pretrained = text.partition("/")
    known = known_architectures()
    # without open_clip no name can be checked; one that was compiled before can be used all the same
    is_unchecked = not known and bool(pretrained) and not Path(text).expanduser().is_dir()
    if architecture in known or is_unchecked:
        if not pretrained:
            raise ModelError(f"{text!r} names an architecture only; name its weights too, as in ARCHITECTURE/WEIGHTS")
        if Path(pretrained).is_file():
            pretrained = str(Path(pretrained).resolve())
        return ModelSpec(f"{architecture}/{pretrained}", "pair", architecture, pretrained)
    if text and Path(text).expanduser().is_dir():
        return _local(text)
    raise ModelError(unknown_model(text, architecture, [*suggestions, *known]))


def unknown_model(text: str, wrong: str, valid: list[str]) -> str:
    """The message for a name that is not among the valid ones; names the nearest."""
    nearest = difflib.get_close_matches(wrong, valid, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return f"unknown model {text!r}; {hint}`clipsearch models` lists the presets"


def known_architectures() -> list[str]:
    """Names of open_clip's architectures, including those registered in this process."""
    loaded = sys.modules.get("open_clip")
    if loaded is not None and hasattr(loaded, "list_models"):
        return list(loaded.list_models())
    return list(_bundled_architectures())


def slug(text: str) -> str:
    """A file name for a spec: readable, and distinct for distinct specs."""
    readable = "".join(character if character.isalnum() or character in "-_." else "-" for character in text)
    return f"{readable[-80:].strip('-.')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def compiled_dir(spec: ModelSpec, *, cache: Path | None = None) -> Path:
    """Where the compiled form of a model belongs, whether it is there or not.

    The last part names the exporter's version and, for a local directory, the state of its files, so that
    replaced weights are compiled anew.

    Args:
        spec: the model.
        cache: instead of `clipsearch.config.cache_dir`.
    """
    version = f"v{EXPORT_VERSION}"
    if spec.directory is not None:
        version += f"-{_directory_stamp(spec.directory)}"
    elif spec.pretrained is not None and Path(spec.pretrained).is_file():
        version += f"-{_files_stamp([Path(spec.pretrained)])}"
    return (cache or cache_dir()) / "models" / slug(spec.text) / version


def is_compiled(directory: Path) -> bool:
    """Whether a directory holds a compiled model."""
    return (directory / MANIFEST_NAME).is_file()


def model_config(spec: ModelSpec) -> dict[str, Any]:
    """open_clip's `model_cfg` of a local directory or of an architecture that open_clip ships; ``{}`` if unknown.

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
    directory = Path(path).expanduser().resolve()
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
        raise ModelError(f"{path} has no {error.args[0]!r}; it is no open_clip configuration") from error
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
    # size and time rather than content: reading gigabytes would cost more than the search it precedes
    states = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return hashlib.sha256(repr(states).encode()).hexdigest()[:12]


@cache
def _bundled_architectures() -> dict[str, Path]:
    found = importlib.util.find_spec("open_clip")  # finds the package without importing it
    if found is None or not found.submodule_search_locations:
        return {}
    folder = Path(found.submodule_search_locations[0]) / "model_configs"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}
