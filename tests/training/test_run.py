"""Fine-tuning of a tiny open_clip model on generated images: loss, loop, and resumption after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from clipsearch.errors import ConfigError, ModelError
from clipsearch.models.loading import load_encoder
from clipsearch.training.contrastive import contrastive_step
from clipsearch.training.ensemble import SharePoint, choose_share, interpolate
from clipsearch.training.loop import learning_rate, make_autocast
from clipsearch.training.losses import clip_loss
from clipsearch.training.openclip_trainee import WEIGHTS, OpenClipTrainee
from clipsearch.training.report import TrainingProgress
from clipsearch.training.run import finetune
from clipsearch.training.settings import PairSource, Parts, TrainSettings, parse_parts
from clipsearch.training.validation import HitRates
from tests.conftest import save_photo
from tests.tiny_models import tiny_model

PALETTE = ("red", "green", "blue", "yellow", "white", "black", "cyan", "magenta")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models"), "clip")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PairSource:
    """Three images of each color, and a table with two captions of each."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["image\tcaption"]
    for number in range(3 * len(PALETTE)):
        colour = PALETTE[number % len(PALETTE)]
        save_photo(folder / f"{number}.png", colour)
        rows += [f"{number}.png\t{kind} {colour}" for kind in ("a wall of", "something")]
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return PairSource(folder, folder / "captions.tsv")


@pytest.fixture
def settings(tiny: Path, photos: PairSource, tmp_path: Path) -> TrainSettings:
    return TrainSettings(
        model=str(tiny),
        source=photos,
        output=tmp_path / "out",
        parts=Parts("all"),
        epochs=3,
        batch_size=6,
        lr=1e-3,
        validation=0.25,
        patience=0,
        device="cpu",
    )


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("batch", [2, 9])
def test_the_loss_is_open_clips_own(batch: int) -> None:
    images, texts = torch.randn(2, batch, 8, generator=torch.Generator().manual_seed(batch))
    normalised = [torch.nn.functional.normalize(side, dim=-1) for side in (images, texts)]
    expected = open_clip.ClipLoss()(*normalised, torch.tensor(40.0))
    assert float(clip_loss(images, texts, torch.tensor(40.0))) == pytest.approx(float(expected), rel=1e-5)


def gradients(
    trainee: OpenClipTrainee, chunks: list[torch.Tensor], tokens: list[torch.Tensor]
) -> dict[str, np.ndarray]:
    trainee.zero_grad()
    autocast, _ = make_autocast(CPU, "auto")
    pairs = [(images, (texts,)) for images, texts in zip(chunks, tokens, strict=True)]
    loss = contrastive_step(trainee, pairs, seed=(0, 0), autocast=autocast)
    found = {name: p.grad.numpy().copy() for name, p in trainee.named_parameters() if p.grad is not None}
    return {**found, "loss": np.array(loss)}


@pytest.mark.parametrize("sizes", [[4, 4], [3, 3, 2]])
def test_gradients_of_chunks_are_those_of_the_whole_batch(tiny: Path, sizes: list[int]) -> None:
    trainee = OpenClipTrainee(f"local-dir:{tiny}", Parts("all"), device=CPU)
    trainee.train()
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8))
    (tokens,) = trainee.text_inputs([f"a {colour} wall" for colour in PALETTE])
    whole = gradients(trainee, [pixels], [tokens])
    parts = gradients(trainee, list(pixels.split(sizes)), list(tokens.split(sizes)))
    assert whole.keys() == parts.keys()
    assert "image_tower.model.logit_scale" in whole
    for name, expected in whole.items():
        np.testing.assert_allclose(parts[name], expected, rtol=2e-3, atol=2e-5 * max(1.0, np.abs(expected).max()))


def test_the_rate_rises_and_falls() -> None:
    rates = [learning_rate(step, 100, peak=2.0, warmup=0.1) for step in range(100)]
    assert rates[:2] == pytest.approx([0.2, 0.4])
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert all(first > second for first, second in pairwise(rates[10:]))
    assert rates[55] == pytest.approx(1.0)
    assert learning_rate(0, 1, peak=2.0, warmup=0.0) == 2.0


def test_interpolated_weights() -> None:
    original = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)}
    trained = {"w": torch.tensor([2.0, 4.0]), "n": torch.tensor(5)}
    assert torch.equal(interpolate(original, trained, 0.0)["w"], original["w"])
    assert torch.equal(interpolate(original, trained, 1.0)["w"], trained["w"])
    assert interpolate(original, trained, 0.25)["w"].tolist() == [1.25, 2.5]


def rates(mean_reciprocal_rank: float, at_10: float = 1.0) -> HitRates:
    return HitRates(0.0, 0.0, at_10, mean_reciprocal_rank)


def test_the_share_is_the_best_with_acceptable_retention() -> None:
    points = [
        SharePoint(share, rates(share), rates(0, at_10))
        for share, at_10 in ((0.0, 0.8), (0.5, 0.795), (0.6, 0.79), (1.0, 0.7))
    ]
    assert choose_share(points, retention_loss=1.0) == 0.6
    assert choose_share(points, retention_loss=20) == 1.0
    assert choose_share([replace(point, retention=None) for point in points], retention_loss=1.0) == 1.0
    assert choose_share([replace(point, validation=None) for point in points], retention_loss=1.0) == 0.6
    assert choose_share([replace(p, validation=None, retention=None) for p in points], retention_loss=1.0) == 0.5
    assert choose_share([SharePoint(s, rates(0.4), None) for s in (0.0, 1.0)], retention_loss=1.0) == 0.0, "a tie"


