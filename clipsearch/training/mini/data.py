"""The training data: captioned photos, named photos, captioned stamps, and what is true of which.

The data is a folder with `flickr8k/`, `imagenet-samples/` and `tuxpaint-stamps/`, each with a
tab-separated list and its pictures.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError

FEWEST_OF_KEYWORD = 12
"""Pictures that a keyword must occur with: fewer teach a name or a slip of the pen."""

MOST_OF_KEYWORD = 0.15
"""Share of the pictures beyond which a word tells nothing."""

# fmt: off
FUNCTION_WORDS = frozenset(
    {
        "a", "about", "across", "against", "all", "along", "an", "and", "another", "are", "around", "as", "at",
        "background", "be", "behind", "between", "by", "down", "each", "for", "from", "front", "group", "has",
        "have", "he", "her", "him", "his", "in", "into", "is", "it", "its", "like", "near", "next", "no", "not",
        "of", "off", "on", "one", "other", "out", "over", "she", "some", "that", "the", "their", "them", "there",
        "they", "this", "three", "through", "to", "two", "under", "up", "very", "what", "while", "who", "with",
    }
)
# fmt: on
"""Words that name nothing that can be seen."""

LABELS_FILE = Path(__file__).with_name("labels.json")


@dataclass(frozen=True)
class TrainingData:
    """Pictures and texts of all three sets; pictures are numbered through in the order of `images`.

    Attributes:
        images: every picture: Flickr8k `train`, Flickr8k `dev`, ImageNet samples, stamps.
        captions: the captions of each Flickr8k picture, `train` then `dev`.
        train_count: how many pictures are Flickr8k `train`.
        dev_count: how many are Flickr8k `dev`.
        labels: the class name of each ImageNet sample, in the order of ImageNet-1k's classes.
        phrases: every text of `truth`'s columns: class names, prompts, hypernyms, stamp captions.
        truth: for each ImageNet sample and stamp, the numbers of the phrases that are true of it.
        keywords: words and pairs of words that occur in the captions of several `train` pictures.
        spoken: for each `train` picture, the numbers of the keywords that its captions hold.
    """

    images: tuple[Path, ...]
    captions: tuple[tuple[str, ...], ...]
    train_count: int
    dev_count: int
    labels: tuple[str, ...]
    phrases: tuple[str, ...]
    truth: tuple[tuple[int, ...], ...]
    keywords: tuple[str, ...]
    spoken: tuple[tuple[int, ...], ...]

    @property
    def train(self) -> NDArray[np.int64]:
        """Numbers of the Flickr8k `train` pictures."""
        return np.arange(self.train_count)

    @property
    def dev(self) -> NDArray[np.int64]:
        """Numbers of the Flickr8k `dev` pictures."""
        return np.arange(self.train_count, self.train_count + self.dev_count)

    @property
    def named(self) -> NDArray[np.int64]:
        """Numbers of the ImageNet samples and the stamps, in the order of `truth`."""
        return np.arange(self.train_count + self.dev_count, len(self.images))

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text, numbered through: the captions picture by picture, then the phrases, then the keywords."""
        return (*(caption for own in self.captions for caption in own), *self.phrases, *self.keywords)

    @property
    def caption_rows(self) -> NDArray[np.int64]:
        """Numbers of the captions of each Flickr8k picture, int64 [train and dev pictures, captions of each]."""
        each = {len(own) for own in self.captions}
        if len(each) != 1:
            raise ConfigError(f"every picture needs as many captions as the others; there are {sorted(each)}")
        return np.arange(sum(len(own) for own in self.captions)).reshape(len(self.captions), -1)

    @property
    def phrase_rows(self) -> NDArray[np.int64]:
        """Numbers of the phrases among `texts`, int64 [phrases]."""
        return np.arange(len(self.phrases)) + sum(len(own) for own in self.captions)

    @property
    def keyword_rows(self) -> NDArray[np.int64]:
        """Numbers of the keywords among `texts`, int64 [keywords]."""
        return np.arange(len(self.keywords)) + sum(len(own) for own in self.captions) + len(self.phrases)


