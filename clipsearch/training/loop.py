"""The training loop: epochs of steps, periodic checkpoints, validation after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from clipsearch.training.checkpoint import PROGRESS, RunState, write_json_file, write_state
from clipsearch.training.contrastive import contrastive_step
from clipsearch.training.inputs import PairInputs
from clipsearch.training.report import ProgressCallback, TrainingProgress
from clipsearch.training.settings import TrainSettings
from clipsearch.training.trainee import ContrastiveModel
from clipsearch.training.validation import HitRates, hit_rates

_STEP = 3
"""Random stream; `clipsearch.training.inputs` has the others."""

_WRITE_EVERY_S = 2.0
"""Seconds between updates of the progress file, which the web page reads."""


class Loop:
    """Trains a model in place."""

    def __init__(
        self,
        trainee: ContrastiveModel,
        inputs: PairInputs,
        validation: PairInputs | None,
        settings: TrainSettings,
        *,
        state: RunState,
        identity: str,
        progress: ProgressCallback,
    ) -> None:
        """Restore `state`."""
        self.trainee, self.inputs, self.validation, self.settings = trainee, inputs, validation, settings
        self.state, self._identity, self._progress = state, identity, progress
        self.autocast, dtype = make_autocast(trainee.device, settings.precision)
        self._scaler = torch.amp.GradScaler(trainee.device.type, enabled=dtype == torch.float16)
        self._optimizer = make_optimizer(trainee, weight_decay=settings.weight_decay)
        self.steps = -(-len(inputs) // (settings.batch_size * settings.accumulate))
        self._written = 0.0
        if state.weights:
            trainee.restore(state.weights)
            self._optimizer.load_state_dict(state.optimizer)
            self._scaler.load_state_dict(state.scaler)

    def run(self) -> None:
        """Train until the last epoch, or until validation has not improved for `patience` epochs."""
        if not self.state.history:
            self._validate(loss=None)
        while not self.state.done:
            self._epoch()
            self.state.epoch, self.state.step = self.state.epoch + 1, 0
            loss, self.state.loss_sum = self.state.loss_sum / self.steps, 0.0
            self._validate(loss)
            stale = self.state.epoch - self.state.best_epoch
            is_stopping = self.validation is not None and 0 < self.settings.patience <= stale
            self.state.done = is_stopping or self.state.epoch >= self.settings.epochs
            self._checkpoint()

    def measure(self, inputs: PairInputs) -> HitRates:
        """Hit rates of the current model."""
        return hit_rates(self.trainee, inputs, autocast=self.autocast)

    def _epoch(self) -> None:
        state, settings = self.state, self.settings
        self.trainee.train()
        order = np.array_split(self.inputs.order(state.epoch), self.steps)
        parts = [np.array_split(rows, -(-len(rows) // settings.batch_size)) for rows in order[state.step :]]
        batches = self.inputs.batches([rows for step in parts for rows in step], state.epoch)
        for step in parts:
            chunks = list(islice(batches, len(step)))
            number = state.epoch * self.steps + state.step
            rate = learning_rate(number, settings.epochs * self.steps, peak=settings.peak_lr, warmup=settings.warmup)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            loss = contrastive_step(
                self.trainee,
                chunks,
                seed=(settings.seed, _STEP, number),
                autocast=self.autocast,
                scale=self._scaler.scale,
            )
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._optimizer.zero_grad()
            self.trainee.clamp_temperature()
            state.step, state.loss_sum = state.step + 1, state.loss_sum + loss
            self._report(TrainingProgress(state.epoch + 1, settings.epochs, state.step, self.steps, loss))
            if state.step % settings.checkpoint_every == 0 and state.step < self.steps:
                self._checkpoint()

    def _validate(self, loss: float | None) -> None:
        state = self.state
        rates = None if self.validation is None else self.measure(self.validation)
        record = {
            "epoch": state.epoch,
            "loss": loss,
            "logit_scale": float(self.trainee.logit_scale().detach()),
            "validation": None if rates is None else asdict(rates),
        }
        state.history.append(record)
        if rates is None or not state.best or rates.mean_reciprocal_rank > self._best():
            state.best_epoch, state.best = state.epoch, snapshot(self.trainee)
        steps = 0 if loss is None else self.steps
        self._report(TrainingProgress(state.epoch, self.settings.epochs, steps, self.steps, loss, rates), at_once=True)

    def _best(self) -> float:
        record = next(record for record in self.state.history if record["epoch"] == self.state.best_epoch)
        return float(record["validation"]["mean_reciprocal_rank"])

    def _checkpoint(self) -> None:
        state = self.state
        state.weights = snapshot(self.trainee)
        state.optimizer, state.scaler = self._optimizer.state_dict(), self._scaler.state_dict()
        write_state(self.settings.work, self._identity, state)

    def _report(self, progress: TrainingProgress, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._written >= _WRITE_EVERY_S:
            self._written = now
            write_json_file(self.settings.work / PROGRESS, {**asdict(progress), "history": self.state.history})
        self._progress(progress)


def snapshot(trainee: ContrastiveModel) -> dict[str, Tensor]:
    """A copy of the trained weights on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in trainee.trained().items()}


def make_autocast(device: torch.device, precision: str) -> tuple[Callable[[], torch.autocast], torch.dtype | None]:
    """Factory of the autocast context, and its dtype; ``None`` for float32.

    With ``auto``, CUDA devices use bf16 if supported, otherwise fp16; other devices use float32.
    """
    if precision == "auto":
        lower = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp16"
        precision = lower if device.type == "cuda" else "fp32"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}[precision]
    return partial(torch.autocast, device.type, dtype=dtype, enabled=dtype is not None), dtype


def learning_rate(step: int, total: int, *, peak: float, warmup: float) -> float:
    """Linear warm-up to `peak`, then cosine decay to 0; a pure function of the step, so that a run can be resumed.

    Args:
        step: from 0.
        total: number of steps.
        peak: the highest rate.
        warmup: share of the warm-up steps, 0–1.

    Source: Loshchilov & Hutter 2017, SGDR, eq. 5, without restarts; warm-up as in Radford et al. 2021, §2.5.
    """
    warmup_steps = round(warmup * total)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total - warmup_steps))) / 2


def make_optimizer(trainee: ContrastiveModel, *, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the trained parameters; gains, biases and the temperature do not decay.

    Source: Radford et al. 2021, §2.5 and table 18 (β of the vision transformers).
    """
    trained = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0, betas=(0.9, 0.98), eps=1e-6)
