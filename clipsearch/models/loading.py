"""Loads encoders by model name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models import registry
from clipsearch.models.downloads import require_available
from clipsearch.models.encoder import Encoder
from clipsearch.models.presets import MINI, resolve_preset
from clipsearch.models.specs import ModelSpec, compiled_dir, is_compiled, parse_spec
from clipsearch.system.optional_packages import has_extra, require_extra
from clipsearch.text import Notify

if TYPE_CHECKING:
    import subprocess

    from PIL import Image


def load_encoder(
    spec: str,
    *,
    runtime: str = "auto",
    device: str = "auto",
    many_images: bool = False,
    notify: Notify | None = None,
) -> Encoder:
    """Load a model.

    With `runtime` ``auto``, a compiled model is used without importing torch if there is one. Otherwise torch runs the
    model on a GPU; for the CPU it is compiled first. For many images a GPU is preferred to a compiled model.

    Args:
        spec: a preset's name, ``architecture/pretrained``, ``hf-hub:org/name``, ``local-dir:PATH`` or a directory with
            a compiled or an open_clip model.
        runtime: ``auto``, ``compiled`` (ONNX Runtime, CPU) or ``open-clip`` (torch).
        device: ``auto``, ``cpu``, ``cuda``, ``mps``…
        many_images: it is going to embed a collection, not queries.
        notify: callback for notices about slow steps and fallbacks.

    Raises:
        ModelError: the model is unknown, unavailable offline, damaged, or does not support the runtime or device.
    """
    loader = registry.loader_of(runtime) if runtime != registry.AUTO else partial(_load_automatically, many_images)
    notify = notify or (lambda line: None)
    name = resolve_preset(spec)
    ready = _ready_made(name)
    if ready is not None:
        if runtime == "open-clip":
            raise ModelError(f"{name} is a compiled model, which torch cannot run; remove --runtime open-clip")
        _refuse_other_device(name, device)
        return _compiled(ready, name)
    return loader(parse_spec(name), device, notify)


def compile_in_background(encoder: Encoder) -> subprocess.Popen[bytes] | None:
    """Compile the model of an encoder that runs on a GPU, so that queries need neither torch nor the GPU.

    A process of low priority does it, which goes on when this one ends. Its agreement with the source is measured as
    always (`clipsearch.models.compile.compile`).

    Returns:
        The process; ``None`` if there is nothing to do: it runs on the CPU, is compiled, or cannot be.
    """
    if encoder.device == "cpu":
        return None
    import subprocess

    from clipsearch.models.compile.compile import refusal

    spec = parse_spec(encoder.spec)
    if is_compiled(compiled_dir(spec)) or refusal(spec) is not None:
        return None
    command = [sys.executable, "-m", "clipsearch", "models", "compile", spec.text]
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NO_WINDOW}
    else:
        command = ["nice", "-n", "10", *command]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, **options)
    Thread(target=process.wait, name="compiling", daemon=True).start()
    return process


def compile_spec(
    spec: str, *, force: bool = False, images: Sequence[Image.Image] = (), notify: Notify | None = None
) -> Path:
    """Compile a model for the CPU, unless it is compiled already.

    Args:
        spec: as for `load_encoder`.
        force: compile again.
        images: RGB images for the choice of the precision; generated ones by default.
        notify: callback for notices about slow steps.

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


def _load_automatically(many_images: bool, spec: ModelSpec, device: str, notify: Notify) -> Encoder:
    if device not in ("auto", "cpu"):
        return _open_clip(spec, device, notify)
    target = compiled_dir(spec)
    prefers_gpu = many_images and device == "auto" and has_extra("openclip") and _has_gpu()
    if is_compiled(target) and not prefers_gpu:
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
    """The directory of a model that is distributed compiled: the bundled one, or a directory with a manifest."""
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
    encoder.spec = spec  # the manifest's name may be outdated if the directory was moved or copied
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
        raise ModelError(f"{name} is a compiled model, which runs on the CPU; remove --device {device}")


def _has_gpu() -> bool:
    """Whether torch can use a GPU; torch is imported only if a GPU is likely."""
    if sys.platform == "darwin":
        is_likely = os.uname().machine == "arm64"
    else:
        import shutil

        is_likely = Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists() or bool(shutil.which("nvidia-smi"))
    if not is_likely:
        return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
