"""Filtered search is exact: the same as filtering and ranking everything by hand."""

from __future__ import annotations

import fnmatch
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.errors import QueryError
from clipsearch.library import Library
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.models.encoder import l2_normalize
from clipsearch.query import And, Condition, DateRange, Filter, Near, Not, Or, Size, parse_query, same_extensions
from clipsearch.retrieval.results import Sort
from tests.conftest import OpenCatalog, mostly_long

COUNT = 5_000
DIM = 16
CAMERAS = ("FUJIFILM X-T3", "Canon EOS R5", "Café Ünicode", None)
LENSES = ("XF35mmF2", "100% macro_lens", None)
FOLDERS = ("", "2021/Crete", "2021/crete/beach", "Été", "work")
EXTENSIONS = ("jpg", "JPEG", "png", "heic")
KEYWORDS = ("family", "Sea", "Straße")


@dataclass(frozen=True)
class Row:
    """What the reference knows of a file."""

    path: str
    root: str
    size: int
    image: NewImage


class FixedEncoder:
    """Embeds any text as the same direction."""

    spec, fingerprint, dim, device, precision = "fixed", "0" * 16, DIM, "cpu", "fp32"
    parity = None

    def __init__(self, direction: np.ndarray) -> None:
        self.transform = SimpleNamespace(min_side=8)
        self._direction = direction

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        return np.repeat(self._direction[None], len(texts), axis=0)


@dataclass
class Synthetic:
    library: Library
    rows: list[Row]
    scores: np.ndarray

    def expected(self, passes: Callable[[Row], bool]) -> list[tuple[float, str]]:
        """All that pass, best first, ranked with the vectors as they are stored."""
        found = [(score, row) for score, row in zip(self.scores, self.rows, strict=True) if passes(row)]
        return [(float(score), f"{row.root}/{row.path}") for score, row in sorted(found, key=lambda pair: -pair[0])]


def random_metadata(rng: np.random.Generator) -> ImageMetadata:
    place = (None, None) if rng.random() < 0.4 else (rng.uniform(-89, 89), rng.uniform(-180, 180))
    if rng.random() < 0.05:
        place = (35.3 + rng.normal(0, 0.2), 25.1 + rng.normal(0, 0.2))
    taken = None if rng.random() < 0.2 else datetime(2015, 1, 1) + timedelta(minutes=int(rng.integers(4_000_000)))
    return ImageMetadata(
        taken_at=taken,
        camera=CAMERAS[rng.integers(4)],
        lens=LENSES[rng.integers(3)],
        focal_length_mm=None if rng.random() < 0.3 else float(rng.integers(10, 200)),
        f_number=None if rng.random() < 0.3 else float(rng.choice([1.4, 2, 2.8, 4, 5.6])),
        iso=None if rng.random() < 0.3 else int(rng.choice([100, 200, 400, 1600, 6400])),
        rating=None if rng.random() < 0.5 else int(rng.integers(-1, 6)),
        latitude=place[0],
        longitude=place[1],
        title="Wedding of Ö" if rng.random() < 0.01 else None,
        caption="a harbour_at 50%" if rng.random() < 0.02 else None,
        keywords=tuple(word for word in KEYWORDS if rng.random() < 0.1),
    )


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    rng = np.random.default_rng(0)
    base = tmp_path_factory.mktemp("synthetic")
    store = Catalog(base / "library", create=True) if (base / "library").mkdir() is None else None
    assert store is not None
    model = store.models.activate(spec="fixed", fingerprint="0" * 16, dim=DIM, precision="fp32")
    roots = {name: base / name for name in ("photos", "USB")}
    (base / "photos").mkdir()  # the other one is offline
    (base / "photos" / "x").touch()
    vectors = l2_normalize(rng.normal(size=(COUNT, DIM)))
    rows: list[Row] = []
    for name, path in roots.items():
        root_id = store.roots.add(path)
        numbers = range(0, COUNT, 2) if name == "photos" else range(1, COUNT, 2)
        images, embeddings, files = [], [], []
        for number in numbers:
            digest = f"{number:032x}"
            width, height = (int(side) for side in rng.choice([800, 1000, 2400, 6000], size=2))
            image = NewImage(digest, width, height, "JPEG", random_metadata(rng))
            relative = f"{FOLDERS[rng.integers(5)]}/IMG_{number:05}.{EXTENSIONS[rng.integers(4)]}".lstrip("/")
            size = int(rng.integers(10_000, 20_000_000))
            images.append(image)
            embeddings.append(NewEmbedding(digest, vectors[number]))
            files.append(FileRecord(relative, size, 0, digest))
            rows.append(Row(relative, str(path), size, image))
        store.commit(Batch(root_id, images, embeddings, files), model.id)
    store.close()
    direction = l2_normalize(rng.normal(size=(1, DIM)))[0]
    order = [int(row.image.content_hash, 16) for row in rows]
    scores = vectors[order].astype(np.float16).astype(np.float32) @ direction
    library = Library.open(base / "library", encoder=FixedEncoder(direction))  # type: ignore[arg-type]
    yield_ = Synthetic(library, rows, scores)
    return yield_


