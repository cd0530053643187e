"""Named concepts: fitted, kept, used in queries, taught further, and fitted again for another model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.catalog.concepts import ConceptRepository
from clipsearch.catalog.models import ModelRepository
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.reports import IndexProgress
from clipsearch.errors import ConfigError, ImageReadError, LibraryError, QueryError
from clipsearch.labeling.concepts.active_learning import most_useful
from clipsearch.labeling.concepts.examples import draw_negatives, drop_nearest
from clipsearch.labeling.concepts.fitting import TEXT_WORTH, blend, fit_concept, text_share
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, Notes, OpenCatalog, save_photo

NONE = np.empty((0, 16), np.float32)
SHADES = {"red": (230, 30, 30), "green": (30, 160, 40), "blue": (40, 60, 220), "grey": (128, 128, 128)}


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of six shades of each colour, and its photos; to be copied."""
    folder = tmp_path_factory.mktemp("shades")
    for colour, rgb in SHADES.items():
        for number in range(6):
            darker = tuple(max(0, value - 7 * number) for value in rgb)
            save_photo(folder / "photos" / colour / f"{colour}{number}.png", darker)  # type: ignore[arg-type]
    with Library.open(folder / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(folder / "photos")
        library.search("red")
    return folder


@pytest.fixture
def photos(shades: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shades / "photos", tmp_path / "photos"))


@pytest.fixture
def library(
    shades: Path,
    photos: Path,
    tmp_path: Path,
    open_library: Callable[..., Library],
) -> Library:
    """A library of its own over `photos`, which can load the other model, too."""
    shutil.copytree(shades / "library", tmp_path / "library")
    opened = open_library()
    (root,) = opened.roots.all()
    opened.roots.move(root.path, photos)
    return opened


@pytest.fixture
def red(library: Library, photos: Path) -> Library:
    """The library with the concept @red."""
    library.concepts.add("red", [photos / "red/red0.png", photos / "red/red5.png"])
    return library


def names(library: Library, line: str, k: int = 6) -> list[str]:
    return [result.path.stem for result in library.search(line, k=k)]


def random_units(count: int, *, seed: int, around: int | None = None, dim: int = 16) -> FloatMatrix:
    """Random unit rows, or such that lie around an axis."""
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    if around is not None:
        rows[:, around] += 12
    return l2_normalize(rows)


# --- fitting ----------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(positives=st.integers(1, 10), negatives=st.integers(0, 4), drawn=st.integers(1, 30), seed=st.integers(0, 999))
def test_positives_rank_above_all_others_where_they_can_be_told_apart(
    positives: int, negatives: int, drawn: int, seed: int
) -> None:
    shown = random_units(positives, seed=seed, around=0)
    others = random_units(negatives, seed=seed + 1, around=1), random_units(drawn, seed=seed + 2, around=2)
    for text in (None, random_units(1, seed=seed + 3, around=0)[0]):
        fit = fit_concept(shown, negatives=others[0], drawn=others[1], text=text)
        rest = np.concatenate(others)
        assert (shown @ fit.direction).min() > (rest @ fit.direction).max()
        assert fit.probabilities(shown).min() > fit.probabilities(rest).max() and fit.scale > 0
        assert np.linalg.norm(fit.direction) == pytest.approx(1, abs=1e-5)
        again = fit_concept(shown, negatives=others[0], drawn=others[1], text=text)
        assert np.array_equal(fit.direction, again.direction) and fit.intercept == again.intercept
        assert (fit.positives, fit.negatives, fit.drawn) == (positives, negatives, drawn)


def test_the_share_of_the_text_falls_with_each_example() -> None:
    shares = [text_share(count) for count in (1, 2, 4, 8, 16, TEXT_WORTH, 1000)]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.9 and shares[-1] < 0.05
    assert text_share(TEXT_WORTH) == 0.5


