"""Compiles an open_clip model: both towers to ONNX and the tokenizer to `tokenizer.json`.

The result is a directory as described in `clipsearch.models.manifest`. It is moved to the cache only if its embeddings
agree with the source's.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.errors import ModelError
from clipsearch.models.compile.check_set import check_images, check_texts
from clipsearch.models.compile.precision import FP32, choose_variants, make_variants
from clipsearch.models.compile.quantization import is_convolutional
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.manifest import CHECK_SET, IMAGES_PER_RUN, ModelManifest, TextSpec, file_digests
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.onnx.sessions import DATA_SUFFIX, save_optimized
from clipsearch.models.presets import preset_of
from clipsearch.models.specs import EXPORT_VERSION, ModelSpec, compiled_dir, is_compiled, parse_spec
from clipsearch.system import atomic
from clipsearch.text import Notify, first_line

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from tokenizers import Tokenizer

    from clipsearch.models.torch.encoder import OpenClipEncoder

MIN_PARITY = 0.999
"""Lowest cosine similarity between the exported model's and the source's embeddings on the check set."""

_IMAGES_PER_RUN_OF_TRANSFORMERS = 2
"""The activations of two images fit into a core's cache: an int8 ViT-B/32 is 10 % faster than with 8. Convolutional
networks are faster with 8."""

_EXAMPLES = ["a photo of a cat", "two dogs"]
"""What the text tower is exported with."""

_OPSET = 23
"""The first opset with an attention operator."""

_SINGLE_FILE_BYTES = 1_900_000_000
"""Weights above this size are stored in a separate file; ONNX files are limited to 2 GB."""


@dataclass(frozen=True)
class _Tower:
    """Arguments of the ONNX exporter for one tower."""

    file: str
    module: torch.nn.Module
    example: torch.Tensor  # batch of two
    input_name: str
    output_name: str
    longest: int | None = None
    """Largest size of the second axis; ``None`` if it is always that of the example."""


def export_model(
    spec: str | ModelSpec,
    *,
    cache: Path | None = None,
    force: bool = False,
    images: Sequence[Image.Image] = (),
    notify: Notify | None = None,
) -> Path:
    """Compile a model into the cache, unless it is already compiled.

    Args:
        spec: ``architecture/pretrained``, ``hf-hub:org/name`` or ``local-dir:PATH``.
        cache: overrides `clipsearch.config.cache_dir`.
        force: compile again.
        images: RGB images for calibration and comparison; the check set by default.
        notify: callback for notices about slow steps.

    Returns:
        The compiled model's directory.

    Raises:
        ModelError: the model cannot be loaded or exported, or the exported embeddings differ (lowest cosine similarity
            below `MIN_PARITY`). `refusal` returns the reason of the latter two.
    """
    parsed = parse_spec(spec) if isinstance(spec, str) else spec
    notify = notify or (lambda line: None)
    target = compiled_dir(parsed, cache=cache)
    with _writable(target), _exclusive(target, notify):
        if is_compiled(target) and not force:
            return target
        from clipsearch.models.torch.encoder import OpenClipEncoder

        encoder = OpenClipEncoder(parsed, device="cpu", notify=notify)
        notify(f"compiling {parsed.text} for the CPU, once; this takes a minute or two…")
        _refusal_file(target).unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix=".compiling-", dir=target.parent) as scratch:
            made = Path(scratch) / "model"
            made.mkdir()
            try:
                _write_model(encoder, made, images)
            except ModelError as error:
                _refusal_file(target).write_text(str(error), encoding="utf-8")
                raise
            _publish(made, target)
    return target


def refusal(spec: ModelSpec, *, cache: Path | None = None) -> str | None:
    """Reason why the model's last export failed; ``None`` if it did not."""
    try:
        return _refusal_file(compiled_dir(spec, cache=cache)).read_text(encoding="utf-8")
    except OSError:
        return None


