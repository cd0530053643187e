"""The fastest variant of each tower with parity is chosen; all measured variants are recorded."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from clipsearch.models.compile import precision
from clipsearch.models.compile.check_set import check_images
from clipsearch.models.compile.precision import TowerVariant, cheapest_with_parity, choose_variants, make_variants
from clipsearch.models.compile.quantization import quantize_dynamic_int8
from clipsearch.models.manifest import Candidate, read_manifest
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.onnx.sessions import open_session
from clipsearch.models.parity import MIN_COSINE, MIN_OVERLAP, Parity
from clipsearch.models.specs import compiled_dir, parse_spec
from tests.tiny_models import compiled_model, tiny_model


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def compiled(base: Path, name: str) -> Path:
    return compiled_dir(parse_spec(str(tiny_model(base, name))), cache=compiled_model(base, name))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "image_variants"),
    [
        ("clip", ["fp32", "int8 dynamic"]),
        ("siglip", ["fp32", "int8 dynamic"]),
        ("resnet", ["fp32", "int8 dynamic", "int8 static"]),
    ],
)
def test_all_measured_variants_are_recorded(base: Path, name: str, image_variants: list[str]) -> None:
    manifest = read_manifest(compiled(base, name))
    for tower, expected in (("image", image_variants), ("text", ["fp32", "int8 dynamic"])):
        tried = [found for found in manifest.candidates if found.tower == tower]
        assert [found.precision for found in tried] == expected
        (kept,) = (found for found in tried if found.kept)
        assert kept.precision == manifest.precision[tower]
        assert (tried[0].cosine, tried[0].overlap) == (pytest.approx(1.0), 1.0)
        assert all(found.speed > 0 and found.load_ms > 0 and found.bytes > 0 for found in tried)
    rounded = any(kind != "fp32" for kind in manifest.precision.values())
    assert (manifest.rounding is not None) == rounded
    assert manifest.rounding is None or manifest.rounding.shown


def test_an_encoder_has_the_manifests_parity(base: Path) -> None:
    encoder = CompiledEncoder(compiled(base, "clip"))
    assert encoder.parity == encoder.manifest.rounding
    assert encoder.fingerprint == encoder.manifest.weights_fingerprint


FP32 = TowerVariant("image", "fp32", Path("a"))
FAST, FASTER = TowerVariant("image", "int8 dynamic", Path("b")), TowerVariant("image", "int8 static", Path("c"))


def tried(
    variant: TowerVariant, speed: float, cosine: float = 1.0, overlap: float = 1.0, *, load_ms: float = 9.0
) -> Candidate:
    return Candidate(variant.tower, variant.precision, speed, load_ms, 1, cosine, overlap)


@pytest.mark.parametrize(
    ("fast", "faster", "best"),
    [
        (tried(FAST, 20), tried(FASTER, 30), FASTER),
        (tried(FAST, 20), tried(FASTER, 30, MIN_COSINE - 0.001), FAST),
        (tried(FAST, 20), tried(FASTER, 30, 1.0, MIN_OVERLAP - 0.01), FAST),
        (tried(FAST, 20, 0.9), tried(FASTER, 30, 0.9), FP32),
        (tried(FAST, 10.5), tried(FASTER, 9), FP32),
    ],
    ids=["the fastest", "its cosine is low", "its neighbours differ", "neither is close", "nothing is gained"],
)
def test_the_fastest_variant_with_parity_is_best(fast: Candidate, faster: Candidate, best: TowerVariant) -> None:
    assert cheapest_with_parity({FP32: tried(FP32, 10), FAST: fast, FASTER: faster}, FP32) is best


def test_loading_time_counts_for_texts() -> None:
    fp32, int8 = TowerVariant("text", "fp32", Path("a")), TowerVariant("text", "int8 dynamic", Path("b"))
    found = {fp32: tried(fp32, 100, load_ms=400), int8: tried(int8, 90, load_ms=100)}
    assert cheapest_with_parity(found, fp32) is int8


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.stack([np.asarray(image.resize((64, 64))) for image in check_images()])


def own_variants(model: Path, scratch: Path) -> list[TowerVariant]:
    """Both towers of a compiled model in fp32, and the same graphs again as if quantized."""
    towers = ("image", "text")
    return [TowerVariant(tower, kind, model / f"{tower}.onnx") for tower in towers for kind in ("fp32", "int8 dynamic")]


@pytest.mark.long
def test_two_variants_that_pass_alone_but_not_together(
    base: Path, tmp_path: Path, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def together(kept: dict[str, TowerVariant], rounded: object, source: object) -> Parity | None:
        return Parity(0.95, 0.95) if kept["text"].precision != "fp32" else Parity(0.995, 0.95)

    monkeypatch.setattr(precision, "cheapest_with_parity", lambda found, fp32: replace(fp32, precision="int8 dynamic"))
    monkeypatch.setattr(precision, "_together", together)
    choice = choose_variants(compiled(base, "clip"), own_variants(compiled(base, "clip"), tmp_path), pixels)
    assert {tower: variant.precision for tower, variant in choice.variants.items()} == {
        "image": "int8 dynamic",
        "text": "fp32",
    }
    assert choice.parity == Parity(0.995, 0.95)


@pytest.fixture
def plain_graph(tmp_path: Path) -> Path:
    """A product with a transposed weight and a shape annotation."""
    weight = np.random.default_rng(0).normal(size=(32, 256)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "plain",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 256])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 32])],
        [onnx.numpy_helper.from_array(weight, "w")],
        value_info=[onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [32, 256])],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "image.onnx")
    return tmp_path / "image.onnx"


@pytest.mark.parametrize("external", [False, True])
def test_quantized_products_are_nearly_the_same(plain_graph: Path, tmp_path: Path, external: bool) -> None:
    quantize_dynamic_int8(plain_graph, tmp_path / "int8.onnx", external=external)
    x = np.random.default_rng(1).normal(size=(2, 256)).astype(np.float32)
    exact, rounded = (open_session(path).run(None, {"x": x})[0] for path in (plain_graph, tmp_path / "int8.onnx"))
    assert not np.array_equal(exact, rounded)
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.999
    assert not list(tmp_path.glob("bare-*"))


def test_the_quantizer_is_silent(
    plain_graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        quantize_dynamic_int8(plain_graph, tmp_path / "int8.onnx")
    assert (caplog.messages, capfd.readouterr().err) == ([], "")


def test_a_graph_that_cannot_be_quantized_is_skipped(
    plain_graph: Path, tmp_path: Path, pixels: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "text.onnx").write_bytes(plain_graph.read_bytes()[:50])
    (scratch := tmp_path / "scratch").mkdir()
    variants = make_variants(tmp_path, tmp_path, scratch, pixels)
    assert [(variant.tower, variant.precision) for variant in variants] == [
        ("image", "fp32"), ("image", "int8 dynamic"), ("text", "fp32"),
    ]  # fmt: skip
    assert "text.onnx cannot be quantized" in caplog.text
