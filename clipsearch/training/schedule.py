"""The learning rate of each step, and what it is applied to."""

from __future__ import annotations

import math

import torch

from clipsearch.training.trainee import Trainee


def learning_rate(step: int, total: int, *, peak: float, warmup: float) -> float:
    """Rises in a line to `peak`, then falls along half a cosine to 0.

    A function of the step alone, so that a resumed run has nothing to restore.

    Args:
        step: from 0.
        total: number of steps.
        peak: the highest rate.
        warmup: share of the steps over which it rises, 0–1.

    Source: Loshchilov & Hutter 2017, SGDR, eq. 5, without restarts; warm-up as in Radford et al. 2021, §2.5.
    """
    rising = round(warmup * total)
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising))) / 2


def make_optimizer(trainee: Trainee, *, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over what is trained; gains, biases and the temperature do not decay.

    Source: Radford et al. 2021, §2.5 and table 18 (β of the vision transformers).
    """
    trained = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0, betas=(0.9, 0.98), eps=1e-6)
