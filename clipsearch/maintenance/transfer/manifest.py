"""What an exported directory says of itself, in ``manifest.json``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from clipsearch.catalog.exclusion_patterns import exclusion_pattern
from clipsearch.catalog.path_text import path_to_text
from clipsearch.catalog.transfer import ExchangedRoot
from clipsearch.errors import ConfigError
from clipsearch.models.parity import Parity
from clipsearch.system.remote_files import scheme_of

MANIFEST_NAME = "manifest.json"
FORMATS = ("npz", "parquet")
_KIND = "clipsearch export"
_VERSION = 6
"""2 has tags, 3 concepts, 4 the segments of the embeddings, 5 exclusions, 6 the text in pictures."""


@dataclass(frozen=True)
class ExportedModel:
    """The model whose embeddings are exported; see `clipsearch.catalog.records.ModelRecord`."""

    spec: str
    fingerprint: str
    dim: int
    precision: str
    parity: Parity | None = None


@dataclass(frozen=True)
class Manifest:
    """What an export holds.

    Attributes:
        file_format: ``npz`` or ``parquet``.
        model: ``None`` if the library had none yet.
        roots: the indexed folders, by path.
        images: contents.
        embeddings: of them.
        checksums: XXH3-128 (hex) of each file beside the manifest, by name.
        exclusions: patterns of what is not indexed in any folder.
    """

    file_format: str
    model: ExportedModel | None
    roots: list[ExchangedRoot]
    images: int
    embeddings: int
    checksums: dict[str, str]
    exclusions: tuple[str, ...] = ()


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write it in ASCII: a byte of a path that is not UTF-8 is a lone surrogate, ``\\udc80`` to ``\\udcff``."""
    value = {
        "kind": _KIND,
        "version": _VERSION,
        "format": manifest.file_format,
        "model": asdict(manifest.model) if manifest.model is not None else None,
        "roots": [{**asdict(root), "path": str(root.path)} for root in manifest.roots],
        "exclusions": manifest.exclusions,
        "images": manifest.images,
        "embeddings": manifest.embeddings,
        "checksums": manifest.checksums,
    }
    (directory / MANIFEST_NAME).write_text(json.dumps(value, indent=2) + "\n", encoding="ascii")


def read_manifest(directory: Path) -> Manifest:
    """Read it, and check that the files beside it are those it was written for.

    Raises:
        ConfigError: it is missing, damaged or of a newer clipsearch, or a file beside it is damaged.
    """
    path = directory / MANIFEST_NAME
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict) or value.get("kind") != _KIND:
            raise ValueError("it is another program's")
        if isinstance(value["version"], int) and value["version"] > _VERSION:
            raise ConfigError(
                f"{directory} was exported by a newer clipsearch; update with: pip install --upgrade clipsearch"
            )
        manifest = _parse(value)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{directory} is not an export: it has no {MANIFEST_NAME}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is damaged ({_reason(error)}); export again") from error
    for name, checksum in manifest.checksums.items():
        if _checksum_of(directory / name) != checksum:
            raise ConfigError(f"{directory / name} is damaged (its checksum does not match); export again")
    return manifest


def file_checksum(path: Path) -> str:
    """XXH3-128 of a file, hex."""
    import xxhash

    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def is_absolute_somewhere(path: str) -> bool:
    """Whether a path is absolute, also on the other kind of system: there is nothing at such a one here."""
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute() or scheme_of(Path(path)) is not None


def _checksum_of(path: Path) -> str:
    try:
        return file_checksum(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; export again") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error


def _parse(value: dict[str, Any]) -> Manifest:
    if value["format"] not in FORMATS:
        raise ValueError(f"unknown format {value['format']!r}")
    model = _model(value["model"]) if value["model"] is not None else None
    if model is not None and not (model.spec and model.fingerprint and isinstance(model.dim, int) and model.dim > 0):
        raise ValueError("its model makes no sense")
    roots = [
        ExchangedRoot(
            Path(root["path"]),
            root["volume_id"],
            root["volume_path"],
            _patterns(root.get("exclusions", [])),
            bool(root.get("default_exclusions", True)),
        )
        for root in value["roots"]
    ]
    for root in value["roots"]:
        path_to_text(root["path"]).encode()
        if not is_absolute_somewhere(root["path"]):
            raise ValueError("a folder's path is not absolute")
    checksums = {str(name): str(checksum) for name, checksum in value["checksums"].items()}
    if any(Path(name).name != name for name in checksums):
        raise ValueError("it names files elsewhere")
    counts = int(value["images"]), int(value["embeddings"])
    return Manifest(value["format"], model, roots, *counts, checksums, _patterns(value.get("exclusions", [])))


def _patterns(patterns: list[str]) -> tuple[str, ...]:
    """Patterns of what is not indexed; one that is none would end every run."""
    try:
        return tuple(exclusion_pattern(pattern) for pattern in patterns)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _model(value: dict[str, Any]) -> ExportedModel:
    parity = value.get("parity")
    return ExportedModel(**{**value, "parity": Parity(**parity) if parity is not None else None})


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
