"""The bank of generic captions, embedded once per model."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import cache_dir, data_dir
from clipsearch.models.encoder import FloatMatrix, TextEncoder
from clipsearch.system import atomic

logger = logging.getLogger(__name__)

CAPTIONS_FILE = Path("prompts") / "generic_captions.txt"
"""Within `data_dir`."""


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a text file, without blank lines and comments (``#``)."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def generic_captions() -> tuple[str, ...]:
    """The bank's captions."""
    return read_lines(data_dir() / CAPTIONS_FILE)


def caption_bank(encoder: TextEncoder) -> FloatMatrix:
    """The embeddings of the generic captions; see `cached_embeddings`.

    Args:
        encoder: the model; its text tower is used only if the bank is neither shipped nor cached.

    Returns:
        float32 [captions, dim], rows of unit length to float16's precision.
    """
    captions = generic_captions()
    name = bank_name(encoder.fingerprint, captions)
    return cached_embeddings(name, (len(captions), encoder.dim), lambda: encoder.encode_texts(captions))


def cached_embeddings(name: str, shape: tuple[int, int], embed: Callable[[], FloatMatrix]) -> FloatMatrix:
    """Read embeddings from the shipped files or the cache; otherwise compute and cache them.

    Args:
        name: of the file, unique to the embeddings.
        shape: expected shape.
        embed: computes them, float32, unit rows.

    Returns:
        float32 of that shape, rows of unit length to float16's precision.
    """
    cached = cache_dir() / "banks" / name
    for path in (data_dir() / "calibration" / name, cached):
        bank = _read(path, shape)
        if bank is not None:
            return bank.astype(np.float32)
    bank = embed().astype(np.float16)
    try:
        write_bank(cached, bank)
    except OSError as error:  # a cache that cannot be written costs time, not results
        logger.info("cannot cache the bank %s: %s", name, error)
    return bank.astype(np.float32)


def bank_name(fingerprint: str, captions: Sequence[str]) -> str:
    """File name of a model's bank, by the fingerprint of the weights and the captions."""
    digest = hashlib.sha256("\n".join((fingerprint, *captions)).encode()).hexdigest()
    return f"bank-{digest[:16]}.npy"


def write_bank(path: Path, bank: NDArray[np.float16]) -> None:
    """Write a bank, float16 [captions, dim], atomically."""
    with atomic.replacing(path, durable=True) as file:
        np.save(file, bank, allow_pickle=False)


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float16] | None:
    """The bank in a file; ``None`` if it is missing or damaged."""
    try:
        bank = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if bank.shape != shape or bank.dtype != np.float16 or not np.isfinite(bank).all():
        return None
    return np.asarray(bank)
