"""From the name of a model to an encoder that runs it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models import registry
from clipsearch.models.downloads import require_available
from clipsearch.models.encoder import Encoder
from clipsearch.models.presets import MINI, resolve_preset
from clipsearch.models.registry import Notify
from clipsearch.models.specs import ModelSpec, compiled_dir, is_compiled, parse_spec
from clipsearch.system.optional_packages import require_extra

if TYPE_CHECKING:
    from PIL import Image


def load_encoder(spec: str, *, runtime: str = "auto", device: str = "auto", notify: Notify | None = None) -> Encoder:
    """Load a model.

    With `runtime` ``auto``, a compiled model that is on this machine is used as it is, with no torch in the
    process; otherwise a GPU runs the model with torch, and for the CPU it is compiled first.

    Args:
        spec: a preset's name, ``architecture/pretrained``, ``hf-hub:org/name``, ``local-dir:PATH`` or a directory
            that holds a compiled model or an open_clip one.
        runtime: ``auto``, ``compiled`` (ONNX Runtime, CPU) or ``open-clip`` (torch).
        device: ``auto``, ``cpu``, ``cuda``, ``mps``…
        notify: takes lines about what takes time or turns out otherwise.

    Raises:
        ModelError: the model is unknown, not to be had without a network, damaged, or cannot run as asked.
    """
    loader = registry.loader_of(runtime) if runtime != registry.AUTO else _load_automatically
    notify = notify or (lambda line: None)
    name = resolve_preset(spec)
    ready = _ready_made(name)
    if ready is not None:
        if runtime == "open-clip":
            raise ModelError(f"{name} is a compiled model, which torch cannot run; leave out --runtime open-clip")
        _refuse_other_device(name, device)
        return _compiled(ready, name)
    return loader(parse_spec(name), device, notify)


def compile_spec(
    spec: str, *, force: bool = False, images: Sequence[Image.Image] = (), notify: Notify | None = None
) -> Path:
    """Compile a model for the CPU, unless it is compiled already.

    Args:
        spec: as for `load_encoder`.
        force: compile even if it was done before.
        images: RGB pictures to choose the precision by; without any, generated ones.
        notify: takes lines about what takes time.

    Returns:
        The compiled model's directory.

    Raises:
        ModelError: as `load_encoder`, or the compiled model's embeddings differ from the source's.
    """
    name = resolve_preset(spec)
    ready = _ready_made(name)
    if ready is not None:
        return ready
    parsed = parse_spec(name)
    target = compiled_dir(parsed)
    if is_compiled(target) and not force:
        return target
    require_extra("openclip", what=f"compiling {parsed.text}")
    require_available(parsed)
    from clipsearch.models.compile.compile import export_model

    return export_model(parsed, force=force, images=images, notify=notify)


def _load_automatically(spec: ModelSpec, device: str, notify: Notify) -> Encoder:
    if device not in ("auto", "cpu"):
        return _open_clip(spec, device, notify)
    target = compiled_dir(spec)
    if is_compiled(target):
        return _compiled(target, spec.text)
    require_extra("openclip", what=f"the model {spec.text}")
    if device == "auto" and _has_gpu():
        return _open_clip(spec, "auto", notify)
    from clipsearch.models.compile.compile import refusal

    if refusal(spec) is None:
        try:
            return _export(spec, notify)
        except ModelError:
            if refusal(spec) is None:
                raise
    notify(f"running {spec.text} with torch, more slowly: it cannot be compiled ({refusal(spec)})")
    return _open_clip(spec, "cpu", notify)


def _ready_made(name: str) -> Path | None:
    """The directory of a model that comes compiled: the bundled one, or a directory with a manifest."""
    if name == MINI:
        try:
            return data_dir() / "models" / MINI
        except FileNotFoundError as error:
            raise ModelError(str(error)) from error
    directory = parse_spec(name).directory
    return directory if directory is not None and is_compiled(directory) else None


def _compiled(directory: Path, spec: str) -> Encoder:
    from clipsearch.models.onnx.encoder import CompiledEncoder

    encoder = CompiledEncoder(directory)
    encoder.spec = spec  # a directory may have been moved or copied since; this is where it is found again
    return encoder


@registry.runtime("compiled")
def _load_compiled(spec: ModelSpec, device: str, notify: Notify) -> Encoder:
    _refuse_other_device(spec.text, device)
    return _export(spec, notify)


def _export(spec: ModelSpec, notify: Notify) -> Encoder:
    return _compiled(compile_spec(spec.text, notify=notify), spec.text)


@registry.runtime("open-clip")
def _open_clip(spec: ModelSpec, device: str, notify: Notify) -> Encoder:
    require_extra("openclip", what=f"the model {spec.text}")
    require_available(spec)
    from clipsearch.models.torch.encoder import OpenClipEncoder

    return OpenClipEncoder(spec, device=device, notify=notify)


def _refuse_other_device(name: str, device: str) -> None:
    if device not in ("auto", "cpu"):
        raise ModelError(f"{name} is a compiled model, which runs on the CPU; leave out --device {device}")


def _has_gpu() -> bool:
    """Whether torch can use a GPU; torch is only imported where there may be one."""
    if sys.platform == "darwin":
        likely = os.uname().machine == "arm64"
    else:
        likely = Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists() or bool(shutil.which("nvidia-smi"))
    if not likely:
        return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
