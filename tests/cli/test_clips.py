"""`--clip-to`: the matching seconds of videos in a folder."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from clipsearch.cli.clip_results import CutClips, cut_clips
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from tests.conftest import Notes, save_photo
from tests.videos import write_video


@pytest.fixture
def folder(tmp_path: Path, library: Library) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    write_video(folder / "lights.mp4", keyframe_every=10)
    write_video(folder / "scene.mkv", [("lime", 2), ("red", 4)], codec_options={"x264-params": "scenecut=0:keyint=250"})
    save_photo(folder / "lime.png", (0, 255, 0))
    library.index(folder)
    return folder


def test_clips_of_moments(library: Library, folder: Path, tmp_path: Path, notes: Notes) -> None:
    results = library.search("red", k=3)
    target = tmp_path / "clips"
    assert cut_clips(results, target, margin_s=0.0, notify=notes) == CutClips(1, 1, 0, 1, 0)
    names = sorted(path.name for path in target.iterdir())
    assert names == ["lights 0.0-3.0.mp4", "scene 2.0-6.0.mp4"]
    for name in names:
        with av.open(str(target / name)) as container:
            red, green, _ = next(container.decode(video=0)).to_image().getpixel((40, 20))
        assert red > 200 and green < 60
    assert cut_clips(results, target, margin_s=0.0, notify=notes) == CutClips(0, 0, 2, 1, 0)
    assert sorted(path.name for path in target.iterdir()) == names


def test_a_video_that_is_gone_is_a_notice(library: Library, folder: Path, tmp_path: Path, notes: Notes) -> None:
    results = library.search("blue", k=1)
    (folder / "lights.mp4").unlink()
    notes.clear()
    assert cut_clips(results, tmp_path / "clips", margin_s=2.0, notify=notes).failed == 1
    assert "lights.mp4" in notes[0]


def test_a_folder_that_cannot_be_made_is_an_error(library: Library, folder: Path, tmp_path: Path, notes: Notes) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot write clips"):
        cut_clips(library.search("blue", k=1), tmp_path / "file", margin_s=2.0, notify=notes)
