"""The open_clip encoder against open_clip itself, and models it refuses to load."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import load_file, save_file

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.models.compile.check_set import check_images, check_texts
from clipsearch.models.torch.encoder import OpenClipEncoder, image_spec, pick_device, weights_fingerprint
from clipsearch.models.torch.image_batches import ImageBatches, best_of
from indexer.embedding import BatchSizes, EmbeddingThreads
from tests.conftest import mostly_long
from tests.tiny_models import TINY, tiny_model

CHECKPOINT = "open_clip_model.safetensors"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def clip(base: Path) -> OpenClipEncoder:
    return OpenClipEncoder(f"local-dir:{tiny_model(base, 'clip')}", device="cpu")


@pytest.fixture
def copied(base: Path, tmp_path: Path) -> Path:
    """A writable copy of a model directory."""
    return Path(shutil.copytree(tiny_model(base, "clip"), tmp_path / "copy"))


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(axis=1)


@pytest.mark.parametrize("name", mostly_long(list(TINY)))
def test_embeds_as_open_clip_does(base: Path, name: str) -> None:
    spec = f"local-dir:{tiny_model(base, name)}"
    encoder = OpenClipEncoder(spec, device="cpu")
    model, preprocess = open_clip.create_model_from_pretrained(spec)
    tokenizer = open_clip.get_tokenizer(spec)
    images, texts = check_images(), check_texts()
    with torch.inference_mode():
        theirs = model.eval().encode_image(torch.stack([preprocess(image) for image in images]), normalize=True)
        their_texts = model.encode_text(tokenizer(texts), normalize=True)
    assert cosines(encoder.encode_images(images), theirs.numpy()).min() > 0.99999
    assert cosines(encoder.encode_texts(texts), their_texts.numpy()).min() > 0.99999
    assert encoder.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


def test_attributes(base: Path, clip: OpenClipEncoder) -> None:
    assert clip.spec == f"local-dir:{tiny_model(base, 'clip')}"
    assert (clip.dim, clip.device, clip.precision) == (64, "cpu", "fp32")
    assert clip.image_spec == ImageSpec((64, 64))


def test_embeddings_are_float32_unit_rows_however_many(clip: OpenClipEncoder) -> None:
    for count in (0, 1, 17):
        images = clip.encode_pixels(np.full((count, 64, 64, 3), 9, np.uint8))
        texts = clip.encode_texts(["a cat"] * count)
        for rows in (images, texts):
            assert (rows.shape, rows.dtype) == ((count, 64), np.float32)
            assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(count))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [48, (48, 48), (32, 64), (64, 40)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_transform_is_open_clips_own(mode: str, size: Any, interpolation: str) -> None:
    if mode == "shortest" and not isinstance(size, int) and size[0] != size[1]:
        interpolation = "bicubic"  # open_clip always uses it in this mode
    cfg = PreprocessCfg(
        size, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation=interpolation, resize_mode=mode, fill_color=100
    )
    theirs = image_transform_v2(cfg, is_train=False)
    ours = ImageTransform(image_spec(vars(cfg)))
    for image in check_images()[:12]:
        expected = (theirs(image).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        assert np.array_equal(ours(image), expected), image.size


def test_an_unknown_resize_mode_is_refused() -> None:
    with pytest.raises(ModelError, match="resize mode 'diagonal'"):
        image_spec({"size": 8, "resize_mode": "diagonal", "interpolation": "bicubic", "fill_color": 0})


def test_the_fingerprint_depends_on_weights_and_preprocessing_only(copied: Path, clip: OpenClipEncoder) -> None:
    assert OpenClipEncoder(f"local-dir:{copied}").fingerprint == clip.fingerprint
    state = load_file(copied / CHECKPOINT)
    state["logit_scale"] = state["logit_scale"] + 1e-6
    save_file(state, copied / CHECKPOINT)
    changed = OpenClipEncoder(f"local-dir:{copied}").fingerprint
    config = json.loads((copied / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["std"] = [0.5] * 3
    (copied / "open_clip_config.json").write_text(json.dumps(config))
    assert len({clip.fingerprint, changed, OpenClipEncoder(f"local-dir:{copied}").fingerprint}) == 3


def test_the_fingerprint_takes_any_tensor() -> None:
    sliced = torch.zeros(4, 4)[:, 1:3]
    state = {"scalar": torch.tensor(1.0), "empty": torch.zeros(0), "sliced": sliced, "ids": torch.arange(3)}
    assert len(weights_fingerprint(state, {})) == 16


def test_batches_that_do_not_fit_are_halved(clip: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 64, 64, 3), dtype=np.uint8)
    expected = clip.encode_pixels(pixels)
    sizes: list[int] = []
    forward = clip.image_tower.forward

    def limited(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        if len(batch) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    monkeypatch.setattr(clip.image_tower, "forward", limited)
    assert clip.encode_pixels(pixels) == pytest.approx(expected, abs=1e-6)
    assert sizes == [13, 8, 4, 4, 4, 1]


def test_pictures_in_pieces_and_from_several_threads_embed_as_one_array(
    clip: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    cuts = [0, 1, 1, 5, 23, 40]  # one picture without a view
    pieces = [pixels[first:last] for first, last in pairwise(cuts)]
    expected = clip.encode_pixels(pixels)
    assert clip.images_per_batch == 16
    inside, most, lock = 0, 0, threading.Lock()
    forward = clip.image_tower.forward

    def watched(batch: torch.Tensor) -> torch.Tensor:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)  # so that the others get here
        embeddings = forward(batch)
        with lock:
            inside -= 1
        return embeddings

    monkeypatch.setattr(clip.image_tower, "forward", watched)
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(clip.encode_pictures, [pieces, pieces[:2], pieces[2:], [pixels], pieces]))
    for embeddings in (found[0], np.concatenate(found[1:3]), found[3], found[4]):
        assert embeddings == pytest.approx(expected, abs=1e-6)
    assert most == 2  # batches in flight, each in memory of its own


def test_indexing_passes_pictures_without_copies_of_its_own(clip: OpenClipEncoder) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    pieces = [pixels[:3], pixels[3:3], pixels[3:]]
    with EmbeddingThreads(clip) as embedding:
        assert embedding.sizes == BatchSizes(images=16, at_once=1, uncommitted=2)
        views = embedding.start(pieces).result().views
    assert [len(each) for each in views] == [3, 0, 37]
    assert np.concatenate(views) == pytest.approx(clip.encode_pixels(pixels), abs=1e-6)


def test_the_best_batch_is_the_last_that_is_notably_faster() -> None:
    assert best_of((64, 128, 256), {64: 10.0, 128: 20.0, 256: 20.5}.__getitem__) == 128
    assert best_of((64, 128, 256), {64: 10.0, 128: 20.0, 256: 30.0}.__getitem__) == 256
    assert best_of((64, 128, 256), {64: 10.0, 128: 9.0, 256: 30.0}.__getitem__) == 64

    def small(count: int) -> float:
        if count > 128:
            raise torch.OutOfMemoryError
        return float(count)

    assert best_of((64, 128, 256), small) == 128


def test_the_best_batch_is_measured_by_running_it(clip: OpenClipEncoder) -> None:
    sizes: list[int] = []

    def tower(pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        with torch.inference_mode():
            return clip.image_tower(pixels)  # type: ignore[no-any-return]

    best = ImageBatches(tower, torch.device("cpu"), in_flight=1).best_batch((64, 64))
    assert best in sizes and sizes[:2] == [64, 64]


def test_a_model_that_does_not_fit_at_all_is_one_line(clip: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(batch: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(clip.text_tower, "forward", full)
    with pytest.raises(ModelError, match="does not fit into the memory of cpu"):
        clip.encode_texts(["a cat"])


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An architecture registered during the test."""
    factory = open_clip.factory
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", list(factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    path = tmp_path / "tiny-registered.json"
    path.write_text(json.dumps(TINY["clip"].model), encoding="utf-8")
    open_clip.add_model_config(path)
    return path.stem


