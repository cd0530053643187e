"""Graphs with 8-bit arithmetic from graphs in float32; what ONNX Runtime's quantizer needs to be told."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.models.onnx.sessions import first_line

_CONVOLUTIONAL = ("Conv", "Add", "Clip", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool")
"""What has an 8-bit form that joins its neighbours'; a Clip left out would widen the range that 8 bits must cover."""

_CALIBRATION_BATCH = 8


def quantize_dynamic_int8(source: Path, target: Path, *, external: bool = False) -> None:
    """Write a graph whose matrix products are 8-bit; ranges of activations are found in every run.

    Args:
        source: the graph in float32.
        target: where to write.
        external: keep the weights in files of their own, which more than 2 GB need.

    Raises:
        ModelError: the graph has something that the quantizer cannot handle.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet(source), _without_shapes(source) as graph:
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
    """Write a graph whose convolutions are 8-bit, with ranges of activations found on pictures beforehand.

    Args:
        source: an image tower in float32, smaller than 2 GB.
        target: where to write.
        pixels: uint8 [n, height, width, 3], what the pictures that the model is meant for look like.

    Raises:
        ModelError: as `quantize_dynamic_int8`.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §2 and §3.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with _quiet(source), tempfile.TemporaryDirectory() as scratch:
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
    """Whether a graph has convolutions but for the one that cuts a picture into a vision transformer's patches."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    return sum("Conv" in node.op_type for node in model.graph.node) > 1


class _Batches:
    """What the quantizer calibrates on, a batch at a time."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        starts: Sequence[int] = range(0, len(pixels), _CALIBRATION_BATCH)
        self._batches = iter([pixels[start : start + _CALIBRATION_BATCH] for start in starts])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; ``None`` after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}


def _fold(source: Path, target: Path) -> None:
    """Fold normalisations and paddings into the convolutions, so that they are rounded as they will run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _without_shapes(source: Path) -> Iterator[Path]:
    """A copy without the exporter's notes on shapes, which no longer hold when the quantizer turns weights around."""
    import onnx

    model = onnx.load(source, load_external_data=False)
    del model.graph.value_info[:]
    copy = source.with_name(f"bare-{source.name}")  # in the same folder, where its weights are found
    onnx.save(model, copy)
    try:
        yield copy
    finally:
        copy.unlink()


@contextlib.contextmanager
def _quiet(source: Path) -> Iterator[None]:
    """Keep the quantizer's advice, which goes through the root logger and as warnings, from the user; one error."""
    root = logging.getLogger()
    root.addFilter(_not_advice)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # onnx and the quantizer have no common base for theirs
        raise ModelError(f"{source.name} cannot be quantized: {first_line(error)}") from error
    finally:
        root.removeFilter(_not_advice)


def _not_advice(record: logging.LogRecord) -> bool:
    return "onnxruntime" not in record.pathname
