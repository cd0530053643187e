"""Opening videos with PyAV: which demuxers may run, the stream to look at, and when its keyframes are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from clipsearch.errors import ImageReadError
from clipsearch.system.remote_files import open_binary

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,asf,flv,ogg,mxf,dv,vob,av1,obu,ivf"
)
"""FFmpeg's demuxers that may read a file: those of playlists would open other files, and addresses."""

_BUFFER_BYTES = 2**20

_INDEXED = frozenset({"mov", "matroska", "avi"})
"""FFmpeg's names of containers with an index."""

_AIM_EARLIER_S = 5.0
"""By how much a search without an index aims before its target, in seconds."""

MAX_FRAME_PIXELS = 100_000_000
"""Width × height of a frame beyond which a video is refused; 8K has a third of it."""

_LEAST_INDEXED = 0.9
"""Share of the duration that a container's own index must cover to be believed."""


@dataclass(frozen=True)
class OpenVideo:
    """A video that can be decoded.

    Attributes:
        path: of the file.
        container: PyAV's.
        stream: the one to look at.
        duration_s: of the stream in seconds; 0.0 if nothing says.
    """

    path: Path
    container: InputContainer
    stream: VideoStream
    duration_s: float

    @property
    def start_s(self) -> float:
        """The time stamp that players show as 0:00, in seconds."""
        return (self.container.start_time or 0) / 1_000_000

    @property
    def has_index(self) -> bool:
        """Whether the container lists its keyframes; in others FFmpeg guesses."""
        return self.container.format.name.split(",")[0] in _INDEXED

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel by its height."""
        aspect = float(self.stream.sample_aspect_ratio or 1)
        return aspect if 0.1 < aspect < 10 else 1.0

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of the stream's time stamps."""
        return self.stream.time_base or Fraction(1, 1000)

    def seek(self, at_s: float) -> None:
        """Go to a keyframe at or before a time in seconds, from where the video was opened, at its start.

        A search in a stream without an index may end behind the time; it aims earlier.
        """
        target_s = at_s if self.has_index else at_s - _AIM_EARLIER_S
        if target_s > 0:
            offset = int((target_s + self.start_s) / self.time_base)
            self.container.seek(offset, stream=self.stream, backward=True)


@contextmanager
def open_video(path: Path) -> Iterator[OpenVideo]:
    """Open a video, and close it.

    Raises:
        ImageReadError: it is no video, has no picture to show, is damaged, or PyAV is not installed.
    """
    av = load_av(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_binary(path))
        except (OSError, ValueError) as error:  # a NUL in the name
            raise ImageReadError(path, str(getattr(error, "strerror", None) or error).lower()) from error
        with as_read_errors(path):
            container = av.open(
                file,
                container_options={"format_whitelist": _DEMUXERS, "protocol_whitelist": ""},
                buffer_size=_BUFFER_BYTES,
                metadata_errors="replace",
            )
        with container:
            yield _checked(container, path)


def load_av(path: Path | None) -> Any:
    """PyAV, which prints nothing.

    Raises:
        ImageReadError: it is not installed.
    """
    try:
        import av
        import av.logging
    except ImportError as error:
        raise ImageReadError(path, "videos need more than is installed: pip install 'clipsearch[video]'") from error
    av.logging.set_level(None)
    return av


@contextmanager
def as_read_errors(path: Path | None) -> Iterator[None]:
    """Turn what FFmpeg raises into `ImageReadError`."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        reason = " ".join(str(error.strerror or error).split())[:200].lower()
        raise ImageReadError(path, f"damaged, or not a video that can be read ({reason})") from error


def _checked(container: InputContainer, path: Path) -> OpenVideo:
    stream = _main_stream(container, path)
    context = stream.codec_context
    if stream.width <= 0 or stream.height <= 0:
        raise ImageReadError(path, "the video has no size; it is damaged or cut off")
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        raise ImageReadError(path, f"too large ({stream.width}×{stream.height} pixels)")
    context.thread_type = "AUTO"
    context.thread_count = 2
    return OpenVideo(path, container, stream, _duration_s(container, stream))


def _main_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that players show: the default one, else the largest; cover art is none."""
    import av
    from av.stream import Disposition

    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        raise ImageReadError(path, "it has no video, only sound or nothing")
    usable = [stream for stream in moving if cast("Any", stream.codec_context) is not None]
    if not usable:
        codec = next((stream.profile for stream in moving if stream.profile), None)
        raise ImageReadError(path, f"its codec is not known to FFmpeg {av.__version__}" + (f" ({codec})" * bool(codec)))
    defaults = [stream for stream in usable if stream.disposition & Disposition.default]
    return max(defaults or usable, key=lambda stream: stream.width * stream.height)


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / 1_000_000)


def keyframe_times(video: OpenVideo, alive: Callable[[], None]) -> list[float]:
    """When the keyframes are, in seconds from the start, ascending.

    From the container's index where it covers the video, else from the heads of all packets, which reads the file
    through without decoding.

    Args:
        video: it stays where it is.
        alive: called now and then.
    """
    base, start = video.time_base, video.start_s
    entries = list(video.stream.index_entries) if video.has_index else []
    # the time stamps of an index are those of decoding, up to a few frames before those of showing
    last_s = float(entries[-1].timestamp * base) - start if entries else 0.0
    if video.duration_s and last_s >= _LEAST_INDEXED * video.duration_s:
        keyframes = (entry.timestamp for entry in entries if entry.is_keyframe and not entry.is_discard)
        return sorted(max(0.0, float(stamp * base) - start) for stamp in keyframes)
    times: list[float] = []
    with open_video(video.path) as again:
        for number, packet in enumerate(packets_of(again)):
            if number % 1024 == 0:
                alive()
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.is_keyframe and stamp is not None:
                times.append(max(0.0, float(stamp * base) - start))
    return sorted(times)


def packets_of(video: OpenVideo) -> Iterator[Packet[Any]]:
    """The packets of a stream up to its end, or to where the file is cut off."""
    import av

    packets = video.container.demux(video.stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        if packet.size:  # an empty one says that the end is reached
            yield packet


def next_after(times: list[float], at: float) -> float | None:
    """The first of ascending times that is after one, in seconds; ``None`` if there is none."""
    place = bisect_left(times, at + 1e-3)
    return times[place] if place < len(times) else None