def folded(text: str) -> str:
    """A text as filters compare it."""
    return unicodedata.normalize("NFKC", text).casefold()


def passes(filter_: Filter, row: Row) -> bool:
    """The reference: what the documentation of the query language says, one picture at a time."""
    if isinstance(filter_, And):
        return all(passes(part, row) for part in filter_.parts)
    if isinstance(filter_, Or):
        return any(passes(part, row) for part in filter_.parts)
    if isinstance(filter_, Not):
        return not passes(filter_.part, row)
    return condition_holds(filter_, row)


def condition_holds(condition: Condition, row: Row) -> bool:
    value, meta, image = condition.value, row.image.metadata, row.image
    if isinstance(value, DateRange):
        taken = meta.taken_at
        return (
            taken is not None
            and (value.start is None or taken >= value.start)
            and (value.end is None or taken < value.end)
        )
    if isinstance(value, Near):
        return meta.latitude is not None and distance_m(meta.latitude, meta.longitude or 0.0, value) <= value.radius_m
    if isinstance(value, Size):
        amount = {"MP": image.width * image.height / 1e6, "px": max(image.width, image.height), "B": row.size}
        return compared(amount[value.unit], condition.operator, value.amount)
    numbers = {"rating": meta.rating, "iso": meta.iso, "focal": meta.focal_length_mm, "aperture": meta.f_number}
    if condition.field in numbers:
        known = numbers[condition.field]
        assert isinstance(value, int | float)
        return known is not None and compared(known, condition.operator, value)
    assert isinstance(value, str)
    texts = {"camera": meta.camera, "lens": meta.lens, "title": meta.title, "caption": meta.caption}
    if condition.field in texts:
        return folded(value) in folded(texts[condition.field] or "")
    folders = folded(row.path).split("/")[:-1]
    root = Path(row.root)
    by_field: dict[str, Callable[[], bool]] = {
        "path": lambda: fnmatch.fnmatchcase(folded(row.path), folded(value)),
        "folder": lambda: (
            folded(value) in [*folders, *(folded(part) for part in root.parts)]
            if "/" not in value
            else "/".join([*folders, ""]).startswith(folded(value) + "/")
            or folded(f"{row.root}/{row.path}").startswith(folded(value) + "/")
        ),
        "ext": lambda: folded(row.path).rsplit(".", 1)[1] in same_extensions(value),
        "orientation": lambda: {
            "portrait": image.height > image.width,
            "landscape": image.width > image.height,
            "square": image.width == image.height,
            "panorama": max(image.width, image.height) > 2 * min(image.width, image.height),
        }[value],
        "keyword": lambda: folded(value) in [folded(word) for word in meta.keywords],
        "root": lambda: folded(value) in (folded(root.name), folded(row.root)),
        "status": lambda: (root.name == "photos") == (value == "online"),
    }
    return by_field[condition.field]()


def compared(left: float, operator: str, right: float) -> bool:
    return {
        "=": left == right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]


def distance_m(latitude: float, longitude: float, circle: Near) -> float:
    """By the spherical law of cosines, which the program does not use."""
    a, b = math.radians(latitude), math.radians(circle.latitude)
    cosine = math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(
        math.radians(longitude - circle.longitude)
    )
    return 6_371_008.8 * math.acos(max(-1.0, min(1.0, cosine)))


CONDITIONS = (
    "date:2021", "after:2021-06", "before:2016", "date:2018-03-05", "camera:fuji", "camera:ünicode", "camera:CAFÉ",
    'lens:"100% macro_lens"', 'lens:"%"', "iso:>=1600", "iso:100", "focal:24..70mm", "aperture:<2.8", "folder:Crete",
    "folder:ÉTÉ", "folder:2021/crete", "folder:usb", "path:*.heic", "path:2021/*", "path:*_0001?.*", "ext:png",
    "ext:jpg", "size:>2MP", "size:>5MB", "size:1000px", "orientation:portrait", "orientation:panorama",
    "orientation:square", "near:35.3,25.1,20km", "near:35.3,25.1,3000km", "near:0,179.9,500km", "near:89,0,900km",
    "rating:>=4", "rating:-1", "keyword:sea", "keyword:STRASSE", "keyword:straße", "title:wedding", "caption:harbour_",
    "caption:50%", "root:usb", "status:offline", "status:online",
)  # fmt: skip


