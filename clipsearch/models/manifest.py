"""`model.json`: what a compiled model directory holds and how to feed it.

A compiled model is a directory::

    model.json        this manifest
    image.onnx        pixels uint8 [n, h, w, 3] (RGB)             -> image_embeddings float32 [n, dim]
    text.onnx         input_ids int64 [n, t] (, attention_mask)   -> text_embeddings  float32 [n, dim]
    tokenizer.json    Hugging Face `tokenizers` file, truncation and padding included
    *.onnx.data       a tower's weights, where they are kept apart to be mapped into memory

Casting, mean and standard deviation are inside the image graph, so that pixels stay uint8 until they
reach it. Neither graph has to normalise; the encoder does.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageSpec
from clipsearch.models.parity import Parity
from clipsearch.models.specs import MANIFEST_NAME

MANIFEST_FORMAT = 1

CHECK_SET = "check set"
"""Where the pictures came from on which models were compared, if not from the user."""

IMAGES_PER_RUN = 8
"""Pictures that a core embeds at once, if the manifest does not say."""

TextCleaning = Literal["none", "whitespace", "lower", "canonicalize"]


@dataclass(frozen=True)
class TextSpec:
    """How a text is brought to the text tower's input.

    Attributes:
        context_length: tokens at most, special tokens included; longer texts are cut by the tokenizer.
        cleaning: what happens to a text before the tokenizer, in open_clip's terms.
    """

    context_length: int
    cleaning: TextCleaning = "none"


@dataclass(frozen=True)
class Candidate:
    """One form of a tower that was tried when the model was compiled.

    Attributes:
        tower: ``image`` or ``text``.
        precision: ``fp32``, ``int8 dynamic`` or ``int8 static``.
        speed: pictures a second in batches, or of the text tower texts a second one by one.
        load_ms: time to open it, in milliseconds.
        bytes: size of its files.
        cosine: mean cosine to the source's embeddings.
        overlap: mean share of the ten nearest pictures of a text that it has in common with the source.
        kept: whether it was chosen.
    """

    tower: Literal["image", "text"]
    precision: str
    speed: float
    load_ms: float
    bytes: int
    cosine: float
    overlap: float
    kept: bool = False


@dataclass(frozen=True)
class ModelManifest:
    """The content of `model.json`.

    Attributes:
        name: the spec a library remembers.
        version: of the weights.
        dim: embedding dimension.
        image: input of the image tower.
        text: input of the text tower.
        precision: of each tower's weights, for example ``{"image": "fp32", "text": "int8"}``.
        logit_scale: the learned inverse temperature, exponentiated (CLIP §2.3).
        licence: SPDX expression or a few words.
        languages: BCP 47 tags, ``("*",)`` for many.
        parity: lowest cosine against the model it was exported from, per tower; empty if it is an original.
        source: what it was made from, for people.
        weights_fingerprint: identity of the weights it was exported from, which an encoder that runs those
            reports as well; empty if it is an original.
        files: name -> SHA-256 (hex) of each file beside the manifest.
        rounding: parity of rounded weights or arithmetic with the source; ``None`` if nothing was rounded.
        compared_on: the pictures it was measured on, for people.
        candidates: what was tried when it was compiled.
        images_per_run: pictures that a core embeds at once, where there are many.
    """

    name: str
    version: str
    dim: int
    image: ImageSpec
    text: TextSpec
    precision: dict[str, str]
    logit_scale: float
    licence: str
    languages: tuple[str, ...]
    parity: dict[str, float] = field(default_factory=dict)
    source: str = ""
    weights_fingerprint: str = ""
    files: dict[str, str] = field(default_factory=dict)
    rounding: Parity | None = None
    compared_on: str = ""
    candidates: tuple[Candidate, ...] = ()
    images_per_run: int = IMAGES_PER_RUN
    format: int = MANIFEST_FORMAT

    @property
    def fingerprint(self) -> str:
        """Identity of the weights: 16 hex digits, those of the source or, of an original, over its files' SHA-256."""
        if self.weights_fingerprint:
            return self.weights_fingerprint
        listing = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()[:16]

    def write(self, directory: Path) -> None:
        """Write `model.json` into a directory that already holds the files."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, sort_keys=True)
        (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def file_digests(directory: Path) -> dict[str, str]:
    """SHA-256 (hex) of the files that make up a compiled model, by name."""
    names = ["image.onnx", "text.onnx", "tokenizer.json", *(path.name for path in directory.glob("*.onnx.data"))]
    return {name: _sha256(directory / name) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(directory: Path) -> ModelManifest:
    """Read `model.json`.

    Raises:
        ModelError: it is missing, damaged, or of a newer format.
    """
    path = directory / MANIFEST_NAME
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("format") != MANIFEST_FORMAT:
            raise ModelError(f"{path} is of format {raw.get('format')!r}; this clipsearch reads {MANIFEST_FORMAT}")
        image = dict(raw.pop("image"))
        image["size"] = tuple(image["size"])
        text = TextSpec(**raw.pop("text"))
        raw["languages"] = tuple(raw["languages"])
        raw["rounding"] = Parity(**raw["rounding"]) if raw.get("rounding") else None
        raw["candidates"] = tuple(Candidate(**candidate) for candidate in raw.get("candidates", ()))
        return ModelManifest(image=ImageSpec(**image), text=text, **raw)
    except FileNotFoundError as error:
        raise ModelError(f"{directory} is not a compiled model: it has no {MANIFEST_NAME}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
