"""Demonstration of fine-tuning: hit rates before and after, on new images and on the old domain.

Run::

    make finetune-demo DATA=../shared/data
    python -m clipsearch.training.demo --data ../shared/data --output build/finetune-demo

Trains on half of the Tux Paint stamps and measures on the other half. The bundled model was trained on the stamps, so
either fine-tune a model that was not (`--model`; `python -m clipsearch.training.mini.recipe --without-stamps` trains
one), or draw the stamps in a style unknown to it (`--style`). Retention is measured on Flickr8k `dev`. The share of the
trained weights is chosen on stamps held out of the first half and on Flickr8k `train`. Finally the same run is killed
(`kill -9`) and resumed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from PIL import Image, ImageFilter, ImageOps

from clipsearch.evaluation import evaluate_retrieval
from clipsearch.media.decoding import load_image
from clipsearch.models.loading import load_encoder
from clipsearch.training.pairs import CaptionedImage, read_pairs, split_pairs
from clipsearch.training.settings import PairSource

_OPTIONS = ("--epochs", "20", "--lr", "1e-4", "--validation", "0.25", "--patience", "0", "--seed", "0")


def line_drawing(image: Image.Image) -> Image.Image:
    """Dark outlines on white."""
    edges = ImageOps.grayscale(image).filter(ImageFilter.FIND_EDGES)
    return ImageOps.autocontrast(ImageOps.invert(edges)).convert("RGB")


def pixel_art(image: Image.Image) -> Image.Image:
    """16 × 16 large squares."""
    small = image.resize((16, 16), Image.Resampling.BICUBIC)
    return small.resize((256, 256), Image.Resampling.NEAREST)


STYLES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "none": Image.Image.copy,
    "line": line_drawing,
    "pixel": pixel_art,
}


def draw(pairs: list[CaptionedImage], style: str, folder: Path) -> None:
    """Write the images in a style, and a table of each half: `train.tsv` and `test.tsv`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for pair in pairs:
        STYLES[style](load_image(pair.path).image).save((folder / "images" / pair.path.name).with_suffix(".png"))
    for name, half in zip(("train", "test"), split_pairs(pairs, 0.5, 0), strict=True):
        rows = [f"{pair.path.stem}.png\t{caption}" for pair in half for caption in pair.captions]
        (folder / f"{name}.tsv").write_text("\n".join(["image\tcaption", *rows]) + "\n", encoding="utf-8")


def figures(model: str, folder: Path, data: Path) -> tuple[float, float]:
    """Hit rate @10 on the held-out half and on Flickr8k `dev`."""
    encoder = load_encoder(model)
    flickr = data / "flickr8k"
    new = evaluate_retrieval(encoder, folder / "test.tsv", folder / "images")
    old = evaluate_retrieval(encoder, flickr / "captions.tsv", flickr / "images", split="dev")
    return new.hit_rate_at_10, old.hit_rate_at_10


def train(model: str, folder: Path, data: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start `clipsearch train` on the first half."""
    flickr = data / "flickr8k"
    command = [sys.executable, "-m", "clipsearch", "train", "--model", model, "--output", str(output)]
    command += ["--pairs", str(folder / "train.tsv"), "--images", str(folder / "images"), *_OPTIONS]
    command += ["--retention", str(flickr / "captions.tsv"), "--retention-images", str(flickr / "images")]
    return subprocess.Popen([*command, "--retention-split", "train", "--checkpoint-every", "2", *more])


def killed_and_resumed(model: str, folder: Path, data: Path, output: Path) -> None:
    """Kill a run after its first checkpoint, then resume it."""
    running = train(model, folder, data, output)
    while running.poll() is None and not (output / "training" / "state.pt").is_file():
        time.sleep(0.01)
    running.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    running.wait()
    train(model, folder, data, output, "--resume").wait()


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the training photos.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A new working folder.")
@click.option("--model", default="mini", show_default=True, help="The model to fine-tune.")
@click.option(
    "--style", type=click.Choice(list(STYLES)), default="line", show_default=True, help="Style of the stamps."
)
def main(data: Path, output: Path, model: str, style: str) -> None:
    """Fine-tune a model on half of the stamps and print the change."""
    folder = output / style
    stamps = data / "tuxpaint-stamps"
    draw(read_pairs(PairSource(stamps / "images", stamps / "captions.tsv")), style, folder)
    before = figures(model, folder, data)
    train(model, folder, data, folder / "model").wait()
    after = figures(str(folder / "model"), folder, data)
    for name, first, second in zip((f"stamps ({style}), held-out half", "Flickr8k dev"), before, after, strict=True):
        gain = 100 * (second - first)
        click.echo(f"{name:<34}hit rate @10: {first:.1%} -> {second:.1%} ({gain:+.1f} points)")
    killed_and_resumed(model, folder, data, folder / "killed")
    is_same = all(
        (folder / "model" / name).read_bytes() == (folder / "killed" / name).read_bytes()
        for name in ("image.onnx", "text.onnx", "model.json")
    )
    click.echo(f"killed, then resumed: {'the same weights' if is_same else 'OTHER WEIGHTS'}")


if __name__ == "__main__":
    main()