@pytest.mark.parametrize(
    ("parts", "trained"),
    [
        ("heads", {"visual.proj", "text_projection", "logit_scale"}),
        ("last:1", {"visual.ln_post.weight", "transformer.resblocks.1.mlp.c_fc.weight", "ln_final.bias"}),
        ("all", {"token_embedding.weight", "visual.conv1.weight", "transformer.resblocks.0.mlp.c_fc.weight"}),
    ],
)
def test_the_parts_that_are_trained(tiny: Path, parts: str, trained: set[str]) -> None:
    trainee = OpenClipTrainee(f"local-dir:{tiny}", parse_parts(parts), device=CPU)
    names = {name.removeprefix("image_tower.model.") for name in trainee.trained()}
    assert trained <= names
    assert ("token_embedding.weight" in names) == (parts == "all")
    assert ("transformer.resblocks.0.mlp.c_fc.weight" in names) == (parts == "all")
    if parts == "heads":
        assert names == trained


@pytest.mark.long
def test_training_from_scratch_learns_and_the_result_is_a_model(settings: TrainSettings, tiny: Path) -> None:
    config = json.loads((tiny / "open_clip_config.json").read_text(encoding="utf-8"))
    architecture = settings.output.with_name("architecture")
    architecture.mkdir()
    (architecture / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    steps: list[TrainingProgress] = []
    scratch = replace(settings, model=str(architecture), init="random", epochs=8, accumulate=2, lr=3e-3)
    report = finetune(scratch, progress=steps.append)
    losses = [progress.loss for progress in steps if progress.validation is not None and progress.loss is not None]
    assert len(losses) == 8 and losses[-1] < losses[0] - 0.3
    assert report.best_epoch > 0 and report.before is None and report.share == 1.0
    encoder = load_encoder(f"local-dir:{scratch.output}", runtime="open-clip", device="cpu")
    assert encoder.encode_texts(["a wall of red"]).shape == (1, 64)
    history = json.loads((scratch.work / "progress.json").read_text(encoding="utf-8"))["history"]
    assert [record["epoch"] for record in history] == list(range(9))


@pytest.mark.long
def test_a_killed_run_resumes_to_the_same_weights(settings: TrainSettings, tmp_path: Path) -> None:
    undisturbed = replace(
        settings, parts=Parts("last", 1), accumulate=2, checkpoint_every=1, output=tmp_path / "undisturbed"
    )
    finetune(undisturbed)
    killed = replace(undisturbed, output=tmp_path / "killed")
    script = f"""
import os, signal
from pathlib import Path, {type(tmp_path).__name__}
import torch
from clipsearch.training.run import finetune
from clipsearch.training.settings import PairSource, Parts, TrainSettings
torch.set_num_threads({torch.get_num_threads()})
def die(progress):
    if (progress.epoch, progress.step) == (2, 2) and progress.validation is None:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
finetune({killed!r}, progress=die)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -getattr(signal, "SIGKILL", signal.SIGTERM), done.stderr
    saved = torch.load(killed.work / "state.pt", weights_only=True)
    assert (saved["epoch"], saved["step"]) == (1, 1), "the step in flight is lost, and nothing else"
    assert not (killed.output / WEIGHTS).exists()
    with pytest.raises(ConfigError, match="--resume"):
        finetune(killed)
    with pytest.raises(ConfigError, match=r"other settings \(lr\)"):
        finetune(replace(killed, lr=5e-4), resume=True)
    finetune(killed, resume=True)
    first, second = (load_file(run.output / WEIGHTS) for run in (undisturbed, killed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    original = load_file(Path(settings.model) / WEIGHTS)
    assert not torch.equal(original["visual.proj"], first["visual.proj"]), "something was learned"


def test_unreadable_images_are_skipped(settings: TrainSettings, photos: PairSource, tmp_path: Path) -> None:
    table = (photos.pairs or tmp_path).read_text(encoding="utf-8") + "broken.jpg\tnothing\n"
    (tmp_path / "more.tsv").write_text(table, encoding="utf-8")
    (photos.images / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    notes: list[str] = []
    short = replace(settings, source=PairSource(photos.images, tmp_path / "more.tsv"), epochs=1, parts=Parts("heads"))
    report = finetune(short, notify=notes.append)
    assert report.skipped == 1 and "broken.jpg" in notes[0]
    assert report.pictures + report.held_out == 3 * len(PALETTE)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda s: replace(s, epochs=0), "epochs"),
        (lambda s: replace(s, validation=1.0), "share"),
        (lambda s: replace(s, lr=-1.0), "learning rate"),
        (lambda s: replace(s, precision="int4"), "precision"),
        (lambda s: parse_parts("last:0"), "last:N"),
        (lambda s: parse_parts("first"), "last:N"),
        (lambda s: replace(s, init="random", retention_source=s.source), "retain"),
    ],
)
def test_invalid_settings(settings: TrainSettings, change: Callable[[TrainSettings], object], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        change(settings)


def test_the_bundled_model_cannot_start_at_random(settings: TrainSettings) -> None:
    with pytest.raises(ModelError, match="architecture"):
        finetune(replace(settings, model="mini", init="random"))
