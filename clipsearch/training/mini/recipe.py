"""Train and export the bundled model `mini`.

Run::

    python -m clipsearch.training.mini.recipe --data ../shared/data --output data/models/mini

Three stages. First an image head and the text projection are trained over features of the frozen backbones; then the
last layers of the text backbone are trained with them; then further image heads are trained from other seeds against
the texts as they now are, and all heads are merged into one. The image backbone stays as it is.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clipsearch.media.transform import ImageSpec
from clipsearch.models.manifest import ModelManifest, TextSpec, file_digests
from clipsearch.training.mini.data import TrainingData, load_training_data
from clipsearch.training.mini.export import export_towers, load_tokenizer
from clipsearch.training.mini.features import cached, image_extractor, texts_key, view_features
from clipsearch.training.mini.fit import Stage, Trained, fit
from clipsearch.training.mini.measure import ExportedModel, measure, retrieval, unit
from clipsearch.training.mini.quantize import quantize_image_tower
from clipsearch.training.mini.text_side import TextSide, TokenStates
from clipsearch.training.mini.towers import (
    CONTEXT_LENGTH,
    IMAGE_SIZE,
    ImageBackbone,
    ImageHead,
    ImageTower,
    TextTower,
    identity_projection,
    load_bert,
    load_image_backbone,
    merge_heads,
    text_files,
)

VERSION = "1"
SEED = 0
VIEWS = 3
HIDDEN = 2048
DROPOUT = 0.6
FROZEN_TEXT_LAYERS = 4
HEADS = Stage(epochs=80)
TEXT_LAYERS = Stage(epochs=8, head_lr=3e-4, projection_lr=1e-4, layers_lr=1e-4, scale_lr=1e-3, named_batch=300)
MORE_HEADS = Stage(epochs=50, scale_lr=1e-3)
HEADS_IN_ALL = 3
logger = logging.getLogger(__name__)


def image_views(
    data: TrainingData, backbone: ImageBackbone, *, cache: Path, views: int = VIEWS, seed: int = SEED
) -> NDArray[np.float16]:
    """Backbone features of every view of every picture, float16 [views, images, width]; cached file by file."""
    extract = image_extractor(backbone)
    key = texts_key([str(path.name) for path in data.images])

    def view(number: int) -> NDArray[np.float16]:
        file = cache / f"view-{key}-{seed}-{number}.npy"
        return cached(file, lambda: view_features(data.images, number, extract, seed))

    return np.stack([view(number) for number in range(views)])


def train(data: TrainingData, views: NDArray[np.float16], *, seed: int = SEED) -> Trained:
    """All stages; the same input and seed give the same weights on the same machine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    bert, tokenizer = load_bert(), load_tokenizer(text_files() / "tokenizer.json", CONTEXT_LENGTH)
    width = bert.config.width
    whole = torch.from_numpy(views[0, data.train].astype(np.float32))

    def new_head() -> ImageHead:
        return ImageHead(whole.mean(dim=0), whole.std(dim=0) + 1e-4, hidden=HIDDEN, dim=width, dropout=DROPOUT)

    def text_side(projection: nn.Linear, layers: int) -> TextSide:
        return TextSide(bert, TokenStates(data.texts, bert, tokenizer, layers=layers), projection, layers=layers)

    model = Trained(new_head(), text_side(identity_projection(width, width), bert.config.layers))
    _run_stage("heads", model, views, data, HEADS, rng=rng)
    model.text = text_side(model.text.projection, FROZEN_TEXT_LAYERS)
    _run_stage("text layers", model, views, data, TEXT_LAYERS, rng=rng)
    model.text = text_side(model.text.projection, bert.config.layers).requires_grad_(False)
    heads, log_scale = [model.image], model.log_scale.detach().clone()
    for number in range(1, HEADS_IN_ALL):
        torch.manual_seed(seed + number)
        model.image = new_head()
        model.log_scale.data.copy_(log_scale)
        _run_stage(f"head {number + 1}", model, views, data, MORE_HEADS, rng=np.random.default_rng(seed + number))
        heads.append(model.image)
    model.log_scale.data.copy_(log_scale)
    model.image = merge_heads(heads, whole)
    logger.info("merged: dev %s", dev_hit_rates(model, views, data))
    return model


