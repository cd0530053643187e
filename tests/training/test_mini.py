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
from clipsearch.training.mini import languages
from clipsearch.training.mini.data import (
    LABELS_FILE,
    TrainingData,
    alternative_names,
    caption_keywords,
    load_training_data,
)
from clipsearch.training.mini.evidence import fit_evidence
from clipsearch.training.mini.export import export_towers, load_tokenizer, open_session
from clipsearch.training.mini.features import cached, view_features
from clipsearch.training.mini.fit import (
    Batches,
    Classifier,
    FixedTexts,
    ImageLayers,
    Material,
    NamedSet,
    Stage,
    TextNumbers,
    Trained,
    fit,
)
from clipsearch.training.mini.languages import (
    LanguageModel,
    LanguageStage,
    LanguageTexts,
    Space,
    TextFeatures,
    fit_languages,
)
from clipsearch.training.mini.measure import retrieval, unit
from clipsearch.training.mini.minilm import Bert, BertConfig
from clipsearch.training.mini.recipe import english_texts
from clipsearch.training.mini.text_side import TextSide, TokenStates
from clipsearch.training.mini.towers import (
    PAIRS,
    POOLED_BELOW,
    ImageBackbone,
    ImageHead,
    Meanings,
    PieceBag,
    TextHead,
    TextTower,
    identity_projection,
    pair_rows,
)
from clipsearch.training.mini.translations import (
    FOREIGN,
    Translation,
    everyday_words,
    listed_words,
    load_translations,
    without_diacritics,
)
from clipsearch.training.mini.usem import PackedTable, Pieces, UniversalSentenceEncoder, cut_pieces, token_ids
from clipsearch.training.mini.views import mirrored_view, random_view, read_rgb, whole_view
from tests.training.data_folder import COLORS, write_data

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "photo", "of", "picture", *COLORS]
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
    return write_data(tmp_path / "data")


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


CLASSIFIER = Classifier(torch.eye(4, 12), torch.zeros(4))


def english(data: TrainingData) -> TextNumbers:
    return TextNumbers(english_texts(data))


def material_of(data: TrainingData) -> Material:
    views = np.stack([view_features(data.images, view, mean_colours, seed=0) for view in range(3)])
    return Material(views, data, english(data), CLASSIFIER)


def trained(data: TrainingData, layers: int) -> tuple[Trained, list[float]]:
    torch.manual_seed(3)
    material = material_of(data)
    whole = torch.from_numpy(material.views[0, data.sets["flickr8k train"]].astype(np.float32))
    head = ImageHead(whole.mean(dim=0), whole.std(dim=0) + 1e-4, hidden=32, dim=16, dropout=0.1)
    bert = Bert(BERT).eval()
    states = TokenStates(material.numbers.texts, bert, tiny_tokenizer(), layers=layers)
    model = Trained(head, TextSide(bert, states, identity_projection(16, 16), trained=layers < BERT.layers))
    return model, fit(model, material, STAGE, rng=np.random.default_rng(1))


def tiny_backbone() -> ImageBackbone:
    import timm

    torch.manual_seed(0)
    return ImageBackbone(timm.create_model("tf_efficientnet_lite2", pretrained=False, exportable=True)).eval()


@pytest.mark.long
def test_the_last_image_layers_are_trained_and_the_others_stay(data_folder: Path) -> None:
    data, backbone = load_training_data(data_folder), tiny_backbone()
    pixels = torch.from_numpy(np.stack([whole_view(read_rgb(path), 32) for path in data.images]))
    with torch.no_grad():
        maps, pooled = backbone.lower(pixels)
        features = backbone(pixels)
    assert torch.equal(features[:, POOLED_BELOW], pooled)
    head = ImageHead(features.mean(dim=0), features.std(dim=0) + 1e-4, hidden=32, dim=16, dropout=0.1)
    texts = english(data)
    model = Trained(head, FixedTexts(torch.randn(len(texts.texts), 16)))
    model.image_layers = ImageLayers(backbone, maps[None].numpy().astype(np.float16))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    material = Material(features[None].numpy().astype(np.float16), data, texts, Classifier(*backbone.classifier()))
    rows = np.arange(len(data.images))
    frozen = torch.from_numpy(material.views[0].astype(np.float32))
    assert torch.allclose(model.features(np.zeros_like(rows), rows, frozen), features, atol=0.02)
    losses = fit(model, material, replace(STAGE, layers_lr=1e-3), rng=np.random.default_rng(1))
    assert losses[-1] < losses[0]
    changed = {name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])}
    trained_names = {
        name for name, parameter in backbone.named_parameters() if any(parameter is p for p in backbone.upper_layers())
    }
    assert changed == trained_names


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
            side = TextSide(bert, states, identity_projection(16, 16), trained=False).eval()
            rows = np.array([2, 0, 1])
            assert torch.allclose(side(rows), expected[rows], atol=4e-2), layers


