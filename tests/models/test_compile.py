"""A compiled model has the embeddings of its source and runs without torch; otherwise the export fails."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipsearch.errors import ModelError
from clipsearch.models.compile import layers, towers
from clipsearch.models.compile.check_set import check_images, check_texts
from clipsearch.models.compile.compile import export_model, refusal
from clipsearch.models.compile.towers import MIN_PARITY
from clipsearch.models.manifest import file_digests, read_manifest
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.specs import compiled_dir, is_compiled, parse_spec
from clipsearch.models.torch.encoder import OpenClipEncoder
from tests.conftest import mostly_long
from tests.tiny_models import TINY, compiled_model, copied_export, exported_tower, save_tiny_model, tiny_model


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def compiled(base: Path, name: str) -> Path:
    spec = parse_spec(str(tiny_model(base, name)))
    return compiled_dir(spec, cache=compiled_model(base, name))


@pytest.fixture
def clip_spec(base: Path) -> str:
    return f"local-dir:{tiny_model(base, 'clip')}"


@pytest.mark.long
@pytest.mark.parametrize("name", TINY)
def test_both_encoders_agree(base: Path, name: str) -> None:
    source = OpenClipEncoder(f"local-dir:{tiny_model(base, name)}", device="cpu")
    graphs = {file: exported_tower(base, name, file) for file in ("image.onnx", "text.onnx")}
    made = CompiledEncoder(compiled(base, name), towers=graphs)  # in fp32, whatever was chosen
    size = source.image_spec.size
    noise = np.random.default_rng(3).integers(0, 256, (37, *size, 3), dtype=np.uint8)
    texts = [f"{word} number {index}" for index, word in enumerate(["dog", "Katze", "🎂", "", "山"] * 7)]
    for ours, theirs in [
        (made.encode_pixels(noise), source.encode_pixels(noise)),
        (made.encode_pixels(noise[:1]), source.encode_pixels(noise[:1])),
        (made.encode_images(check_images()[:5]), source.encode_images(check_images()[:5])),
        (made.encode_texts(texts), source.encode_texts(texts)),
    ]:
        assert (ours * theirs).sum(axis=1).min() >= MIN_PARITY
    assert (made.fingerprint, made.dim, made.spec) == (source.fingerprint, source.dim, source.spec)
    assert made.transform == source.transform


@pytest.mark.parametrize("name", mostly_long(list(TINY)))
def test_the_manifest_records_the_measurements(base: Path, name: str) -> None:
    directory = compiled(base, name)
    manifest = read_manifest(directory)
    assert set(manifest.parity) == {"image", "text"}
    assert MIN_PARITY <= min(manifest.parity.values()) <= 1.000001
    assert manifest.files == file_digests(directory)
    assert sorted(path.name for path in directory.iterdir()) == [
        "image.onnx",
        "image.onnx.data",
        "model.json",
        "text.onnx",
        "text.onnx.data",
        "tokenizer.json",
    ]
    assert manifest.source == f"open_clip {manifest.name}"


@pytest.mark.parametrize(("name", "lengths"), [("clip", (4, 77)), ("siglip", (24, 24))])
def test_only_a_text_tower_that_reads_its_padding_gets_it(base: Path, name: str, lengths: tuple[int, int]) -> None:
    made = CompiledEncoder(compiled(base, name))
    assert (len(made.tokenize("a dog")), len(made.tokenize("many words " * 50))) == lengths


def test_a_compiled_model_runs_without_torch(base: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from clipsearch.models.onnx.encoder import CompiledEncoder\n"
        "encoder = CompiledEncoder(Path(sys.argv[1]))\n"
        "encoder.encode_texts(['a cat']), encoder.encode_pixels(np.zeros((2, 64, 64, 3), np.uint8))\n"
        "print([m for m in ('torch', 'open_clip', 'transformers', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(compiled(base, "clip"))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_check_set_is_the_same_every_time_and_varied() -> None:
    assert [image.tobytes() for image in check_images()] == [image.tobytes() for image in check_images()]
    assert len(check_images()) >= 36
    assert len(set(check_texts())) >= 100


@pytest.fixture
def copying(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies the ONNX files of the small CLIP model instead of running the exporter."""
    monkeypatch.setattr(torch.onnx, "export", copied_export(base, "clip"))


