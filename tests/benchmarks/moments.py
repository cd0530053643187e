"""How often a sentence finds the right video first and the right moment in it.

    python -m tests.benchmarks.moments DATA [--keep DIR] [--photos N] [--each]

DATA is the folder of evaluation photos (CONTRIBUTING.md). Three collections are searched: the real clips of
``video/moments.tsv`` among photos; clips made of captioned photos one after the other; and such clips of which each
shows photos about one thing, so that they look alike. Prints for each, and for each way to search: how often the right
video is the first of the videos, how often its moment is right too (its best frame within two seconds of the span),
how often the moment is right whatever is first, and how often the right video is first of all results, photos too.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image, ImageOps

from clipsearch.library import Library
from clipsearch.retrieval.results import SearchResult

NEAR_S = 2.0
"""How far a best frame may be from the span that a sentence describes."""

SHOTS, FEWEST_S, MOST_S = 8, 1, 4
"""Photos of a clip that is made, and for how many seconds each is shown."""

CLIPS = 24
THINGS = ("dog", "snow", "beach", "water", "bicycle", "ball", "girl", "climb", "street", "grass")
"""What the photos of a clip are about, by a word of at least three of their captions."""

SIZE, FPS = (320, 240), 8


@dataclass(frozen=True)
class Sentence:
    """What somebody says of a video, and the seconds that it describes."""

    video: str
    start_s: float
    end_s: float
    text: str


def real_clips(data: Path, folder: Path, photos: Sequence[str]) -> list[Sentence]:
    """Copy the clips and the photos into a folder; returns the sentences about the clips."""
    with (data / "video" / "moments.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    for name in {row["video"] for row in rows}:
        shutil.copy(data / "video" / name, folder / name)
    _copy(data, folder, photos)
    return [Sentence(row["video"], float(row["start"]), float(row["end"]), row["sentence"]) for row in rows]


def made_clips(
    data: Path, folder: Path, captions: dict[str, list[str]], *, alike: bool, photos: int
) -> Iterator[Sentence]:
    """Clips of some photos, and other photos beside them, in a folder; yields a caption of each shot."""
    pick = random.Random(21)
    left = pick.sample(sorted(captions), len(captions))
    for number in range(CLIPS):
        thing = THINGS[number % len(THINGS)] if alike else ""
        shown = [name for name in left if sum(thing in caption.lower() for caption in captions[name]) >= 3][:SHOTS]
        if len(shown) < SHOTS:
            continue
        left = [name for name in left if name not in shown]
        seconds = [pick.randint(FEWEST_S, MOST_S) for _ in shown]
        path = folder / f"MVI_{number:04}.mp4"
        _write(path, [data / "flickr8k" / "images" / name for name in shown], seconds, pick)
        for place, name in enumerate(shown):
            start = sum(seconds[:place])
            yield Sentence(path.name, start, start + seconds[place], captions[name][0])
    _copy(data, folder, left[:photos])


def _write(path: Path, photos: Sequence[Path], seconds: Sequence[int], pick: random.Random) -> None:
    """A video in which a camera moves a little over each photo."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size = FPS
        number = 0
        for photo, duration in zip(photos, seconds, strict=True):
            with Image.open(photo) as opened:
                image = ImageOps.fit(opened.convert("RGB"), (round(SIZE[0] * 1.15), round(SIZE[1] * 1.15)))
            room = image.width - SIZE[0], image.height - SIZE[1]
            ends = [[pick.randint(0, most) for most in room] for _ in range(2)]
            for step in range(duration * FPS):
                share = step / (duration * FPS)
                left, top = (round(a + share * (b - a)) for a, b in zip(*ends, strict=True))
                frame = av.VideoFrame.from_image(image.crop((left, top, left + SIZE[0], top + SIZE[1])))
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode(None))


def _copy(data: Path, folder: Path, photos: Sequence[str]) -> None:
    for number, name in enumerate(photos):
        shutil.copy(data / "flickr8k" / "images" / name, folder / f"IMG_{number:04}.jpg")


def measure(library: Library, sentences: Sequence[Sentence], by: str, *, each: bool) -> list[int]:
    """Sentences with the right video first, with its moment, with the moment at all, and first of all results."""
    counts = [0, 0, 0, 0]
    for sentence in sentences:
        videos = library.search(f"{sentence.text} kind:video", k=100, by=by)  # type: ignore[arg-type]
        own = next((result for result in videos if result.path.name == sentence.video), None)
        first = bool(own) and videos[0] is own
        moment = own is not None and _is_right(own, sentence)
        among = library.search(sentence.text, k=1, by=by)  # type: ignore[arg-type]
        found = (first, first and moment, moment, bool(among) and among[0].path.name == sentence.video)
        counts = [count + is_so for count, is_so in zip(counts, found, strict=True)]
        if each:
            at = own.segment.at_s if own is not None else None
            said = "right" if first and moment else f"first is {videos[0].path.name}" if not first else "elsewhere"
            print(f"  {sentence.video} {sentence.start_s:g}–{sentence.end_s:g}: {sentence.text}: at {at}: {said}")
    return counts


def _is_right(result: SearchResult, sentence: Sentence) -> bool:
    at_s = result.segment.at_s
    return at_s is not None and sentence.start_s - NEAR_S <= at_s <= sentence.end_s + NEAR_S


def _captions(data: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = defaultdict(list)
    with (data / "flickr8k" / "captions.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "dev":
                captions[row["image"]].append(re.sub(r"[^\w ,'-]|\W+$", "", row["caption"]))
    return captions


def main() -> None:
    """Build, index and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--keep", type=Path, help="where the collections and their libraries stay")
    parser.add_argument("--photos", type=int, default=1000, help="beside real clips; half of them beside the others")
    parser.add_argument("--each", action="store_true", help="print every sentence about the real clips")
    options = parser.parse_args()
    captions = _captions(options.data)
    print(f"| {'clips':16} | sentences | by      | first | first, and moment | moment | first among photos |")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("real", "made of photos", "made, alike"):
            place = (options.keep or Path(scratch)) / kind.replace(", ", "-").replace(" ", "-")
            fresh = not place.exists()
            folder = place / "media" if fresh else Path(scratch) / "again"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            if kind == "real":
                sentences = real_clips(options.data, folder, list(captions)[: options.photos])
            else:
                alike = kind != "made of photos"
                sentences = list(made_clips(options.data, folder, captions, alike=alike, photos=options.photos // 2))
            with Library.open(place / "library", model="mini", create=True) as library:
                if fresh:
                    library.index(folder)
                for by in ("meaning", "both"):
                    each = options.each and kind == "real"
                    cells = measure(library, sentences, by, each=each)
                    print(f"| {kind:16} | {len(sentences):9} | {by:7} | {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