def _write_model(encoder: OpenClipEncoder, directory: Path, images: Sequence[Image.Image]) -> None:
    from clipsearch.models.compile.tokenizer import export_tokenizer

    exported = export_tokenizer(encoder.tokenizer)
    towers = _towers(encoder, _unpadded(encoder, exported.tokenizer))
    exported.tokenizer.save(str(directory / "tokenizer.json"))
    with tempfile.TemporaryDirectory(prefix=".forms-", dir=directory.parent) as scratch:
        raw = Path(scratch) / "raw"
        raw.mkdir()
        for tower in towers:
            _export_tower(tower, raw, encoder.spec)
            save_optimized(raw / tower.file, directory / tower.file)
        manifest = _manifest(encoder, exported.text, directory)
        manifest.write(directory)
        manifest.parity.update(_parity(encoder, CompiledEncoder(directory)))
        pixels = np.stack([encoder.transform(image) for image in images or check_images()])
        choice = choose_variants(directory, make_variants(raw, directory, Path(scratch), pixels), pixels)
        for tower_name, variant in choice.variants.items():
            _move_graph(variant.path, directory / f"{tower_name}.onnx")
    replace(
        manifest,
        precision={tower_name: variant.precision for tower_name, variant in choice.variants.items()},
        files=file_digests(directory),
        rounding=choice.parity,
        compared_on=f"{len(pixels)} pictures of the {'user' if images else CHECK_SET}",
        candidates=choice.candidates,
        images_per_run=_images_per_run(directory / "image.onnx"),
    ).write(directory)


def _images_per_run(graph: Path) -> int:
    return IMAGES_PER_RUN if is_convolutional(graph) else _IMAGES_PER_RUN_OF_TRANSFORMERS


def _manifest(encoder: OpenClipEncoder, text: TextSpec, directory: Path) -> ModelManifest:
    """The manifest before quantization."""
    preset = preset_of(encoder.spec)
    return ModelManifest(
        name=encoder.spec,
        version=f"{encoder.fingerprint} export {EXPORT_VERSION}",
        dim=encoder.dim,
        image=encoder.image_spec,
        text=text,
        precision={"image": FP32, "text": FP32},
        logit_scale=encoder.logit_scale,
        licence=preset.licence if preset else "that of the source",
        languages=preset.languages if preset else (),
        source=f"open_clip {encoder.spec}",
        weights_fingerprint=encoder.fingerprint,
        files=file_digests(directory),
    )


def _unpadded(encoder: OpenClipEncoder, tokenizer: Tokenizer) -> torch.nn.Module | None:
    """The text tower for texts without padding, which the tokenizer then leaves out.

    Returns:
        The tower; ``None``, and the tokenizer unchanged, if padding changes the embeddings.
    """
    import torch

    from clipsearch.models.compile.layers import unpadded

    short, padding = unpadded(encoder.text_tower), tokenizer.padding or {}
    if short is None or padding.get("direction") != "right":
        return None
    tokenizer.enable_padding(**{**padding, "length": None})
    ids = torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(_EXAMPLES)])
    with torch.inference_mode():
        expected = encoder.text_tower(encoder.tokenizer(_EXAMPLES))
        if torch.cosine_similarity(short(ids), expected).min() >= MIN_PARITY:
            return short
    tokenizer.enable_padding(**padding)
    return None


def _towers(encoder: OpenClipEncoder, unpadded: torch.nn.Module | None) -> list[_Tower]:
    """The image and the text tower; for texts of any length if there is one without padding."""
    import torch

    height, width = encoder.image_spec.size
    pixels = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    tokens = encoder.tokenizer(_EXAMPLES)
    text = encoder.text_tower if unpadded is None else unpadded
    longest = encoder.context_length if unpadded is not None else None
    return [
        _Tower("image.onnx", encoder.image_tower, pixels, "pixels", "image_embeddings"),
        _Tower("text.onnx", text, tokens, "input_ids", "text_embeddings", longest),
    ]