def test_a_blend_adds_scores_in_units_of_their_spread_over_others() -> None:
    others, text = random_units(50, seed=1), random_units(1, seed=2)[0]
    probe = 1000 * random_units(1, seed=3)[0].astype(np.float64)
    half = others @ blend(probe, text, others, share=0.5)
    expected = 0.5 * (others @ text) / (others @ text).std() + 0.5 * (others @ probe) / (others @ probe).std()
    assert np.allclose(half, expected)
    assert np.allclose(blend(probe, text, others, share=1.0) * (others @ text).std(), text)


def test_with_one_picture_and_nothing_to_compare_with_the_picture_is_looked_for() -> None:
    (picture,) = random_units(1, seed=1)
    fit = fit_concept(picture[None], negatives=NONE, drawn=NONE)
    assert np.allclose(fit.direction, picture, atol=1e-6) and fit.text_share == 0
    text = random_units(1, seed=2)[0]
    blended = fit_concept(picture[None], negatives=NONE, drawn=NONE, text=text).direction
    assert blended @ text > blended @ picture > random_units(1, seed=2)[0] @ picture


def test_what_a_person_rejects_counts_as_much_as_all_that_is_drawn() -> None:
    shown, rejected, drawn = (random_units(count, seed=count, around=axis) for count, axis in ((3, 0), (1, 1), (60, 2)))
    fit = fit_concept(shown, negatives=rejected, drawn=drawn)
    apart = fit_concept(shown, negatives=NONE, drawn=np.concatenate([rejected, drawn]))
    assert (rejected @ fit.direction)[0] < (rejected @ apart.direction)[0] - 0.1


def test_examples_that_contradict_the_text_win_where_there_are_enough() -> None:
    """The text points at what is drawn from the library: measured on eight held-out pictures."""
    shown, drawn = random_units(10, seed=1, around=0), random_units(40, seed=2, around=2)
    text = random_units(1, seed=3, around=2)[0]
    few, enough = (fit_concept(shown[:count], negatives=NONE, drawn=drawn, text=text) for count in (4, 10))
    assert few.text_share == text_share(4) and enough.text_share < 0.5
    assert (shown @ enough.direction).min() > (drawn @ enough.direction).max()


def test_negatives_are_drawn_from_the_library_but_not_near_to_a_positive(
    library: Library, open_catalog: OpenCatalog
) -> None:
    store, model = open_catalog(library), library.active_model()
    assert model is not None
    reds = library.search("red", k=6)
    found = [store.embedding_of(result.content_hash, model.id) for result in reds]
    vectors = l2_normalize(np.stack([item[1] for item in found if item is not None]))
    drawn = draw_negatives(store, model, vectors[:1], excluded=[reds[0].content_hash])
    assert len(drawn) == 20 and np.array_equal(
        drawn, draw_negatives(store, model, vectors[:1], excluded=[reds[0].content_hash])
    )
    kept = {row.tobytes() for row in drawn}
    assert not [row for row in vectors[1:3] if row.astype(np.float16).astype(np.float32).tobytes() in kept]
    assert drop_nearest(vectors, vectors[2:3]).tolist() == [0, 1, 3, 4, 5]
    assert drop_nearest(vectors[:0], vectors).tolist() == []


# --- suggestions ------------------------------------------------------------------------------------------


def test_suggestions_are_in_doubt_and_unlike_each_other() -> None:
    (one, other) = random_units(2, seed=5)
    embeddings = np.stack([one, one, other, one])
    doubt = np.array([0.5, 0.49, 0.3, 0.99])
    assert most_useful(doubt, embeddings, count=2) == [0, 2], "the second is the first once more"
    assert most_useful(doubt, embeddings, count=9)[:2] == [0, 2] and len(most_useful(doubt, embeddings, count=9)) == 4
    assert most_useful(doubt[:0], embeddings[:0], count=3) == []


def test_examples_are_not_suggested_and_what_is_confirmed_is_not_again(red: Library, photos: Path) -> None:
    found = red.concepts.suggest("red", k=50)
    assert len(found) == 22 and not {"red0", "red5"} & {item.path.stem for item in found}
    assert all(0 <= item.probability <= 1 for item in found)
    assert found == red.concepts.suggest("@RED", k=50)
    red.concepts.reject("red", found[0].path)
    assert found[0].path not in [item.path for item in red.concepts.suggest("red", k=50)]
    with pytest.raises(QueryError, match="k must be at least 1"):
        red.concepts.suggest("red", k=0)
    with pytest.raises(ConfigError, match="no concept @rad; did you mean @red"):
        red.concepts.suggest("rad")


