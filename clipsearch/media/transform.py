"""From an RGB picture of any size to the pixels an image tower takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

ResizeMode = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]

_MAX_RESIZED_PIXELS = 2**24
"""A strip whose scaled form would have more pixels than this is cropped before it is scaled, not after."""


@dataclass(frozen=True)
class ImageSpec:
    """How a picture is brought to the image tower's input; open_clip's preprocessing vocabulary.

    Attributes:
        size: (height, width) in pixels.
        resize_mode: ``shortest`` scales the short side and crops the centre, ``longest`` scales the long
            side and pads with `fill_color`, ``squash`` ignores the aspect ratio.
        interpolation: the resampling filter, antialiased as Pillow does it.
        fill_color: gray level 0–255 of the padding of ``longest``.
    """

    size: tuple[int, int]
    resize_mode: ResizeMode = "shortest"
    interpolation: Interpolation = "bicubic"
    fill_color: int = 0


@dataclass(frozen=True)
class ImageTransform:
    """Brings a picture to an image tower's input size, exactly as open_clip's preprocessing does.

    Source: open_clip 3, `transform.py` (`image_transform_v2`), torchvision's `Resize` and `CenterCrop` on
    Pillow images.
    """

    spec: ImageSpec

    @property
    def min_side(self) -> int:
        """What the short side of a picture is scaled to, in pixels; for `decode_image`."""
        return max(self.spec.size)

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize, then crop or pad.

        Args:
            image: mode RGB, any size.

        Returns:
            uint8 [height, width, 3].
        """
        from PIL import Image

        from clipsearch.media.pixels import to_rgb

        image = to_rgb(image)
        height, width = self.spec.size
        filter_ = Image.Resampling[self.spec.interpolation.upper()]
        if self.spec.resize_mode == "squash":
            return np.asarray(image.resize((width, height), filter_), dtype=np.uint8)
        if self.spec.resize_mode == "longest":
            return self._longest(image, filter_)
        return self._shortest(image, filter_)

    def _shortest(self, image: Image.Image, filter_: Image.Resampling) -> NDArray[np.uint8]:
        from PIL import Image

        height, width = self.spec.size
        if height == width:
            short, long = sorted(image.size)
            scaled = int(height * long / short)
            size = (height, scaled) if image.width <= image.height else (scaled, height)
        else:
            ratio = min(image.height / height, image.width / width)
            size = (round(image.width / ratio), round(image.height / ratio))
            filter_ = Image.Resampling.BICUBIC  # open_clip ignores the model's own filter here
        left, top = round((size[0] - width) / 2.0), round((size[1] - height) / 2.0)
        if size[0] * size[1] > _MAX_RESIZED_PIXELS:
            across, down = image.width / size[0], image.height / size[1]
            box = (left * across, top * down, (left + width) * across, (top + height) * down)
            return np.asarray(image.resize((width, height), filter_, box=box), dtype=np.uint8)
        resized = image if image.size == size else image.resize(size, filter_)
        return np.asarray(resized.crop((left, top, left + width, top + height)), dtype=np.uint8)

    def _longest(self, image: Image.Image, filter_: Image.Resampling) -> NDArray[np.uint8]:
        from PIL import Image

        height, width = self.spec.size
        ratio = max(image.height / height, image.width / width)
        size = (max(1, round(image.width / ratio)), max(1, round(image.height / ratio)))
        resized = image.resize(size, filter_)
        canvas = Image.new("RGB", (width, height), (self.spec.fill_color,) * 3)
        canvas.paste(resized, ((width - resized.width) // 2, (height - resized.height) // 2))
        return np.asarray(canvas, dtype=np.uint8)
