"""Temporal heads in a library: whole-video embeddings at indexing, after a change of heads, and re-ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clipsearch.library import Library
from clipsearch.models.pooling import mean_pooling
from clipsearch.models.video_heads import HeadType, VideoHeads, VideoHeadsSpec, head_file
from clipsearch.training.video.fit import export_head
from clipsearch.training.video.heads import make_head
from tests.conftest import ColourEncoder, Encoders, Notes, OpenCatalog, save_photo
from tests.videos import write_video

NONE = VideoHeadsSpec()
LSTM = VideoHeadsSpec(files={"lstm": "0123456789abcdef" * 4}, pooling="lstm")
TIGHT = VideoHeadsSpec(files={"tight": "fedcba9876543210" * 4}, reranking="tight")
VIDEOS: dict[str, Sequence[str]] = {
    "one.mp4": ("red", "blue"),
    "two.mp4": ("blue", "red"),
    "three.mp4": ("red", "blue", "red", "blue"),
    "four.mp4": ("blue", "red", "blue", "red"),
}


class WithHeads(ColourEncoder):
    """The color model in a directory with heads."""

    def __init__(self, directory: Path, spec: VideoHeadsSpec, *, name: str = "hf-hub:tests/colours") -> None:
        super().__init__()
        self.spec = name
        self.video_heads = VideoHeads(directory, spec)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads with random weights."""
    directory = tmp_path_factory.mktemp("heads")
    kinds: tuple[HeadType, ...] = ("lstm", "tight")
    for kind in kinds:
        torch.manual_seed(5)
        head = make_head(kind, 16)
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
        export_head(head, 16, directory / head_file(kind))
    return directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos that are purple on average, and a photo."""
    folder = tmp_path / "media"
    folder.mkdir()
    for name, colors in VIDEOS.items():
        write_video(folder / name, [(color, 2.0) for color in colors])
    save_photo(folder / "lime.png", "lime")
    return folder


def wholes(library: Library, open_catalog: OpenCatalog) -> list[tuple[np.ndarray, np.ndarray]]:
    """The whole-video embeddings of the active model in order of their names, and the frames of each."""
    store = open_catalog(library)
    model = store.models.active()
    assert model is not None
    pairs = []
    for result in sorted(library.search("kind:video", k=10), key=lambda result: result.path):
        found = store.embedding_of(result.content_hash, model.id)
        assert found is not None
        frames = store.frames_of_content(result.content_hash, model.id, dim=model.dim).vectors
        pairs.append((found[1].astype(np.float32), frames.astype(np.float32)))
    assert len(pairs) == len(VIDEOS)
    return pairs


def are_pooled_by(pairs: list[tuple[np.ndarray, np.ndarray]], pool: Callable[[np.ndarray], np.ndarray]) -> bool:
    return all(np.abs(whole - pool(frames)).max() < 2e-3 for whole, frames in pairs)


@pytest.mark.long
def test_a_change_of_heads_computes_whole_videos_again_without_decoding(
    open_library: Callable[..., Library], open_catalog: OpenCatalog, heads: Path, folder: Path, notes: Notes
) -> None:
    def by_lstm(frames: np.ndarray) -> np.ndarray:
        return VideoHeads(heads, LSTM).pool([frames], "lstm")[0]

    first = open_library(encoder=WithHeads(heads, NONE))
    first.index(folder)
    assert are_pooled_by(wholes(first, open_catalog), mean_pooling)
    first.close()
    headed = WithHeads(heads, LSTM)
    library = open_library(encoder=headed)
    library.index(folder)
    assert headed.embedded == 0
    assert are_pooled_by(wholes(library, open_catalog), by_lstm)
    assert not are_pooled_by(wholes(library, open_catalog), mean_pooling)
    assert "4 videos are computed again from their frames, by lstm" in "\n".join(notes)
    assert library.maintenance.check().is_sound
    write_video(folder / "two.mp4", [("yellow", 2), ("cyan", 2)])
    library.index(folder)
    assert 0 < headed.embedded <= 4  # the changed video alone
    assert are_pooled_by(wholes(library, open_catalog), by_lstm)
    assert [result.path.name for result in library.search("yellow", k=1)] == ["two.mp4"]
    library.close()
    third = open_library(encoder=WithHeads(heads, NONE))
    third.index(folder)
    assert are_pooled_by(wholes(third, open_catalog), mean_pooling)


@pytest.mark.long
def test_a_migration_to_the_same_model_with_heads_copies_embeddings(
    open_library: Callable[..., Library],
    open_catalog: OpenCatalog,
    encoders: Encoders,
    heads: Path,
    folder: Path,
) -> None:
    library = open_library()
    library.index(folder)
    headed = WithHeads(heads, LSTM, name="hf-hub:tests/colours-with-heads")
    encoders["hf-hub:tests/colours-with-heads"] = lambda: headed
    report = library.migrate("hf-hub:tests/colours-with-heads")
    assert (report.embedded, report.missing, report.switched, headed.embedded) == (0, 0, True, 0)
    assert are_pooled_by(
        wholes(library, open_catalog), lambda frames: VideoHeads(heads, LSTM).pool([frames], "lstm")[0]
    )
    assert library.search("lime", k=1)[0].path.name == "lime.png"
    write_video(folder / "two.mp4", [("yellow", 2), ("cyan", 2)])
    library.index(folder)
    report = library.migrate("hf-hub:tests/colours")  # and back, with a video that was indexed meanwhile
    assert (report.embedded, report.missing) == (0, 0)
    assert are_pooled_by(wholes(library, open_catalog), mean_pooling)


def test_imported_videos_are_pooled_as_the_library_does(
    open_library: Callable[..., Library], open_catalog: OpenCatalog, heads: Path, folder: Path, tmp_path: Path
) -> None:
    library = open_library(encoder=WithHeads(heads, LSTM))
    library.index(folder)
    library.maintenance.export(tmp_path / "export")
    library.close()
    plain = WithHeads(heads, NONE)
    other = open_library(tmp_path / "other", encoder=plain)
    other.maintenance.import_from(tmp_path / "export")
    other.index(folder)
    assert plain.embedded == 0
    assert are_pooled_by(wholes(other, open_catalog), mean_pooling)


def test_whole_videos_are_re_ranked_by_the_tight_head(
    open_library: Callable[..., Library], open_catalog: OpenCatalog, heads: Path, folder: Path
) -> None:
    encoder = WithHeads(heads, TIGHT)
    library = open_library(encoder=encoder)
    library.index(folder)
    frames = dict(zip(sorted(VIDEOS), (frames for _, frames in wholes(library, open_catalog)), strict=True))
    scores = dict(
        zip(frames, encoder.video_heads.scores(encoder.encode_texts(["purple"])[0], list(frames.values())), strict=True)
    )
    names = [result.path.name for result in library.search("purple", k=5)]
    assert names[:4] == sorted(frames, key=lambda name: -scores[name])
    assert [result.path.name for result in library.search("purple", k=2, offset=1)] == names[1:3]
    assert library.search("lime", k=1)[0].path.name == "lime.png"
    encoder.video_heads = VideoHeads(heads, replace(TIGHT, reranking="none"))
    by_cosine = library.search("purple", k=4)
    assert [result.score for result in by_cosine] == sorted((result.score for result in by_cosine), reverse=True)
