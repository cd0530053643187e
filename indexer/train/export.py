"""Both towers as ONNX graphs under the contract of `clipsearch.encoders.manifest`."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from tokenizers import Tokenizer
from torch import nn

OPSET = 17


def open_session(path: Path) -> Any:
    """An ONNX Runtime session on the CPU."""
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def export_image_graph(tower: nn.Module, path: Path, size: int) -> None:
    """Write a module that takes pixels uint8 [n, size, size, 3] as ONNX with a free batch size."""
    pixels = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    _export(tower, (pixels,), path, inputs={"pixels": {0: "n"}}, output="image_embeddings")


def export_text_graph(tower: nn.Module, path: Path) -> None:
    """Write a module that takes ids and mask int64 [n, t] as ONNX with free batch size and length."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "n", 1: "t"}
    inputs = {"input_ids": axes, "attention_mask": axes}
    _export(tower, (ids, torch.ones_like(ids)), path, inputs=inputs, output="text_embeddings")


def _export(
    tower: nn.Module, example: tuple[torch.Tensor, ...], path: Path, *, inputs: dict[str, dict[int, str]], output: str
) -> None:
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but it needs no further package and its graphs are the plainest.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tower.eval().cpu(),
            example,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={**inputs, output: {0: "n"}},
        )


def quantize_weights(source: Path, target: Path, operators: list[str]) -> None:
    """Write a graph with the weights of the named operators as int8, per channel; activations are scaled as they come.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §2 (dynamic ranges as ONNX Runtime does).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, op_types_to_quantize=operators, per_channel=True, weight_type=QuantType.QInt8)


def export_towers(image_tower: nn.Module, text_tower: nn.Module, output: Path, size: int) -> None:
    """Write `image.onnx` (its head int8, its convolutions fp32) and `text.onnx` (int8) into `output`."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        export_image_graph(image_tower, scratch / "image.onnx", size)
        export_text_graph(text_tower, scratch / "text.onnx")
        quantize_weights(scratch / "image.onnx", output / "image.onnx", ["MatMul", "Gemm"])
        quantize_weights(scratch / "text.onnx", output / "text.onnx", ["MatMul", "Gemm", "Gather"])


def load_tokenizer(path: Path, context_length: int) -> Tokenizer:
    """Read a `tokenizer.json`, cut at `context_length` tokens and pad to the longest text of a batch."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=context_length)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer
