"""Training end to end on generated pictures with tiny, randomly initialised towers; no real weights, no real data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn

from clipsearch.errors import ConfigError
from clipsearch.training.mini.data import (
    LABELS_FILE,
    TrainingData,
    alternative_names,
    caption_keywords,
    load_training_data,
)
from clipsearch.training.mini.export import export_towers, load_tokenizer, open_session
from clipsearch.training.mini.features import cached, view_features
from clipsearch.training.mini.fit import Stage, Trained, _Batches, fit
from clipsearch.training.mini.measure import retrieval, unit
from clipsearch.training.mini.minilm import Bert, BertConfig
from clipsearch.training.mini.text_side import TextSide, TokenStates
from clipsearch.training.mini.towers import ImageHead, TextTower, identity_projection
from clipsearch.training.mini.views import centre_view, mirrored_view, random_view, read_rgb, whole_view

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (240, 240, 240)}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "photo", "of", "picture", *COLOURS]
BERT = BertConfig(vocab_size=len(WORDS), width=16, layers=2, heads=2, intermediate=32, max_positions=16)
STAGE = Stage(epochs=25, batch=8, named_batch=4, head_lr=1e-2, projection_lr=1e-2, noise=0.05)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Sixteen captioned pictures and, as in the real data, four named and two stamped ones."""
    root = tmp_path / "data"
    rng = np.random.default_rng(0)

    def picture(path: Path, colour: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 15, size=(24, 32, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)

    names = list(COLOURS)
    rows = ["image\tsplit\tcaption"]
    for number in range(16):
        colour = names[number % 4]
        picture(root / "flickr8k" / "images" / f"{number}.png", colour)
        split = "train" if number < 12 else "dev"
        rows += [f"{number}.png\t{split}\ta {kind} of {colour}" for kind in ("photo", "picture")]
    (root / "flickr8k" / "captions.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for number, colour in enumerate(names):
        picture(root / "imagenet-samples" / f"n{number:08d}.png", colour)
    labels = "image\tlabel\n" + "".join(f"n{number:08d}.png\t{colour}\n" for number, colour in enumerate(names))
    (root / "imagenet-samples" / "labels.tsv").write_text(labels, encoding="utf-8")
    for colour in names[:2]:
        picture(root / "tuxpaint-stamps" / "images" / f"{colour}.png", colour)
    stamps = "image\tcaption\n" + "".join(f"{colour}.png\ta {colour} picture\n" for colour in names[:2])
    (root / "tuxpaint-stamps" / "captions.tsv").write_text(stamps, encoding="utf-8")
    return root


def tiny_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer


def mean_colours(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A stand-in for the image backbone: colours of the four quarters."""
    quarters = pixels.reshape(len(pixels), 2, pixels.shape[1] // 2, 2, -1, 3).mean(axis=(2, 4))
    return (quarters.reshape(len(pixels), -1) / 255).astype(np.float32)


def trained(data: TrainingData, layers: int) -> tuple[Trained, list[float]]:
    torch.manual_seed(3)
    views = np.stack([view_features(data.images, view, mean_colours, seed=0) for view in range(3)])
    whole = torch.from_numpy(views[0, data.train].astype(np.float32))
    head = ImageHead(whole.mean(dim=0), whole.std(dim=0) + 1e-4, hidden=32, dim=16, dropout=0.1)
    bert = Bert(BERT).eval()
    states = TokenStates(data.texts, bert, tiny_tokenizer(), layers=layers)
    model = Trained(head, TextSide(bert, states, identity_projection(16, 16), layers=layers))
    return model, fit(model, views, data, STAGE, rng=np.random.default_rng(1))


@pytest.mark.long
@pytest.mark.parametrize("layers", [2, 1], ids=["text backbone frozen", "last text layer trained"])
def test_the_loss_falls_and_two_seeded_runs_agree(data_folder: Path, layers: int) -> None:
    data = load_training_data(data_folder)
    first, losses = trained(data, layers)
    second, _ = trained(data, layers)
    assert losses[-1] < 0.8 * losses[0]
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name]), name
    assert 1.0 < float(first.logit_scale().detach()) <= 100.0


def test_frozen_layers_stay_as_they_were(data_folder: Path) -> None:
    data = load_training_data(data_folder)
    torch.manual_seed(3)
    model, _ = trained(data, 1)
    torch.manual_seed(3)
    ImageHead(torch.zeros(12), torch.ones(12), hidden=32, dim=16, dropout=0.1)  # draws what `trained` draws first
    start = Bert(BERT)
    for name, weights in start.state_dict().items():
        assert torch.equal(weights, model.text.bert.state_dict()[name]) != name.startswith("layers.1."), name


def test_hidden_states_are_those_of_a_whole_run() -> None:
    torch.manual_seed(0)
    bert = Bert(BERT).eval()
    texts = ["red", "a photo of blue", "a green picture of a white photo"]
    encodings = tiny_tokenizer().encode_batch(texts)
    ids = torch.tensor([encoding.ids for encoding in encodings])
    mask = torch.tensor([encoding.attention_mask for encoding in encodings])
    with torch.inference_mode():
        expected = bert(ids, mask)
        for layers in (0, 1, 2):
            states = TokenStates(texts, bert, tiny_tokenizer(), layers=layers)
            side = TextSide(bert, states, identity_projection(16, 16), layers=layers).eval()
            rows = np.array([2, 0, 1])
            assert torch.allclose(side(rows), expected[rows], atol=2e-2), layers


def test_training_data_is_numbered_through(data_folder: Path) -> None:
    data = load_training_data(data_folder)
    assert (len(data.train), len(data.dev), len(data.named), len(data.images)) == (12, 4, 6, 22)
    assert data.labels == tuple(COLOURS)
    assert all(path.is_file() for path in data.images)
    assert data.texts[data.caption_rows[5, 1]] == data.captions[5][1]
    assert [data.texts[row] for row in data.phrase_rows] == list(data.phrases)
    assert [data.phrases[number] for number in data.truth[0]] == ["red", "a photo of a red"]
    assert not set(data.train) & set(data.dev)


def test_keywords_are_what_several_captions_name() -> None:
    walls = [[f"A man stands in front of a brick wall , number {number} ."] for number in range(12)]
    others = [["Two dogs run .", "a dog"] for _ in range(120)]
    keywords, spoken = caption_keywords([*walls, *others])
    assert set(keywords) == {"man", "stands", "man stands", "brick", "wall", "brick wall", "number", "wall number"}
    assert [{keywords[number] for number in own} for own in spoken[:12]] == [set(keywords)] * 12
    assert spoken[12:] == [[]] * 120  # with most of the pictures, a word tells nothing


def test_keywords_are_trained_with_the_pictures_that_they_are_true_of(data_folder: Path) -> None:
    data = load_training_data(data_folder)
    spoken = tuple((number % 2, 2) for number in range(data.train_count))
    data = replace(data, keywords=("even", "odd", "all"), spoken=spoken)
    batches = _Batches(np.zeros((1, 22, 4), np.float16), data, np.random.default_rng(0), torch.device("cpu"))
    chosen = np.array([3, 4, 7])
    places, rows, true = batches.keyworded(chosen)
    assert places.tolist() == [0, 1, 2]
    for column, row in enumerate(rows):
        keyword = data.texts[row]
        assert true[:, column].tolist() == [keyword in ("all", "even" if n % 2 == 0 else "odd") for n in chosen]


def test_the_stamps_can_be_left_out(data_folder: Path) -> None:
    whole, without = load_training_data(data_folder), load_training_data(data_folder, stamps=False)
    stamps = [path for path in whole.images if "tuxpaint-stamps" in path.parts]
    assert len(stamps) == 2
    assert [path for path in whole.images if path not in stamps] == list(without.images)
    assert len(without.named) == len(whole.named) - 2
    assert set(whole.phrases) - set(without.phrases) == {"a red picture", "a green picture"}


@pytest.mark.parametrize(
    "missing", ["flickr8k/captions.tsv", "imagenet-samples/labels.tsv", "tuxpaint-stamps/captions.tsv"]
)
def test_a_missing_list_is_named(data_folder: Path, missing: str) -> None:
    (data_folder / missing).unlink()
    with pytest.raises(ConfigError, match=Path(missing).name):
        load_training_data(data_folder)


def test_a_missing_column_is_named(data_folder: Path) -> None:
    (data_folder / "imagenet-samples" / "labels.tsv").write_text("image\tname\nx\ty\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="label"):
        load_training_data(data_folder)


def test_alternative_names_come_from_labels_and_ranges(tmp_path: Path) -> None:
    table = {"labels": {"pug": ["a small dog"]}, "ranges": [["n02", "n03", "a dog"]]}
    (tmp_path / "labels.json").write_text(json.dumps(table), encoding="utf-8")
    names = alternative_names(["n01", "n02", "n04"], ["hen", "pug", "cup"], tmp_path / "labels.json")
    assert names == [[], ["a small dog", "a dog"], []]


def test_the_shipped_names_are_well_formed() -> None:
    table = json.loads(LABELS_FILE.read_text(encoding="utf-8"))
    for first, last, *phrases in table["ranges"]:
        assert first <= last and phrases, first
    assert all(phrases and all(phrases) for phrases in table["labels"].values())


def test_views_have_the_size_asked_for_and_are_seeded(data_folder: Path) -> None:
    image = read_rgb(data_folder / "imagenet-samples" / "n00000000.png")
    for view in (whole_view(image, 20), centre_view(image, 20), mirrored_view(image, 20)):
        assert view.shape == (20, 20, 3) and view.dtype == np.uint8
    assert np.array_equal(mirrored_view(image, 20), whole_view(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 20))
    first, second = (random_view(image, 20, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, random_view(image, 20, np.random.default_rng(5)))


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"broken\.jpg"):
        read_rgb(tmp_path / "broken.jpg")


def test_features_are_computed_once(tmp_path: Path) -> None:
    calls = []

    def compute() -> NDArray[np.float16]:
        calls.append(1)
        return np.ones((2, 3), dtype=np.float16)

    for _ in range(2):
        assert cached(tmp_path / "deep" / "view.npy", compute).shape == (2, 3)
    assert len(calls) == 1


def test_a_tie_counts_against_the_right_picture() -> None:
    images = unit(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32))
    result = retrieval(images[[0, 2]], images, np.array([0, 2]))
    assert result.hit_rates == (0.5, 1.0, 1.0)
    assert result.mean_reciprocal_rank == pytest.approx(0.75)


class TinyImageTower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 16)

    def forward(self, pixels: Tensor) -> Tensor:
        embeddings: Tensor = self.head(pixels.float().mean(dim=(1, 2)) / 255)
        return embeddings


@pytest.mark.filterwarnings("ignore")  # of the exporter and the quantizer, which are not ours
def test_exported_towers_keep_the_contract_and_the_embeddings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    image_tower = TinyImageTower()
    text_tower = TextTower(Bert(BERT).eval(), identity_projection(16, 16))
    export_towers(image_tower, text_tower, tmp_path, 12)
    pixels = np.random.default_rng(0).integers(0, 256, size=(3, 12, 12, 3), dtype=np.uint8)
    images = open_session(tmp_path / "image.onnx").run(["image_embeddings"], {"pixels": pixels})[0]
    ids = np.array([[2, 4, 8, 3, 0], [2, 9, 4, 10, 3], [2, 3, 0, 0, 0]])
    mask = (ids > 0).astype(np.int64)
    fed = {"input_ids": ids, "attention_mask": mask}
    texts = open_session(tmp_path / "text.onnx").run(["text_embeddings"], fed)[0]
    with torch.inference_mode():
        exact_images = image_tower(torch.from_numpy(pixels)).numpy()
        exact_texts = text_tower(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    for exact, exported in ((exact_images, images), (exact_texts, texts)):
        assert exported.shape == exact.shape == (3, 16)
        assert (unit(exact) * unit(exported)).sum(axis=1).min() > 0.99


def test_a_loaded_tokenizer_cuts_and_pads_to_the_longest(tmp_path: Path) -> None:
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json", 6)
    assert [len(encoding.ids) for encoding in tokenizer.encode_batch(["red", "a photo of a red"])] == [6, 6]
    assert len(tokenizer.encode("a photo " * 40).ids) == 6
    assert len(tokenizer.encode("red").ids) == 3
