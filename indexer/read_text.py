"""Reads the text in one file; runs in a worker process, see `indexer.workers`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from clipsearch.catalog.full_text import OcrLine
from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import content_hash, decode_image, read_image_bytes
from clipsearch.media.loading import hash_file, is_video
from clipsearch.media.ocr import LONGEST, ReadLine, TextReader
from clipsearch.media.segments import WHOLE_IMAGE, Segment, SegmentKind
from clipsearch.media.video.reading import load_frame
from indexer.read import FileContent


@cache
def text_reader() -> TextReader:
    """The reader of this process."""
    return TextReader()


def read_text(path: Path, *, frames_of: Callable[[str], Any], alive: Callable[[], None]) -> FileContent:
    """Read the lines of text in a picture, or in frames of a video, with boxes in upright pixels.

    Args:
        path: of the file.
        frames_of: returns the positions, in milliseconds, of the frames of a video with a hash that are read.
        alive: called after each frame.
    """
    try:
        if is_video(path):
            digest = hash_file(path, alive)
            return FileContent(digest, lines=tuple(_lines_of_frames(path, frames_of(digest) or (), alive)))
        content = read_image_bytes(path)
        decoded = decode_image(content, path=path, min_side=LONGEST // 2, min_longest=LONGEST)
        lines = text_reader().read(decoded.image)
    except ImageReadError as error:
        return FileContent(failure=error.reason)
    except MemoryError:
        return FileContent(failure="reading its text needs more memory than there is")
    scale = decoded.width / decoded.image.width, decoded.height / decoded.image.height
    return FileContent(content_hash(content), lines=tuple(_line(WHOLE_IMAGE, line, scale) for line in lines))


def _lines_of_frames(path: Path, positions: tuple[int, ...], alive: Callable[[], None]) -> Iterator[OcrLine]:
    for position in positions:
        segment = Segment(SegmentKind.FRAME, position)
        yield from (_line(segment, line) for line in text_reader().read(load_frame(path, position)))
        alive()


def _line(segment: Segment, line: ReadLine, scale: tuple[float, float] = (1.0, 1.0)) -> OcrLine:
    (x, y, width, height), (across, down) = line.box, scale
    box = round(x * across), round(y * down), max(1, round(width * across)), max(1, round(height * down))
    return OcrLine(segment, line.text, line.confidence, line.script, box)