def check(synthetic: Synthetic, line: str, *, k: int) -> int:
    """Search, compare with the reference, and return how many pass."""
    query = parse_query(line)
    assert query.filter is not None
    expected = synthetic.expected(lambda row: passes(query.filter, row))  # type: ignore[arg-type]
    results = synthetic.library.search(f"anything {line}", k=k)
    assert len(results) == min(k, len(expected)), line
    score_of = {path: score for score, path in expected}
    assert len({result.path for result in results}) == len(results), line
    # every result passes and has its own score; in score they are the best, though the last digit may swap two
    own = [score_of[str(result.path)] for result in results]
    np.testing.assert_allclose([result.score for result in results], own, atol=1e-5)
    np.testing.assert_allclose(own, [score for score, _ in expected[:k]], atol=1e-5)
    return len(expected)


@pytest.mark.parametrize("condition", mostly_long(CONDITIONS, everyday=5))
def test_each_condition_and_its_opposite_are_exact(synthetic: Synthetic, condition: str) -> None:
    passing = check(synthetic, condition, k=COUNT)
    assert check(synthetic, f"not {condition}", k=50) == COUNT - passing


def test_the_conditions_cover_every_selectivity(synthetic: Synthetic) -> None:
    shares = []
    for condition in CONDITIONS:
        filter_ = parse_query(condition).filter
        assert filter_ is not None
        shares.append(sum(passes(filter_, row) for row in synthetic.rows) / COUNT)
    for low, high in ((0, 1e-3), (1e-3, 1e-2), (1e-2, 0.1), (0.1, 0.5), (0.5, 1.0)):
        assert any(low <= share < high for share in shares), (low, high)


@pytest.mark.long
def test_random_combinations_are_exact(synthetic: Synthetic) -> None:
    rng = np.random.default_rng(1)
    selectivities = []
    for _ in range(120):
        parts = [
            ("not " if rng.random() < 0.3 else "") + CONDITIONS[rng.integers(len(CONDITIONS))]
            for _ in range(rng.integers(1, 5))
        ]
        line = parts[0]
        for part in parts[1:]:
            line += (" or " if rng.random() < 0.4 else " ") + part
        selectivities.append(check(synthetic, line, k=int(rng.choice([1, 10, 200]))) / COUNT)
    assert min(selectivities) <= 1e-4 and max(selectivities) > 0.9


def test_one_picture_in_thousands_is_found(synthetic: Synthetic) -> None:
    assert check(synthetic, "path:*/IMG_00777.*", k=10) == 1
    assert check(synthetic, "date:1999", k=10) == 0


def test_pages_follow_each_other(synthetic: Synthetic) -> None:
    whole = synthetic.library.search("anything camera:fuji", k=90)
    pages = [synthetic.library.search("anything camera:fuji", k=30, offset=offset) for offset in (0, 30, 60)]
    assert [result.path for page in pages for result in page] == [result.path for result in whole]
    assert [result.rank for page in pages for result in page] == list(range(1, 91))
    assert synthetic.library.search("anything", k=10, offset=COUNT) == []


def test_filters_alone_give_the_newest_first(synthetic: Synthetic) -> None:
    filter_ = parse_query("camera:fuji folder:crete").filter
    assert filter_ is not None
    rows = [row for row in synthetic.rows if passes(filter_, row)]
    newest = sorted(rows, key=lambda row: row.image.metadata.taken_at or datetime.min, reverse=True)
    results = synthetic.library.search("camera:fuji folder:crete", k=25)
    assert [result.taken_at for result in results] == [row.image.metadata.taken_at for row in newest[:25]]
    assert all(result.score is None for result in results)
    rest = synthetic.library.search("camera:fuji folder:crete", k=10**6, offset=25)
    assert len(rest) == len(rows) - 25
    assert [result.taken_at for result in rest][-1] is None
    by_path = synthetic.library.search("camera:fuji folder:crete", k=25, sort="path")
    assert [str(result.path) for result in by_path] == sorted(f"{row.root}/{row.path}" for row in rows)[:25]


