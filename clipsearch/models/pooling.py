"""From the embeddings of a video's frames to one of the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import l2_normalize


def mean_pooling(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """The normalized mean of frames, which has no parameters.

    Source: Luo et al. 2021, CLIP4Clip (arXiv 2104.08860), section 3.3, parameter-free type.

    Args:
        frames: float32 [frames, dim], unit rows, at least one.

    Returns:
        float32 [dim], unit length.
    """
    mean = frames.mean(axis=0, dtype=np.float32)
    pooled: NDArray[np.float32] = l2_normalize((mean if np.linalg.norm(mean) > 1e-6 else frames[0])[None])[0]
    return pooled
