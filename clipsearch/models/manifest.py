"""`model.json`, the manifest of a compiled model.

A compiled model is a directory::

    model.json        this manifest
    image.onnx        pixels uint8 [n, h, w, 3] (RGB)             -> image_embeddings float32 [n, dim]
    text.onnx         input_ids int64 [n, t] (, attention_mask)   -> text_embeddings  float32 [n, dim]
                      (, input_ids_2, attention_mask_2 of a second tokenizer)
    tokenizer.json    Hugging Face `tokenizers` file, truncation and padding included; more of them where
                      `TextSpec.tokenizers` names more
    *.onnx.data       a tower's weights, if stored separately for memory mapping
    video-*.onnx      temporal heads, if there are any (`clipsearch.models.video_heads`)

The image graph includes casting, mean and standard deviation, so that its input is uint8. The encoder normalizes the
embeddings of both graphs.
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
from clipsearch.models.video_heads import VideoHeadsSpec

MANIFEST_FORMAT = 1

CHECK_SET = "check set"
"""Source of the comparison images in `ModelManifest.compared_on`, if the user provided none."""

IMAGES_PER_RUN = 8
"""Default of `ModelManifest.images_per_run`."""

TextCleaning = Literal["none", "whitespace", "lower", "canonicalize"]


@dataclass(frozen=True)
class TextSpec:
    """Input of the text tower.

    Attributes:
        context_length: maximum number of tokens, including special tokens; the tokenizer truncates longer texts.
        cleaning: text cleaning before the tokenizer, in open_clip's terms.
        tokenizers: their files; the graph takes the ids of each.
    """

    context_length: int
    cleaning: TextCleaning = "none"
    tokenizers: tuple[str, ...] = ("tokenizer.json",)


@dataclass(frozen=True)
class Candidate:
    """A precision of a tower that was measured when the model was compiled.

    Attributes:
        tower: ``image`` or ``text``.
        precision: ``fp32``, ``int8 dynamic`` or ``int8 static``.
        speed: images per second in batches, or single texts per second.
        load_ms: loading time in milliseconds.
        bytes: size of its files.
        cosine: mean cosine similarity to the source's embeddings.
        overlap: mean overlap@10 of text-to-image results with the source's.
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
        name: the spec stored in a library.
        version: version of the weights.
        dim: embedding dimension.
        image: input of the image tower.
        text: input of the text tower.
        precision: precision of each tower, for example ``{"image": "fp32", "text": "int8"}``.
        logit_scale: the learned inverse temperature, exponentiated (CLIP §2.3).
        licence: SPDX expression or a short description.
        languages: BCP 47 tags, ``("*",)`` for many.
        parity: lowest cosine similarity to the source model, per tower; empty if there is no source model.
        source: description of the source.
        weights_fingerprint: fingerprint of the source's weights, as reported by its encoder; empty if there is no
            source model.
        files: name -> SHA-256 (hex) of each file beside the manifest.
        rounding: parity of quantized weights or arithmetic with the source; ``None`` if nothing was quantized.
        compared_on: description of the images of the comparison.
        candidates: the precisions measured when it was compiled.
        images_per_run: images per run of a core in large batches.
        video: the temporal heads (`clipsearch.models.video_heads`).
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
    video: VideoHeadsSpec = field(default_factory=VideoHeadsSpec)
    format: int = MANIFEST_FORMAT

    @property
    def fingerprint(self) -> str:
        """Identity of the weights, 16 hex digits: that of the source or, without a source, a hash of the files."""
        if self.weights_fingerprint:
            return self.weights_fingerprint
        listing = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()[:16]

    def write(self, directory: Path) -> None:
        """Write `model.json` to the directory of the files."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, sort_keys=True)
        (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def file_digests(directory: Path) -> dict[str, str]:
    """SHA-256 (hex) of the files that make up a compiled model, by name."""
    kept = ("image.onnx", "text.onnx", "*.onnx.data", "tokenizer*.json")
    names = sorted({path.name for pattern in kept for path in directory.glob(pattern)})
    return {name: file_digest(directory / name) for name in names}


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(directory: Path) -> ModelManifest:
    """Read `model.json`.

    Raises:
        ModelError: it is missing, damaged or of another format.
    """
    path = directory / MANIFEST_NAME
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("format") != MANIFEST_FORMAT:
            raise ModelError(f"{path} is of format {raw.get('format')!r}; this clipsearch reads {MANIFEST_FORMAT}")
        image = dict(raw.pop("image"))
        image["size"] = tuple(image["size"])
        text = dict(raw.pop("text"))
        text["tokenizers"] = tuple(text.get("tokenizers", ("tokenizer.json",)))
        raw["languages"] = tuple(raw["languages"])
        raw["rounding"] = Parity(**raw["rounding"]) if raw.get("rounding") else None
        raw["candidates"] = tuple(Candidate(**candidate) for candidate in raw.get("candidates", ()))
        raw["video"] = VideoHeadsSpec(**raw.get("video", {}))
        return ModelManifest(image=ImageSpec(**image), text=TextSpec(**text), **raw)
    except FileNotFoundError as error:
        raise ModelError(f"{directory} is not a compiled model: it has no {MANIFEST_NAME}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
