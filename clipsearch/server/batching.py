"""Texts of many searches, embedded together.

Reading a text tower's weights from memory takes longer than multiplying a single short text with them, so that a few
texts take hardly longer than one. While one call is under way, the texts that come meanwhile wait for the next, all of
them for the same: a lone search waits for nobody. Texts of different lengths are not put together, as the shorter ones
would be padded to the longest. And what was searched for lately is remembered: the second page of a search, say.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.prompts import CountsTokens

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.media.transform import ImageTransform
    from clipsearch.models.encoder import Encoder

MOST_TOGETHER = 32
"""Texts of one call; the encoders take no more at once either."""

MOST_KEPT = 1_024
"""Texts that are remembered: 2 MB at 512 dimensions."""

_SIMILAR = 1.5
"""Texts are put together up to this ratio of their lengths."""

_SHORT = 8
"""Characters that make no difference to that."""


class _Order:
    """Texts of one caller, and what came of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.embeddings: dict[str, NDArray[np.float32]] | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.embeddings is not None or self.error is not None


class BatchingEncoder:
    """An encoder for many threads; its texts' embeddings are those of the encoder that it wraps.

    Where the arithmetic of a model finds its range in each run (8 bits, dynamic), a text's embedding would depend on
    the texts beside it: then each call has the texts of one caller, in turn.
    """

    def __init__(self, encoder: Encoder, *, observe: Callable[[int], None] = lambda _: None) -> None:
        """Wrap an encoder.

        Args:
            encoder: what embeds.
            observe: told how many texts each call had.
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
        self._together = MOST_TOGETHER if is_mixable(encoder.precision) else 1
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: deque[_Order] = deque()
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed RGB pictures of any size; float32 [n, dim], unit rows."""
        return self._encoder.encode_images(images)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed pictures, uint8 [n, height, width, 3]; float32 [n, dim], unit rows."""
        return self._encoder.encode_pixels(pixels)

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts, together with those of other threads; float32 [n, dim], unit rows."""
        embeddings = self._remembered(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in embeddings]
        if missing:
            embeddings.update(self._ordered(missing))
        rows = [embeddings[text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    def _ordered(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        order = _Order(texts)
        with self._lock:
            self._waiting.append(order)
        # whoever gets the turn embeds for all that wait by then; the others find theirs done when it is their turn
        with self._turn:
            while not order.is_done:
                self._embed(self._next_orders())
        if order.error is not None:
            raise order.error
        assert order.embeddings is not None
        return order.embeddings

    def _next_orders(self) -> list[_Order]:
        """The orders for the next call: the oldest, and as many as go with it."""
        with self._lock:
            orders = [self._waiting.popleft()]
            count = len(orders[0].texts)
            while self._waiting and count + len(self._waiting[0].texts) <= self._together:
                orders.append(self._waiting.popleft())
                count += len(orders[-1].texts)
        return orders

    def _embed(self, orders: Sequence[_Order]) -> None:
        texts = list(dict.fromkeys(text for order in orders for text in order.texts))
        embeddings: dict[str, NDArray[np.float32]] = {}
        try:
            for run in _of_similar_length(texts) if self._together > 1 else [texts]:
                self._observe(len(run))
                embeddings.update(zip(run, self._encoder.encode_texts(run), strict=True))
        except Exception as error:  # each caller gets it, in its own thread
            for order in orders:
                order.error = error
            return
        self._remember(embeddings)
        for order in orders:
            order.embeddings = {text: embeddings[text] for text in order.texts}

    def _remembered(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        with self._lock:
            embeddings = {text: self._kept[text] for text in texts if text in self._kept}
            for text in embeddings:
                self._kept.move_to_end(text)
        return embeddings

    def _remember(self, embeddings: dict[str, NDArray[np.float32]]) -> None:
        with self._lock:
            self._kept.update((text, embedding.copy()) for text, embedding in embeddings.items())
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


class EncoderHandle:
    """Wraps each encoder that a library loads.

    Attributes:
        latest: the one in use; ``None`` until there is one.
    """

    def __init__(self, *, observe: Callable[[int], None] = lambda _: None) -> None:
        """Bind who is told how many texts each call had."""
        self._observe = observe
        self.latest: BatchingEncoder | None = None

    def __call__(self, encoder: Encoder) -> Encoder:
        """What is to be used in place of an encoder."""
        self.latest = BatchingEncoder(encoder, observe=self._observe)
        return self.latest

    def transform(self) -> ImageTransform | None:
        """How a picture becomes what the encoder in use takes; ``None`` until there is one."""
        return self.latest.transform if self.latest is not None else None


def is_mixable(precision: str) -> bool:
    """Whether a text's embedding is the same whatever other texts are embedded with it.

    Args:
        precision: of an encoder: of both its towers, or of each, as in ``image fp32, text int8 dynamic``.
    """
    return "dynamic" not in precision.rpartition("text ")[2]


def _of_similar_length(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in groups of similar length, by characters."""
    group: list[str] = []
    for text in sorted(texts, key=len):
        if group and len(text) > _SIMILAR * len(group[0]) + _SHORT:
            yield group
            group = []
        group.append(text)
    if group:
        yield group