def test_training_data_has_every_set(data_folder: Path) -> None:
    data = load_training_data(data_folder)
    assert {name: len(numbers) for name, numbers in data.sets.items()} == {
        "flickr8k train": 12,
        "coco train": 4,
        "named train": 6,
        "samples": 4,
        "stamps": 2,
        "flickr8k dev": 4,
        "coco dev": 2,
        "named dev": 2,
        "coco calibration": 2,  # of three without a sentence, every other one
    }
    numbers = np.sort(np.concatenate(list(data.sets.values())))
    assert numbers.tolist() == list(range(len(data.images))), "each picture is in one set"
    assert all(path.is_file() for path in data.images)
    first = int(data.sets["flickr8k train"][0])
    assert data.captions(first) == ("a photo of red", "a picture of red")
    assert data.sentences[first]["de"] == ("ein Bild in rot",)
    assert data.names[data.sets["samples"][0]] == ("red", "a photo of a red")
    coco = int(data.sets["coco dev"][0])
    assert data.names[coco] == ("blue", "a blue", "square", "a square", "a blue and a square")
    assert data.names[data.sets["stamps"][1]] == ("A green picture",)


def test_keywords_are_what_several_captions_name() -> None:
    walls = [[f"A man stands in front of a brick wall , number {number} ."] for number in range(12)]
    others = [["Two dogs run .", "a dog"] for _ in range(120)]
    keywords, spoken = caption_keywords([*walls, *others])
    assert set(keywords) == {"man", "stands", "man stands", "brick", "wall", "brick wall", "number", "wall number"}
    assert [{keywords[number] for number in own} for own in spoken[:12]] == [set(keywords)] * 12
    assert spoken[12:] == [[]] * 120  # a word of most images is uninformative


def test_keywords_are_trained_with_the_pictures_that_they_are_true_of(data_folder: Path) -> None:
    data = load_training_data(data_folder)
    spoken = tuple((("even", "odd")[number % 2], "all") for number in range(len(data.images)))
    data = replace(data, keywords=("even", "odd", "all"), spoken=spoken)
    batches = Batches(replace(material_of(data)), np.random.default_rng(0), torch.device("cpu"))
    chosen = np.array([3, 4, 7])
    places, keywords, true = batches.keyworded(chosen)
    assert places.tolist() == [0, 1, 2]
    for column, keyword in enumerate(keywords):
        assert true[:, column].tolist() == [keyword in ("all", "even" if n % 2 == 0 else "odd") for n in chosen]


def test_names_are_true_of_their_pictures_only() -> None:
    group = NamedSet(np.array([7, 8, 9]), [("a", "b"), (), ("b",)])
    assert group.pictures.tolist() == [7, 9]
    pictures, phrases, true = group.draw(2, np.random.default_rng(0))
    for row, picture in enumerate(pictures):
        own = {7: {"a", "b"}, 9: {"b"}}[int(picture)]
        assert true[row].tolist() == [phrase in own for phrase in phrases]


def test_the_stamps_can_be_left_out(data_folder: Path) -> None:
    whole, without = load_training_data(data_folder), load_training_data(data_folder, stamps=False)
    stamps = [path for path in whole.images if "tuxpaint-stamps" in path.parts]
    assert len(stamps) == 2
    assert [path for path in whole.images if path not in stamps] == list(without.images)


@pytest.mark.long
def test_evidence_of_english_is_what_english_texts_have() -> None:
    tokenizer = tiny_tokenizer()
    evidence = fit_evidence(["a photo", "a picture"] * 4000, ["red blue", "green"] * 4000, tokenizer, seed=0)
    ids = [torch.tensor(own) for own in token_ids(["a photo", "red", "a red blue green"], tokenizer)]
    logits = [float(evidence[torch.cat([own, pair_rows(own, len(WORDS))])].sum()) for own in ids]
    assert logits[0] > 0.5 and logits[1] < -0.5 and logits[2] < 0


def test_four_bits_keep_a_table() -> None:
    table = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    table[3] = 0.0
    packed = PackedTable(table)
    rows = packed(torch.arange(50)[None])[0].numpy()
    assert packed.get_buffer("packed").shape == (50, 16)
    kept = np.delete(np.arange(50), 3)
    cosines = (
        (rows * table).sum(axis=1)[kept] / np.linalg.norm(rows[kept], axis=1) / np.linalg.norm(table[kept], axis=1)
    )
    assert cosines.min() > 0.98


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
    for view in (whole_view(image, 20), mirrored_view(image, 20)):
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


