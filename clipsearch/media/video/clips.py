"""Cut seconds out of a video: packets are copied where a keyframe allows, else the seconds are encoded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsearch.errors import ImageReadError
from clipsearch.media.video.container import OpenVideo, as_read_errors, keyframe_times, load_av, open_video
from clipsearch.media.video.sampling import hdr_mapping

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet

_SLACK_S = 1.0
"""How much earlier than asked for a copied clip may begin, in seconds."""

_EARLIER_S = 0.25
"""By how much the index of a container may be behind the time stamps of its packets, in seconds."""

_MUXERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".3gp": "3gp",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
}
"""FFmpeg's muxer for the name of a video; packets of others are copied into Matroska, which takes any codec."""

_ENCODED_SUFFIX = ".mp4"


@dataclass(frozen=True)
class Clip:
    """How seconds of a video are cut out.

    Attributes:
        path: of the video.
        start_s: where the clip begins: of a copied one at a keyframe.
        end_s: where it ends.
        is_copied: whether its packets are copied; otherwise it is encoded again.
        suffix: of the clip's file name.
    """

    path: Path
    start_s: float
    end_s: float
    is_copied: bool
    suffix: str

    def write(self, target: Path) -> None:
        """Write the clip with the first sound beside it, replacing `target`.

        Raises:
            ImageReadError: the video cannot be read, or no frame is in these seconds.
            OSError: the disk is full, or the target is not writable.
        """
        av = load_av(self.path)
        muxer = _MUXERS.get(self.suffix, "matroska")
        with open_video(self.path) as video, as_read_errors(self.path):
            video.seek(self.start_s)
            with target.open("w+b") as file, av.open(file, "w", format=muxer) as output:
                written = _copy(video, output, self) if self.is_copied else _encode(video, output, self)
        if not written:
            target.unlink(missing_ok=True)
            raise ImageReadError(self.path, f"it has no frame from {self.start_s:g} to {self.end_s:g} seconds")


def plan_clip(path: Path, start_s: float, end_s: float, *, margin_s: float = 0.0) -> Clip:
    """Decide how to cut seconds out of a video.

    Args:
        path: of the video.
        start_s: where the clip begins, in seconds from the start of the video.
        end_s: where it ends.
        margin_s: seconds more on both sides, within the video.

    Raises:
        ImageReadError: the video cannot be read.
    """
    with open_video(path) as video, as_read_errors(path):
        first, last = max(0.0, start_s - margin_s), end_s + margin_s
        last = min(last, video.duration_s) if video.duration_s else last
        before = [time for time in keyframe_times(video, lambda: None) if time <= first + 1e-3]
        suffix = path.suffix.lower() if path.suffix.lower() in _MUXERS else ".mkv"
        if before and first - before[-1] <= _SLACK_S:
            return Clip(path, before[-1], last, is_copied=True, suffix=suffix)
    return Clip(path, first, last, is_copied=False, suffix=_ENCODED_SUFFIX)


def _copy(video: OpenVideo, output: OutputContainer, clip: Clip) -> int:
    """Copy the packets of the clip; returns the number of those with pictures."""
    streams: dict[int, Any] = {video.stream.index: output.add_stream_from_template(video.stream)}
    streams |= {sound.index: output.add_stream_from_template(sound) for sound in video.container.streams.audio[:1]}
    count = 0
    for packet in _packets(video, streams.keys(), clip):
        if packet.stream.index == video.stream.index:
            stamp = packet.pts if packet.pts is not None else packet.dts or 0
            at_s = float(stamp * video.time_base) - video.start_s
            if not packet.size or (not count and not (packet.is_keyframe and at_s >= clip.start_s - _EARLIER_S)):
                continue
            count += 1
        _mux(output, packet, streams[packet.stream.index], clip, video)
    return count


def _encode(video: OpenVideo, output: OutputContainer, clip: Clip) -> int:
    """Encode the pictures of the clip as H.264, and copy its sound; returns the number of pictures."""
    source = video.stream
    stream = output.add_stream("libx264", rate=source.average_rate or source.guessed_rate or 25, options={"crf": "20"})
    size = source.width // 2 * 2, source.height // 2 * 2
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    # the target decides whether it takes the sound as it is
    sounds = [sound for sound in video.container.streams.audio[:1] if sound.codec_context.name in ("aac", "mp3", "ac3")]
    streams: dict[int, Any] = {sound.index: output.add_stream_from_template(sound) for sound in sounds}
    count = 0
    for packet in _packets(video, {source.index, *streams}, clip):
        if packet.stream.index in streams:
            if _seconds(packet, video) >= clip.start_s:
                _mux(output, packet, streams[packet.stream.index], clip, video)
            continue
        for frame in packet.decode():
            at_s = float((frame.pts or 0) * video.time_base) - video.start_s
            if not clip.start_s - 1e-3 <= at_s < clip.end_s:
                continue
            if frame.rotation and not count:
                stream.set_display_rotation(frame.rotation)
            plain = frame.reformat(*size, format="yuv420p", **hdr_mapping(frame))
            plain.pts, plain.time_base = round((at_s - clip.start_s) / video.time_base), video.time_base
            output.mux(stream.encode(plain))
            count += 1
    if count:
        output.mux(stream.encode(None))
    return count


def _packets(video: OpenVideo, wanted: Any, clip: Clip) -> Iterator[Packet[Any]]:
    """The packets of some streams from where the container is to the end of the clip."""
    streams = [stream for stream in video.container.streams if stream.index in wanted]
    for packet in video.container.demux(streams):
        is_video = packet.stream.index == video.stream.index
        if packet.dts is None and packet.pts is None:
            if is_video and not packet.size:
                yield packet  # what the decoder still has
            continue
        at_s = _seconds(packet, video)
        if at_s >= clip.end_s:
            if is_video:
                return
            continue
        if is_video or at_s >= clip.start_s - 1e-3:
            yield packet


def _seconds(packet: Packet[Any], video: OpenVideo) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts or 0
    return float(stamp * packet.time_base) - video.start_s


def _mux(output: OutputContainer, packet: Packet[Any], stream: Any, clip: Clip, video: OpenVideo) -> None:
    """Write a packet with its times from the start of the clip."""
    offset = round((clip.start_s + video.start_s) / packet.time_base)
    packet.dts = None if packet.dts is None else packet.dts - offset
    packet.pts = None if packet.pts is None else packet.pts - offset
    packet.stream = stream
    output.mux(packet)
