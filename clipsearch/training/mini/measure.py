"""What a model can do on the `dev` sets: captions in each language among their photos, and names of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from clipsearch.config import data_dir
from clipsearch.models.encoder import Encoder
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.training.mini.data import TrainingData, load_training_data
from clipsearch.training.mini.translations import FOREIGN, everyday_words, listed_words
from clipsearch.training.mini.views import read_rgb

_BATCH = 64


@dataclass(frozen=True)
class Retrieval:
    """Text-to-image retrieval over one set.

    Attributes:
        hit_rates: share of queries whose picture is among the first 1, 5 and 10.
        mean_reciprocal_rank: mean of 1 / rank of the query's picture.
        queries: how many there were.
    """

    hit_rates: tuple[float, float, float]
    mean_reciprocal_rank: float
    queries: int


def retrieval(queries: NDArray[np.float32], images: NDArray[np.float32], right: NDArray[np.int64]) -> Retrieval:
    """Rank pictures for each query; ties count against the right one.

    Args:
        queries: unit embeddings [q, dim].
        images: unit embeddings [n, dim].
        right: for each query the row of its picture, [q].
    """
    scores = queries @ images.T
    right_scores = scores[np.arange(len(queries)), right]
    ranks = (scores >= right_scores[:, None]).sum(axis=1)
    first, five, ten = (float((ranks <= k).mean()) for k in (1, 5, 10))
    return Retrieval((first, five, ten), float((1.0 / ranks).mean()), len(ranks))


def embed_pictures(encoder: Encoder, paths: Sequence[Path]) -> NDArray[np.float32]:
    """Unit embeddings [n, dim] of picture files."""
    blocks = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    return np.concatenate([encoder.encode_images([read_rgb(path) for path in block]) for block in blocks])


def measure(encoder: Encoder, data: TrainingData) -> dict[str, Retrieval]:
    """Captions of Flickr8k `dev` and COCO `dev` by set and language (``flickr8k dev, en``), among the set's photos."""
    results = {}
    for name in ("flickr8k dev", "coco dev"):
        images = embed_pictures(encoder, [data.images[number] for number in data.sets[name]])
        languages = sorted({language for number in data.sets[name] for language in data.sentences[number]})
        for language in languages:
            said = [data.sentences[number].get(language, ()) for number in data.sets[name]]
            right = np.array([row for row, own in enumerate(said) for _ in own])
            queries = encoder.encode_texts([text for own in said for text in own])
            results[f"{name}, {language}"] = retrieval(queries, images, right)
    return results


def zero_shot(encoder: Encoder, data: TrainingData) -> float:
    """Share of the `named` `dev` pictures whose own name, of all names of both splits, is the most similar."""
    chosen = data.sets["named dev"]
    labels = sorted({data.names[number][0] for name in ("named train", "named dev") for number in data.sets[name]})
    images = embed_pictures(encoder, [data.images[number] for number in chosen])
    nearest = (images @ encoder.encode_texts(labels).T).argmax(axis=1)
    return float(np.mean([labels[row] == data.names[number][0] for row, number in zip(nearest, chosen, strict=True)]))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to unit length."""
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def same_first(
    encoder: Encoder, images: NDArray[np.float32], words: Mapping[str, Mapping[str, str]]
) -> dict[str, float]:
    """Share of words, by language, whose first picture is that of the English word.

    Args:
        encoder: the model.
        images: unit embeddings of the pictures that are searched, float32 [n, dim].
        words: by language, from the English word to the other one.
    """
    shares = {}
    for language, pairs in words.items():
        first = [(encoder.encode_texts(list(texts)) @ images.T).argmax(axis=1) for texts in (pairs, pairs.values())]
        shares[language] = float((first[0] == first[1]).mean())
    return shares


def word_lists() -> dict[str, dict[str, dict[str, str]]]:
    """The everyday words, and those of the project's list that were trained on and that were held out, by language."""
    lists = {"everyday": everyday_words()}
    for name, held_out in (("trained on", False), ("held out", True)):
        split_words = [word for word in listed_words() if word.held_out == held_out]
        lists[name] = {
            language: {word.english: word.translations[language][0] for word in split_words} for language in FOREIGN
        }
    return lists


def beside_english(encoder: Encoder, data: TrainingData, name: str = "flickr8k dev") -> dict[str, float]:
    """Hit rate at 10 of the captions in each language over that of the English captions of the same photos."""
    images = embed_pictures(encoder, [data.images[number] for number in data.sets[name]])
    embedded: dict[str, list[NDArray[np.float32]]] = {}
    for language in ("en", *FOREIGN):
        said = [data.sentences[number].get(language, ()) for number in data.sets[name]]
        rows = encoder.encode_texts([text for own in said for text in own])
        embedded[language] = np.split(rows, np.cumsum([len(own) for own in said])[:-1])
    ratios = {}
    for language in FOREIGN:
        spoken = [row for row, own in enumerate(embedded[language]) if len(own)]
        if spoken:
            rates = [
                _hit_rate_at_10([embedded[own][row] for row in spoken], images, spoken) for own in (language, "en")
            ]
            ratios[language] = rates[0] / rates[1]
    return ratios


def _hit_rate_at_10(queries: list[NDArray[np.float32]], images: NDArray[np.float32], rows: list[int]) -> float:
    right = np.repeat(rows, [len(own) for own in queries])
    return retrieval(np.concatenate(queries), images, right).hit_rates[2]


@click.command()
@click.option("--data", "data_folder", type=click.Path(path_type=Path), required=True, help="Training data folder.")
@click.option("--model", type=click.Path(path_type=Path), default=None, help="Model directory; default: bundled.")
def main(data_folder: Path, model: Path | None) -> None:
    """Print what a compiled model can do on the `dev` sets, as Markdown."""
    encoder = CompiledEncoder(model or data_dir() / "models" / "mini")
    data = load_training_data(data_folder)
    click.echo("| set | language | queries | @1 | @5 | @10 |\n|---|---|---|---|---|---|")
    for name, result in measure(encoder, data).items():
        rates = " | ".join(f"{100 * rate:.1f}" for rate in result.hit_rates)
        click.echo(f"| {name.replace(', ', ' | ')} | {result.queries} | {rates} |")
    click.echo(f"\nzero-shot over the names of `named` dev: {100 * zero_shot(encoder, data):.1f} %")
    ratios = beside_english(encoder, data)
    click.echo("hit rate @10 over that of English captions of the same photos:")
    click.echo(", ".join(f"{language} {ratio:.2f}" for language, ratio in ratios.items()))
    searched = [data.images[number] for name in ("flickr8k dev", "coco dev") for number in data.sets[name]]
    images = embed_pictures(encoder, searched)
    for name, words in word_lists().items():
        shares = same_first(encoder, images, words)
        click.echo(f"words whose first picture of {len(searched):,} is that of the English word, {name}:")
        click.echo(", ".join(f"{language} {100 * share:.0f} %" for language, share in shares.items()))


if __name__ == "__main__":
    main()
