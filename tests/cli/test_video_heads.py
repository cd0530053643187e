"""``clipsearch train --video`` and ``clipsearch evaluate video`` on videos made here, with the bundled model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from clipsearch.cli import cli
from clipsearch.errors import ConfigError
from clipsearch.evaluation.clips import Clip, read_clips
from clipsearch.models.loading import load_encoder
from tests.videos import write_video

pytest.importorskip("av")

COLORS = ("red", "lime", "blue", "yellow", "cyan", "magenta")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve videos of two colors, with a caption of the whole and one of the first color, and one that is missing."""
    folder = tmp_path_factory.mktemp("videos")
    rows = ["video\tstart\tend\tcaption\tsplit"]
    for number in range(12):
        first, second = COLORS[number % 6], COLORS[(number + 1 + number // 6) % 6]
        write_video(folder / f"{number}.mp4", [(first, 2.0), (second, 2.0)], fps=2)
        rows += [
            f"{number}.mp4\t\t\t{first}, then {second}\ttrain",
            f"{number}.mp4\t0\t1.5\t{first}\ttrain",
            f"{number}.mp4\t0\t1.5\tonly {first}\ttrain",
        ]
    rows.append("missing.mp4\t0\t1\tnothing\ttrain")
    (folder / "clips.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "clips.tsv"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def train(table: Path, model: object, output: Path, *more: str) -> dict[str, Any]:
    options = ("--video", table, "--images", table.parent, "--model", model, "--output", output)
    result = run("train", *options, "--epochs", 1, "--validation", 0.3, "--device", "cpu", "--json", *more)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    report = train(table, "mini", output)
    assert (report["videos"], report["clips"], report["captions"], report["held_out"]) == (12, 16, 24, 8)
    assert report["skipped"] == 1
    assert set(report["mean_reciprocal_rank"]) == {"mean", "lstm", "transformer", "tight"}
    return output


@pytest.mark.long
def test_the_heads_belong_to_the_model_whose_embeddings_stay(trained: Path) -> None:
    before, after = load_encoder("mini"), load_encoder(str(trained))
    assert after.fingerprint == before.fingerprint
    assert np.array_equal(after.encode_texts(["red"]), before.encode_texts(["red"]))
    assert sorted(path.name for path in trained.glob("video-*")) == [
        "video-lstm.onnx",
        "video-tight.onnx",
        "video-transformer.onnx",
    ]


@pytest.mark.long
def test_heads_run_without_torch(trained: Path) -> None:
    program = (
        "import sys, numpy as np; from clipsearch.models.loading import load_encoder;"
        f"heads = load_encoder({str(trained)!r}).video_heads; frames = np.eye(384, dtype=np.float32)[:5];"
        "print(heads.pool([frames], 'lstm').shape, heads.scores(frames[0], [frames]).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(1, 384) (1,) False"


@pytest.mark.long
def test_the_evaluation_has_every_similarity_type(trained: Path, table: Path) -> None:
    options = ("--model", trained, "--captions", table, "--images", table.parent, "--resamples", 200)
    result = run("evaluate", "video", *options, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["task"], report["queries"], report["images"]) == ("video", 36, 24)
    names = {figure["name"] for figure in report["figures"]}
    for kind in ("mean", "lstm", "transformer", "tight"):
        assert {f"{kind} text-to-video hit rate @1", f"{kind} video-to-text MRR"} <= names
    ranks = report["ranks"][0]
    assert ranks["name"] == "mean text-to-video rank"
    assert 1 <= ranks["median"]["low"] <= ranks["median"]["value"] <= ranks["median"]["high"] <= 24
    assert [skipped["image"] for skipped in report["skipped"]] == ["missing.mp4"]
    text = run("evaluate", "video", *options).stdout
    assert "36 queries, 24 clips" in text
    assert "tight against mean, text-to-video hit rate @1" in text
    assert "whole-video embeddings: " in text


@pytest.mark.long
def test_models_with_and_without_heads_compare_by_mean_pooling(trained: Path, table: Path) -> None:
    result = run(
        "evaluate", "video", "--compare", "mini", trained, "--captions", table, "--images", table.parent, "--json"
    )
    assert result.exit_code == 0, result.output
    differences = {one["name"]: one["value"] for one in json.loads(result.stdout)["differences"]}
    assert differences["mean text-to-video MRR"] == 0
    assert not any(name.startswith("lstm") for name in differences)


@pytest.mark.long
def test_training_again_in_the_same_directory_replaces_the_heads(table: Path, tmp_path: Path) -> None:
    train(table, "mini", tmp_path / "out", "--head", "lstm")
    heads = (tmp_path / "out" / "video-lstm.onnx").read_bytes()
    report = train(table, tmp_path / "out", tmp_path / "out", "--head", "lstm", "--resume")
    assert (tmp_path / "out" / "video-lstm.onnx").read_bytes() == heads
    assert report["reranking"] == "none"
    train(table, tmp_path / "out", tmp_path / "out", "--head", "transformer")
    assert [path.name for path in (tmp_path / "out").glob("video-*")] == ["video-transformer.onnx"]
    assert load_encoder(str(tmp_path / "out")).fingerprint == load_encoder("mini").fingerprint


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--head", "lstm"), "--head needs --video"),
        (("--video", "clips.tsv", "--pairs", "captions.tsv"), "--pairs cannot be combined with --video"),
        (("--video", "clips.tsv", "--train", "all"), "--train cannot be combined with --video"),
    ],
)
def test_options_that_do_not_fit(options: tuple[str, ...], reason: str) -> None:
    result = run("train", "--model", "mini", "--images", ".", "--output", "out", *options)
    assert result.exit_code == 2
    assert reason in result.output


def test_clips_of_a_table(table: Path) -> None:
    clips = read_clips(table, split="train")
    assert len(clips) == 25
    assert clips[1] == Clip("0.mp4", 0.0, 1.5, ("red", "only red"))
    assert clips[0].end_s == float("inf")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("video\tstart\tcaption\n", "no column end"),
        ("video\tstart\tend\tcaption\n", "has no clips"),
        ("video\tstart\tend\tcaption\na.mp4\t0\t1\n", "line 2 has 3 columns instead of 4"),
        ("video\tstart\tend\tcaption\na.mp4\t0\t1\t\n", "line 2 has an empty caption"),
        ("video\tstart\tend\tcaption\na.mp4\tzero\t1\tx\n", "line 2: start and end are seconds"),
        ("video\tstart\tend\tcaption\na.mp4\t3\t2\tx\n", "line 2: the clip ends at 2 s, before it starts"),
    ],
)
def test_a_bad_table_is_one_line(content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "clips.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        read_clips(path)
