"""What an exported model can do: Flickr8k `dev` retrieval, label search, and the demo's photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.training.mini.data import TrainingData
from clipsearch.training.mini.export import load_tokenizer, open_session
from clipsearch.training.mini.towers import CONTEXT_LENGTH, IMAGE_SIZE
from clipsearch.training.mini.views import centre_view, read_rgb, whole_view

DEMO_SEARCHES = {
    "a cat": ("chelsea", "cat"),
    "a cup of coffee": ("coffee",),
    "a rocket launch": ("rocket",),
    "a motorcycle": ("motorcycle_left", "motorcycle_right"),
    "a flower": ("flower",),
    "a brick wall": ("brick",),
    "an astronaut": ("astronaut",),
    "the moon": ("moon",),
    "coins": ("coins",),
    "a clock": ("clock_motion",),
    "a temple": ("china",),
    "a palace in China": ("china",),
}


@dataclass(frozen=True)
class Retrieval:
    """Text-to-image retrieval over one set.

    Attributes:
        hit_rates: share of queries whose picture is among the first 1, 5 and 10.
        mean_reciprocal_rank: mean of 1 / rank of the query's picture.
    """

    hit_rates: tuple[float, float, float]
    mean_reciprocal_rank: float


class ExportedModel:
    """Runs `image.onnx` and `text.onnx` of a compiled model folder."""

    def __init__(self, folder: Path) -> None:
        self.image_session = open_session(folder / "image.onnx")
        self.text_session = open_session(folder / "text.onnx")
        self.tokenizer = load_tokenizer(folder / "tokenizer.json", CONTEXT_LENGTH)

    def encode_images(self, paths: Sequence[Path], *, squash: bool = True) -> NDArray[np.float32]:
        """Unit embeddings [n, dim] of picture files."""
        view = whole_view if squash else centre_view
        rows = []
        for start in range(0, len(paths), 8):
            pixels = np.stack([view(read_rgb(path), IMAGE_SIZE) for path in paths[start : start + 8]])
            rows.append(self.image_session.run(None, {"pixels": pixels})[0])
        return unit(np.concatenate(rows))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit embeddings [n, dim] of texts."""
        rows = []
        for start in range(0, len(texts), 64):
            encodings = self.tokenizer.encode_batch(list(texts[start : start + 64]))
            ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
            mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
            rows.append(self.text_session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
        return unit(np.concatenate(rows))


def retrieval(queries: NDArray[np.float32], images: NDArray[np.float32], right: NDArray[np.int64]) -> Retrieval:
    """Rank pictures for each query; ties count against the right one.

    Args:
        queries: unit embeddings [q, dim].
        images: unit embeddings [n, dim].
        right: for each query the row of its picture, [q].
    """
    scores = queries @ images.T
    own = scores[np.arange(len(queries)), right]
    ranks = (scores >= own[:, None]).sum(axis=1)
    first, five, ten = (float((ranks <= k).mean()) for k in (1, 5, 10))
    return Retrieval((first, five, ten), float((1.0 / ranks).mean()))


def measure(model: ExportedModel, data: TrainingData) -> dict[str, Retrieval]:
    """Flickr8k `dev` and label search in both forms and both resize modes, by name."""
    dev = [data.images[number] for number in data.dev]
    captions = [(caption, row) for row, number in enumerate(data.dev) for caption in data.captions[number]]
    right = np.array([row for _, row in captions])
    queries = model.encode_texts([caption for caption, _ in captions])
    results = {"dev": retrieval(queries, model.encode_images(dev), right)}
    samples = [data.images[number] for number in data.named[: len(data.labels)]]
    bare = model.encode_texts(data.labels)
    prompted = model.encode_texts([f"a photo of a {label}" for label in data.labels])
    rows = np.arange(len(data.labels))
    for mode, squash in (("squash", True), ("shortest", False)):
        images = model.encode_images(samples, squash=squash)
        results[f"label, {mode}"] = retrieval(bare, images, rows)
        results[f"prompt, {mode}"] = retrieval(prompted, images, rows)
    return results


def demo_ranks(model: ExportedModel, photographs: Sequence[Path], *, squash: bool = True) -> dict[str, int]:
    """Rank of the best right photograph for each of the demo's searches; 0 if none of them is there."""
    images = model.encode_images(photographs, squash=squash)
    scores = model.encode_texts(list(DEMO_SEARCHES)) @ images.T
    ranks = {}
    for row, (query, stems) in zip(scores, DEMO_SEARCHES.items(), strict=True):
        order = [photographs[index].stem for index in np.argsort(-row)]
        places = [place for place, stem in enumerate(order, start=1) if stem in stems]
        ranks[query] = min(places, default=0)
    return ranks


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to unit length."""
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled
