"""One architecture with random weights, for clipsearch and for the peer: speed does not depend on what was learned.

    python -m tests.benchmarks.models DIR

clipsearch chooses the precision of a model by what it measures when it compiles it. Here both are wanted, and random
weights would not show the effect of quantization on trained ones: its choice is reported but not used.

Nothing is downloaded. Written into DIR, each unless it is there already:

- ``ViT-B-32-256/``: a checkpoint directory as open_clip publishes them, for ``local-dir:``;
- ``compiled-fp32/`` and ``compiled-int8/``: the same compiled by clipsearch (each a ``CLIPSEARCH_CACHE``);
- ``rclip/``: the same exported for rclip, in the layout and with the names that it looks for in its data folder.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

ARCHITECTURE = "ViT-B-32-256"
PRECISIONS = ("fp32", "int8")
SEED = 0
RCLIP_MODEL = Path(f"{ARCHITECTURE}-datacomp_s34b_b86k")
RCLIP_VOCABULARY = Path("tokenizer") / "bpe_simple_vocab_16e6.txt.gz"
DONE = "prepared"

_CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
_CLIP_STD = [0.26862954, 0.26130258, 0.27577711]


def checkpoint(directory: Path) -> Path:
    """Where the checkpoint is below the directory of models."""
    return directory / ARCHITECTURE


def compiled(directory: Path, precision: str) -> Path:
    """The ``CLIPSEARCH_CACHE`` of a precision below the directory of models."""
    return directory / f"compiled-{precision}"


def prepare_models(directory: Path) -> None:
    """Write what is not there yet; what a run before was killed at is written again."""
    if not (directory / DONE).exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        model = _random_model()
        _write_checkpoint(model, checkpoint(directory))
        _export_for_rclip(model, directory / "rclip")
        (directory / DONE).touch()
    for precision in PRECISIONS:
        _compile(checkpoint(directory), compiled(directory, precision), precision)


def _compile(model: Path, cache: Path, precision: str) -> None:
    """Compile at one precision, unless this version of the compiler has done so."""
    from clipsearch.models.compile import compile as export
    from clipsearch.models.compile.precision import Choice, TowerVariant, choose_variants

    def keep_measured(model: Path, variants: Sequence[TowerVariant], pixels: NDArray[np.uint8]) -> Choice:
        choice = choose_variants(model, variants, pixels)
        measured = {variant.tower: variant for variant in variants if variant.precision.startswith(precision)}
        return replace(choice, variants=measured, parity=None)

    with mock.patch.object(export, "choose_variants", keep_measured):
        export.export_model(f"local-dir:{model}", cache=cache)


def random_checkpoint(directory: Path, architecture: str) -> Path:
    """A checkpoint of an architecture below the directory of models, written unless it is there."""
    target = directory / architecture
    if not target.exists():
        making = target.with_name(f".{architecture}")
        shutil.rmtree(making, ignore_errors=True)
        _write_checkpoint(_random_model(architecture), making, architecture)
        making.replace(target)
    return target


def _random_model(architecture: str = ARCHITECTURE) -> Any:
    import open_clip
    import torch

    torch.manual_seed(SEED)
    return open_clip.create_model(architecture, pretrained=None).eval()


def _write_checkpoint(model: Any, directory: Path, architecture: str = ARCHITECTURE) -> None:
    import open_clip
    from safetensors.torch import save_file

    directory.mkdir()
    config = {
        "model_cfg": open_clip.get_model_config(architecture),
        "preprocess_cfg": {"mean": _CLIP_MEAN, "std": _CLIP_STD, "interpolation": "bicubic", "resize_mode": "shortest"},
    }
    (directory / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, directory / "open_clip_model.safetensors")


def _export_for_rclip(model: Any, directory: Path) -> None:
    """As the peer's published files are: both towers in fp32, one input and one output, any batch."""
    import open_clip
    import torch

    class TextTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            embeddings: torch.Tensor = self.model.encode_text(tokens)
            return embeddings

    (directory / RCLIP_MODEL).mkdir(parents=True)
    (directory / RCLIP_VOCABULARY).parent.mkdir()
    vocabulary = Path(open_clip.__file__).parent / RCLIP_VOCABULARY.name
    shutil.copyfile(vocabulary, directory / RCLIP_VOCABULARY)
    towers = {
        "visual.onnx": (model.visual, torch.zeros(1, 3, 256, 256)),
        "textual.onnx": (TextTower(), torch.zeros(1, 77, dtype=torch.long)),
    }
    torch.backends.mha.set_fastpath_enabled(False)  # the fused attention has no ONNX form
    for name, (module, example) in towers.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, among them that this one is the older of two
            torch.onnx.export(
                module.eval(),
                (example,),
                str(directory / RCLIP_MODEL / name),
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
                opset_version=18,
                dynamo=False,  # as the peer's were made
            )


if __name__ == "__main__":
    prepare_models(Path(sys.argv[1]))
