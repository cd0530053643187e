"""Train and export the bundled model `mini`.

Run::

    python -m clipsearch.training.mini.recipe --data ../shared/data --output data/models/mini

Six stages. First an image head and the projection of MiniLM are trained over features of the frozen backbones; then
the last layers of MiniLM with them; then, twice from the same start, the upper layers of the many-language encoder and
the head of the text tower, which joins it with MiniLM, against the pictures as they are; then further image heads from
other seeds against the texts as they are, and all image heads are merged into one; then the last layers of the image
backbone with it, again against the texts; then the text tower once more, against the pictures as they are by now.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.config import data_dir
from clipsearch.media.transform import ImageSpec
from clipsearch.models.manifest import ModelManifest, TextSpec, file_digests
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.training.mini import usem
from clipsearch.training.mini.data import TrainingData, load_training_data
from clipsearch.training.mini.evidence import english_evidence
from clipsearch.training.mini.export import export_towers, load_tokenizer
from clipsearch.training.mini.features import Extractor, Lower, cached, image_extractor, texts_key, view_features
from clipsearch.training.mini.fit import (
    Classifier,
    FixedTexts,
    ImageLayers,
    Material,
    Stage,
    TextNumbers,
    Trained,
    fit,
    go_back,
)
from clipsearch.training.mini.languages import (
    LanguageModel,
    LanguageStage,
    LanguageTexts,
    Space,
    TextFeatures,
    fit_languages,
)
from clipsearch.training.mini.measure import measure, retrieval, unit, zero_shot
from clipsearch.training.mini.minilm import Bert
from clipsearch.training.mini.quantize import quantize_image_tower
from clipsearch.training.mini.text_side import TextSide, TokenStates, sentence_vectors
from clipsearch.training.mini.towers import (
    CONTEXT_LENGTH,
    IMAGE_SIZE,
    ImageBackbone,
    ImageHead,
    ImageTower,
    Meanings,
    PieceBag,
    TextHead,
    TextTower,
    identity_projection,
    load_bert,
    load_image_backbone,
    merge_heads,
    text_files,
)
from clipsearch.training.mini.translations import FOREIGN, Translation, listed_words, load_translations

VERSION = "2"
SEED = 0
VIEWS = (0, 2, 3)
HIDDEN = 2048
DROPOUT = 0.6
TEXT_HIDDEN = 1024
TEXT_DROPOUT = 0.2
PIECE_WIDTH = 128
PIECE_DROPOUT = 0.3
FROZEN_TEXT_LAYERS = 4
HEADS = Stage(epochs=50)
TEXT_LAYERS = Stage(
    epochs=5, head_lr=3e-4, projection_lr=1e-4, layers_lr=1e-4, scale_lr=1e-3, named_batch=150, classes=200
)
LANGUAGES = (LanguageStage(layers_lr=5e-5), LanguageStage(steps=1500))
"""Two runs whose weights are averaged: the short one forgets less, the long one learns more."""
LANGUAGES_AGAIN = (LanguageStage(steps=2500, layers_lr=1.5e-4),)
MORE_HEADS = Stage(epochs=40, scale_lr=1e-3)
HEADS_IN_ALL = 3
MERGED_DROPOUT = 0.4
IMAGE_LAYERS = Stage(epochs=8, batch=384, named_batch=64, head_lr=5e-5, layers_lr=1e-4, scale_lr=0.0)
BACK_TO_START = 0.5
"""How far the weights of the image tower go back to those before its last layers were trained."""
TEXT_BACK_TO_START = 0.3
"""The same of the text tower, to those before its last stage."""
LAYER_VIEWS = 2
"""Of the views, those whose maps are kept: each takes 580 MB."""
TOKENIZERS = ("tokenizer.json", "tokenizer-2.json")
logger = logging.getLogger(__name__)


def image_views(
    data: TrainingData, backbone: ImageBackbone, *, cache: Path, views: tuple[int, ...] = VIEWS, seed: int = SEED
) -> NDArray[np.float16]:
    """Backbone features of every view of every picture, float16 [views, images, width]; cached file by file."""
    extract = image_extractor(backbone)
    return _cached_views("view", extract, data, cache=cache, views=views, seed=seed)


def image_maps(
    data: TrainingData,
    backbone: ImageBackbone,
    *,
    cache: Path,
    views: tuple[int, ...] = VIEWS[:LAYER_VIEWS],
    seed: int = SEED,
) -> NDArray[np.float16]:
    """What the backbone's last layers take of every picture's views, float16 [views, images, channels, height, width];
    cached.
    """
    return _cached_views("maps", image_extractor(Lower(backbone)), data, cache=cache, views=views, seed=seed)


def _cached_views(
    name: str, extract: Extractor, data: TrainingData, *, cache: Path, views: tuple[int, ...], seed: int
) -> NDArray[np.float16]:
    key = texts_key([str(path.name) for path in data.images])

    def view(number: int) -> NDArray[np.float16]:
        file = cache / f"{name}-{key}-{seed}-{number}.npy"
        return cached(file, lambda: view_features(data.images, number, extract, seed))

    return np.stack([view(number) for number in views])


def english_texts(data: TrainingData) -> list[str]:
    """Every English text that training or measuring uses."""
    prompts = [f"a photo of a {label}" for label in data.labels]
    groups = (*(own.get("en", ()) for own in data.sentences), *data.names, *data.class_names)
    return [*(text for own in groups for text in own), *data.labels, *prompts, *data.keywords]


def foreign_texts(data: TrainingData) -> list[str]:
    """Every sentence in the encoder's other languages."""
    return [text for said in data.sentences for language, own in said.items() if language in FOREIGN for text in own]