# --- in queries -------------------------------------------------------------------------------------------


def test_a_concept_ranks_by_its_examples(red: Library) -> None:
    assert sorted(names(red, "@red")) == [f"red{number}" for number in range(6)]
    assert not {name[:3] for name in names(red, "-@red")} & {"red"}
    assert {name[:4] for name in names(red, "@red folder:blue")} == {"blue"}
    assert names(red, "@red 20:blue")[0].startswith("blue") and names(red, "20:@red blue")[0].startswith("red")
    assert all(result.match is None for result in red.search("@red"))


@pytest.mark.parametrize("line", ["@red", "blue @red", "@red -blue"])
def test_how_well_pictures_match_a_concept_is_not_told(red: Library, line: str) -> None:
    with pytest.raises(QueryError, match="only with text queries"):
        red.search(line, min_match="possible")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("blue @rde", "column 6: the library has no concept @rde; did you mean @red?"),
        ('-2:@"my dog"', 'column 4: the library has no concept @"my dog"; see: clipsearch concept list'),
    ],
)
def test_an_unknown_name_is_told_with_its_place_and_the_nearest(red: Library, line: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        red.search(line)
    assert str(caught.value) == message


def test_without_any_concept_the_way_to_one_is_told(library: Library) -> None:
    with pytest.raises(QueryError, match="no concept @rex; see: clipsearch concept add --help"):
        library.search("@rex")


def test_saved_and_explained_like_any_other_query(red: Library, photos: Path) -> None:
    red.saved.add("reds", "@Red folder:red")
    assert red.saved.get("reds").line == "@Red folder:red"
    save_photo(photos / "red" / "new.png", "red")
    red.index()
    assert [match.count for match in red.saved.new_matches()] == [1]
    assert red.explain(photos / "red" / "red1.png", "@red").score > 0


# --- teaching ---------------------------------------------------------------------------------------------


def test_pictures_outside_of_the_library_and_earlier_results_are_examples(library: Library, tmp_path: Path) -> None:
    outside = save_photo(tmp_path / "elsewhere" / "caf\udce9.png", "red")
    (result,) = library.search("red", k=1)
    shown = library.concepts.add(" @Réd  thing ", [outside, f"~#{result.content_hash[:8]}"], text=" red ")
    assert (shown.name, shown.text, shown.positives, shown.negatives) == ("Réd thing", "red", 2, 0)
    assert {(item.path, item.in_library) for item in shown.examples} == {(outside, False), (result.path, True)}
    assert names(library, '@"réd thing"')[0].startswith("red")
    assert [item.examples for item in library.concepts.all()] == [library.concepts.get("RÉD THING").examples]


def test_a_picture_whose_drive_is_not_there_is_an_example(library: Library, photos: Path) -> None:
    photos.rename(photos.with_name("unplugged"))
    shown = library.concepts.add("red", [photos / "red/red0.png"])
    assert [item.path for item in shown.examples] == [photos / "red/red0.png"]
    with pytest.raises(ImageReadError, match="nowhere"):
        library.concepts.confirm("red", photos / "nowhere.png")


def test_confirming_and_rejecting_fit_again(red: Library, photos: Path) -> None:
    before = red.concepts.get("red").fit
    after = red.concepts.reject("red", photos / "red/red3.png", photos / "grey/grey0.png")
    assert before is not None and after.fit is not None
    assert (after.positives, after.negatives, after.fit.negatives) == (2, 2, 2)
    assert not np.array_equal(before.direction, after.fit.direction)
    changed = red.concepts.confirm("red", photos / "red/red3.png")
    assert (changed.positives, changed.negatives) == (3, 1)
    with pytest.raises(ConfigError, match="@red would have no positive example left"):
        red.concepts.reject("red", *(photos / "red" / f"red{number}.png" for number in (0, 3, 5)))
    assert red.concepts.get("red").positives == 3


def test_pictures_are_taught_while_another_process_writes(red: Library, photos: Path) -> None:
    with writer_lock(red.path):
        assert red.concepts.confirm("red", photos / "red/red2.png").positives == 3


def test_a_fit_of_older_examples_is_not_kept(red: Library, photos: Path, open_catalog: OpenCatalog) -> None:
    concepts, model = open_catalog(red).concepts, red.active_model()
    (old,) = concepts.all()
    fit = red.concepts.get("red").fit
    assert model is not None and fit is not None
    red.concepts.confirm("red", photos / "red/red2.png")
    concepts.put_fit(old, model.id, fit)
    kept = concepts.fit(old.id, model.id)
    assert kept is not None and kept.positives == 3


@pytest.mark.parametrize("name", ["", " ", "@", "-x", "@@x", "a\nb", "\x1b[31m", "x" * 101, "caf\udce9", "a\u202eb"])
def test_what_cannot_be_a_name(library: Library, photos: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="the name of a concept must have"):
        library.concepts.add(name, [photos / "red/red0.png"])
    assert library.concepts.all() == []


@pytest.mark.parametrize("name", ["ünï 😀", 'a "quoted" one', "'; DROP TABLE concepts; --", "%_", "x:y", "2021"])
def test_every_other_name_can_be_searched_for_and_forgotten(library: Library, photos: Path, name: str) -> None:
    library.concepts.add(name, [photos / "red/red0.png"])
    quoted = name.replace('"', '""')
    assert names(library, f'@"{quoted}"', k=1) == ["red0"]
    assert library.concepts.remove(name).name == name
    assert library.concepts.all() == []


def test_what_is_refused_changes_nothing(red: Library, photos: Path) -> None:
    one = photos / "blue/blue0.png"
    with pytest.raises(ConfigError, match="@red is already a concept"):
        red.concepts.add("RED", [one])
    with pytest.raises(ConfigError, match="at least one picture is required"):
        red.concepts.add("blue", [])
    with pytest.raises(ConfigError, match="both as a positive and as a negative example"):
        red.concepts.add("blue", [one], negatives=[one])
    with pytest.raises(ConfigError, match="the text of the concept is empty"):
        red.concepts.add("blue", [one], text=" ")
    with pytest.raises(ConfigError, match="at least one picture is required"):
        red.concepts.confirm("red")
    for unknown in ("~#abcdef01", "~#zz"):
        with pytest.raises(QueryError):
            red.concepts.confirm("red", unknown)
    assert [(shown.name, shown.positives) for shown in red.concepts.all()] == [("red", 2)]


# --- another model ----------------------------------------------------------------------------------------


def test_a_change_of_the_model_fits_again(red: Library) -> None:
    before = red.concepts.get("red")
    assert before.fit is not None and (before.model, len(before.fit.direction)) == ("hf-hub:tests/colours", 16)
    steps: list[IndexProgress] = []
    assert red.migrate("hf-hub:tests/other-colours", drop_old=True, progress=steps.append).concepts == 1
    assert [(item.done, item.total) for item in steps if item.of == "concept"] == [(0, 1), (1, 1)]
    after = red.concepts.get("red")
    assert after.fit is not None and (after.model, len(after.fit.direction)) == ("hf-hub:tests/other-colours", 24)
    assert sorted(names(red, "@red")) == [f"red{number}" for number in range(6)]
    red.migrate("hf-hub:tests/colours", drop_old=True)
    assert sorted(names(red, "@red")) == [f"red{number}" for number in range(6)]
    again = red.concepts.get("red").fit
    assert again is not None and np.allclose(again.direction, before.fit.direction, atol=1e-3)


@pytest.mark.long
def test_what_is_fitted_for_the_new_model_is_what_the_first_search_would_have_fitted(
    red: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.migrate.fit_all", lambda *_, **__: 0)
    red.migrate("hf-hub:tests/other-colours")
    assert red.concepts.get("red").fit is None
    red.search("@red")
    lazily = red.concepts.get("red").fit
    monkeypatch.undo()
    red.migrate("hf-hub:tests/colours", drop_old=True)
    red.migrate("hf-hub:tests/other-colours")
    at_once = red.concepts.get("red").fit
    assert lazily is not None and at_once is not None
    assert np.array_equal(lazily.direction, at_once.direction) and lazily.intercept == at_once.intercept


def test_going_back_to_a_model_fits_nothing_that_is_fitted(red: Library, photos: Path) -> None:
    red.concepts.add("blue", [photos / "blue/blue0.png"])
    assert red.migrate("hf-hub:tests/other-colours").concepts == 2
    red.concepts.confirm("blue", photos / "blue/blue1.png")
    assert red.migrate("hf-hub:tests/colours").concepts == 1


def test_a_search_with_the_old_model_during_a_migration_uses_its_own_fit(
    red: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Library.open(tmp_path / "library", encoder=ColourEncoder())
    activate, found = ModelRepository.activate_known, []

    def watching(table: ModelRepository, model: ModelRecord) -> None:
        found.append(sorted(names(reader, "@red")))
        activate(table, model)

    monkeypatch.setattr(ModelRepository, "activate_known", watching)
    red.migrate("hf-hub:tests/other-colours")
    assert found == [[f"red{number}" for number in range(6)]]
    reader.close()


def test_an_outside_picture_is_embedded_again_from_its_preview(library: Library, tmp_path: Path) -> None:
    outside = save_photo(tmp_path / "elsewhere.png", "red")
    library.concepts.add("red", [outside])
    outside.unlink()
    library.migrate("hf-hub:tests/other-colours", drop_old=True)
    assert sorted(names(library, "@red")) == [f"red{number}" for number in range(6)]


def test_pictures_that_are_gone_are_left_out_after_a_change_of_the_model(
    red: Library, photos: Path, notes: Notes
) -> None:
    for place in (photos / "red").iterdir():
        place.unlink()
    red.index(prune=True)
    red.maintenance.compact()
    assert names(red, "@red", k=1), "what the model made of them is kept"
    report = red.migrate("hf-hub:tests/other-colours", drop_old=True)
    assert (report.switched, report.concepts) == (True, 0)
    cannot = "cannot fit @red for the model hf-hub:tests/other-colours: none of the"
    assert any(note.startswith(cannot) for note in notes)
    assert any("2 of 2 examples of @red are ignored" in note for note in notes)
    with pytest.raises(QueryError, match="none of the positive examples of @red can be embedded"):
        red.search("@red")
    assert red.concepts.confirm("red", photos / "blue/blue0.png").positives == 3
    assert names(red, "@red", k=1) == ["blue0"]


def test_a_library_that_cannot_be_written_to_is_searched_all_the_same(
    red: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LibraryError("read-only")

    monkeypatch.setattr(ConceptRepository, "put_fit", refuse)
    monkeypatch.setattr(ConceptRepository, "put_vectors", refuse)
    red.migrate("hf-hub:tests/other-colours")
    assert red.concepts.get("red").fit is None
    assert names(red, "@red", k=1)[0].startswith("red")


# --- export -----------------------------------------------------------------------------------------------


def test_an_export_has_the_direction_and_the_hashes(red: Library, tmp_path: Path) -> None:
    red.concepts.export("red", tmp_path / "red.json")
    written = json.loads((tmp_path / "red.json").read_text())
    shown = red.concepts.get("red")
    assert shown.fit is not None
    assert written["model"] == {"spec": "hf-hub:tests/colours", "fingerprint": ColourEncoder.fingerprint, "dim": 16}
    assert np.allclose(written["fit"]["direction"], shown.fit.direction)
    assert written["examples"] == [{"content_hash": item.content_hash, "positive": True} for item in shown.examples]
    with pytest.raises(ConfigError, match="already exists"):
        red.concepts.export("red", tmp_path / "red.json")
    with pytest.raises(ConfigError, match="cannot write"):
        red.concepts.export("red", tmp_path / "nowhere" / "red.json")
