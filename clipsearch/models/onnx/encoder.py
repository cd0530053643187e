"""The compiled encoder, based on ONNX Runtime and `tokenizers`, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageTransform
from clipsearch.models.encoder import FloatMatrix, l2_normalize, transform_images
from clipsearch.models.manifest import ModelManifest, read_manifest
from clipsearch.models.onnx.sessions import DATA_SUFFIX, open_prepared, open_session
from clipsearch.models.onnx.text_cleaning import clean_text, is_latin
from clipsearch.models.onnx.text_tokens import TextTokenizer
from clipsearch.models.video_heads import VideoHeads
from clipsearch.system.cpu import available_cores
from clipsearch.text import first_line

if TYPE_CHECKING:
    from PIL import Image


_BATCH_SIZE = 32
"""Texts per run; larger batches are no faster on CPUs and need more memory."""

_MAX_SMALL_BATCH = 3
"""Up to this number of images the multithreaded session is used, to avoid loading the one-core session."""


def token_inputs(tokenizers: Sequence[TextTokenizer], texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Ids and masks, int64 [n, t], of texts by each tokenizer, under the names of the text graph's inputs."""
    inputs = {}
    for place, tokenizer in enumerate(tokenizers):
        suffix = f"_{place + 1}" if place else ""
        inputs[f"input_ids{suffix}"], inputs[f"attention_mask{suffix}"] = tokenizer.ids(texts)
    return inputs


class CompiledEncoder:
    """Runs a compiled model directory (see `clipsearch.models.manifest`) on the CPU.

    Each tower is loaded at its first use, so that a text search never reads the image tower.
    """

    device = "cpu"
    batches_at_once = 2  # while one ends, the other keeps all cores at work

    def __init__(self, directory: Path, *, towers: Mapping[str, Path] | None = None) -> None:
        """Read the manifest.

        Args:
            directory: of the model.
            towers: graphs that replace the directory's, by file name.

        Raises:
            ModelError: the directory is not a compiled model.
        """
        self.directory = directory
        self._towers = towers or {}
        self.manifest: ModelManifest = read_manifest(directory)
        self.spec = self.manifest.name
        self.fingerprint = self.manifest.fingerprint
        self.dim = self.manifest.dim
        self.transform = ImageTransform(self.manifest.image)
        self.precision = _in_words(self.manifest.precision)
        self.parity = self.manifest.rounding
        self.logit_scale = self.manifest.logit_scale
        self.context_length = self.manifest.text.context_length
        self.images_per_run = self.manifest.images_per_run
        self.images_per_batch = self.images_per_run * available_cores()
        self._tokenizers = [
            TextTokenizer(directory / name, self.manifest.files.get(name, "")) for name in self.manifest.text.tokenizers
        ]
        self._cores = ThreadPoolExecutor(available_cores(), thread_name_prefix="embedding")
        self._one_core_session: Any = None
        self._opening = Lock()
        self._expects_many = False

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed images; see `Encoder.encode_images`."""
        return self.encode_pixels(transform_images(self.transform, images))

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed images; see `Encoder.encode_pixels`."""
        batches: Iterable[NDArray[np.float32]]
        if len(pixels) <= _MAX_SMALL_BATCH and not self._expects_many:
            batches = [self._embed(self._image_session, pixels)] if len(pixels) else []
        else:
            # one core per image: cores that share an image wait for each other, above all while other processes decode
            together = max(1, min(self.images_per_run, -(-len(pixels) // available_cores())))
            slices = (pixels[start : start + together] for start in range(0, len(pixels), together))
            batches = self._cores.map(partial(self._embed, self._one_core_image_session()), slices)
        return l2_normalize(np.concatenate([np.empty((0, self.dim), np.float32), *batches]))

    def open_image_tower(self) -> None:
        """Load the one-core session; see `clipsearch.models.encoder.OpensLater`."""
        self._expects_many = True  # so that small batches use this session as well
        self._one_core_image_session()

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts; see `Encoder.encode_texts`."""
        batches = []
        for start in range(0, len(texts), _BATCH_SIZE):
            cleaned = [clean_text(text, self.manifest.text.cleaning) for text in texts[start : start + _BATCH_SIZE]]
            batches.append(self._run(self._text_session, self._wanted(token_inputs(self._tokenizers, cleaned))))
        return l2_normalize(np.concatenate([np.empty((0, self.dim), np.float32), *batches]))

    def _wanted(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Those that the text graph takes: not every one has a mask."""
        return {item.name: inputs[item.name] for item in self._text_session.get_inputs()}

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text by the first tokenizer, as passed to the text tower, including padding."""
        ids, _ = self._tokenizers[0].ids([clean_text(text, self.manifest.text.cleaning)])
        return [int(token) for token in ids[0]]

    def count_tokens(self, text: str) -> int:
        """Number of tokens of a text by the tokenizer that makes most, including special tokens, without truncation."""
        cleaned = clean_text(text, self.manifest.text.cleaning)
        return max(tokenizer.count(cleaned) for tokenizer in self._tokenizers)

    def knows(self, word: str) -> bool:
        """Whether the text tower was trained on any token of a word.

        An English vocabulary may spell other scripts letter by letter, which its tower has hardly read.
        """
        if self.manifest.languages == ("en",) and not is_latin(word):
            return False
        cleaned = clean_text(word, self.manifest.text.cleaning)
        return any(tokenizer.knows(cleaned) for tokenizer in self._tokenizers)

    @cached_property
    def video_heads(self) -> VideoHeads:
        """The temporal heads of the model directory, which may have none."""
        return VideoHeads(self.directory, self.manifest.video)

    @cached_property
    def _image_session(self) -> Any:
        return self._session("image.onnx")

    def _one_core_image_session(self) -> Any:
        with self._opening:
            if self._one_core_session is None:
                self._one_core_session = self._session("image.onnx", threads=1)
            return self._one_core_session

    @cached_property
    def _text_session(self) -> Any:
        return self._session("text.onnx")

    def _session(self, name: str, *, threads: int | None = None) -> Any:
        path, is_text = self._towers.get(name, self.directory / name), name == "text.onnx"
        if name in self._towers or path.with_name(name + DATA_SUFFIX).is_file():
            is_final = is_text and name not in self._towers
            return open_session(path, threads=threads, is_final=is_final)  # optimized when it was compiled
        return open_prepared(path, self.manifest.files.get(name, ""), threads=threads, is_final=is_text)

    def _embed(self, session: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(session, {"pixels": pixels})

    def _run(self, session: Any, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            outputs: list[NDArray[np.float32]] = session.run(None, inputs)
        except Exception as error:
            raise ModelError(f"the model {self.spec} failed to run: {first_line(error)}") from error
        return outputs[0]


def _in_words(precision: dict[str, str]) -> str:
    """The precision of both towers, or of each if they differ."""
    distinct = set(precision.values())
    return distinct.pop() if len(distinct) == 1 else f"image {precision['image']}, text {precision['text']}"
