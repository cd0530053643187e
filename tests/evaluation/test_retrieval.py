"""Text-to-image evaluation against a full-matrix reference, and errors of invalid input."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from clipsearch.cli.commands.evaluate import evaluate as evaluate_command
from clipsearch.errors import ConfigError
from clipsearch.evaluation import Caption, evaluate_retrieval, ranking, read_captions
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from tests.conftest import ROOT, LoadWith

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (40, 40, 40)]


class ColourEncoder:
    """An image is embedded as its mean color, a text "r g b" as that color."""

    spec = "colour"
    fingerprint = "0"
    dim = 4
    device = "cpu"
    precision = "fp32"
    parity = None
    transform = ImageTransform(ImageSpec(size=(8, 8)))

    def __init__(self) -> None:
        self.pictures = 0
        self.texts: list[str] = []

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        return self.encode_pixels(np.stack([self.transform(image) for image in images]))

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        self.pictures += len(pixels)
        return _embed(pixels.reshape(len(pixels), -1, 3).mean(axis=1))

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        self.texts += texts
        return _embed(np.array([[float(word) for word in text.split()[-3:]] for text in texts]))


def _embed(colours: NDArray[np.floating]) -> FloatMatrix:
    return l2_normalize(np.hstack([colours - 100.0, np.full((len(colours), 1), 50.0)]))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (20 + number, 16), colour).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_table(*lines: str, name: str = "captions.tsv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
        return path

    return write_table


def test_figures_equal_a_full_matrix_reference(
    photos: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "SCORES_PER_BLOCK", 20)  # several blocks
    rng = np.random.default_rng(7)
    own = rng.integers(0, len(COLOURS), 60)
    texts = [" ".join(map(str, rng.integers(0, 256, 3))) for _ in own]
    table = write("image\tcaption", *(f"{image}.png\t{text}" for image, text in zip(own, texts, strict=True)))

    encoder = ColourEncoder()
    steps: list[tuple[str, int, int]] = []
    report = evaluate_retrieval(encoder, table, photos, batch_size=4, progress=lambda *step: steps.append(step))

    used = sorted(set(own))
    scores = ColourEncoder().encode_texts(texts) @ _embed(np.array([COLOURS[i] for i in used], dtype=float)).T
    ranks = np.array(
        [
            1 + sum(s >= row[used.index(i)] for j, s in zip(used, row, strict=True) if j != i)
            for row, i in zip(scores, own, strict=True)
        ]
    )
    assert report.model == "colour"
    assert (report.queries, report.images) == (60, len(used))
    assert report.hit_rate_at_1 == pytest.approx(np.mean(ranks <= 1))
    assert report.hit_rate_at_5 == pytest.approx(np.mean(ranks <= 5))
    assert report.hit_rate_at_10 == 1.0
    assert report.mean_reciprocal_rank == pytest.approx(np.mean(1 / ranks))
    assert encoder.pictures == len(used), "each picture is embedded once"
    assert steps[0] == ("images", 4, len(used))
    assert steps[-1][0] == "captions" and steps[-1][1] == steps[-1][2]
    assert report.seconds > 0
    assert report.skipped == ()


def test_the_split_chooses_queries_and_candidates(photos: Path, write: Callable[..., Path]) -> None:
    table = write("image\tsplit\tcaption", "0.png\ttrain\t255 0 0", "1.png\tdev\t0 255 0", "2.png\tdev\t0 0 255")
    report = evaluate_retrieval(ColourEncoder(), table, photos, split="dev")
    assert (report.queries, report.images, report.hit_rate_at_1) == (2, 2, 1.0)


def test_labels_are_captions_and_the_template_wraps_them(photos: Path, write: Callable[..., Path]) -> None:
    encoder = ColourEncoder()
    table = write("image\tlabel", "0.png\t255 0 0", "1.png\t0 255 0")
    report = evaluate_retrieval(encoder, table, photos, template="a photo of {}")
    assert encoder.texts == ["a photo of 255 0 0", "a photo of 0 255 0"]
    assert report.hit_rate_at_1 == 1.0


def test_a_caption_of_two_images_is_embedded_once_and_queried_twice(photos: Path, write: Callable[..., Path]) -> None:
    encoder = ColourEncoder()
    report = evaluate_retrieval(encoder, write("image\tcaption", "0.png\t255 0 0", "1.png\t255 0 0"), photos)
    assert encoder.texts == ["255 0 0"]
    assert (report.queries, report.hit_rate_at_1, report.mean_reciprocal_rank) == (2, 0.5, 0.75)


def test_unreadable_images_are_skipped_and_reported(photos: Path, write: Callable[..., Path]) -> None:
    (photos / "text.jpg").write_text("no picture")
    (photos / "empty.jpg").touch()
    table = write(
        "image\tcaption", "0.png\t255 0 0", "text.jpg\t1 1 1", "gone.jpg\t1 1 1", "empty.jpg\t1 1 1", "1.png\t0 255 0"
    )
    report = evaluate_retrieval(ColourEncoder(), table, photos, batch_size=2)
    assert (report.queries, report.images, report.hit_rate_at_1) == (2, 2, 1.0)
    assert [skipped.image for skipped in report.skipped] == ["text.jpg", "gone.jpg", "empty.jpg"]
    assert [skipped.reason for skipped in report.skipped] == [
        "not a picture in a format that can be read",
        "no such file or directory",
        "the file is empty",
    ]


def test_no_readable_picture_is_an_error(photos: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"none of the 1 images could be read; gone\.jpg: no such file"):
        evaluate_retrieval(ColourEncoder(), write("image\tcaption", "gone.jpg\tx"), photos)


def test_a_missing_folder_of_pictures_is_an_error(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"the image folder .*nowhere does not exist"):
        evaluate_retrieval(ColourEncoder(), write("image\tcaption", "0.png\tx"), tmp_path / "nowhere")


def test_byte_order_mark_windows_line_ends_and_blank_lines_are_read(write: Callable[..., Path]) -> None:
    table = write("\ufeffImage\tCaption\r", "a.jpg\tein Hüttchen\r", "\r", "", 'b.jpg\tsays "hi\r')
    assert read_captions(table) == [Caption("a.jpg", "ein Hüttchen"), Caption("b.jpg", 'says "hi')]


def test_csv_by_extension_has_quoting(write: Callable[..., Path]) -> None:
    table = write("caption,image", '"a dog, running",a.jpg', '"says ""hi""",b.jpg', name="captions.CSV")
    assert read_captions(table) == [Caption("a.jpg", "a dog, running"), Caption("b.jpg", 'says "hi"')]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([""], {}, "has no column image; the header has no columns"),
        (["picture\tcaption"], {}, "has no column image; the header has picture, caption"),
        (["image\ttext"], {}, r"has no column caption \(or label\); the header has image, text"),
        (["image,caption", "a.jpg,x"], {}, "has no column image"),
        (["image\tcaption"], {}, "has no captions"),
        (["image\tcaption", "a.jpg\tx"], {"split": "dev"}, "has no column split for --split dev"),
        (
            ["image\tcaption\tsplit", "a.jpg\tx\ttrain", "b.jpg\tx\tdev"],
            {"split": "test"},
            "has no rows of the split test; its splits are dev, train",
        ),
        (["image\tcaption", "a.jpg\tone\ttwo"], {}, "line 2 has 3 columns instead of 2"),
        (["image\tcaption", "", "a.jpg"], {}, "line 3 has 1 columns instead of 2"),
        (["image\tcaption", "a.jpg\t "], {}, "line 2 has an empty caption"),
        (["image\tcaption", "\tx"], {}, "line 2 has an empty image"),
        (["image\tcaption", "a.jpg\tx"], {"template": "a photo"}, "the template 'a photo' has no {}"),
        (["image\tcaption", "a.jpg\t" + "x" * 200_000], {}, "is damaged: field larger than field limit"),
    ],
)
def test_damaged_tables_are_one_line(
    write: Callable[..., Path], lines: list[str], options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_captions(write(*lines), **options)
    assert "\n" not in str(raised.value)


def test_unreadable_tables_are_one_line(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: no such file or directory"):
        read_captions(tmp_path / "none.tsv")
    with pytest.raises(ConfigError, match=r"cannot read .*: (is a directory|permission denied)"):
        read_captions(tmp_path)
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_captions(write("image\tcaption", "a.jpg\tHüttchen", encoding="latin-1"))


def test_the_command_prints_results_on_stdout_and_skips_on_stderr(
    photos: Path, write: Callable[..., Path], load_with: LoadWith
) -> None:
    load_with(lambda *_, **__: ColourEncoder())
    table = write("image\tcaption", "0.png\t255 0 0", "gone.jpg\t1 1 1")
    arguments = ["--model", "colour", "--captions", str(table), "--images", str(photos)]

    plain = CliRunner().invoke(evaluate_command, arguments)
    assert plain.exit_code == 0, plain.output
    assert re.search(r"^text-to-image hit rate @1 +100\.0% +100\.0% – 100\.0% +1$", plain.stdout, flags=re.MULTILINE)
    assert "skipped   1 picture" in plain.stdout
    assert "skipping gone.jpg: no such file or directory" in plain.stderr

    machine = CliRunner().invoke(evaluate_command, [*arguments, "--json"])
    report = json.loads(machine.stdout)
    assert report["hit_rate_at_10"] == 1.0
    assert report["skipped"] == [{"image": "gone.jpg", "reason": "no such file or directory"}]


DATA = Path(os.environ.get("CLIPSEARCH_TRAIN_DATA") or ROOT.parent / "shared" / "data")


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation photos are not here (CLIPSEARCH_TRAIN_DATA)")
def test_mini_reaches_its_figures_on_a_subset(tmp_path: Path) -> None:
    """200 dev photos and 200 labeled ones; the whole sets are measured with `clipsearch evaluate`."""
    from clipsearch.models.loading import load_encoder

    encoder = load_encoder("mini")
    captions = read_captions(DATA / "flickr8k" / "captions.tsv", split="dev")
    table = tmp_path / "captions.tsv"
    table.write_text("image\tcaption\n" + "".join(f"{row.image}\t{row.text}\n" for row in captions[:1000]))
    flickr = evaluate_retrieval(encoder, table, DATA / "flickr8k" / "images")
    assert flickr.images == 200 and flickr.queries == 1000
    assert flickr.hit_rate_at_1 >= 0.45
    assert flickr.hit_rate_at_10 >= 0.88

    labels = read_captions(DATA / "imagenet-samples" / "labels.tsv")[::5]
    table.write_text("image\tlabel\n" + "".join(f"{row.image}\t{row.text}\n" for row in labels))
    imagenet = evaluate_retrieval(encoder, table, DATA / "imagenet-samples", template="a photo of a {}")
    assert imagenet.hit_rate_at_1 >= 0.9