def test_an_architecture_registered_at_run_time_with_a_weights_file(registered: str, copied: Path) -> None:
    encoder = OpenClipEncoder(f"{registered}/{copied / CHECKPOINT}")
    assert encoder.encode_texts(["a cat"]).shape == (1, 64)
    assert encoder.spec == f"{registered}/{copied / CHECKPOINT}"


def test_quick_gelu_weights_get_quick_gelu(registered: str, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"file": str(copied / CHECKPOINT), "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, registered, {"mine": entry})
    model = open_clip.create_model(registered, entry["file"], force_quick_gelu=True).eval()
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer(registered)(["a cat"]), normalize=True).numpy()
    assert OpenClipEncoder(f"{registered}/mine").encode_texts(["a cat"]) == pytest.approx(expected, abs=1e-6)


def test_unknown_weights_name_the_nearest(registered: str) -> None:
    with pytest.raises(ModelError, match="did you mean ViT-B-32/openai"):
        OpenClipEncoder("ViT-B-32/opnai")


def test_a_plain_torch_checkpoint_loads_as_weights_only(copied: Path, clip: OpenClipEncoder) -> None:
    torch.save(load_file(copied / CHECKPOINT), copied / "open_clip_pytorch_model.bin")
    (copied / CHECKPOINT).unlink()
    assert OpenClipEncoder(f"local-dir:{copied}").fingerprint == clip.fingerprint


class _Attack:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return Path.touch, (self.witness,)


def test_a_pickle_is_never_run(copied: Path, tmp_path: Path) -> None:
    (copied / CHECKPOINT).unlink()
    witness = tmp_path / "executed"
    (copied / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"state_dict": _Attack(witness)}))
    with pytest.raises(ModelError, match="pickle"):
        OpenClipEncoder(f"local-dir:{copied}")
    assert not witness.exists()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: _truncate(d / CHECKPOINT), "safetensors file is damaged"),
        (lambda d: (d / CHECKPOINT).write_bytes(b""), "safetensors file is damaged"),
        (lambda d: (d / CHECKPOINT).unlink(), "could not be loaded"),
        (lambda d: (d / "open_clip_config.json").unlink(), "neither open_clip_config.json nor model.json"),
        (lambda d: (d / "open_clip_config.json").write_text("{"), "cannot be read"),
        (lambda d: (d / "open_clip_config.json").write_text("[]"), "cannot be read"),
        (lambda d: (d / "open_clip_config.json").write_text("{}"), "has no 'model_cfg'"),
        (lambda d: save_file({"one": torch.zeros(1)}, d / CHECKPOINT), "cannot be loaded"),
    ],
    ids=["truncated", "empty", "no weights", "no config", "bad JSON", "a list", "no model_cfg", "another model"],
)
def test_a_damaged_directory_is_one_line(copied: Path, damage: Any, message: str) -> None:
    damage(copied)
    with pytest.raises(ModelError, match=message) as caught:
        OpenClipEncoder(f"local-dir:{copied}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["cuda:99", "mps", "toaster"])
def test_an_unavailable_device(device: str) -> None:
    with pytest.raises(ModelError, match="no device"):
        pick_device(device)


def test_images_of_other_modes_are_accepted(clip: OpenClipEncoder) -> None:
    assert clip.encode_images([Image.new("L", (10, 20)), Image.new("RGBA", (300, 5))]).shape == (2, 64)
