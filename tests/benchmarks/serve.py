"""``clipsearch serve`` under load: many clients at once on loopback, and what it does to latency and memory.

    python -m tests.benchmarks.serve [--pictures N] [--clients N] [--seconds S] [--pause S]

Prints a JSON object: requests a second; p50, p95 and p99 of each kind of request in milliseconds, as the clients see
them; the errors, of which there are to be none; the server's memory in MiB, from the end of the warm-up on and every
ten seconds; and how many texts a second are embedded by as many threads as the server has, each text by itself and
together. The warm-up is as long as it takes to fill what the server remembers of texts.
Each client asks again as soon as it is answered, unless --pause says how long it looks at what it got. The library is
made up. Clients and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipsearch.media.decoding import content_hash
from clipsearch.media.thumbnails import write_thumbnail
from clipsearch.models.encoder import Encoder
from clipsearch.models.loading import load_encoder
from clipsearch.server.batching import BatchingEncoder
from clipsearch.server.settings import Limits
from tests.benchmarks.libraries import fill_library, made_up_files
from tests.benchmarks.timing import alternate, offline, say
from tests.benchmarks.warm_queries import query_text
from tests.server.processes import Client, Server, serving

WARM_UP_S = 30.0
MEMORY_EVERY_S = 10.0
PREVIEWS = 500
"""Pictures that have a preview, of which clients ask for some."""

_KINDS = ("words", "words", "words", "words and filter", "similar", "preview", "preview", "preview")
"""What clients ask for, by turns."""

_FILTER = "size:<3.001MB"
"""A thousand of the pictures that are made up pass it."""

_TEXTS = 320
_ROUNDS = 3


@dataclass
class Load:
    """What the clients saw.

    Attributes:
        seconds: of each kind of request, what each took.
        errors: statuses other than 200, and connections that broke.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=0.0)
    wanted = parser.parse_args()
    encoder = load_encoder("mini", notify=say)
    os.environ.update(offline())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        say(f"making up a library of {wanted.pictures:,} pictures")
        hashes = make_library(folder, wanted.pictures, encoder)
        with serving(folder / "library", "--rate-limit", "0", log=folder / "log") as server:
            figures = measure(server, hashes, clients=wanted.clients, seconds=wanted.seconds, pause=wanted.pause)
            status = server.stop()
    figures |= {"pictures": wanted.pictures, "exit_status": status, "texts_per_s": texts_per_s(encoder)}
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["errors"] else 0)


def make_library(folder: Path, count: int, encoder: Encoder) -> list[str]:
    """Fill a library without files; returns the hashes of the images with previews."""
    library = folder / "library"
    fill_library(library, root=folder, files=made_up_files(count), count=count, encoder=encoder)
    hashes = [content_hash(file.relative_path.encode()) for file in made_up_files(min(count, PREVIEWS))]
    preview = Image.effect_noise((384, 256), 60).convert("RGB")
    for digest in hashes:
        write_thumbnail(library, digest, preview)
    return hashes


def measure(server: Server, hashes: Sequence[str], *, clients: int, seconds: float, pause: float) -> dict[str, Any]:
    """Have so many clients ask for so long."""
    with closing(Client(server.url)) as watching:
        while watching.get("/readyz").status != 200:
            time.sleep(0.1)
    say(f"warming up, then {clients} clients for {seconds:g} s")
    _ask_for(server, hashes, clients=clients, seconds=WARM_UP_S, pause=pause, first=10**6)
    memory, ended = [_resident_of(server)], threading.Event()

    def watch() -> None:
        while not ended.wait(MEMORY_EVERY_S):
            memory.append(_resident_of(server))

    with ThreadPoolExecutor(1) as watcher:
        watched = watcher.submit(watch)
        try:
            started = time.perf_counter()
            load = _ask_for(server, hashes, clients=clients, seconds=seconds, pause=pause, first=0)
            took = time.perf_counter() - started
        finally:
            ended.set()
        watched.result()
    memory.append(_resident_of(server))
    count = sum(map(len, load.seconds.values()))
    return {
        "clients": clients,
        "requests": count,
        "requests_per_s": round(count / took, 1),
        "latency": {kind: percentiles(times) for kind, times in sorted(load.seconds.items())},
        "errors": load.errors[:20],
        "server_mib": memory,
    }


def _ask_for(server: Server, hashes: Sequence[str], *, clients: int, seconds: float, pause: float, first: int) -> Load:
    """Ask until the time is over; texts are numbered from `first`, and none comes twice."""
    load, lock, end = Load(), threading.Lock(), time.perf_counter() + seconds

    def visit(number: int) -> None:
        chance = random.Random(number)
        with closing(Client(server.url)) as client:
            turn = number
            while time.perf_counter() < end:
                kind = _KINDS[turn % len(_KINDS)]
                ask = _request(client, kind, text=f"{query_text(turn)} {first + turn * clients + number}")
                began = time.perf_counter()
                try:
                    error = None if (answer := ask(chance.choice(hashes))) == 200 else f"{kind}: {answer}"
                except OSError as broken:
                    error = f"{kind}: {broken!r}"
                took = time.perf_counter() - began
                with lock:
                    load.seconds.setdefault(kind, []).append(took)
                    load.errors += [error] if error is not None else []
                turn += 1
                time.sleep(pause)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(visit, range(clients)))
    return load


def _request(client: Client, kind: str, *, text: str) -> Callable[[str], int]:
    """Send a request about a text or the image with a hash; returns the status."""
    if kind == "words":
        return lambda _: client.get("/v1/search", query=text, k=20).status
    if kind == "words and filter":
        return lambda _: client.get("/v1/search", query=f"{text} {_FILTER}", k=20).status
    if kind == "similar":
        return lambda digest: client.get(f"/v1/pictures/{digest}/similar", k=20).status
    return lambda digest: client.get(f"/v1/thumbnails/{digest}").status


def percentiles(seconds: Sequence[float]) -> dict[str, float | int]:
    """Of times in seconds, as milliseconds."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1000
    return {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "p99_ms": round(p99, 1), "runs": len(seconds)}


def _resident_of(server: Server) -> float:
    """Memory of the server that is in use, by its own metrics, on Linux."""
    with closing(Client(server.url)) as client:  # a new one: the server closes what is idle for long
        lines = client.get("/metrics").content.decode().splitlines()
    taken = next(line.split()[1] for line in lines if line.startswith("process_resident_memory_bytes "))
    return round(float(taken) / 2**20, 1)


def texts_per_s(encoder: Encoder) -> dict[str, float]:
    """Texts that are embedded in a second when as many threads ask as the server has, each for one text at a time."""
    asked = iter(range(10**9))

    def seconds(embed: Callable[[list[str]], object]) -> float:
        start = next(asked) * _TEXTS
        texts = [f"{query_text(number)} {start + number}" for number in range(_TEXTS)]
        with ThreadPoolExecutor(Limits.searches_at_once) as threads:
            began = time.perf_counter()
            list(threads.map(lambda text: embed([text]), texts))
            return time.perf_counter() - began

    together = BatchingEncoder(encoder)
    measured, _ = alternate(
        {
            "each by itself": lambda _: seconds(encoder.encode_texts),
            "together": lambda _: seconds(together.encode_texts),
        },
        rounds=_ROUNDS,
    )
    return {name: round(_TEXTS / min(times), 1) for name, times in measured.items()}


if __name__ == "__main__":
    main()
