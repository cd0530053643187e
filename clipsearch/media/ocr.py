"""Text in pictures (OCR) by rapidocr, with the models inside its package: nothing is downloaded.

A detector looks for text at reduced size first, and a few of its finds are read, so that pictures without text cost
little.

Source: Cui et al. 2025, PaddleOCR 3.0 Technical Report (PP-OCR: DB text detection, CTC recognition).
"""

from __future__ import annotations

import logging
import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.system.optional_packages import require_extra

READER = "rapidocr PP-OCRv6 small, 1"
"""What reads text, with its settings: raised when another version would read more."""

MIN_CONFIDENCE = 0.8
"""Of a line, the mean over its characters; below it most lines of photos without text are noise (docs/text.md)."""

MIN_LETTERS = 2
"""Letters and digits of a line; shorter ones are mostly edges taken for an I or an O."""

DETECT_SIDE = 480
"""Longest side, in pixels, at which the detector looks whether there is text at all."""

READ_SIDE = 1280
"""Longest side at which lines are located; they are recognized at the resolution of `LONGEST`."""

_TRIED = 8
"""Of what the detector finds at first, the surest that are read."""

_MAYBE = 0.5
"""Confidence of one of those above which the picture is read as a whole."""

LONGEST = 2000
"""Longest side of what is read, in pixels: a larger picture is reduced, and one longer than 2:1 is read in parts."""

OVERLAP = 200
"""Pixels that two parts have in common."""

_MODELS = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
}

_CJK = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})


@dataclass(frozen=True)
class ReadLine:
    """A line of text.

    Attributes:
        text: as it was read.
        confidence: mean over its characters, 0 to 1.
        box: x, y, width and height around it, in pixels of the given picture.
    """

    text: str
    confidence: float
    box: tuple[int, int, int, int]

    @property
    def script(self) -> str:
        """What most of its letters are of, for example ``latin`` or ``cjk``; empty without letters."""
        scripts = Counter(_script(character) for character in self.text if character.isalpha())
        return scripts.most_common(1)[0][0] if scripts else ""


class TextReader:
    """Reads text in pictures on one core. Not thread-safe."""

    def __init__(self) -> None:
        """Check that it is installed; the models are loaded by the first picture.

        Raises:
            ConfigError: the extra is missing.
        """
        require_extra("ocr", what="reading text in pictures")

    def read(self, image: Image.Image) -> list[ReadLine]:
        """The lines of a picture, from top to bottom; empty where there is no text.

        Args:
            image: mode RGB, upright.
        """
        lines: list[ReadLine] = []
        for left, top, right, bottom in _parts(image.width, image.height):
            for line in self._read_part(image.crop((left, top, right, bottom))):
                x, y, width, height = line.box
                moved = ReadLine(line.text, line.confidence, (x + left, y + top, width, height))
                if not any(_is_same(moved, other) for other in lines):
                    lines.append(moved)
        return lines

    def _read_part(self, image: Image.Image) -> list[ReadLine]:
        pixels = _pixels(image, LONGEST)
        if not self._has_text(image, pixels):
            return []
        self._engine.text_det.limit_side_len = READ_SIDE
        output = self._engine(pixels)
        if output.boxes is None or output.txts is None:
            return []
        scale = image.width / pixels.shape[1], image.height / pixels.shape[0]
        read = zip(output.txts, output.scores, output.boxes, strict=True)
        lines = [ReadLine(" ".join(text.split()), float(score), _around(box, scale)) for text, score, box in read]
        return [line for line in lines if is_sure(line)]

    def _has_text(self, image: Image.Image, pixels: NDArray[np.uint8]) -> bool:
        """Whether something that the detector finds at reduced size can be read."""
        small = _pixels(image, DETECT_SIDE)
        detector = self._engine.text_det
        detector.limit_side_len = DETECT_SIDE
        detection = detector(small)
        if detection.boxes is None:
            return False
        best = np.argsort(-np.asarray(detection.scores))[:_TRIED]
        boxes = np.asarray(detection.boxes, np.float32)[best] * (pixels.shape[1] / small.shape[1])
        read = self._engine.recognize_txt(self._engine.crop_text_regions(pixels, boxes))
        return any(
            score >= _MAYBE and sum(map(str.isalnum, text)) >= MIN_LETTERS
            for text, score in zip(read.txts, read.scores, strict=True)
        )

    @cached_property
    def _engine(self) -> Any:
        import cv2
        import rapidocr

        cv2.setNumThreads(1)
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        spec = find_spec("rapidocr")
        assert spec is not None and spec.origin is not None, "the extra was checked"
        models = Path(spec.origin).parent / "models"
        paths = {name: str(models / file) for name, file in _MODELS.items()}
        engine: Any = rapidocr.RapidOCR(
            params={
                **paths,
                "Global.log_level": "critical",
                "Global.text_score": 0.0,
                "Global.max_side_len": LONGEST,
                "Det.limit_type": "max",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        engine._load_det_model()
        return engine


def _parts(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of what is read at a time: the whole, or parts of a long screenshot or panorama.

    >>> _parts(4000, 3000), _parts(1000, 3000)
    ([(0, 0, 4000, 3000)], [(0, 0, 1000, 2000), (0, 1000, 1000, 3000)])
    """
    short, long = sorted((width, height))
    if long <= LONGEST or long <= 2 * short:
        return [(0, 0, width, height)]
    length = max(LONGEST, 2 * short)
    count = math.ceil((long - OVERLAP) / (length - OVERLAP))
    starts = [round(number * (long - length) / (count - 1)) for number in range(count)]
    if width > height:
        return [(start, 0, start + length, height) for start in starts]
    return [(0, start, width, start + length) for start in starts]


def is_sure(line: ReadLine) -> bool:
    """Whether a line is text rather than something that looks like it."""
    letters = sum(character.isalnum() for character in line.text)
    return line.confidence >= MIN_CONFIDENCE and letters >= MIN_LETTERS


def _pixels(image: Image.Image, longest: int) -> NDArray[np.uint8]:
    """The picture as BGR, uint8 [height, width, 3], at most `longest` on its long side."""
    scale = min(1.0, longest / max(image.size))
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def _around(box: Any, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """x, y, width and height around the four corners of a line, scaled."""
    corners: NDArray[np.float64] = np.asarray(box, np.float64) * scale
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return round(left), round(top), max(1, round(right - left)), max(1, round(bottom - top))


def _is_same(one: ReadLine, other: ReadLine) -> bool:
    """Whether two lines of overlapping tiles are one line, by the share of their boxes that is common."""
    (x1, y1, w1, h1), (x2, y2, w2, h2) = one.box, other.box
    across, down = min(x1 + w1, x2 + w2) - max(x1, x2), min(y1 + h1, y2 + h2) - max(y1, y2)
    return across > 0 and down > 0 and across * down > 0.5 * min(w1 * h1, w2 * h2)


def _script(letter: str) -> str:
    word = unicodedata.name(letter, "").partition(" ")[0]
    return "cjk" if word in _CJK else word.lower().removesuffix("-")


def joined(lines: Sequence[ReadLine]) -> str:
    """The text of lines, one below the other."""
    return "\n".join(line.text for line in lines)
