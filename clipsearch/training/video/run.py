"""Training of temporal heads on captioned clips: embed them once, train each head, choose which ones are used."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from clipsearch.errors import ConfigError
from clipsearch.evaluation.clips import Clip, EmbeddedClips, embed_clips, read_clips
from clipsearch.evaluation.embedding import Progress
from clipsearch.evaluation.video import similarities
from clipsearch.metrics import first_relevant_ranks, mean_reciprocal_rank
from clipsearch.models.loading import compile_spec
from clipsearch.models.manifest import file_digest
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.specs import MANIFEST_NAME
from clipsearch.models.torch.encoder import pick_device
from clipsearch.models.video_heads import (
    HEAD_TYPES,
    SEQUENTIAL_TYPES,
    HeadType,
    PoolingType,
    SimilarityType,
    VideoHeads,
    VideoHeadsSpec,
    head_file,
)
from clipsearch.system import atomic
from clipsearch.text import Notify
from clipsearch.training.checkpoint import read_state, run_identity, write_json_file
from clipsearch.training.pairs import CaptionedImage
from clipsearch.training.report import TrainingProgress
from clipsearch.training.run import deterministic, exclusive
from clipsearch.training.settings import TrainSettings
from clipsearch.training.video.fit import export_head, fit_head

HEADS_REPORT = "heads.json"

_MOST_CHOOSING_CLIPS = 500
"""Held-out clips on which the similarity types are compared."""


@dataclass(frozen=True)
class HeadsReport:
    """Result of training heads.

    Attributes:
        model: spec of the frozen model.
        output: directory of the model with heads.
        videos: number of videos, training and held out.
        clips: number of training clips.
        captions: number of their captions.
        held_out: number of held-out clips.
        skipped: number of unreadable videos.
        mean_reciprocal_rank: text-to-video, on held-out clips, by similarity type.
        pooling: the similarity type of whole-video embeddings, ``mean`` or a head.
        reranking: the head that re-ranks, or ``none``.
        seconds: wall time.
    """

    model: str
    output: Path
    videos: int
    clips: int
    captions: int
    held_out: int
    skipped: int
    mean_reciprocal_rank: dict[SimilarityType, float]
    pooling: str
    reranking: str
    seconds: float


HeadProgress = Callable[[HeadType, TrainingProgress], None]
"""Progress callback of the training of a head."""


def train_heads(
    settings: TrainSettings,
    kinds: Sequence[HeadType],
    *,
    resume: bool = False,
    embedding: Progress | None = None,
    training: HeadProgress = lambda kind, progress: None,
    notify: Notify | None = None,
) -> HeadsReport:
    """Train heads for a frozen model and write the model with them.

    The output may be the model's own directory: its heads are replaced, and its other files stay as they are.

    Args:
        settings: `source` is the folder of the videos and the table of clips.
        kinds: the heads.
        resume: resume the run in the output directory, if there is one.
        embedding: callback for the progress of the embedding.
        training: callback for the progress of each head.
        notify: callback for notices about skipped videos and slow steps.

    Raises:
        ConfigError: settings, clips or output directory are invalid, or belong to another run.
        ModelError: the model is unavailable or cannot be compiled.
    """
    started = time.perf_counter()
    notify = notify or (lambda line: None)
    if settings.source.pairs is None or not settings.validation:
        raise ConfigError("training on videos needs a table of clips, and held-out ones that choose the head")
    rows = read_clips(settings.source.pairs, split=settings.source.split)
    model = CompiledEncoder(compile_spec(settings.model, notify=notify))
    _check_output(model.directory, settings.output)
    settings.work.mkdir(parents=True, exist_ok=True)
    with exclusive(settings.work), deterministic(pick_device(settings.device)):
        clips, skipped = _embedded(model, rows, settings, embedding, notify)
        fitted, held_out = clips.split(settings.validation, settings.seed)
        for kind in kinds:
            _train(kind, model, rows, (fitted, held_out), settings, resume=resume, progress=training)
        spec, measured = _choose(kinds, held_out, settings.work)
        _publish(model, spec, settings)
    report = HeadsReport(
        model=settings.model,
        output=settings.output,
        videos=len(np.unique(clips.videos)),
        clips=len(fitted),
        captions=len(fitted.owners),
        held_out=len(held_out),
        skipped=skipped,
        mean_reciprocal_rank=measured,
        pooling=spec.pooling,
        reranking=spec.reranking,
        seconds=time.perf_counter() - started,
    )
    write_json_file(settings.work / HEADS_REPORT, asdict(report))
    return report


def _check_output(model: Path, output: Path) -> None:
    """Accept a new directory, that of the model, and one that a run was started in."""
    is_new = not output.is_dir() or not any(output.iterdir())
    if is_new or (output / "training").is_dir() or output.resolve() == model.resolve():
        return
    raise ConfigError(f"{output} is not empty: choose another --output")


def _key(model: CompiledEncoder, rows: list[Clip], folder: Path) -> str:
    """Identity of the embeddings of clips: model, table, and the videos' sizes and times."""
    paths = {row.video: folder / row.video for row in rows if (folder / row.video).is_file()}
    states = {video: (path.stat().st_size, path.stat().st_mtime_ns) for video, path in paths.items()}
    return hashlib.sha256(repr((model.fingerprint, rows, states)).encode()).hexdigest()


