"""Availability of the Hugging Face hub and of its files in the local cache.

`huggingface_hub` retries for more than 20 s, so it is called only after `hub_reachable` or inside `offline`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

HUB_TIMEOUT_S = 3.0
"""Timeout of the hub, in seconds."""

DEFAULT_ENDPOINT = "https://huggingface.co"

_TRUE = {"1", "on", "yes", "true"}


@cache
def hub_reachable(timeout_s: float = HUB_TIMEOUT_S) -> bool:
    """Whether the model hub answers; cached for the process.

    Honors ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and the proxy settings. The request runs in a daemon thread, because name
    resolution has no timeout.

    Args:
        timeout_s: seconds to wait.
    """
    if _offline_by_setting():
        return False
    answers: list[bool] = []
    probe = threading.Thread(target=lambda: answers.append(_answers(_endpoint(), timeout_s)), daemon=True)
    probe.start()
    probe.join(timeout_s)
    return bool(answers and answers[0])


def hub_cache_dir() -> Path:
    """The download cache of `huggingface_hub`, determined without importing it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    if os.environ.get("HF_HOME"):
        return Path(os.environ["HF_HOME"]).expanduser() / "hub"
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "huggingface" / "hub"


def is_cached(repository: str, names: Iterable[str]) -> bool:
    """Whether a file of a hub repository is cached.

    Args:
        repository: ``organization/name``.
        names: alternative file names.
    """
    snapshots = hub_cache_dir() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return any((snapshot / name).is_file() for name in names for snapshot in _directories(snapshots))


@contextmanager
def offline() -> Iterator[None]:
    """Restrict `huggingface_hub` (and thus open_clip and transformers) to cached files."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _offline_by_setting() -> bool:
    return any(os.environ.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def _answers(url: str, timeout_s: float) -> bool:
    import ssl  # slow to import
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(url, method="HEAD")
        # a new opener: urllib's shared one may have outdated proxy settings
        with urllib.request.build_opener().open(request, timeout=timeout_s):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except urllib.error.URLError as error:
        # a Python without system certificates (macOS) reached the hub all the same; the download verifies
        return isinstance(error.reason, ssl.SSLCertVerificationError)
    except (OSError, ValueError):
        return False


def _directories(parent: Path) -> list[Path]:
    try:
        return [child for child in parent.iterdir() if child.is_dir()]
    except OSError:
        return []
