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
            transform: gives what brings pictures to the input size of the encoder in use; ``None`` until there is one.
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
            found = self._read_file(ScannedFile(path.parent, path.name, len(content), 0), is_known)
        finally:
            path.unlink(missing_ok=True)
        if found.failure is not None or found.content_hash is None:
            raise ImageReadError(None, found.failure or "it cannot be read")
        image = Image.fromarray(found.pixels[0]) if found.pixels is not None else None
        return Upload(found.content_hash, image)

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
        try:
            (found,) = pool.read([file], is_embedded=is_known, look_ahead=1)
        except CancelledError as error:
            raise ClipSearchError(_ENDING) from error
        except BaseException:
            self._end(pool)
            raise
        self._idle.put((transform, pool))
        return found

    def _take(self) -> tuple[ImageTransform, DecodingPool]:
        """A process of one's own, for the encoder in use."""
        wanted = self._transform()
        if wanted is None:
            raise ModelError("the model is not loaded yet; try again in a moment")
        with contextlib.suppress(Empty):
            while True:
                transform, pool = self._idle.get_nowait()
                if transform == wanted:
                    return transform, pool
                self._end(pool)  # of a model from before
        pool = DecodingPool(wanted, thumbnails=None, workers=1, time_limit_s=self._time_limit_s)
        with self._lock:
            if self._is_closed:
                raise ClipSearchError(_ENDING)
            self._pools.add(pool)
        return wanted, pool

    def _end(self, pool: DecodingPool) -> None:
        with self._lock:
            self._pools.discard(pool)
        pool.close()