def read_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Read the named columns of a tab-separated file with a header.

    Raises:
        ConfigError: the file is missing or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            return [tuple(row[column] for column in columns) for row in reader]
    except OSError as error:
        raise ConfigError(f"the training data lacks {path}: {error.strerror}; see --data") from error
    except KeyError as error:
        raise ConfigError(f"{path} has no column {error}; it needs {', '.join(columns)}") from error


def alternative_names(wordnet_ids: list[str], labels: list[str], path: Path = LABELS_FILE) -> list[list[str]]:
    """Hypernyms and synonyms of each class.

    Args:
        wordnet_ids: the classes' WordNet ids, sorted.
        labels: the classes' names, in the same order.
        path: JSON with ``ranges``, a list of ``[first id, last id, phrase, …]`` (both ends included), and
            ``labels``, class name -> list of phrases.

    Returns:
        For each class its phrases, each with an article ("a dog").
    """
    table = json.loads(path.read_text(encoding="utf-8"))
    names = [list(table["labels"].get(label, [])) for label in labels]
    for first, last, *phrases in table["ranges"]:
        for wordnet_id, own in zip(wordnet_ids, names, strict=True):
            if first <= wordnet_id <= last:
                own.extend(phrases)
    return names


def caption_keywords(captions: Sequence[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """What a person would type to find the pictures: words and pairs of words of their captions.

    Args:
        captions: of each picture.

    Returns:
        The keywords that occur with enough pictures to be learned and few enough to tell something, and for
        each picture the numbers of its own.
    """
    said = [sorted({gram for caption in own for gram in _grams(caption)}) for own in captions]
    pictures = Counter(gram for own in said for gram in own)
    most = MOST_OF_KEYWORD * len(captions)
    keywords = [gram for gram, count in pictures.items() if FEWEST_OF_KEYWORD <= count <= most]
    numbers = {gram: number for number, gram in enumerate(keywords)}
    return keywords, [[numbers[gram] for gram in own if gram in numbers] for own in said]


def _grams(caption: str) -> Iterator[str]:
    """The words of a caption and its pairs of neighbouring words, without those that name nothing."""
    words = re.findall(r"[a-z]+", caption.lower())
    naming = [len(word) > 1 and word not in FUNCTION_WORDS for word in words]
    yield from (word for word, named in zip(words, naming, strict=True) if named)
    yield from (" ".join(words[i : i + 2]) for i in range(len(words) - 1) if naming[i] and naming[i + 1])


def load_training_data(root: Path, *, stamps: bool = True) -> TrainingData:
    """Read the lists of the three sets; no picture is opened.

    Args:
        root: the folder of all three.
        stamps: take the stamps too; a model that has not seen them shows what fine-tuning on them brings.

    Raises:
        ConfigError: a list is missing.
    """
    flickr, samples, drawn = root / "flickr8k", root / "imagenet-samples", root / "tuxpaint-stamps"
    by_split: dict[str, dict[str, list[str]]] = {"train": {}, "dev": {}}
    for image, split, caption in read_rows(flickr / "captions.tsv", ("image", "split", "caption")):
        if split in by_split:
            by_split[split].setdefault(image, []).append(caption)
    named = read_rows(samples / "labels.tsv", ("image", "label"))
    stamped = read_rows(drawn / "captions.tsv", ("image", "caption")) if stamps else []
    labels = [label for _, label in named]
    others = alternative_names([Path(image).stem for image, _ in named], labels)
    texts = [[label, f"a photo of a {label}", *other] for label, other in zip(labels, others, strict=True)]
    texts += [[caption] for _, caption in stamped]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(text for own in texts for text in own))}
    captioned = {**by_split["train"], **by_split["dev"]}
    keywords, spoken = caption_keywords(list(by_split["train"].values()))
    return TrainingData(
        images=(
            *(flickr / "images" / image for image in captioned),
            *(samples / image for image, _ in named),
            *(drawn / "images" / image for image, _ in stamped),
        ),
        captions=tuple(tuple(own) for own in captioned.values()),
        train_count=len(by_split["train"]),
        dev_count=len(by_split["dev"]),
        labels=tuple(labels),
        phrases=tuple(numbers),
        truth=tuple(tuple(numbers[text] for text in dict.fromkeys(own)) for own in texts),
        keywords=tuple(keywords),
        spoken=tuple(tuple(own) for own in spoken),
    )