@pytest.mark.long
@pytest.mark.usefixtures("copying")
def test_a_text_tower_whose_embeddings_need_the_padding_keeps_it(
    clip_spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Another(torch.nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return torch.randn((len(ids), 64), generator=torch.Generator().manual_seed(0))

    monkeypatch.setattr(layers, "unpadded", lambda tower: Another())
    made = CompiledEncoder(export_model(clip_spec, cache=tmp_path))
    assert len(made.tokenize("a dog")) == 77


@pytest.mark.long
@pytest.mark.usefixtures("copying")
def test_an_export_that_differs_is_not_kept(tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    save_tiny_model(other, "clip", seed=1)
    spec = parse_spec(str(other))
    with pytest.raises(ModelError, match=r"image tower of .* lowest cosine similarity -?0\.\d{6} is below 0.999"):
        export_model(spec, cache=tmp_path)
    target = compiled_dir(spec, cache=tmp_path)
    assert not target.exists()
    assert [path for path in target.parent.iterdir() if path.is_dir()] == []
    assert "lowest cosine" in (refusal(spec, cache=tmp_path) or "")


def test_a_full_disk_leaves_nothing_behind(clip_spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(module: Any, arguments: Any, file: Path, **options: Any) -> None:
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.onnx, "export", full)
    with pytest.raises(ModelError, match=r"cannot be written to .*: No space left on device"):
        export_model(clip_spec, cache=tmp_path)
    target = compiled_dir(parse_spec(clip_spec), cache=tmp_path)
    assert [path for path in target.parent.iterdir() if path.is_dir()] == []
    assert refusal(parse_spec(clip_spec), cache=tmp_path) is None


def test_a_cache_that_cannot_be_written_is_one_line(clip_spec: str, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder has to be")
    with pytest.raises(ModelError, match="cannot be written"):
        export_model(clip_spec, cache=tmp_path)


@pytest.mark.usefixtures("copying")
@pytest.mark.long
def test_a_compiled_model_is_not_compiled_again_unless_forced(base: Path, clip_spec: str, tmp_path: Path) -> None:
    target = compiled(base, "clip")
    cache = tmp_path / "cache"
    shutil.copytree(compiled_model(base, "clip"), cache)
    own = cache / target.relative_to(compiled_model(base, "clip"))
    (own / "model.json").write_text(json.dumps(json.loads((own / "model.json").read_text()) | {"licence": "marked"}))
    assert read_manifest(export_model(clip_spec, cache=cache)).licence == "marked"
    assert read_manifest(export_model(clip_spec, cache=cache, force=True)).licence != "marked"
    assert [path.name for path in own.parent.iterdir() if path.is_dir()] == [own.name]


@pytest.mark.long
def test_large_towers_keep_their_weights_in_a_file_of_their_own(
    base: Path, clip_spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(towers, "_SINGLE_FILE_BYTES", 1_000_000)
    source = OpenClipEncoder(f"local-dir:{tiny_model(base, 'clip')}", device="cpu")
    really_export, copy = torch.onnx.export, copied_export(base, "clip")
    (kept := tmp_path / "kept").mkdir()

    def export_text(module: Any, arguments: Any, file: Path, **options: Any) -> None:
        if file.name == "image.onnx":
            copy(module, arguments, file)
            return
        really_export(module, arguments, file, **options)
        for made in file.parent.glob("text.onnx*"):
            shutil.copy(made, kept)

    monkeypatch.setattr(torch.onnx, "export", export_text)
    made = export_model(clip_spec, cache=tmp_path)
    assert sorted(path.name for path in kept.iterdir()) == ["text.onnx", "text.onnx.data"]
    assert (kept / "text.onnx").stat().st_size < 1_000_000
    texts = ["a cat", "two dogs"]
    compiled = CompiledEncoder(made, towers={"text.onnx": kept / "text.onnx"})  # before quantization
    assert compiled.encode_texts(texts) == pytest.approx(source.encode_texts(texts), abs=1e-5)
    expected = ["image.onnx", "image.onnx.data", "text.onnx", "text.onnx.data", "tokenizer.json"]
    assert sorted(file_digests(made)) == expected


def test_settings_of_torch_are_restored(base: Path) -> None:
    compiled(base, "clip")
    assert torch.backends.mha.get_fastpath_enabled()


def test_replaced_weights_have_another_cache_path(base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_model(base, "clip"), tmp_path / "copy"))
    before = compiled_dir(parse_spec(str(copy)), cache=tmp_path)
    weights = copy / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\n")
    after = compiled_dir(parse_spec(str(copy)), cache=tmp_path)
    assert before.parent == after.parent
    assert before != after
    assert not is_compiled(after)