def tiny_encoder() -> UniversalSentenceEncoder:
    """The many-language encoder with random weights and a table of 20 pieces."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"cnn_W": (1280, 512), "cnn_b": (512,), "ln_g": (1280,), "ln_b": (1280,)}
    shapes |= {
        "d0": (512, 320),
        "d1": (320, 320),
        "d2": (320, 512),
        "d3": (512, 512),
        "p1": (512, 320),
        "p3": (320, 512),
    }
    for order in (2, 3, 5):
        shapes |= {f"proj{order}": (512, 256), f"proj_b{order}": (256,), f"ln_g{order}": (256,), f"ln_b{order}": (256,)}
        shapes |= {f"{name}_{order}": (256 * order, 256) for name in ("w1", "w2")}
        shapes |= {f"{name}_{order}": (256,) for name in ("b1", "b2")}
    weights = {name: random.normal(0, 0.05, size=shape).astype(np.float32) for name, shape in shapes.items()}
    return UniversalSentenceEncoder(
        {**weights, "eps": np.float32(1e-6)}, random.normal(size=(20, 512)).astype(np.float32)
    ).eval()


def test_pieces_of_a_text_are_averaged_with_and_without_padding() -> None:
    torch.manual_seed(0)
    pieces = PieceBag(torch.randn(20, 8), width=4, dropout=0.5).eval()
    ids, starts = torch.tensor([1, 7, 2, 1, 2]), torch.tensor([0, 3])
    padded, mask = torch.tensor([[1, 7, 2], [1, 2, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    torch.testing.assert_close(pieces.of_bags(ids, starts), pieces(padded, mask))
    pieces.train()
    dropped = (pieces.of_bags(ids.repeat(100), torch.arange(0, 500, 5)) == 0).all(dim=1)
    assert 0 < dropped.sum() < 100, "a text keeps all of its pieces or none"


@pytest.mark.filterwarnings("ignore")  # of the exporter and the quantizer, which are not ours
def test_exported_towers_keep_the_contract_and_the_embeddings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    image_tower = TinyImageTower()
    head = TextHead(identity_projection(16, 16), world_width=512 + 4, hidden=24, dropout=0.0)
    head.meanings = Meanings(nn.functional.normalize(torch.randn(40, 16), dim=1))
    evidence = torch.randn(len(WORDS) + PAIRS, 1)
    pieces = PieceBag(torch.randn(20, 8), width=4, dropout=0.3)
    text_tower = TextTower(Bert(BERT), tiny_encoder(), pieces, evidence, head).eval()
    export_towers(image_tower, text_tower, tmp_path, 12)
    pixels = np.random.default_rng(0).integers(0, 256, size=(3, 12, 12, 3), dtype=np.uint8)
    images = open_session(tmp_path / "image.onnx").run(["image_embeddings"], {"pixels": pixels})[0]
    ids = np.array([[2, 4, 8, 3, 0], [2, 9, 4, 10, 3], [2, 3, 0, 0, 0]])
    others = np.array([[1, 12, 2], [1, 7, 2], [1, 2, 0]])
    fed = {"input_ids": ids, "attention_mask": ids > 0, "input_ids_2": others, "attention_mask_2": others > 0}
    fed = {name: values.astype(np.int64) for name, values in fed.items()}
    texts = open_session(tmp_path / "text.onnx").run(["text_embeddings"], fed)[0]
    with torch.inference_mode():
        exact_images = image_tower(torch.from_numpy(pixels)).numpy()
        exact_texts = text_tower(*(torch.from_numpy(values) for values in fed.values())).numpy()
    for exact, exported in ((exact_images, images), (exact_texts, texts)):
        assert exported.shape == exact.shape == (3, 16)
        assert (unit(exact) * unit(exported)).sum(axis=1).min() > 0.99


def test_padding_changes_no_sentence() -> None:
    encoder = tiny_encoder()
    alone = torch.tensor([[1, 12, 2]])
    padded = torch.tensor([[1, 12, 2, 0, 0], [1, 7, 8, 9, 2]])
    with torch.inference_mode():
        first = encoder(alone, torch.ones_like(alone))
        both = encoder(padded, torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]))
    assert torch.allclose(first[0], both[0], atol=1e-5)


def test_a_loaded_tokenizer_cuts_and_pads_to_the_longest(tmp_path: Path) -> None:
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json", 6)
    assert [len(encoding.ids) for encoding in tokenizer.encode_batch(["red", "a photo of a red"])] == [6, 6]
    assert len(tokenizer.encode("a photo " * 40).ids) == 6
    assert len(tokenizer.encode("red").ids) == 3


def test_a_text_takes_the_place_of_the_word_that_it_means() -> None:
    torch.manual_seed(0)
    words = nn.functional.normalize(torch.randn(50, 64), dim=1)
    meant = nn.functional.normalize(words[:3] + 0.05 * torch.randn(3, 64), dim=1)
    sentences = nn.functional.normalize(torch.randn(3, 64), dim=1)
    drawn = Meanings(words)(torch.cat([meant, sentences]))
    assert ((drawn[:3] * words[:3]).sum(dim=1) > 0.999).all()
    assert ((drawn[3:] * sentences).sum(dim=1) > 0.99).all()


def test_a_cut_vocabulary_can_still_spell_everything() -> None:
    special = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("x", 0.0), ("y", 0.0), ("z", 0.0)]
    pieces = [("\u2581dog", -1.0), ("\u2581snow", -2.0), ("\u2581", -3.0), *((letter, -4.0) for letter in "dogsnwcat")]
    whole = Pieces((*special, *pieces, ("\u2581cat", -5.0), ("\u03b1", -6.0)), tuple(range(6 + 14)))
    cut = cut_pieces(whole, ["cat"], [], count=18)
    kept = [piece for piece, _ in cut.scores]
    assert "\u2581cat" in kept and "\u2581dog" in kept and "\u03b1" not in kept
    assert set("dogsnwcat") <= set(kept)
    assert [whole.scores[row] for row in cut.rows] == list(cut.scores)


def test_listed_words_are_complete_and_the_held_out_ones_are_in_no_translation(data_folder: Path) -> None:
    words = listed_words()
    assert sum(word.held_out for word in words) == 60
    assert all(set(word.translations) == set(FOREIGN) and all(map(all, word.translations.values())) for word in words)
    assert not {word.english for word in words if word.held_out} & set(everyday_words()["de"])
    found = load_translations(data_folder, ("elephant",), seed=0)
    assert not {word.english for word in words if word.held_out} & {own.english for own in found}
    german = {own.text for own in found if (own.language, own.english) == ("de", "tree")}
    assert {"Baum", "ein Foto von Baum"} <= german
    assert Translation("de", "weiß", "white") in found  # of the samples' names
    assert any(own.language == "en" and own.text != "elephant" for own in found if own.english == "elephant")


@pytest.mark.parametrize(
    ("text", "bare"), [("köpek", "kopek"), ("Łódź", "Lodz"), ("ガ", "ガ"), ("й", "й"), ("dog", "dog")]
)
def test_diacritics_are_left_out_of_latin_letters_only(text: str, bare: str) -> None:
    assert without_diacritics(text) == bare


@pytest.mark.long
def test_languages_bring_a_text_to_what_it_means(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "FEWEST_PICTURES", 1)
    torch.manual_seed(0)
    data = load_training_data(data_folder)
    spoken = tuple((("even", "odd")[number % 2],) for number in range(len(data.images)))
    data = replace(data, keywords=("even", "odd"), spoken=spoken)
    german = [text for own in data.sentences for text in own.get("de", ())]
    english = TextNumbers([*english_texts(data), "dog"]).texts
    numbers = TextNumbers([*english, *german, "Hund", "chien"])
    tokens = [[number % 20, (7 * number) % 20] for number in range(len(numbers.texts))]
    features = TextFeatures(torch.randn(len(english), 16).half(), torch.randn(len(numbers.texts), 1281).half(), tokens)
    head = TextHead(identity_projection(16, 16), world_width=512 + 4, hidden=24, dropout=0.0)
    model = LanguageModel(tiny_encoder(), PieceBag(torch.randn(20, 8), width=4, dropout=0.3), head)
    translations = [Translation("de", "Hund", "dog", True), Translation("fr", "chien", "dog")]
    space = Space(torch.randn(3, len(data.images), 16).half(), features, 10.0)
    stage = LanguageStage(steps=30, english=8, foreign=8, translations=8, named_batch=4, words=4, lr=1e-2)
    stages = (stage, replace(stage, steps=20))

    def similarity() -> float:
        texts = features.batch(numbers(["Hund", "chien", "dog"]))
        world = model.world(texts)
        return float((world[:2] @ model.both(texts, world)[2]).mean().detach())

    before = similarity()
    fit_languages(
        model, space, data, LanguageTexts(numbers, translations, ["dog"]), stages=stages, rng=np.random.default_rng(0)
    )
    assert similarity() > max(0.8, before + 0.3)
