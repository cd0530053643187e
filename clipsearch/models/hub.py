"""The Hugging Face hub from the outside: does it answer, and what of it is already on this disk.

`huggingface_hub` itself retries for more than 20 s before it gives up, so that it is only ever called
after `hub_reachable` said yes, or inside `offline`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

HUB_TIMEOUT_S = 3.0
"""Seconds a hub has to answer; nothing in clipsearch waits longer for a network."""

DEFAULT_ENDPOINT = "https://huggingface.co"

_TRUE = {"1", "on", "yes", "true"}


@cache
def hub_reachable(timeout_s: float = HUB_TIMEOUT_S) -> bool:
    """Whether a model hub answers; asked once per process.

    Honours ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and the proxy settings of the environment or the system.
    Name resolution counts against the time as well: the request runs in a thread that is left behind.

    Args:
        timeout_s: seconds to wait at most.
    """
    if _offline_by_setting():
        return False
    answers: list[bool] = []
    probe = threading.Thread(target=lambda: answers.append(_answers(_endpoint(), timeout_s)), daemon=True)
    probe.start()
    probe.join(timeout_s)
    return bool(answers and answers[0])


def hub_cache_dir() -> Path:
    """Where `huggingface_hub` keeps its downloads; computed as it does, without importing it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    if os.environ.get("HF_HOME"):
        return Path(os.environ["HF_HOME"]).expanduser() / "hub"
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "huggingface" / "hub"


def is_cached(repository: str, names: Iterable[str]) -> bool:
    """Whether one of these files of a hub repository is on this disk.

    Args:
        repository: ``organisation/name``.
        names: file names of which any one will do.
    """
    snapshots = hub_cache_dir() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return any((snapshot / name).is_file() for name in names for snapshot in _directories(snapshots))


@contextmanager
def offline() -> Iterator[None]:
    """Keep `huggingface_hub` (and so open_clip and transformers) to what is on this disk."""
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
    import ssl  # these take longer to load than a small library to search
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(url, method="HEAD")
        # an opener of its own: urllib's shared one may remember the proxies of long ago
        with urllib.request.build_opener().open(request, timeout=timeout_s):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except urllib.error.URLError as error:
        # a Python without the system's certificates (macOS) still reached somebody; the download verifies
        return isinstance(error.reason, ssl.SSLCertVerificationError)
    except (OSError, ValueError):
        return False


def _directories(parent: Path) -> list[Path]:
    try:
        return [child for child in parent.iterdir() if child.is_dir()]
    except OSError:
        return []
