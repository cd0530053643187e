"""The bundled model in training: its towers in torch, and the written graphs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from clipsearch.cli import cli
from clipsearch.config import data_dir
from clipsearch.models.compile.check_set import check_images, check_texts
from clipsearch.models.compile.quantization import round_to_int8
from clipsearch.models.loading import compile_spec, load_encoder
from clipsearch.models.manifest import read_manifest
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.specs import is_compiled
from clipsearch.training.compiled_trainee import CompiledTrainee
from clipsearch.training.settings import Parts
from tests.conftest import save_photo

MINI = data_dir() / "models" / "mini"


def lowest_cosine(embeddings: torch.Tensor, reference: np.ndarray) -> float:
    rows = torch.nn.functional.normalize(embeddings.detach(), dim=-1).numpy()
    return float((rows * reference).sum(axis=1).min())


@pytest.fixture(scope="module")
def encoder() -> CompiledEncoder:
    return CompiledEncoder(MINI)


@pytest.fixture(scope="module")
def pixels(encoder: CompiledEncoder) -> np.ndarray:
    return np.stack([encoder.transform(image) for image in check_images()[:3]])


@pytest.mark.long
@pytest.mark.parametrize("parts", [Parts("heads"), Parts("all")])
def test_the_towers_in_torch_equal_the_bundled_ones(parts: Parts, encoder: CompiledEncoder, pixels: np.ndarray) -> None:
    trainee = CompiledTrainee(MINI, parts)
    texts = check_texts()[:8]
    with torch.no_grad():
        images, captions = trainee(trainee.image_inputs(pixels), trainee.text_inputs(texts))
    assert lowest_cosine(images, encoder.encode_pixels(pixels)) >= 0.999
    assert lowest_cosine(captions, encoder.encode_texts(texts)) >= 0.999


@pytest.mark.long
def test_the_written_model_is_the_trained_one(encoder: CompiledEncoder, pixels: np.ndarray, tmp_path: Path) -> None:
    trainee = CompiledTrainee(MINI, Parts("last", 1))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in trainee.trained().values():
            weight.mul_(1 + 0.1 * torch.randn(weight.shape, generator=rng))
        images, captions = trainee(trainee.image_inputs(pixels), trainee.text_inputs(["two dogs"]))
    trainee.save(tmp_path)
    saved = CompiledEncoder(tmp_path)
    assert lowest_cosine(images, saved.encode_pixels(pixels)) >= 0.998
    assert lowest_cosine(captions, saved.encode_texts(["two dogs"])) >= 0.998
    assert lowest_cosine(images, encoder.encode_pixels(pixels)) < 0.99, "the weights did change"
    before, after = read_manifest(MINI), read_manifest(tmp_path)
    assert after.fingerprint != before.fingerprint
    assert (after.image, after.text, after.dim, after.precision) == (
        before.image,
        before.text,
        before.dim,
        before.precision,
    )


@pytest.mark.long
def test_untrained_weights_are_unchanged(tmp_path: Path) -> None:
    trainee = CompiledTrainee(MINI, Parts("heads"))
    for tower in (trainee.image, trainee.text):
        tower.write(tmp_path / tower.path.name)
        again = type(tower)(tmp_path / tower.path.name)
        for name, weight in tower.weights.items():
            assert torch.allclose(again.weights[name], weight, rtol=1e-6, atol=1e-9), name


def test_rounding_is_idempotent() -> None:
    values = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    codes, scale = round_to_int8(values, axis=1)
    again, same = round_to_int8(codes.astype(np.float32) * scale[None, :, None], axis=1)
    assert np.array_equal(codes, again) and np.allclose(scale, same)
    assert scale.shape == (5,) and np.abs(codes).max() == 127


@pytest.mark.long
def test_mini_is_fine_tuned_from_the_command_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    colours = ("red", "green", "blue", "yellow", "white", "black", "cyan", "magenta")
    for number in range(16):
        photo = save_photo(tmp_path / "photos" / f"{number}.png", colours[number % 8])
        photo.with_suffix(".txt").write_text(f"swatch {colours[number % 8]} {number}\n", encoding="utf-8")
    output = tmp_path / "mine"
    command = ["train", "--model", "mini", "--images", str(tmp_path / "photos"), "--output", str(output)]
    options = ["--epochs", "2", "--batch-size", "8", "--validation", "0.25", "--lr", "1e-3", "--json"]
    done = CliRunner().invoke(cli, [*command, *options])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["pictures"], report["held_out"], report["parts"]) == (12, 4, "heads")
    assert "epoch 2 of 2, loss" in done.stderr
    spec = f"local-dir:{output}"
    assert is_compiled(output) and compile_spec(spec) == output
    assert load_encoder(str(output)).encode_texts(["a dog"]).shape == (1, 384)
    again = CliRunner().invoke(cli, [*command, *options])
    assert again.exit_code == 1 and "--resume" in again.stderr and again.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--train", "first"], "last:N"),
        (["--ensemble", "half"], "--ensemble takes"),
        (["--images", "nowhere"], "does not exist"),
        (["--model", "minni"], "did you mean"),
        (["--device", "abacus"], "no device"),
        (["--pairs", "nothing.tsv"], "cannot read"),
    ],
)
def test_errors_are_one_line(options: list[str], error: str, tmp_path: Path) -> None:
    from click.testing import CliRunner

    for number in range(6):
        photo = save_photo(tmp_path / "photos" / f"{number}.png", "red")
        photo.with_suffix(".txt").write_text(f"swatch {number}\n", encoding="utf-8")
    arguments = {"--model": "mini", "--images": str(tmp_path / "photos"), "--output": str(tmp_path / "out")}
    arguments.update({options[0]: options[1]})
    done = CliRunner().invoke(cli, ["train", *(word for pair in arguments.items() for word in pair)])
    assert done.exit_code == 1
    assert error in done.stderr and len(done.stderr.splitlines()) == 1
