"""Pictures that others bring, decoded in processes of their own as when folders are indexed."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from PIL import Image

from clipsearch.errors import ClipSearchError, ImageReadError, ModelError
from clipsearch.media.readers import MEDIA_SUFFIXES
from clipsearch.media.transform import ImageTransform
from clipsearch.media.uploads import Upload
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool

if TYPE_CHECKING:
    from indexer.read import ReadFile

_ENDING = "the server is about to end"


class GuardedReader:
    """Decodes what clients of `clipsearch serve` bring. Safe to use from several threads, which need a process each."""

    def __init__(self, transform: Callable[[], ImageTransform | None], *, time_limit_s: float) -> None:
        """Prepare; no process is started yet.

        Args:
            transform: returns the transform to the input size of the encoder in use; ``None`` until there is one.
            time_limit_s: seconds that a picture may take.
        """
        self._transform = transform
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._is_closed = False
        self._pools: set[DecodingPool] = set()
        self._idle: SimpleQueue[tuple[ImageTransform, DecodingPool]] = SimpleQueue()
        self._folder = tempfile.TemporaryDirectory(prefix="clipsearch-")

    def read(self, content: bytes, *, name: str, is_known: Callable[[str], bool]) -> Upload:
        """Decode a picture; see `clipsearch.media.uploads.UploadReader.read`."""
        if self._is_closed:
            raise ClipSearchError(_ENDING)
        if not content:
            raise ImageReadError(None, "the file is empty")
        suffix = Path(name).suffix.lower()
        path = Path(self._folder.name) / f"{uuid.uuid4().hex}{suffix if suffix in MEDIA_SUFFIXES else ''}"
        try:
            path.write_bytes(content)
            content_read = self._read_file(ScannedFile(path.parent, path.name, len(content), 0), is_known)
        finally:
            path.unlink(missing_ok=True)
        if content_read.failure is not None or content_read.content_hash is None:
            raise ImageReadError(None, content_read.failure or "it cannot be read")
        image = Image.fromarray(content_read.pixels[0]) if content_read.pixels is not None else None
        return Upload(content_read.content_hash, image)

    def close(self) -> None:
        """End the processes, also those at work, whose callers get nothing any more; and forget the files."""
        with self._lock:
            self._is_closed = True
            pools, self._pools = self._pools, set()
        for pool in pools:
            pool.close()
        self._folder.cleanup()

    def _read_file(self, file: ScannedFile, is_known: Callable[[str], bool]) -> ReadFile:
        transform, pool = self._take()

        def wanted_from(digest: str) -> int | None:
            return None if is_known(digest) else 0

        try:
            # of a video the first part has its first frame
            with contextlib.closing(pool.read([file], wanted_from=wanted_from, look_ahead=1)) as parts:
                part = next(parts)
                if part.is_last:
                    next(parts, None)  # the process is idle then, and is kept
        except CancelledError as error:
            raise ClipSearchError(_ENDING) from error
        except BaseException:
            self._end(pool)
            raise
        self._idle.put((transform, pool))
        return part

    def _take(self) -> tuple[ImageTransform, DecodingPool]:
        """A process of one's own, for the encoder in use."""
        transform_now = self._transform()
        if transform_now is None:
            raise ModelError("the model is not loaded yet; try again in a moment")
        with contextlib.suppress(Empty):
            while True:
                transform, pool = self._idle.get_nowait()
                if transform == transform_now:
                    return transform, pool
                self._end(pool)  # of a model from before
        pool = DecodingPool(transform_now, thumbnails=None, workers=1, time_limit_s=self._time_limit_s)
        with self._lock:
            if self._is_closed:
                raise ClipSearchError(_ENDING)
            self._pools.add(pool)
        return transform_now, pool

    def _end(self, pool: DecodingPool) -> None:
        with self._lock:
            self._pools.discard(pool)
        pool.close()
