"""The training data: pictures of several sets, their sentences by language, and what is true of it.

The data is a folder with `flickr8k/`, `flickr8k-languages/`, `coco/`, `named/`, `imagenet-samples/`,
`imagenet-samples-languages/` and `tuxpaint-stamps/`, each with tab-separated lists and its pictures.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError

FEWEST_OF_KEYWORD = 12
"""Pictures that a keyword must occur with: fewer teach a name or a slip of the pen."""

MOST_OF_KEYWORD = 0.15
"""Share of the pictures beyond which a word distinguishes nothing."""

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

TRAIN_SETS = ("flickr8k train", "coco train", "named train", "samples", "stamps")
DEV_SETS = ("flickr8k dev", "coco dev", "named dev")
CALIBRATION_SET = "coco calibration"
"""Photos of COCO's `train` that nobody has described, every other one: kept from training, to fit probabilities on."""

Sentences = Mapping[str, tuple[str, ...]]
"""The sentences of a picture, by language."""


@dataclass(frozen=True)
class TrainingData:
    """Pictures of all sets, numbered through in the order of `images`.

    Attributes:
        images: every picture.
        sets: numbers of the pictures of each of `TRAIN_SETS` and `DEV_SETS`, int64 [n].
        sentences: of each picture, by language; English is ``en``.
        names: English phrases that are true of each picture: names, prompts, hypernyms; of a picture of a set, every
            phrase of that set that it does not have is false.
        labels: name of each ImageNet class, in the order of ImageNet-1k.
        class_names: further English names of each class.
        keywords: words and pairs of words that occur in the English sentences of several training pictures.
        spoken: for each picture, the keywords that its sentences contain; empty outside of the training sets.
    """

    images: tuple[Path, ...]
    sets: Mapping[str, NDArray[np.int64]]
    sentences: tuple[Sentences, ...]
    names: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    class_names: tuple[tuple[str, ...], ...]
    keywords: tuple[str, ...]
    spoken: tuple[tuple[str, ...], ...]

    def captions(self, number: int) -> tuple[str, ...]:
        """The English sentences of a picture."""
        return self.sentences[number].get("en", ())

    def captioned(self, name: str, language: str = "en") -> NDArray[np.int64]:
        """Numbers of the pictures of a set that have a sentence in a language."""
        return np.array([number for number in self.sets[name] if self.sentences[number].get(language)], dtype=np.int64)


