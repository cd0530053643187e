"""What the frozen backbones say about every picture's views and every text, computed once and cached."""

from __future__ import annotations

import copy
import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsearch.system import atomic
from clipsearch.training.mini.export import export_image_graph, open_session
from clipsearch.training.mini.towers import IMAGE_SIZE, ImageBackbone
from clipsearch.training.mini.views import mirrored_view, random_view, read_rgb, whole_view

BATCH = 8
logger = logging.getLogger(__name__)

Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def cached(path: Path, compute: Callable[[], NDArray[np.float16]]) -> NDArray[np.float16]:
    """Read an array from `path`, or compute it and keep it there."""
    if path.exists():
        stored: NDArray[np.float16] = np.load(path)
        return stored
    array = compute()
    with atomic.replacing(path) as file:
        np.save(file, array)
    return array


class Lower(nn.Module):
    """The maps that the layers below the backbone's last ones make."""

    def __init__(self, backbone: ImageBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> Tensor:
        """Maps [n, channels, height, width] of pixels uint8 [n, size, size, 3]."""
        return self.backbone.lower(pixels)[0]


def image_extractor(backbone: nn.Module) -> Extractor:
    """A network as a function of pixels: torch on CUDA, ONNX Runtime on a CPU (twice as fast as torch there)."""
    if torch.cuda.is_available():
        return _torch_extractor(backbone)
    with tempfile.TemporaryDirectory() as folder:
        export_image_graph(backbone, Path(folder) / "backbone.onnx", IMAGE_SIZE)
        session = open_session(Path(folder) / "backbone.onnx")

    def extract(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = session.run(None, {"pixels": pixels})[0]
        return features

    return extract


def _torch_extractor(backbone: nn.Module) -> Extractor:
    on_device = copy.deepcopy(backbone).cuda()  # the network itself is trained where it is

    @torch.inference_mode()
    def extract(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = on_device(torch.from_numpy(pixels).cuda()).cpu().numpy()
        return features

    return extract


def view_features(images: Sequence[Path], view: int, extract: Extractor, seed: int) -> NDArray[np.float16]:
    """What a network makes of one view of each picture [images, …]: 0 whole, 1 mirrored, from 2 on random.

    Raises:
        ConfigError: a picture is missing or unreadable.
    """
    rng = np.random.default_rng([seed, view])
    rows = []
    for start in range(0, len(images), BATCH):
        opened = [read_rgb(path) for path in images[start : start + BATCH]]
        if view == 0:
            pixels = [whole_view(image, IMAGE_SIZE) for image in opened]
        elif view == 1:
            pixels = [mirrored_view(image, IMAGE_SIZE) for image in opened]
        else:
            pixels = [random_view(image, IMAGE_SIZE, rng) for image in opened]
        rows.append(extract(np.stack(pixels)).astype(np.float16))
        if start % (200 * BATCH) == 0:
            logger.info("view %d: %d of %d pictures", view, start, len(images))
    return np.concatenate(rows)


def texts_key(texts: Sequence[str]) -> str:
    """Twelve hex digits that name a list of texts."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
