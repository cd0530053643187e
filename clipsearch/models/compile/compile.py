"""Compiles an open_clip model: both towers to ONNX and the tokenizer to `tokenizer.json`.

The result is a directory as described in `clipsearch.models.manifest`. It is moved to the cache only if its embeddings
agree with the source's.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.errors import ModelError
from clipsearch.models.compile.check_set import check_images, check_texts
from clipsearch.models.compile.precision import FP32, choose_variants, make_variants
from clipsearch.models.compile.quantization import is_convolutional
from clipsearch.models.compile.towers import MIN_PARITY, export_tower, towers_of
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.manifest import CHECK_SET, IMAGES_PER_RUN, ModelManifest, TextSpec, file_digests
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.onnx.sessions import DATA_SUFFIX, save_optimized
from clipsearch.models.presets import preset_of
from clipsearch.models.specs import EXPORT_VERSION, ModelSpec, compiled_dir, is_compiled, parse_spec
from clipsearch.system import atomic
from clipsearch.text import Notify

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.models.torch.encoder import OpenClipEncoder

_IMAGES_PER_RUN_OF_TRANSFORMERS = 2
"""The activations of two images fit into a core's cache: an int8 ViT-B/32 is 10 % faster than with 8. Convolutional
networks are faster with 8."""


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
    towers = towers_of(encoder, exported.tokenizer)
    exported.tokenizer.save(str(directory / "tokenizer.json"))
    with tempfile.TemporaryDirectory(prefix=".forms-", dir=directory.parent) as scratch:
        raw = Path(scratch) / "raw"
        raw.mkdir()
        for tower in towers:
            export_tower(tower, raw, encoder.spec)
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