class Mini(nn.Module):
    """All that training makes."""

    def __init__(
        self,
        image: ImageHead,
        bert: Bert,
        evidence: Tensor,
        *,
        language: LanguageModel,
        pieces: usem.Pieces,
        log_scale: Tensor,
    ) -> None:
        super().__init__()
        self.image = image
        self.bert = bert
        self.language = language
        self.pieces = pieces
        self.register_buffer("evidence", evidence)
        self.log_scale = nn.Parameter(log_scale, requires_grad=False)


def train(
    data: TrainingData,
    views: NDArray[np.float16],
    maps: NDArray[np.float16],
    backbone: ImageBackbone,
    translations: Sequence[Translation],
    *,
    seed: int = SEED,
) -> Mini:
    """All stages, the backbone in place; the same input and seed give the same weights on the same machine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    bert, tokenizer = load_bert(), load_tokenizer(text_files() / "tokenizer.json", CONTEXT_LENGTH)
    width = bert.config.width
    pictured = np.concatenate([data.sets["flickr8k train"], data.sets["coco train"], data.sets["named train"]])
    whole = torch.from_numpy(views[0, pictured].astype(np.float32))
    meanings = [text for own in translations for text in (own.english, own.text) if own.language == "en"]
    meanings += [own.english for own in translations]
    numbers = TextNumbers([*english_texts(data), *known_words(), *meanings])
    logger.info("%d English texts", len(numbers.texts))
    states = TokenStates(numbers.texts, bert, tokenizer, layers=FROZEN_TEXT_LAYERS)
    logger.info("MiniLM's frozen layers have read them")

    def new_head() -> ImageHead:
        return ImageHead(whole.mean(dim=0), whole.std(dim=0) + 1e-4, hidden=HIDDEN, dim=width, dropout=DROPOUT)

    material = Material(views, data, numbers, Classifier(*backbone.classifier()))
    projection = identity_projection(width, width)
    model = Trained(new_head(), TextSide(bert, states, projection, trained=False))
    run_stage("heads", model, material, HEADS, rng=rng)
    model.text = TextSide(bert, states, projection, trained=True)
    run_stage("text layers", model, material, TEXT_LAYERS, rng=rng)
    model.text = TextSide(bert, states, projection, trained=False)
    abroad = foreign_texts(data)
    short = [*known_words(), *data.labels, *data.keywords]
    evidence = english_evidence(numbers.texts, abroad, translations, short=short, tokenizer=tokenizer, seed=seed)
    world_width = usem.WIDTH + PIECE_WIDTH
    head = TextHead(projection, world_width=world_width, hidden=TEXT_HIDDEN, dropout=TEXT_DROPOUT)
    pieces = usem.cut_pieces(
        usem.load_pieces(), [*(own.text for own in translations), *meanings, *vocabulary()], [*numbers.texts, *abroad]
    )
    encoder = usem.load_encoder(pieces)
    bag = PieceBag(encoder.table.unpacked(), width=PIECE_WIDTH, dropout=PIECE_DROPOUT)
    language = LanguageModel(encoder, bag, head)
    text_side = model.text
    texts = train_languages(
        language, pieces, model, material, translations=translations, abroad=abroad, stages=LANGUAGES, rng=rng
    )
    heads, log_scale = [model.image], model.log_scale.detach().clone()
    model.text = FixedTexts(texts)
    for number in range(1, HEADS_IN_ALL):
        torch.manual_seed(seed + number)
        model.image = new_head()
        model.log_scale.data.copy_(log_scale)
        run_stage(f"head {number + 1}", model, material, MORE_HEADS, rng=np.random.default_rng(seed + number))
        heads.append(model.image)
    model.image = merge_heads(heads, whole, dropout=MERGED_DROPOUT)
    logger.info("merged: %s", dev_figures(model, material))
    model.log_scale.data.copy_(log_scale)
    material = replace(material, views=views[: len(maps)])
    train_image_layers(model, material, ImageLayers(backbone, maps), seed=seed)
    model.text, text_start = text_side, copy.deepcopy(language.state_dict())
    train_languages(
        language, pieces, model, material, translations=translations, abroad=abroad, stages=LANGUAGES_AGAIN, rng=rng
    )
    go_back(language, text_start, share=TEXT_BACK_TO_START)
    return Mini(model.image, bert, evidence, language=language, pieces=pieces, log_scale=log_scale)


def run_stage(name: str, model: Trained, material: Material, stage: Stage, *, rng: np.random.Generator) -> None:
    """Train, and log how it goes."""

    def after_epoch(epoch: int, loss: float) -> None:
        figures = dev_figures(model, material) if epoch % 10 == 0 or epoch == stage.epochs else ""
        logger.info("%s, epoch %d of %d: loss %.3f %s", name, epoch, stage.epochs, loss, figures)

    fit(model, material, stage, rng=rng, after_epoch=after_epoch)


def train_image_layers(model: Trained, material: Material, layers: ImageLayers, *, seed: int) -> None:
    """Train the last layers of the image backbone, which become part of the model, with the image head."""
    model.image_layers = layers
    start = copy.deepcopy(model.state_dict())
    run_stage("image layers", model, material, IMAGE_LAYERS, rng=np.random.default_rng(seed))
    go_back(model, start, share=BACK_TO_START)
    logger.info("part of the way back: %s", dev_figures(model, material))


def train_languages(
    language: LanguageModel,
    pieces: usem.Pieces,
    model: Trained,
    material: Material,
    *,
    translations: Sequence[Translation],
    abroad: Sequence[str],
    stages: Sequence[LanguageStage],
    rng: np.random.Generator,
) -> Tensor:
    """Teach the text tower its languages; see `clipsearch.training.mini.languages`.

    Args:
        language: what is trained.
        pieces: the many-language encoder's vocabulary.
        model: the image head, and MiniLM with its English texts.
        material: pictures and what is true of them.
        translations: texts and what they mean.
        abroad: sentences in other languages.
        stages: how; the weights after each are averaged.
        rng: draws.

    Returns:
        Embeddings of the English texts, float32 [texts, dim].
    """
    known = material.numbers.texts
    assert isinstance(model.text, TextSide) and model.text.pooled is not None
    numbers = TextNumbers([*known, *abroad, *(own.text for own in translations)])
    logger.info("%d texts in all languages", len(numbers.texts))
    tokens = usem.token_ids(numbers.texts, usem.load_tokenizer(pieces))
    pooled = sentence_vectors(tokens, language.encoder.pooled, usem.POOLED_WIDTH)
    logger.info("the many-language encoder has read them")
    features = TextFeatures(model.text.pooled.half(), pooled, tokens)
    with torch.inference_mode():
        every = np.arange(material.views.shape[1])
        images = torch.stack([embed_view(model, material, view, every) for view in range(len(material.views))]).half()
    spoken = replace(material, data=with_known_sentences(material.data, numbers), numbers=numbers)

    @torch.no_grad()
    def embed() -> Tensor:
        blocks = []
        for start in range(0, len(features), 4096):
            rows = np.arange(start, min(start + 4096, len(features)))
            texts = features.batch(rows)
            world = language.world(texts)
            blocks.append(torch.where(torch.from_numpy(rows < len(known))[:, None], language.both(texts, world), world))
        return torch.cat(blocks)

    def after_steps(step: int, loss: float) -> None:
        shown = Trained(model.image, FixedTexts(embed()))
        shown.image_layers = model.image_layers
        figures = dev_figures(shown, spoken, languages=True)
        logger.info("languages, step %d: loss %.3f %s", step, loss, figures)

    space = Space(images.clone(), features, float(model.logit_scale().detach()))
    texts = LanguageTexts(numbers, translations, vocabulary())
    fit_languages(language, space, spoken.data, texts, stages=stages, rng=rng, after_steps=after_steps)
    embeddings = embed()
    words = numbers(known_words())
    language.head.meanings = Meanings(F.normalize(embeddings[torch.from_numpy(words)], dim=1))
    return embeddings[: len(known)]


def with_known_sentences(data: TrainingData, numbers: TextNumbers) -> TrainingData:
    """The data with the sentences that have a number."""
    sentences = tuple(
        {
            language: kept
            for language, own in said.items()
            if (kept := tuple(text for text in own if text in numbers.numbers))
        }
        for said in data.sentences
    )
    return replace(data, sentences=sentences)


def vocabulary() -> list[str]:
    """The words of the bundled vocabulary."""
    lines = (data_dir() / "vocabulary" / "words.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0] for line in lines if line and not line.startswith("#")]


def known_words() -> list[str]:
    """English words whose embeddings the text tower keeps: the vocabulary's and the listed ones, each once."""
    return list(dict.fromkeys([*vocabulary(), *(word.english for word in listed_words())]))


