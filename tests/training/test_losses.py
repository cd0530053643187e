"""The contrastive losses against float64 references written out with loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clipsearch.training.losses import clip_loss, matching_loss


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def reference_matching_loss(
    images: NDArray[np.float64], phrases: NDArray[np.float64], truth: NDArray[np.bool_], scale: float
) -> float:
    logits = scale * unit(images) @ unit(phrases).T
    by_image = [-log_softmax(row)[own].mean() for row, own in zip(logits, truth, strict=True)]
    by_phrase = [-log_softmax(column)[own].mean() for column, own in zip(logits.T, truth.T, strict=True)]
    return float((np.mean(by_image) + np.mean(by_phrase)) / 2)


@pytest.mark.parametrize("batch", [1, 2, 33])
@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
def test_clip_loss_equals_the_float64_reference(batch: int, scale: float) -> None:
    rng = np.random.default_rng(batch)
    images, texts = rng.normal(size=(2, batch, 16)) * 3
    loss = clip_loss(torch.from_numpy(images).float(), torch.from_numpy(texts).float(), torch.tensor(scale))
    expected = reference_matching_loss(images, texts, np.eye(batch, dtype=bool), scale)
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_matching_loss_equals_the_float64_reference(scale: float) -> None:
    rng = np.random.default_rng(5)
    images, phrases = rng.normal(size=(9, 16)), rng.normal(size=(6, 16))
    truth = rng.random((9, 6)) < 0.3
    truth[np.arange(9), np.arange(9) % 6] = True
    tensors = [torch.from_numpy(part) for part in (images, phrases, truth)]
    loss = matching_loss(*tensors, torch.tensor(scale, dtype=torch.float64))
    assert float(loss) == pytest.approx(reference_matching_loss(images, phrases, truth, scale), rel=1e-9)


def test_matching_loss_with_one_truth_each_is_clip_loss() -> None:
    images, texts = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor(20.0)
    assert torch.allclose(
        matching_loss(images, texts, torch.eye(7, dtype=torch.bool), scale), clip_loss(images, texts, scale)
    )


def test_the_loss_is_log_of_the_batch_where_nothing_is_known() -> None:
    same = torch.ones(8, 4)
    assert float(clip_loss(same, same, torch.tensor(50.0))) == pytest.approx(np.log(8), rel=1e-6)


def test_length_does_not_matter() -> None:
    images, texts = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    scale = torch.tensor(10.0)
    assert torch.allclose(clip_loss(images, texts, scale), clip_loss(images * 7, texts / 3, scale), atol=1e-5)