def _export_tower(tower: _Tower, directory: Path, spec: str) -> None:
    import torch

    from clipsearch.models.compile.layers import exported_layers

    axes = {0: torch.export.Dim("batch")}
    if tower.longest is not None:
        axes[1] = torch.export.Dim("tokens", min=2, max=tower.longest)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in _weights(tower))
    try:
        with _exporter_settings(), exported_layers(tower.module):
            torch.onnx.export(
                tower.module,
                (tower.example,),
                directory / tower.file,
                input_names=[tower.input_name],
                output_names=[tower.output_name],
                dynamic_shapes={tower.input_name: axes},
                external_data=weights > _SINGLE_FILE_BYTES,
                dynamo=True,
                opset_version=_OPSET,
                verbose=False,
            )
    except OSError:
        raise
    except Exception as error:  # the exporter's exceptions have no common base class
        raise ModelError(f"{tower.file} of {spec} cannot be exported: {first_line(error)}") from error


def _weights(tower: _Tower) -> Iterator[torch.Tensor]:
    """The parameters of one tower; its `model` has both towers."""
    visual = {id(tensor) for tensor in tower.module.model.visual.parameters()}  # type: ignore[union-attr]
    is_image = tower.file == "image.onnx"
    return (tensor for tensor in tower.module.parameters() if (id(tensor) in visual) == is_image)


@contextlib.contextmanager
def _exporter_settings() -> Iterator[None]:
    """Settings for the export: unfused attention, and the exporter's warnings and log silenced."""
    import logging

    import torch

    fast_path = torch.backends.mha.get_fastpath_enabled()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    torch.backends.mha.set_fastpath_enabled(False)
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        logger.setLevel(level)


def _parity(encoder: OpenClipEncoder, compiled: CompiledEncoder) -> dict[str, float]:
    """The lowest cosine similarity per tower on the check set.

    Raises:
        ModelError: it is below `MIN_PARITY`, or the tokenizers disagree.
    """
    texts = check_texts()
    for text in texts:
        if not _same_tokens(encoder, compiled, text):
            raise ModelError(f"the compiled tokenizer of {encoder.spec} differs from open_clip's on {text[:40]!r}")
    images = check_images()
    cosines = {
        "image": _lowest_cosine(encoder.encode_images(images), compiled.encode_images(images)),
        "text": _lowest_cosine(encoder.encode_texts(texts), compiled.encode_texts(texts)),
    }
    for tower, cosine in cosines.items():
        if cosine < MIN_PARITY:
            raise ModelError(
                f"the compiled {tower} tower of {encoder.spec} differs from open_clip's: "
                f"lowest cosine similarity {cosine:.6f} is below {MIN_PARITY}"
            )
    return cosines


def _same_tokens(encoder: OpenClipEncoder, compiled: CompiledEncoder, text: str) -> bool:
    separator, expected = encoder.text_tower.separator_id, encoder.tokenize(text)
    ids = [0 if token == separator else token for token in compiled.tokenize(text)]
    return expected == ids + expected[-1:] * (len(expected) - len(ids))  # one of them may be without padding


def _lowest_cosine(first: FloatMatrix, second: FloatMatrix) -> float:
    return float(np.sum(first * second, axis=1, dtype=np.float64).min())


@contextlib.contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"the compiled model cannot be written to {target.parent}: {reason}") from error


@contextlib.contextmanager
def _exclusive(target: Path, notify: Notify) -> Iterator[None]:
    """Let one process compile a model at a time; other processes wait for the result."""
    from filelock import FileLock, Timeout

    lock: Any = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        notify("another process is compiling this model; waiting for it…")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _move_graph(graph: Path, target: Path) -> None:
    """Replace a graph and its weights by others."""
    if graph == target:
        return
    for suffix in (DATA_SUFFIX, ""):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
        part = graph.with_name(graph.name + suffix)
        if part.is_file():
            part.replace(target.with_name(target.name + suffix))


def _publish(made: Path, target: Path) -> None:
    """Move a complete directory to its target, replacing an existing one, and sync it to the disk."""
    for path in made.iterdir():
        atomic.sync_file(path)
    atomic.sync_directory(made)
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=target.parent))
        target.replace(old / "model")
        made.replace(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        made.replace(target)
    atomic.sync_directory(target.parent)


def _refusal_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.refused")
