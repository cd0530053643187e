"""Dynamic batching of query texts.

The text tower is memory-bound for short texts, so a few texts take hardly longer than one. While one call runs, new
texts queue for the next call; a single search never waits for others. Only texts of similar length are batched, as
shorter ones would be padded to the longest. Recent embeddings are cached, for example for the next page of a search.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.prompts import CountsTokens, KnowsWords

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.media.transform import ImageTransform
    from clipsearch.models.encoder import Encoder

MAX_BATCH = 32
"""Maximum texts of one call, as in the encoders."""

MAX_CACHED = 1_024
"""Maximum cached texts; 2 MB at 512 dimensions."""

_MAX_LENGTH_RATIO = 1.5
"""Maximum ratio of text lengths in a batch."""

_LENGTH_SLACK = 8
"""Difference in characters that is always accepted."""


class _Request:
    """Texts of one caller, and the result."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.embeddings: dict[str, NDArray[np.float32]] | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.embeddings is not None or self.error is not None


class BatchingEncoder:
    """A thread-safe encoder with dynamic batching; its embeddings equal those of the wrapped encoder.

    With dynamic quantization a text's embedding depends on the other texts of the batch: then each call has the texts
    of one caller.
    """

    def __init__(self, encoder: Encoder, *, observe: Callable[[int], None] = lambda _: None) -> None:
        """Wrap an encoder.

        Args:
            encoder: to wrap.
            observe: called with the batch size of each call.
        """
        self._encoder = encoder
        self._observe = observe
        self.spec = encoder.spec
        self.fingerprint = encoder.fingerprint
        self.dim = encoder.dim
        self.device = encoder.device
        self.precision = encoder.precision
        self.parity = encoder.parity
        self.logit_scale = encoder.logit_scale
        self.transform = encoder.transform
        if isinstance(encoder, CountsTokens):
            self.context_length = encoder.context_length
            self.count_tokens = encoder.count_tokens
        if isinstance(encoder, KnowsWords):
            self.knows = encoder.knows
        self._max_batch = MAX_BATCH if is_batchable(encoder.precision) else 1
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._queue: deque[_Request] = deque()
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed RGB pictures of any size; float32 [n, dim], unit rows."""
        return self._encoder.encode_images(images)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed pictures, uint8 [n, height, width, 3]; float32 [n, dim], unit rows."""
        return self._encoder.encode_pixels(pixels)

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts, batched with those of other threads; float32 [n, dim], unit rows."""
        embeddings = self._cached(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in embeddings]
        if missing:
            embeddings.update(self._embedded(missing))
        rows = [embeddings[text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    def _embedded(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        request = _Request(texts)
        with self._lock:
            self._queue.append(request)
        # the thread with the turn embeds for all in the queue; the others find theirs done
        with self._turn:
            while not request.is_done:
                self._embed(self._next_batch())
        if request.error is not None:
            raise request.error
        assert request.embeddings is not None
        return request.embeddings

    def _next_batch(self) -> list[_Request]:
        with self._lock:
            batch = [self._queue.popleft()]
            count = len(batch[0].texts)
            while self._queue and count + len(self._queue[0].texts) <= self._max_batch:
                batch.append(self._queue.popleft())
                count += len(batch[-1].texts)
        return batch

    def _embed(self, batch: Sequence[_Request]) -> None:
        texts = list(dict.fromkeys(text for request in batch for text in request.texts))
        embeddings: dict[str, NDArray[np.float32]] = {}
        try:
            for group in _of_similar_length(texts) if self._max_batch > 1 else [texts]:
                self._observe(len(group))
                embeddings.update(zip(group, self._encoder.encode_texts(group), strict=True))
        except Exception as error:  # raised in each caller's thread
            for request in batch:
                request.error = error
            return
        with self._lock:
            self._cache.update((text, embedding.copy()) for text, embedding in embeddings.items())
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        for request in batch:
            request.embeddings = {text: embeddings[text] for text in request.texts}

    def _cached(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        with self._lock:
            embeddings = {text: self._cache[text] for text in texts if text in self._cache}
            for text in embeddings:
                self._cache.move_to_end(text)
        return embeddings


class EncoderHandle:
    """Wraps the encoders that a library loads.

    Attributes:
        latest: the encoder in use; ``None`` until one is loaded.
    """

    def __init__(self, *, observe: Callable[[int], None] = lambda _: None) -> None:
        """Bind the observer of batch sizes."""
        self._observe = observe
        self.latest: BatchingEncoder | None = None

    def __call__(self, encoder: Encoder) -> Encoder:
        """Wrap an encoder."""
        self.latest = BatchingEncoder(encoder, observe=self._observe)
        return self.latest

    def transform(self) -> ImageTransform | None:
        """The image transform of the encoder in use; ``None`` until one is loaded."""
        return self.latest.transform if self.latest is not None else None


def is_batchable(precision: str) -> bool:
    """Whether a text's embedding is independent of the other texts of a batch.

    Args:
        precision: of both towers of an encoder, or of each: ``image fp32, text int8 dynamic``.
    """
    return "dynamic" not in precision.rpartition("text ")[2]


def _of_similar_length(texts: Sequence[str]) -> Iterator[list[str]]:
    """Group texts by similar length in characters."""
    group: list[str] = []
    for text in sorted(texts, key=len):
        if group and len(text) > _MAX_LENGTH_RATIO * len(group[0]) + _LENGTH_SLACK:
            yield group
            group = []
        group.append(text)
    if group:
        yield group