@torch.inference_mode()
def embed_view(model: Trained, material: Material, view: int, chosen: NDArray[np.int64]) -> Tensor:
    """Embeddings [n, dim] of one view of pictures, by their numbers int64 [n]; not normalized."""
    frozen = torch.from_numpy(material.views[view, chosen].astype(np.float32))
    embeddings: Tensor = model.image(model.features(np.full(len(chosen), view), chosen, frozen))
    return embeddings


@torch.inference_mode()
def dev_figures(model: Trained, material: Material, *, languages: bool = False) -> str:
    """Hit rates @1/@10 in percent on the `dev` sets of the model in training, for the log."""
    data, numbers = material.data, material.numbers

    def embed(chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        return unit(embed_view(model, material, 0, chosen).numpy())

    def hits(set_name: str, language: str) -> str:
        chosen = data.captioned(set_name, language)
        asked = [(row, text) for row, number in enumerate(chosen) for text in data.sentences[number][language]]
        texts = unit(model.text(numbers([text for _, text in asked])).numpy())
        result = retrieval(texts, embed(chosen), np.array([row for row, _ in asked]))
        return f"{100 * result.hit_rates[0]:.1f}/{100 * result.hit_rates[2]:.1f}"

    chosen = data.sets["named dev"]
    labels = sorted({data.names[number][0] for name in ("named train", "named dev") for number in data.sets[name]})
    nearest = (embed(chosen) @ unit(model.text(numbers(labels)).numpy()).T).argmax(axis=1)
    right = [labels[row] == data.names[number][0] for row, number in zip(nearest, chosen, strict=True)]
    figures = [f"flickr {hits('flickr8k dev', 'en')}, coco {hits('coco dev', 'en')}, named {100 * np.mean(right):.1f}"]
    if languages:
        spoken = sorted({own for number in data.sets["flickr8k dev"] for own in data.sentences[number]} - {"en"})
        figures += [f"{language} {hits('flickr8k dev', language)}" for language in spoken]
    return ", ".join(figures)


def write_model(model: Mini, backbone: ImageBackbone, output: Path) -> None:
    """Write both graphs, the tokenizers and the manifest into `output`."""
    head = model.language.head
    tower = TextTower(model.bert, model.language.encoder, model.language.pieces, model.get_buffer("evidence"), head)
    export_towers(ImageTower(backbone.cpu(), model.image), tower, output, IMAGE_SIZE)
    load_tokenizer(text_files() / "tokenizer.json", CONTEXT_LENGTH).save(str(output / TOKENIZERS[0]))
    usem.load_tokenizer(model.pieces).save(str(output / TOKENIZERS[1]), pretty=False)
    ModelManifest(
        name="mini",
        version=VERSION,
        dim=head.english.out_features,
        image=ImageSpec(size=(IMAGE_SIZE, IMAGE_SIZE), resize_mode="squash", interpolation="bicubic"),
        text=TextSpec(context_length=CONTEXT_LENGTH, tokenizers=TOKENIZERS),
        precision={"image": "fp32, head int8", "text": "int8, word pieces 4 bits"},
        logit_scale=float(model.log_scale.exp()),
        licence="research use (Flickr8k, COCO, ImageNet); see MODEL_CARD.md",
        languages=usem.LANGUAGES,
        source="EfficientNet-Lite2, all-MiniLM-L6-v2 and Universal Sentence Encoder multilingual v3, "
        "trained by clipsearch.training.mini.recipe",
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
    translations = load_translations(data_folder, tuple(vocabulary()), seed=SEED)
    views, maps = image_views(data, backbone, cache=cache), image_maps(data, backbone, cache=cache)
    model = train(data, views, maps, backbone, translations)
    write_model(model, backbone, output)
    quantize_image_tower(output, data)
    encoder = CompiledEncoder(output)
    for name, result in measure(encoder, data).items():
        rates = " / ".join(f"{100 * rate:.1f}" for rate in result.hit_rates)
        logger.info("%s: hit rate @1/5/10 %s %%, MRR %.3f", name, rates, result.mean_reciprocal_rank)
    logger.info("named dev, zero-shot: %.1f %%", 100 * zero_shot(encoder, data))


if __name__ == "__main__":
    main()
