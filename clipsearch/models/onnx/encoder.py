"""The compiled encoder: ONNX Runtime and `tokenizers`, no torch in the process."""

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
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.manifest import ModelManifest, read_manifest
from clipsearch.models.onnx.sessions import DATA_SUFFIX, first_line, open_prepared, open_session
from clipsearch.models.onnx.text_cleaning import clean_text
from clipsearch.system.cpu import available_cores

if TYPE_CHECKING:
    from PIL import Image


_BATCH_SIZE = 32
"""Texts of one run: larger batches are no faster on CPUs and cost memory."""

_FEW_PICTURES = 3
"""So many are not worth a session of their own kind."""


class CompiledEncoder:
    """Runs a compiled model directory (see `clipsearch.models.manifest`) on the CPU.

    Each tower is loaded when it is first used, so that a text search never reads the image tower.
    """

    device = "cpu"

    def __init__(self, directory: Path, *, towers: Mapping[str, Path] | None = None) -> None:
        """Read the manifest.

        Args:
            directory: of the model.
            towers: graphs to run instead of the directory's own, by file name.

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
        self._one_core_session: Any = None
        self._opening = Lock()
        self._expects_many = False

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed RGB pictures of any size; float32 [n, dim], unit rows."""
        height, width = self.manifest.image.size
        pixels = np.empty((len(images), height, width, 3), dtype=np.uint8)
        for row, image in enumerate(images):
            pixels[row] = self.transform(image)
        return self.encode_pixels(pixels)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed pictures, uint8 [n, height, width, 3]; float32 [n, dim], unit rows."""
        batches: Iterable[NDArray[np.float32]]
        if len(pixels) <= _FEW_PICTURES and not self._expects_many:
            batches = [self._embed(self._image_session, pixels)] if len(pixels) else []
        else:
            # each picture on one core: cores that share the work on one wait for each other, the more so while other
            # processes decode on them
            together = max(1, min(self.images_per_run, -(-len(pixels) // available_cores())))
            slices = (pixels[start : start + together] for start in range(0, len(pixels), together))
            batches = self._cores.map(partial(self._embed, self._one_core_image_session()), slices)
        return l2_normalize(np.concatenate([np.empty((0, self.dim), np.float32), *batches]))

    def open_image_tower(self) -> None:
        """Open what embeds many pictures; see `clipsearch.models.encoder.OpensLater`."""
        self._expects_many = True  # so that no session of the other kind is opened for a few
        self._one_core_image_session()

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts; float32 [n, dim], unit rows."""
        batches = []
        for start in range(0, len(texts), _BATCH_SIZE):
            cleaned = [clean_text(text, self.manifest.text.cleaning) for text in texts[start : start + _BATCH_SIZE]]
            encodings = self._tokenizer.encode_batch(cleaned)
            inputs = {"input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64)}
            if self._wants_attention_mask:
                inputs["attention_mask"] = np.array([item.attention_mask for item in encodings], dtype=np.int64)
            batches.append(self._run(self._text_session, inputs))
        return l2_normalize(np.concatenate([np.empty((0, self.dim), np.float32), *batches]))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of one text as the text tower gets them, padding included."""
        ids: list[int] = self._tokenizer.encode(clean_text(text, self.manifest.text.cleaning)).ids
        return ids

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special tokens included, neither cut nor padded."""
        return len(self._uncut_tokenizer.encode(clean_text(text, self.manifest.text.cleaning)).ids)

    @cached_property
    def _uncut_tokenizer(self) -> Any:
        tokenizer = self._load_tokenizer()
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _tokenizer(self) -> Any:
        return self._load_tokenizer()

    def _load_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_file(str(self.directory / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{self.directory / 'tokenizer.json'} cannot be read: {error}") from error

    @cached_property
    def _image_session(self) -> Any:
        return self._session("image.onnx")

    def _one_core_image_session(self) -> Any:
        with self._opening:
            if self._one_core_session is None:
                self._one_core_session = self._session("image.onnx", threads=1)
            return self._one_core_session

    @cached_property
    def _cores(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(available_cores(), thread_name_prefix="embedding")

    @cached_property
    def _text_session(self) -> Any:
        return self._session("text.onnx")

    @cached_property
    def _wants_attention_mask(self) -> bool:
        return any(item.name == "attention_mask" for item in self._text_session.get_inputs())

    def _session(self, name: str, *, threads: int | None = None) -> Any:
        path = self._towers.get(name, self.directory / name)
        if name in self._towers or path.with_name(name + DATA_SUFFIX).is_file():
            return open_session(path, threads=threads)  # prepared when it was compiled
        return open_prepared(path, self.manifest.files.get(name, ""), threads=threads)

    def _embed(self, session: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(session, {"pixels": pixels})

    def _run(self, session: Any, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            outputs: list[NDArray[np.float32]] = session.run(None, inputs)
        except Exception as error:
            raise ModelError(f"the model {self.spec} failed to run: {first_line(error)}") from error
        return outputs[0]


def _in_words(precision: dict[str, str]) -> str:
    """One precision for both towers, or each tower's."""
    different = set(precision.values())
    return different.pop() if len(different) == 1 else f"image {precision['image']}, text {precision['text']}"