def _run_stage(
    name: str, model: Trained, views: NDArray[np.float16], data: TrainingData, stage: Stage, *, rng: np.random.Generator
) -> None:
    """Train on the GPU where there is one, and log how it goes."""
    started = time.monotonic()

    def tell(epoch: int, loss: float) -> None:
        figures = "" if epoch % 8 and epoch != stage.epochs else f", dev {dev_hit_rates(model, views, data)}"
        seconds = time.monotonic() - started
        logger.info("%s, epoch %d of %d: loss %.3f, %.0f s%s", name, epoch, stage.epochs, loss, seconds, figures)

    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    fit(model, views, data, stage, rng=rng, after_epoch=tell)
    model.cpu()


@torch.inference_mode()
def dev_hit_rates(model: Trained, views: NDArray[np.float16], data: TrainingData) -> str:
    """Hit rates at 1, 5 and 10 on the `dev` split in percent, of the model in training."""
    device = model.log_scale.device
    images = model.image(torch.from_numpy(views[0, data.dev].astype(np.float32)).to(device)).cpu().numpy()
    rows = data.caption_rows[data.dev]
    texts = model.text(rows.reshape(-1)).cpu().numpy()
    right = np.arange(len(rows)).repeat(rows.shape[1])
    rates = retrieval(unit(texts), unit(images), right).hit_rates
    return " / ".join(f"{100 * rate:.1f}" for rate in rates)


def write_model(model: Trained, backbone: ImageBackbone, output: Path) -> None:
    """Write both graphs, the tokenizer and the manifest into `output`."""
    image_tower = ImageTower(backbone.cpu(), model.image)
    export_towers(image_tower, TextTower(model.text.bert, model.text.projection), output, IMAGE_SIZE)
    load_tokenizer(text_files() / "tokenizer.json", CONTEXT_LENGTH).save(str(output / "tokenizer.json"))
    ModelManifest(
        name="mini",
        version=VERSION,
        dim=model.text.projection.out_features,
        image=ImageSpec(size=(IMAGE_SIZE, IMAGE_SIZE), resize_mode="squash", interpolation="bicubic"),
        text=TextSpec(context_length=CONTEXT_LENGTH),
        precision={"image": "fp32, head int8", "text": "int8"},
        logit_scale=float(model.logit_scale().detach()),
        licence="research use (Flickr8k, ImageNet); see MODEL_CARD.md",
        languages=("en",),
        source="EfficientNet-Lite2 and all-MiniLM-L6-v2, trained by clipsearch.training.mini.recipe",
        files=file_digests(output),
    ).write(output)


@click.command()
@click.option("--data", "data_folder", type=click.Path(path_type=Path), required=True, help="Training data folder.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write the model to.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=Path("build/mini"), show_default=True, help="Feature cache."
)
@click.option("--without-stamps", is_flag=True, help="Leave the stamps out, for a model to fine-tune on them.")
@click.option("--threads", default=2, show_default=True, help="CPU threads of torch.")
def main(data_folder: Path, output: Path, cache: Path, without_stamps: bool, threads: int) -> None:
    """Train and export the bundled model, then measure what was exported."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    data = load_training_data(data_folder, stamps=not without_stamps)
    backbone = load_image_backbone()
    model = train(data, image_views(data, backbone, cache=cache))
    write_model(model, backbone, output)
    quantize_image_tower(output, data)
    for name, result in measure(ExportedModel(output), data).items():
        rates = " / ".join(f"{100 * rate:.1f}" for rate in result.hit_rates)
        logger.info("%s: hit rate @1/5/10 %s %%, MRR %.3f", name, rates, result.mean_reciprocal_rank)


if __name__ == "__main__":
    main()
