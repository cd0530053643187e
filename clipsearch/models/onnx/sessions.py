"""ONNX Runtime sessions and their cached optimized graphs.

Optimizing the graph and copying the weights takes most of a model's loading time. An optimized graph with memory-mapped
weights loads in a third of the time.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from clipsearch.config import cache_dir, data_dir
from clipsearch.errors import ModelError
from clipsearch.system.cpu import available_cores
from clipsearch.text import first_line

DATA_SUFFIX = ".data"
"""Suffix of the file with a graph's weights."""

_PROBE_RESULT = 255 * 127 * 64
"""The probe's result without 16-bit saturation."""


def open_session(path: Path, *, threads: int | None = None, is_final: bool = False) -> Any:
    """Open a graph on the CPU.

    Args:
        path: the graph.
        threads: number of threads; all available cores by default.
        is_final: it came from `save_optimized` and has no convolutions, whose layout depends on the processor.

    Raises:
        ModelError: it is missing or damaged.
    """
    import onnxruntime

    options = session_options(threads=threads)
    if is_final:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return _session(path, options)
    except Exception as error:  # the exceptions of onnxruntime have no common base class
        raise ModelError(f"{path} cannot be loaded ({first_line(error)}); its file may be damaged") from error


def _session(path: Path, options: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(
        str(path),
        options,
        providers=["CPUExecutionProvider"],
        # fused with its bias, a product would convert its int8 weights to float32 in every run
        disabled_optimizers=["MatMulAddFusion"],
    )


def session_options(*, threads: int | None = None) -> Any:
    """Options of every session: all cores by default, logging of errors only."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.log_severity_level = 3
    # spinning threads would take cores from the decoding processes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not int8_is_exact():  # quantize as before, but compute in float32
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def save_optimized(source: Path, target: Path) -> None:
    """Write a graph optimized for any CPU, with its weights in a separate file.

    Raises:
        ModelError: `source` cannot be loaded, or the disk is full.
    """
    import onnxruntime

    options = session_options()
    # the next level optimizes the layout for this processor, which happens at loading
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    prefix = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{prefix}file_name", target.name + DATA_SUFFIX)
    options.add_session_config_entry(f"{prefix}min_size_in_bytes", "4096")
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        _session(source, options)
    except Exception as error:
        raise ModelError(f"{source} cannot be prepared ({first_line(error)})") from error


def open_prepared(path: Path, digest: str, *, threads: int | None = None, is_final: bool = False) -> Any:
    """Open a graph by its optimized copy in the cache, which is made if missing.

    If the cache is not writable, the graph itself is opened, with the same results.

    Args:
        path: the graph, in a folder that may be read-only.
        digest: SHA-256 of its content.
        threads: as for `open_session`.
        is_final: as for `open_session`, of the copy.

    Raises:
        ModelError: it is missing or damaged.
    """
    import onnxruntime

    arithmetic = "int8" if int8_is_exact() else "fp32"
    folder = cache_dir() / "sessions" / f"{digest[:32]}-{onnxruntime.__version__}-{arithmetic}"
    prepared = folder / path.name
    if not prepared.is_file():
        try:
            _prepare(path, folder)
        except (OSError, ModelError):  # not writable; a damaged graph is reported by `open_session`
            return open_session(path, threads=threads)
    try:
        return open_session(prepared, threads=threads, is_final=is_final)
    except ModelError:  # damaged; made again the next time
        shutil.rmtree(folder, ignore_errors=True)
        return open_session(path, threads=threads)


def _prepare(path: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=folder.parent) as scratch:
        made = Path(scratch) / "graph"
        made.mkdir()
        save_optimized(path, made / path.name)
        try:
            made.replace(folder)
        except OSError:
            if not (folder / path.name).is_file():  # not made by another process either
                raise


@cache
def int8_is_exact() -> bool:
    """Whether this processor adds 8-bit products without saturation at 16 bits.

    x86 processors without VNNI saturate, which would make embeddings depend on the machine.
    """
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    probe = data_dir() / "models" / "int8-probe.onnx"
    session = onnxruntime.InferenceSession(str(probe), options, providers=["CPUExecutionProvider"])
    (products,) = session.run(None, {"x": np.full((1, 64), 255, np.uint8)})
    return bool((products == _PROBE_RESULT).all())
