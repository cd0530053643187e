"""Starting quickly."""

from __future__ import annotations

import os


def limit_blas_threads() -> None:
    """For commands that ask small questions: have NumPy start no threads, which takes longer than what they would do.

    Only before NumPy is loaded; what the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
