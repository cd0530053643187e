"""Clips: the seconds that were asked for, copied where keyframes allow and encoded again elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipsearch.errors import ImageReadError
from clipsearch.media.loading import load_picture, open_media
from clipsearch.media.video.clips import plan_clip
from tests.videos import write_video


def length_of(path: Path) -> float:
    """The time between the first and the last frame, in seconds."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times[0] == pytest.approx(0, abs=0.25)
    return times[-1] - times[0]


def middle_of(path: Path, at_s: float) -> tuple[int, ...]:
    picture = open_media(path).picture(at_s=at_s)
    return tuple(round(value / 128) for value in picture.getpixel((picture.width // 2, picture.height // 2)))


@pytest.mark.parametrize(
    ("name", "options", "is_copied"),
    [
        ("a.mp4", {"keyframe_every": 10}, True),
        ("a.mov", {"keyframe_every": 10}, True),
        ("a.mkv", {"keyframe_every": 10}, True),
        ("a.mts", {"keyframe_every": 10, "file_format": "mpegts"}, True),
        ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, True),
        ("a.mp4", {"keyframe_every": 10, "with_sound": True}, True),
        ("a.mp4", {"codec_options": {"x264-params": "scenecut=0:keyint=250"}}, False),
        ("a.webm", {"codec": "libvpx-vp9"}, False),
        ("odd.mkv", {"codec": "ffv1", "size": (63, 47), "pix_fmt": "yuv444p", "keyframe_every": 200}, None),
        ("sound.mp4", {"codec_options": {"x264-params": "scenecut=0:keyint=250"}, "with_sound": True}, False),
    ],
)
def test_a_clip_has_the_seconds(tmp_path: Path, name: str, options: dict[str, Any], is_copied: bool | None) -> None:
    path = write_video(tmp_path / name, **options)
    clip = plan_clip(path, 4.5, 5.5, margin_s=0.5)
    assert is_copied is None or clip.is_copied == is_copied
    target = tmp_path / f"clip{clip.suffix}"
    clip.write(target)
    assert 1.7 <= length_of(target) <= 2.9
    assert middle_of(target, 1.0) == (0, 2, 0)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == int(options.get("with_sound", False))


def test_margins_end_where_the_video_does(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [("red", 2)])
    clip = plan_clip(path, 0.5, 1.5, margin_s=10)
    assert (clip.start_s, clip.end_s) == (0.0, 2.0)


@pytest.mark.parametrize("keyframe_every", [10, 250])
def test_clips_stay_upright(tmp_path: Path, keyframe_every: int) -> None:
    options = {"x264-params": "scenecut=0"}
    path = write_video(tmp_path / "a.mp4", rotation=90, keyframe_every=keyframe_every, codec_options=options)
    clip = plan_clip(path, 4.0, 6.0)
    target = tmp_path / f"clip{clip.suffix}"
    clip.write(target)
    assert clip.is_copied == (keyframe_every == 10)
    whole, cut = (np.asarray(load_picture(file).convert("L"), int) for file in (path, target))
    assert whole.shape == cut.shape
    assert np.array_equal(whole > 40, cut > 40) or np.mean((whole > 40) != (cut > 40)) < 0.05


def test_seconds_behind_the_end_are_none(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [("red", 2)], codec_options={"x264-params": "scenecut=0"})
    with pytest.raises(ImageReadError, match="no frame"):
        plan_clip(path, 50, 60).write(tmp_path / "clip.mp4")
    assert not (tmp_path / "clip.mp4").exists()
