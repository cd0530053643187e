"""The program of a decoding process: reads and decodes one file after the other, as `indexer.workers` bids it.

Messages are pickles between processes of one program, each after its length. The talk about a file::

    parent                        this process
    path, as bytes            →
                              ←   hash of its bytes, unless they cannot be read
    position it is wanted     →
    from, or ``None``
                              ←   FileContent
    anything                  →   for the next one, until one is the last

`ALIVE` may come from here at any time in between: a long video is still read.

It starts with `Settings` from the parent and `READY` from here. When the parent goes away, however it does,
so does this process.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pickle
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from PIL import Image

from clipsearch.media.decoding import content_hash, decode_image
from clipsearch.media.transform import ImageTransform
from indexer.read import FileContent, ReadOptions, read_content
from indexer.read_text import read_text, text_reader

READY = "ready"
ALIVE = b"alive"

_TEXT_NICENESS = 10

_LENGTH = struct.Struct("<Q")

_MAX_MESSAGE_BYTES = 2**28
"""Beyond any true message; a longer one is the babble of a process whose memory is damaged."""


@dataclass(frozen=True)
class Settings:
    """What a decoding process receives once.

    Attributes:
        transform: brings pictures to the encoder's input size; ``None`` to read the text in them instead.
        thumbnails: the library that previews go to; ``None`` for none.
        time_limit_s: seconds that a file, or a part of a video, may take.
        memory_limit_bytes: address space that the process may take.
        with_preview: give each file's preview, too.
    """

    transform: ImageTransform | None
    thumbnails: Path | None
    time_limit_s: float
    memory_limit_bytes: int
    with_preview: bool = False


def send(stream: IO[bytes], message: object) -> None:
    """Write one message."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message.

    Raises:
        EOFError: the other side is gone, or talks nonsense.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size or (length := _LENGTH.unpack(head)[0]) > _MAX_MESSAGE_BYTES:
        raise EOFError
    return pickle.loads(stream.read(length))


def main() -> None:
    """Serve the parent until it closes our stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a C library prints must not get between the messages
    settings: Settings = receive(sys.stdin.buffer)
    _warm_up(settings.transform)
    _limit_damage(settings.memory_limit_bytes)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)  # until here it told the parent why this process cannot start
    orders: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    send(answers, READY)

    limit_s = 2 * settings.time_limit_s + 10

    def ask(message: object) -> Any:
        _set_alarm(0)
        send(answers, message)
        answer = orders.get()
        _set_alarm(limit_s)
        return answer

    def alive() -> None:
        send(answers, ALIVE)
        _set_alarm(limit_s)

    while True:
        path = Path(os.fsdecode(orders.get()))
        _set_alarm(limit_s)
        for content in _read(path, settings, ask, alive):
            if content.is_last:
                _set_alarm(0)
                send(answers, content)
                break
            ask(content)


def _read(
    path: Path, settings: Settings, ask: Callable[[str], int | None], alive: Callable[[], None]
) -> Iterator[FileContent]:
    try:
        if settings.transform is None:
            yield read_text(path, frames_of=ask, alive=alive)
        else:
            options = ReadOptions(settings.transform, settings.thumbnails, settings.with_preview)
            yield from read_content(path, options, wanted_from=ask, alive=alive)
    except Exception as error:  # a picture so odd that decoding it went well and scaling it did not
        what = " ".join(str(error).split())[:200] or type(error).__name__
        yield FileContent(failure=f"cannot be scaled ({what})")


def _listen(orders: SimpleQueue[Any]) -> None:
    """Pass on the parent's messages; end the process when it is gone, whatever a decoder is busy with."""
    try:
        while True:
            orders.put(receive(sys.stdin.buffer))
    finally:
        os._exit(0)


def _warm_up(transform: ImageTransform | None) -> None:
    """Load all that decoding or reading text needs, so that the first file's time is its own."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    image = decode_image(picture.getvalue()).image
    content_hash(b"")
    if transform is not None:
        transform(image)
        return
    text_reader().read(image)
    if hasattr(os, "nice"):
        os.nice(_TEXT_NICENESS)  # what a person waits for goes before


def _limit_damage(memory_limit_bytes: int) -> None:
    """Cap the memory where the system can, leave no core dumps, and offer this process up when memory runs out.

    On macOS the kernel takes the limit and does not heed it, and Windows has none: there the cap on pixels
    (`clipsearch.media.decoding.MAX_PIXELS`) alone bounds what a file can take.
    """
    if sys.platform != "win32":
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            limit = memory_limit_bytes if hard == resource.RLIM_INFINITY else min(memory_limit_bytes, hard)
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _set_alarm(seconds: float) -> None:
    """Have the kernel end this process if it hangs, holds the interpreter and has no parent left to end it."""
    if sys.platform != "win32":
        signal.alarm(math.ceil(seconds))
