"""Quantization of ONNX graphs and weights to 8 bits."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.system.silence import silenced
from clipsearch.text import first_line

_CONVOLUTIONAL = ("Conv", "Add", "Clip", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Operators to quantize; without Clip the range of activations would be too wide."""

_CALIBRATION_BATCH = 8


def quantize_dynamic_int8(source: Path, target: Path, *, external: bool = False) -> None:
    """Quantize a graph's matrix products dynamically.

    Args:
        source: the float32 graph.
        target: path of the result.
        external: store the weights in a separate file, as required above 2 GB.

    Raises:
        ModelError: the quantizer does not support the graph.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _translated(source), _without_shapes(source) as graph:
        quantize_dynamic(
            graph,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=external,
            extra_options={"MatMulConstBOnly": True},
        )


def quantize_static_int8(source: Path, target: Path, pixels: NDArray[np.uint8]) -> None:
    """Quantize an image tower's convolutions statically, with activation ranges calibrated on images.

    Args:
        source: a float32 image tower, smaller than 2 GB.
        target: path of the result.
        pixels: representative images, uint8 [n, height, width, 3].

    Raises:
        ModelError: as `quantize_dynamic_int8`.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §2 and §3.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with _translated(source), tempfile.TemporaryDirectory() as scratch:
        folded = Path(scratch) / "folded.onnx"
        _fold(source, folded)
        quantize_static(
            folded,
            target,
            _Batches(pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_CONVOLUTIONAL),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


def is_convolutional(graph: Path) -> bool:
    """Whether a graph has more convolutions than a vision transformer's patch embedding."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    return sum("Conv" in node.op_type for node in model.graph.node) > 1


class _Batches:
    """Calibration data in batches, as the quantizer's `CalibrationDataReader`."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        starts: Sequence[int] = range(0, len(pixels), _CALIBRATION_BATCH)
        self._batches = iter([pixels[start : start + _CALIBRATION_BATCH] for start in starts])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; ``None`` at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}


def _fold(source: Path, target: Path) -> None:
    """Fold normalizations and paddings into the convolutions before quantization."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _without_shapes(source: Path) -> Iterator[Path]:
    """A copy without the exporter's shape annotations, which are wrong after the quantizer transposes weights."""
    import onnx

    model = onnx.load(source, load_external_data=False)
    del model.graph.value_info[:]
    copy = source.with_name(f"bare-{source.name}")  # in the same folder as its weights
    onnx.save(model, copy)
    try:
        yield copy
    finally:
        copy.unlink()


@contextlib.contextmanager
def _translated(source: Path) -> Iterator[None]:
    """Silence the quantizer's log and warnings, and translate its exceptions."""
    try:
        with silenced("onnxruntime"):
            yield
    except Exception as error:  # the exceptions of onnx and the quantizer have no common base class
        raise ModelError(f"{source.name} cannot be quantized: {first_line(error)}") from error


def round_to_int8(values: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round weights symmetrically; rounding the result again changes nothing.

    Args:
        values: floating, at least two dimensions.
        axis: the axis with a separate scale per index.

    Returns:
        int8 of the same shape, and float32 scales [size of the axis].

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §2, for weights only and symmetric.
    """
    others = tuple(other for other in range(values.ndim) if other != axis % values.ndim)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.maximum(largest, 1e-12).astype(np.float32) / 127
    rounded = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
    return rounded, scale.reshape(-1)