def _embedded(
    model: CompiledEncoder, rows: list[Clip], settings: TrainSettings, progress: Progress | None, notify: Notify
) -> tuple[EmbeddedClips, int]:
    """Embed the clips, or read the embeddings of an earlier run; returns also the number of unreadable videos."""
    folder, path = settings.source.images, settings.work / "clips.npz"
    key = _key(model, rows, folder)
    if path.is_file():
        with np.load(path) as stored:
            if str(stored["key"]) == key:
                frames = np.split(stored["frames"], stored["ends"][:-1])
                clips = EmbeddedClips(tuple(frames), stored["texts"], stored["owners"], stored["videos"])
                return clips, int(stored["skipped"])
    clips, unreadable = embed_clips(model, folder, rows, progress=progress)
    for video in unreadable:
        notify(f"skipping {video.image}: {video.reason}")
    with atomic.replacing(path) as file:
        np.savez(
            file,
            key=key,
            frames=np.concatenate(clips.frames),
            ends=np.cumsum([len(frames) for frames in clips.frames]),
            texts=clips.texts,
            owners=clips.owners,
            videos=clips.videos,
            skipped=len(unreadable),
        )
    return clips, len(unreadable)


def _train(
    kind: HeadType,
    model: CompiledEncoder,
    rows: list[Clip],
    clips: tuple[EmbeddedClips, EmbeddedClips],
    settings: TrainSettings,
    *,
    resume: bool,
    progress: HeadProgress,
) -> None:
    """Train a head on the first clips, validate on the second, and write it to the folder of the run."""
    head_settings = replace(settings, model=model.spec, output=settings.work / kind)
    spans = [CaptionedImage(Path(f"{row.video}#t={row.start_s},{row.end_s}"), row.captions) for row in rows]
    identity = run_identity(head_settings, spans, model.fingerprint, pick_device(settings.device).type)
    head = fit_head(
        kind,
        *clips,
        head_settings,
        logit_scale=model.logit_scale,
        identity=identity,
        state=read_state(head_settings.work, identity) if resume else None,
        progress=lambda step: progress(kind, step),
    )
    export_head(head, model.dim, settings.work / head_file(kind))


def _choose(
    kinds: Sequence[HeadType], held_out: EmbeddedClips, work: Path
) -> tuple[VideoHeadsSpec, dict[SimilarityType, float]]:
    """The best sequential type on held-out clips, mean pooling included, and the tight head if it is better still."""
    heads = VideoHeads(work, VideoHeadsSpec(files={kind: file_digest(work / head_file(kind)) for kind in kinds}))
    held_out = held_out.take(np.arange(min(len(held_out), _MOST_CHOOSING_CLIPS)))
    measured = {
        kind: mean_reciprocal_rank(first_relevant_ranks(scores, held_out.owners))
        for kind, scores in similarities(heads, held_out).items()
    }
    poolings: list[PoolingType] = ["mean", *(kind for kind in SEQUENTIAL_TYPES if kind in measured)]
    pooling = max(poolings, key=lambda kind: measured[kind])  # of equal ones the first
    reranks = measured.get("tight", 0.0) > measured[pooling]
    return replace(heads.spec, pooling=pooling, reranking="tight" if reranks else "none"), measured


def _publish(model: CompiledEncoder, spec: VideoHeadsSpec, settings: TrainSettings) -> None:
    """Write the model's files and the heads to the output, the manifest last."""
    output = settings.output
    if output.resolve() != model.directory.resolve():
        for name in model.manifest.files:
            with atomic.replacing(output / name, durable=True) as target, (model.directory / name).open("rb") as source:
                shutil.copyfileobj(source, target)
    for kind in HEAD_TYPES:
        if kind in spec.files:
            atomic.write_bytes(output / head_file(kind), (settings.work / head_file(kind)).read_bytes(), durable=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=output) as folder:
        replace(model.manifest, video=spec).write(Path(folder))
        (Path(folder) / MANIFEST_NAME).replace(output / MANIFEST_NAME)
    for kind in HEAD_TYPES:
        if kind not in spec.files:
            (output / head_file(kind)).unlink(missing_ok=True)
