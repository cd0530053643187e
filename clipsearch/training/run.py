"""Contrastive fine-tuning and pre-training on image-caption pairs.

Runs are deterministic on one machine and resume exactly: random choices depend on the seed and the step, and a
checkpoint has the rest.

Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, §2.3 and §2.5.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clipsearch.errors import ConfigError
from clipsearch.models.specs import MANIFEST_NAME, OPEN_CLIP_CONFIG
from clipsearch.models.torch.encoder import pick_device
from clipsearch.system import atomic
from clipsearch.text import Notify
from clipsearch.training.checkpoint import REPORT, STATE, RunState, read_state, run_identity, write_json_file
from clipsearch.training.ensemble import SHARES, SharePoint, choose_share, interpolate, measure_shares
from clipsearch.training.inputs import Inputs, readable
from clipsearch.training.loading import load_trainee
from clipsearch.training.loop import Loop, snapshot
from clipsearch.training.pairs import CaptionedImage, read_pairs, split_pairs
from clipsearch.training.report import ProgressCallback, TrainingProgress, TrainingReport
from clipsearch.training.settings import TrainSettings
from clipsearch.training.trainee import Trainee

_MOST_RETENTION_PICTURES = 1000
"""Limit, because retention is measured for each share of the weights."""


def finetune(
    settings: TrainSettings,
    *,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    notify: Notify | None = None,
) -> TrainingReport:
    """Train a model and write it.

    Args:
        settings: settings of the run.
        resume: resume the run in the output directory, if there is one.
        progress: callback for progress.
        notify: callback for notices about skipped images.

    Raises:
        ConfigError: settings, captions or output directory are invalid, or belong to another run.
        ModelError: the model is unavailable or cannot be trained with these settings.
        ImageReadError: an image became unreadable during the run, which can be resumed.
    """
    started = time.perf_counter()
    sets = _read_sets(settings)
    _check_output(settings, resume=resume)
    device = pick_device(settings.device)
    with exclusive(settings.work), deterministic(device):
        trainee = load_trainee(settings, device)
        original = snapshot(trainee)
        skipped = _drop_unreadable(sets, trainee, notify or (lambda line: None))
        inputs, validation, retention = (
            Inputs(pairs, trainee, seed=settings.seed) if number == 0 or pairs else None
            for number, pairs in enumerate(sets)
        )
        assert inputs is not None
        identity = run_identity(settings, [*sets[0], *sets[1]], trainee.fingerprint, device.type)
        state = read_state(settings.work, identity) if resume else RunState()
        progress = progress or (lambda step: None)
        loop = Loop(trainee, inputs, validation, settings, state=state, identity=identity, progress=progress)
        progress(TrainingProgress(state.epoch, settings.epochs, state.step, loop.steps))
        loop.run()
        share, points = _ensemble(loop, original, retention)
        _publish(trainee, settings.output)
    report = _report(settings, loop, share, points, sets, skipped=skipped, seconds=time.perf_counter() - started)
    write_json_file(settings.work / REPORT, asdict(report))
    return report


Sets = tuple[list[CaptionedImage], list[CaptionedImage], list[CaptionedImage]]
"""Pairs for training, validation and retention."""


def _read_sets(settings: TrainSettings) -> Sets:
    pairs = read_pairs(settings.source)
    if settings.validation_source is not None:
        held_out = read_pairs(settings.validation_source)
        held_out_paths = {pair.path.resolve() for pair in held_out}
        pairs = [pair for pair in pairs if pair.path.resolve() not in held_out_paths]
    else:
        pairs, held_out = split_pairs(pairs, settings.validation, settings.seed)
    retention = read_pairs(settings.retention_source) if settings.retention_source is not None else []
    if len(retention) > _MOST_RETENTION_PICTURES:
        chosen = np.random.default_rng([settings.seed, 2]).permutation(len(retention))[:_MOST_RETENTION_PICTURES]
        retention = [retention[row] for row in sorted(chosen)]
    return pairs, held_out, retention


def _drop_unreadable(sets: Sets, trainee: Trainee, notify: Notify) -> int:
    """Remove unreadable images from the sets in place; returns their number."""
    count = 0
    for pairs in sets:
        kept, dropped = readable(pairs, trainee)
        pairs[:] = kept
        count += len(dropped)
        for path, reason in dropped:
            notify(f"skipping {path}: {reason}")
    return count


def _ensemble(
    loop: Loop, original: Mapping[str, Tensor], retention: Inputs | None
) -> tuple[float, tuple[SharePoint, ...]]:
    """Set the model to the chosen share of the trained weights; returns the share and the measured ones."""
    settings, trainee, best, validation = loop.settings, loop.trainee, loop.state.best, loop.validation
    if settings.init == "random":
        trainee.restore(best)
        return 1.0, ()
    points = tuple(
        measure_shares(
            trainee,
            original,
            best,
            shares=SHARES if loop.state.best_epoch else SHARES[:1],
            validate=None if validation is None else lambda: loop.measure(validation),
            retain=None if retention is None else lambda: loop.measure(retention),
        )
    )
    share = choose_share(points, retention_loss=settings.retention_loss)
    if settings.ensemble is not None and loop.state.best_epoch:
        share = settings.ensemble
    trainee.restore(interpolate(original, best, share))
    return share, points


def _report(
    settings: TrainSettings,
    loop: Loop,
    share: float,
    points: Sequence[SharePoint],
    sets: Sets,
    *,
    skipped: int,
    seconds: float,
) -> TrainingReport:
    ends = {point.share: point for point in points}
    start, kept = ends.get(0.0), ends.get(share)
    after = None if loop.validation is None else loop.measure(loop.validation)
    return TrainingReport(
        model=settings.model,
        output=settings.output,
        parts=str(settings.parts) if settings.init == "pretrained" else "all",
        pictures=len(sets[0]),
        captions=len(loop.inputs.owners),
        held_out=len(sets[1]),
        retained=len(sets[2]),
        skipped=skipped,
        epochs=loop.state.epoch,
        best_epoch=loop.state.best_epoch,
        share=share,
        before=start.validation if start else None,
        after=after,
        retention_before=start.retention if start else None,
        retention_after=kept.retention if kept else None,
        shares=tuple(points),
        seconds=seconds,
    )


def _publish(trainee: Trainee, output: Path) -> None:
    """Write the model to a temporary folder and move its files to the output, the manifest or configuration last."""
    last = (MANIFEST_NAME, OPEN_CLIP_CONFIG)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=output) as folder:
        trainee.save(Path(folder))
        for path in sorted(Path(folder).iterdir(), key=lambda path: path.name in last):
            atomic.sync_file(path)
            path.replace(output / path.name)


def _check_output(settings: TrainSettings, *, resume: bool) -> None:
    work, output = settings.work, settings.output
    try:
        if (work / STATE).is_file() and not resume:
            raise ConfigError(f"{output} already has a run: continue it with --resume, or choose another --output")
        if not work.is_dir() and output.is_dir() and any(output.iterdir()):
            raise ConfigError(f"{output} is not empty: choose another --output")
        work.mkdir(parents=True, exist_ok=True)
        if not resume:
            shutil.rmtree(work / "initial", ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {output}: {(error.strerror or str(error)).lower()}") from error


@contextlib.contextmanager
def exclusive(work: Path) -> Iterator[None]:
    """Refuse another process that trains in the same folder.

    Raises:
        ConfigError: there is one.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(work / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(f"another process is training in {work.parent}") from error


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use deterministic algorithms of torch where available."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS at its first use
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            yield
    finally:
        torch.use_deterministic_algorithms(before)
