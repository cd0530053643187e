"""Controlled experiment: does a temporal head learn the order of events, and how many clips does it need?

Run::

    make video-heads-demo DATA=../shared/data
    python -m clipsearch.training.video.experiment --data ../shared/data --output build/video-heads

A clip shows two to four photos of Flickr8k one after the other, one to three frames each, as slightly different crops.
Its caption joins theirs in order: "a dog runs, then a child climbs". Training clips are made of `train` photos, test
clips of `dev` photos. Measured for mean pooling and every head: retrieval among the test clips, and the choice between
a clip and the clip with the same photos in another order.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.evaluation.captions import read_captions
from clipsearch.evaluation.clips import EmbeddedClips
from clipsearch.evaluation.embedding import embed_images, embed_texts
from clipsearch.evaluation.measurements import Figure, Measurement, figure
from clipsearch.evaluation.significance import Bootstrap
from clipsearch.evaluation.video import measure_similarities, similarities
from clipsearch.models.encoder import Encoder
from clipsearch.models.loading import load_encoder
from clipsearch.models.video_heads import HEAD_TYPES, VideoHeads, VideoHeadsSpec, head_file
from clipsearch.training.settings import PairSource, TrainSettings
from clipsearch.training.video.fit import LEARNING_RATE, export_head, fit_head

VIEWS = 3
_TIE = 1e-5
"""Similarities closer than this are equal but for rounding."""


@dataclass(frozen=True)
class Photos:
    """Photos of a split, embedded in several crops.

    Attributes:
        views: float32 [photos, views, dim], unit rows.
        captions: captions of each photo, shortest first, without the period.
    """

    views: NDArray[np.float32]
    captions: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Shot:
    """A photo in a clip.

    Attributes:
        photo: its index.
        views: the views shown, a frame each.
        caption: one of its captions.
    """

    photo: int
    views: tuple[int, ...]
    caption: str


Clip = tuple[Shot, ...]
"""Shots in order of time."""


def load_photos(encoder: Encoder, data: Path, split: str, count: int, cache: Path) -> Photos:
    """Embed photos of Flickr8k in `VIEWS` crops, once: the embeddings are kept in `cache`."""
    rows = read_captions(data / "flickr8k" / "captions.tsv", split=split)
    captions: dict[str, list[str]] = {}
    for row in rows:
        captions.setdefault(row.image, []).append(_plain(row.text))
    names = [list(captions)[place] for place in np.random.default_rng(0).permutation(len(captions))[:count]]
    views = []
    for view in range(VIEWS):
        path = cache / f"{encoder.fingerprint}-{split}-{len(names)}-{view}.npy"
        if not path.is_file():
            embedded = embed_images(
                encoder,
                data / "flickr8k" / "images",
                names,
                alteration=lambda image, name, view=view: zoomed(image, name, view),  # type: ignore[misc]
            )
            np.save(path, embedded.embeddings)
        views.append(np.load(path))
    return Photos(np.stack(views, axis=1), tuple(tuple(sorted(captions[name], key=len)) for name in names))


def zoomed(image: Image.Image, name: str, view: int) -> Image.Image:
    """A crop of 75 to 100 % of each side, as of a moving camera."""
    rng = np.random.default_rng([view, zlib.crc32(name.encode())])
    share = rng.uniform(0.75, 1.0)
    width, height = round(share * image.width), round(share * image.height)
    left, top = (int(rng.integers(0, room + 1)) for room in (image.width - width, image.height - height))
    return image.crop((left, top, left + width, top + height))


def make_clips(photos: Photos, count: int, seed: int, *, orders: int = 1) -> list[Clip]:
    """Random clips of two to four photos; every `orders` (one or two) of them show the same photos in other orders.

    The caption of a photo is one of its three shortest.
    """
    rng = np.random.default_rng(seed)
    clips: list[Clip] = []
    while len(clips) < count:
        shots = []
        for photo in rng.choice(len(photos.captions), int(rng.integers(2, 5)), replace=False).tolist():
            views = tuple(rng.permutation(VIEWS)[: rng.integers(1, VIEWS + 1)].tolist())
            captions = photos.captions[photo][:3]
            shots.append(Shot(photo, views, captions[int(rng.integers(len(captions)))]))
        clips.append(tuple(shots))
        if orders == 2:
            clips.append(_reordered(shots, rng))
    return clips[:count]


def _reordered(shots: Sequence[Shot], rng: np.random.Generator) -> Clip:
    places = np.arange(len(shots))
    while (places == np.arange(len(shots))).all():
        places = rng.permutation(len(shots))
    return tuple(shots[place] for place in places.tolist())


def embed_clips(encoder: Encoder, photos: Photos, clips: Sequence[Clip], cache: Path, *, orders: int) -> EmbeddedClips:
    """Frame and caption embeddings; the latter are kept in `cache`."""
    texts = [", then ".join(shot.caption for shot in clip) for clip in clips]
    path = cache / f"{encoder.fingerprint}-texts-{zlib.crc32(chr(10).join(texts).encode()):08x}.npy"
    if not path.is_file():
        np.save(path, embed_texts(encoder, texts))
    frames = tuple(np.concatenate([photos.views[shot.photo, list(shot.views)] for shot in clip]) for clip in clips)
    numbers = np.arange(len(clips), dtype=np.int64)
    return EmbeddedClips(frames, np.load(path), numbers, numbers // orders)


def fit_heads(clips: EmbeddedClips, settings: TrainSettings, logit_scale: float) -> VideoHeads:
    """Train every head; a tenth of the clips chooses the epoch."""
    training, validation = clips.split(0.1, settings.seed)
    settings.output.mkdir(parents=True, exist_ok=True)
    for kind in HEAD_TYPES:
        head_settings = replace(settings, output=settings.output / kind)
        head = fit_head(kind, training, validation, head_settings, logit_scale=logit_scale)
        export_head(head, clips.texts.shape[1], settings.output / head_file(kind))
    return VideoHeads(settings.output, VideoHeadsSpec(files=dict.fromkeys(HEAD_TYPES, "")))


def measure(heads: VideoHeads, test: EmbeddedClips) -> Iterator[Measurement]:
    """Retrieval among the first clips of all pairs, and the choice between both clips of a pair, for each type."""
    first = test.take(np.arange(0, len(test), 2))
    for kind, scores in similarities(heads, first).items():
        yield from measure_similarities(scores, first, prefix=f"{kind} ").rates
    pairs = [test.take(np.array([place, place + 1])) for place in range(0, len(test), 2)]
    chosen = [{kind: _choices(scores) for kind, scores in similarities(heads, pair).items()} for pair in pairs]
    for kind in chosen[0]:
        values = np.concatenate([by_type[kind] for by_type in chosen])
        yield Measurement(f"{kind} order", values, test.videos)


def _choices(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Which captions prefer their own clip, for scores [2, 2]: 1, 0, or one half if they are equal."""
    gains = scores.diagonal() - scores[[0, 1], [1, 0]]
    return np.where(np.abs(gains) < _TIE, 0.5, gains > 0)