def read_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Read the named columns of a tab-separated file with a header.

    Raises:
        ConfigError: the file is missing or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
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
        The keywords that occur with enough pictures to be learned and few enough to distinguish some, and for
        each picture the numbers of its own.
    """
    said = [sorted({gram for caption in own for gram in _grams(caption)}) for own in captions]
    pictures = Counter(gram for own in said for gram in own)
    at_most = MOST_OF_KEYWORD * len(captions)
    keywords = [gram for gram, count in pictures.items() if FEWEST_OF_KEYWORD <= count <= at_most]
    numbers = {gram: number for number, gram in enumerate(keywords)}
    return keywords, [[numbers[gram] for gram in own if gram in numbers] for own in said]


def _grams(caption: str) -> Iterator[str]:
    """The words of a caption and its pairs of neighboring words, without those that name nothing."""
    words = re.findall(r"[a-z]+", caption.lower())
    naming = [len(word) > 1 and word not in FUNCTION_WORDS for word in words]
    yield from (word for word, named in zip(words, naming, strict=True) if named)
    yield from (" ".join(words[i : i + 2]) for i in range(len(words) - 1) if naming[i] and naming[i + 1])


def plain_sentence(text: str) -> str:
    """A sentence without the spaces and marks at its ends that queries are written without."""
    return re.sub(r"\s+([.,!?;])", r"\1", text).strip().rstrip(".!,; 。").strip(' "')


def with_article(name: str) -> str:
    """A name with the article that it takes ("an apple"); unchanged if it has one."""
    if re.match(r"(?:an?|the|some|inside) ", name):
        return name
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


class _Builder:
    """Collects pictures set by set."""

    def __init__(self) -> None:
        self.images: list[Path] = []
        self.sets: dict[str, list[int]] = {name: [] for name in (*TRAIN_SETS, *DEV_SETS, CALIBRATION_SET)}
        self.sentences: list[dict[str, tuple[str, ...]]] = []
        self.names: list[tuple[str, ...]] = []

    def add(
        self,
        set_name: str,
        image: Path,
        sentences: Mapping[str, Iterable[str]] | None = None,
        names: Iterable[str] = (),
    ) -> None:
        """Add one picture."""
        self.sets[set_name].append(len(self.images))
        self.images.append(image)
        said = {language: dict.fromkeys(map(plain_sentence, own)) for language, own in (sentences or {}).items()}
        self.sentences.append({language: tuple(filter(None, own)) for language, own in said.items()})
        self.names.append(tuple(dict.fromkeys(names)))


def load_training_data(root: Path, *, stamps: bool = True) -> TrainingData:
    """Read the lists of all sets; no picture is opened.

    Args:
        root: the folder of all of them.
        stamps: take the stamps too; a model that has not seen them shows what fine-tuning on them brings.

    Raises:
        ConfigError: a list is missing.
    """
    builder = _Builder()
    _add_flickr(builder, root)
    _add_coco(builder, root / "coco")
    _add_named(builder, root / "named")
    labels, class_names = _add_samples(builder, root)
    if stamps:
        for image, caption in read_rows(root / "tuxpaint-stamps" / "captions.tsv", ("image", "caption")):
            builder.add("stamps", root / "tuxpaint-stamps" / "images" / image, names=[plain_sentence(caption)])
    train = [number for name in TRAIN_SETS for number in builder.sets[name]]
    keywords, spoken = caption_keywords([builder.sentences[number].get("en", ()) for number in train])
    said = {number: tuple(keywords[row] for row in rows) for number, rows in zip(train, spoken, strict=True)}
    return TrainingData(
        images=tuple(builder.images),
        sets={name: np.array(numbers, dtype=np.int64) for name, numbers in builder.sets.items()},
        sentences=tuple(builder.sentences),
        names=tuple(builder.names),
        labels=tuple(labels),
        class_names=tuple(tuple(own) for own in class_names),
        keywords=tuple(keywords),
        spoken=tuple(said.get(number, ()) for number in range(len(builder.images))),
    )


def _add_flickr(builder: _Builder, root: Path) -> None:
    said: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for image, split, caption in read_rows(root / "flickr8k" / "captions.tsv", ("image", "split", "caption")):
        said[split, image]["en"].append(caption)
    columns = ("image", "split", "language", "caption")
    for image, split, language, caption in read_rows(root / "flickr8k-languages" / "captions.tsv", columns):
        if (split, image) in said:
            said[split, image][language].append(caption)
    for split in ("train", "dev"):
        for (own, image), sentences in said.items():
            if own == split:
                builder.add(f"flickr8k {split}", root / "flickr8k" / "images" / image, sentences)


def _add_coco(builder: _Builder, root: Path) -> None:
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for image, language, caption in read_rows(root / "captions.tsv", ("image", "language", "caption")):
        said[image][language].append(caption)
    undescribed = 0
    for image, split, labels in read_rows(root / "labels.tsv", ("image", "split", "labels")):
        objects = [name for name in labels.split(";") if name]
        names = [phrase for name in objects for phrase in (name, with_article(name))]
        names += [f"{with_article(a)} and {with_article(b)}" for a, b in combinations(sorted(objects), 2)]
        set_name = f"coco {split}"
        if split == "train" and image not in said:
            undescribed += 1
            set_name = CALIBRATION_SET if undescribed % 2 else set_name
        builder.add(set_name, root / "images" / image, said.get(image), names)


def _add_named(builder: _Builder, root: Path) -> None:
    said: dict[str, list[str]] = defaultdict(list)
    for image, caption in read_rows(root / "captions.tsv", ("image", "caption")):
        said[image].append(caption)
    for image, split, label in read_rows(root / "labels.tsv", ("image", "split", "label")):
        bare = re.sub(r"^(?:an?|the) ", "", label)
        builder.add(f"named {split}", root / "images" / image, {"en": said.get(image, [])}, [label, bare])


def _add_samples(builder: _Builder, root: Path) -> tuple[list[str], list[list[str]]]:
    rows = read_rows(root / "imagenet-samples" / "labels.tsv", ("image", "label"))
    labels = [label for _, label in rows]
    others = alternative_names([Path(image).stem for image, _ in rows], labels)
    for (image, label), other in zip(rows, others, strict=True):
        names = [label, f"a photo of {with_article(label)}", *other]
        path = root / "imagenet-samples" / image
        builder.add("samples", path, names=names)
    return labels, others
