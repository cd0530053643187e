"""Labelled sets made of the training photos' lists: named stamps, and stamps by category."""

from __future__ import annotations

import re
from pathlib import Path

from clipsearch.errors import ConfigError
from clipsearch.evaluation import Caption, read_captions
from clipsearch.retrieval.prompts import is_short
from clipsearch.training.mini.data import read_rows

CATEGORIES = {
    "animals/mammals": "mammal",
    "food/fruit": "fruit",
    "animals/birds": "bird",
    "symbols/money": "money",
    "town/houses": "house",
    "plants/flowers": "flower",
    "town/roadsigns": "road sign",
    "animals/insects": "insect",
    "food/vegetables": "vegetable",
    "seasonal/christmas": "Christmas decoration",
    "seasonal/halloween": "Halloween decoration",
    "household/tools": "tool",
    "animals/fish": "fish",
    "hobbies/music": "musical instrument",
    "space/planets": "planet",
    "vehicles": "vehicle",
    "clothes": "piece of clothing",
}
"""Folders of the stamps, which their file names tell, and what is in them."""

_ARTICLE = re.compile(r"^(?:an?|the|some)\s+", re.IGNORECASE)


def named_stamps(data: Path) -> list[Caption]:
    """Stamps whose sentence is a bare name, such as "A clock face."; the name without article and full stop.

    Raises:
        ConfigError: the list is missing.
    """
    captions = []
    for row in read_captions(data / "tuxpaint-stamps" / "captions.tsv"):
        name = _ARTICLE.sub("", row.text.rstrip(".! "))
        if is_short(name) and not any(letter.isdigit() for letter in name):
            captions.append(Caption(row.image, name[0].lower() + name[1:] if name[1:].islower() else name))
    return captions


def coco_captions(data: Path) -> list[Caption]:
    """The English captions of COCO's `dev` photos.

    Raises:
        ConfigError: the list is missing.
    """
    rows = read_rows(data / "coco" / "captions.tsv", ("image", "split", "language", "caption"))
    return [Caption(image, caption) for image, split, language, caption in rows if (split, language) == ("dev", "en")]


def stamp_categories(data: Path) -> list[Caption]:
    """Stamps of the folders in `CATEGORIES`.

    Raises:
        ConfigError: the list is missing.
    """
    captions = []
    for row in read_captions(data / "tuxpaint-stamps" / "captions.tsv"):
        folder = row.image.replace("__", "/")
        category = next((name for start, name in CATEGORIES.items() if folder.startswith(f"{start}/")), None)
        if category is not None:
            captions.append(Caption(row.image, category))
    return captions


def write_labels(path: Path, rows: list[Caption]) -> Path:
    """Write rows as a table that every evaluation reads.

    Raises:
        ConfigError: there is nothing to write.
    """
    if not rows:
        raise ConfigError(f"there are no rows for {path.name}")
    lines = ["image\tlabel", *(f"{row.image}\t{row.text}" for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