def test_the_best_can_be_shown_in_another_order(synthetic: Synthetic) -> None:
    best = {result.path for result in synthetic.library.search("anything", k=40)}
    by_date = synthetic.library.search("anything", k=40, sort="date")
    assert {result.path for result in by_date} == best
    dates = [result.taken_at for result in by_date if result.taken_at is not None]
    assert dates == sorted(dates, reverse=True)
    assert [result.path for result in synthetic.library.search("anything", k=40, sort="path")] == sorted(best)


@pytest.mark.parametrize("line", ["anything", "anything camera:fuji"])
@pytest.mark.parametrize("sort", ["date", "path"])
def test_the_best_are_in_order_from_page_to_page(synthetic: Synthetic, line: str, sort: Sort) -> None:
    best = synthetic.library.search(line, k=70)
    by_path = sorted(best, key=lambda result: result.path)
    newest = sorted(by_path, key=lambda result: result.taken_at or datetime.min, reverse=True)
    pages = [
        synthetic.library.search(line, k=25, offset=offset, sort=sort, sort_window=70) for offset in range(0, 100, 25)
    ]
    assert [len(page) for page in pages] == [25, 25, 20, 0]
    assert [result for page in pages for result in page] == (by_path if sort == "path" else newest)


@pytest.mark.long
@pytest.mark.parametrize("sort", ["score", "date", "path"])
def test_filters_alone_are_in_order_from_page_to_page(synthetic: Synthetic, sort: Sort) -> None:
    whole = synthetic.library.search("camera:fuji", k=10**6, sort=sort)
    pages = [
        synthetic.library.search("camera:fuji", k=100, offset=offset, sort=sort, sort_window=1)
        for offset in range(0, len(whole), 100)
    ]
    assert [result for page in pages for result in page] == whole
    if sort == "path":
        assert [str(result.path) for result in whole] == sorted(str(result.path) for result in whole)


def test_what_is_like_a_picture_is_filtered_as_a_search_is(synthetic: Synthetic) -> None:
    digest = f"{7:032x}"
    for where in ("camera:fuji rating:>=3", "not camera:fuji or folder:crete", "  "):
        expected = synthetic.library.search(f"~#{digest} {where}", k=300)
        assert len(expected) >= 20
        assert synthetic.library.similar(f"~#{digest}", where=where, k=300) == expected
    assert synthetic.library.similar(f"~#{digest}", where="camera:nobody") == []
    paged = synthetic.library.similar(f"~#{digest}", where="camera:fuji", k=5, offset=5, sort="path", sort_window=20)
    best = synthetic.library.similar(f"~#{digest}", where="camera:fuji", k=20)
    assert paged == sorted(best, key=lambda result: result.path)[5:10]


@pytest.mark.parametrize("where", ["camra:fuji", "a dog", "~#abcdef camera:fuji"])
def test_where_to_look_is_said_by_filters_alone(synthetic: Synthetic, where: str) -> None:
    with pytest.raises(QueryError):
        synthetic.library.similar(f"~#{7:032x}", where=where)


@pytest.mark.parametrize("among", [0, -1])
def test_results_are_put_in_order_among_one_at_least(synthetic: Synthetic, among: int) -> None:
    with pytest.raises(QueryError, match="sort_window must be at least 1"):
        synthetic.library.search("anything", sort="date", sort_window=among)


def test_a_tag_filter_is_exact_whoever_gave_the_tags(synthetic: Synthetic, open_catalog: OpenCatalog) -> None:
    """Given by the model to every third picture, taken from every fifth by a person, given to every seventh."""
    store = open_catalog(synthetic.library)
    model = store.models.active()
    assert model is not None
    contents = list(dict.fromkeys(row.image.content_hash for row in synthetic.rows))
    store.tags.write(model.id, {digest: [("dog", 0.5), ("cat", 0.4)] for digest in contents[::3]})
    store.tags.decide(contents[::5], "dog", present=False)
    store.tags.decide(contents[::7], "dog", present=True)
    numbers = {digest: number for number, digest in enumerate(contents)}

    def is_dog(row: Row) -> bool:
        number = numbers[row.image.content_hash]
        return number % 7 == 0 or (number % 3 == 0 and number % 5 != 0)

    wanted = synthetic.expected(is_dog)
    found = synthetic.library.search("anything tag:dogs", k=len(wanted) + 1)
    assert {str(result.path) for result in found} == {path for _, path in wanted}
    np.testing.assert_allclose([result.score for result in found], [score for score, _ in wanted], atol=1e-6)
    others = synthetic.library.search("anything not tag:dog", k=COUNT + 1000)
    assert len(others) == len(synthetic.rows) - len(wanted)
    both = {count.tag: count.images for count in synthetic.library.tags.counts()}
    assert both["cat"] == len(contents[::3])
