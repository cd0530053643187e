"""Train and export the bundled model `mini`.

Run::

    python -m indexer.train.mini --data ../shared/data --output data/models/mini
"""

from __future__ import annotations

import logging
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from clipsearch.encoders.manifest import ImageSpec, ModelManifest, TextSpec, file_digests
from indexer.train.data import TrainingData, load_training_data
from indexer.train.export import export_towers, load_tokenizer
from indexer.train.features import cached, image_extractor, text_features, texts_key, view_features
from indexer.train.fit import Features, Heads, Recipe, fit
from indexer.train.measure import ExportedModel, measure
from indexer.train.minilm import Bert
from indexer.train.towers import (
    CONTEXT_LENGTH,
    IMAGE_SIZE,
    ImageBackbone,
    ImageTower,
    TextTower,
    load_bert,
    load_image_backbone,
    text_files,
)

VERSION = "1"
VIEWS = 8
logger = logging.getLogger(__name__)


def compute_features(
    data: TrainingData, backbone: ImageBackbone, bert: Bert, tokenizer: Tokenizer, *, cache: Path, views: int, seed: int
) -> Features:
    """Backbone features of every view and every text, from the cache where they are there."""
    classifier = backbone.classifier()
    extract = image_extractor(backbone)
    key = texts_key([str(path.name) for path in data.images])
    stored = [
        cached(
            cache / f"view-{key}-{seed}-{view}.npy", lambda view=view: view_features(data.images, view, extract, seed)
        )  # type: ignore[misc]
        for view in range(views)
    ]

    def texts(chosen: list[str]) -> NDArray[np.float16]:
        return cached(cache / f"text-{texts_key(chosen)}.npy", lambda: text_features(chosen, bert, tokenizer))

    each = min(len(own) for own in data.captions)
    captions = texts([caption for own in data.captions for caption in own[:each]])
    phrases = texts(list(data.phrases))
    return Features(np.stack(stored), captions.reshape(len(data.captions), each, -1), phrases, classifier)


def write_model(heads: Heads, backbone: ImageBackbone, bert: Bert, tokenizer: Tokenizer, output: Path) -> None:
    """Write both graphs, the tokenizer and the manifest into `output`."""
    image_tower = ImageTower(backbone.cpu(), heads.image)
    export_towers(image_tower, TextTower(bert, heads.text), output, IMAGE_SIZE)
    tokenizer.save(str(output / "tokenizer.json"))
    ModelManifest(
        name="mini",
        version=VERSION,
        dim=heads.text.out_features,
        image=ImageSpec(size=(IMAGE_SIZE, IMAGE_SIZE), resize_mode="squash", interpolation="bicubic"),
        text=TextSpec(context_length=CONTEXT_LENGTH),
        precision={"image": "fp32, head int8", "text": "int8"},
        logit_scale=heads.logit_scale,
        licence="research use (Flickr8k, ImageNet); see MODEL_CARD.md",
        languages=("en",),
        source="EfficientNet-Lite2 and all-MiniLM-L6-v2, heads trained by indexer.train.mini",
        files=file_digests(output),
    ).write(output)


@click.command()
@click.option("--data", "data_folder", type=click.Path(path_type=Path), required=True, help="Training data folder.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write the model to.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=Path(".cache/mini"), show_default=True, help="Feature cache."
)
@click.option("--views", default=VIEWS, show_default=True, help="Views of each picture.")
@click.option("--epochs", default=Recipe.epochs, show_default=True, help="Passes over the captioned photos.")
@click.option("--threads", default=2, show_default=True, help="CPU threads of torch.")
def main(data_folder: Path, output: Path, cache: Path, views: int, epochs: int, threads: int) -> None:
    """Train and export the bundled model, then measure what was exported."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    recipe = Recipe(epochs=epochs)
    data = load_training_data(data_folder)
    backbone, bert = load_image_backbone(), load_bert()
    tokenizer = load_tokenizer(text_files() / "tokenizer.json", CONTEXT_LENGTH)
    features = compute_features(data, backbone, bert, tokenizer, cache=cache, views=views, seed=recipe.seed)
    heads = fit(features, data, recipe)
    write_model(heads, backbone, bert, tokenizer, output)
    for name, result in measure(ExportedModel(output), data).items():
        rates = " / ".join(f"{100 * rate:.1f}" for rate in result.hit_rates)
        logger.info("%s: hit rate @1/5/10 %s %%, MRR %.3f", name, rates, result.mean_reciprocal_rank)


if __name__ == "__main__":
    main()