def _plain(caption: str) -> str:
    caption = caption.strip().rstrip(" .")
    return caption[:1].lower() + caption[1:]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the training photos.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder of embeddings and results.")
@click.option("--model", default="mini", show_default=True, help="The frozen model.")
@click.option("--clips", "sizes", default=(400, 2000), multiple=True, show_default=True, help="Training clips.")
@click.option("--photos", default=4000, show_default=True, help="Training photos.")
@click.option("--test-clips", default=500, show_default=True, help="Test clips, each in two orders.")
@click.option("--epochs", default=5, show_default=True, help="Epochs with the largest number of clips.")
@click.option("--seed", default=0, show_default=True, help="The random seed.")
def main(
    *,
    data: Path,
    output: Path,
    model: str,
    sizes: tuple[int, ...],
    photos: int,
    test_clips: int,
    epochs: int,
    seed: int,
) -> None:
    """Train every head on few and on many clips, each in one order or in two, and print the figures."""
    output.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder(model)
    train = load_photos(encoder, data, "train", photos, output)
    dev = load_photos(encoder, data, "dev", 1000, output)
    test = embed_clips(encoder, dev, make_clips(dev, 2 * test_clips, seed + 1, orders=2), output, orders=2)
    results = []
    for orders in (2, 1):
        for size in sizes:
            clips = embed_clips(encoder, train, make_clips(train, size, seed, orders=orders), output, orders=orders)
            settings = TrainSettings(
                model=model,
                source=PairSource(data),
                output=output / f"{size}-clips-{orders}-orders",
                epochs=min(20, epochs * max(sizes) // size),
                batch_size=32,
                lr=LEARNING_RATE,
                patience=0,
                seed=seed,
                device="cpu",
            )
            heads = fit_heads(clips, settings, encoder.logit_scale)
            figures = [figure(measurement, Bootstrap(seed=seed)) for measurement in measure(heads, test)]
            results.append({"clips": size, "orders": orders, "figures": [asdict(each) for each in figures]})
            click.echo(table(size, orders, figures))
            (output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def table(size: int, orders: int, figures: Sequence[Figure]) -> str:
    """Lines with hit rate @1, @10 and the choice of the order, with intervals, of each type."""
    by_name = {each.name: each for each in figures}
    lines = [f"{size:,} training clips, the same photos in {orders} order{'s' if orders > 1 else ''}"]
    for kind in ("mean", *HEAD_TYPES):
        names = ("text-to-video hit rate @1", "text-to-video hit rate @10", "order")
        cells = [by_name[f"{kind} {name}"] for name in names]
        rates = "   ".join(f"{each.value:6.1%} ({each.low:.1%} to {each.high:.1%})" for each in cells)
        lines.append(f"  {kind:<12}{rates}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
