"""ONNX Runtime sessions: how they are set up, and graphs saved as they are after optimisation.

Most of the time that opening a model takes goes into rewriting its graph and copying its weights. A graph saved
after it was rewritten, with its weights in a file beside it that is mapped into memory, opens in a third.
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

DATA_SUFFIX = ".data"
"""Added to a graph's name for the file that holds its weights."""

_PROBE_RESULT = 255 * 127 * 64
"""What the probe gives where no sum of two products is cut at 16 bits."""


def open_session(path: Path, *, threads: int | None = None) -> Any:
    """Open a graph on the CPU.

    Args:
        path: the graph.
        threads: instead of one for each core that this process may use.

    Raises:
        ModelError: it is missing or damaged.
    """
    import onnxruntime

    options = session_options(threads=threads)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base
        raise ModelError(f"{path} cannot be loaded ({first_line(error)}); its file may be damaged") from error


def session_options(*, threads: int | None = None) -> Any:
    """Options of every session: all cores, errors only (they are raised as well)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.log_severity_level = 3
    # threads that wait by spinning take the cores from the processes that decode pictures meanwhile
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not int8_is_exact():  # rounds to the same 8 bits, but calculates in float32
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def save_optimised(source: Path, target: Path) -> None:
    """Write a graph as ONNX Runtime rewrites it for any CPU, its weights in a file beside it.

    Raises:
        ModelError: `source` cannot be loaded, or the disk is full.
    """
    import onnxruntime

    options = session_options()
    # the next level lays convolutions out for this very processor, which is left to the opening
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    prefix = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{prefix}file_name", target.name + DATA_SUFFIX)
    options.add_session_config_entry(f"{prefix}min_size_in_bytes", "4096")
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{source} cannot be prepared ({first_line(error)})") from error


def open_prepared(path: Path, digest: str, *, threads: int | None = None) -> Any:
    """Open a graph of a folder that may be read-only, by a prepared copy in the cache, made the first time.

    Without a cache that can be written to, the graph itself is opened: the result is the same, later.

    Args:
        path: the graph.
        digest: SHA-256 of its content.
        threads: as for `open_session`.

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
        except (OSError, ModelError):  # no place for it; if it is the graph that is damaged, this says so
            return open_session(path, threads=threads)
    try:
        return open_session(prepared, threads=threads)
    except ModelError:  # damaged; to be made again the next time
        shutil.rmtree(folder, ignore_errors=True)
        return open_session(path, threads=threads)


def _prepare(path: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=folder.parent) as scratch:
        made = Path(scratch) / "graph"
        made.mkdir()
        save_optimised(path, made / path.name)
        try:
            made.replace(folder)
        except OSError:
            if not (folder / path.name).is_file():  # another process was first, else there is no place for it
                raise


@cache
def int8_is_exact() -> bool:
    """Whether this processor adds products of 8-bit numbers without cutting sums at 16 bits.

    x86 processors without VNNI instructions do cut them, which would make embeddings depend on the machine.
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


def first_line(error: Exception) -> str:
    """What an error says, at most one line of it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
