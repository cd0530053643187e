"""Filters evaluated by Milvus select what the catalog selects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.filters import FilterCompiler
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.media.metadata.values import ImageMetadata, Precision
from clipsearch.query import And, Condition, DateRange, Filter, Not, Or, parse_query
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.index import SelectingIndex
from clipsearch.vectors.milvus.engine import LOCAL_NAME, MilvusEngine
from clipsearch.vectors.milvus.fields import place_of
from clipsearch.vectors.milvus.index import MilvusIndex, MilvusSelection
from tests.vectors.test_ivf_index import clustered, queries
from tests.vectors.test_milvus import MilvusCatalog

CAMERAS = (None, "FUJIFILM X-T3", "Fujifilm X100", 'Canon "EOS" 5D', "Škoda_Cam%", "\\")
DATES = (
    None,
    datetime(1958, 1, 1),
    datetime(2020, 2, 29, 23, 59, 59, 999999),
    datetime(2020, 3, 1),
    datetime(2021, 7, 1),
)
NAMES = ("a.jpg", "b.JPEG", "c.png", "dir.png/d", "e.Jpg", ".png", "f.tar.gz", "İ.PNG", "g")
COUNT = 60


class PhotoCatalog(MilvusCatalog):
    """Contents with all kinds of metadata; some have files in several roots."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, MilvusEngine(LOCAL_NAME, "push"))
        self.roots = [self.root, *(self.store.roots.add(directory / name) for name in ("Trips", "USB"))]
        random = np.random.default_rng(7)
        batches = [Batch(root, images=[], embeddings=[], files=[]) for root in self.roots]
        for number in range(COUNT):
            metadata = ImageMetadata(
                taken_at=DATES[random.integers(len(DATES))],
                taken_precision=[None, Precision.MONTH, Precision.YEAR][random.integers(3)],
                rating=[None, -1, 0, 3, 5][random.integers(5)],
                camera=CAMERAS[random.integers(len(CAMERAS))],
            )
            image = NewImage(f"{number:032x}", 4, 4, "PNG", metadata, None)
            for place, root in enumerate(random.choice(3, random.integers(1, 4), replace=False).tolist()):
                name = f"{number}/{NAMES[(number + place) % len(NAMES)]}"
                batches[root].images.append(image)
                batches[root].files.append(FileRecord(name, 1, 1, image.content_hash))
            batches[root].embeddings.append(NewEmbedding(image.content_hash, clustered(1, seed=number)[0]))
        for batch in batches:
            self.store.commit(batch, self.model.id)

    def selected(self, filter_: Filter) -> np.ndarray:
        """The ids selected by the catalog."""
        compiler = FilterCompiler(self.store.roots.all(), is_online=lambda root: True)
        return self.store.embedding_ids_where(self.model.id, compiler.condition(filter_))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PhotoCatalog, MilvusIndex]]:
    catalog = PhotoCatalog(tmp_path_factory.mktemp("photos"))
    index = catalog.index(locked=True)
    assert isinstance(index, MilvusIndex)
    yield catalog, index
    catalog.store.close()
    catalog.connection.close()


DATE_RANGES = st.tuples(st.sampled_from(DATES), st.sampled_from(DATES)).filter(any).map(lambda ends: DateRange(*ends))
CONDITIONS = st.one_of(
    DATE_RANGES.map(lambda dates: Condition("date", "in", dates)),
    st.builds(Condition, st.just("rating"), st.sampled_from(["=", "<", "<=", ">", ">="]), st.integers(-1, 5)),
    st.sampled_from(["fuji", "x1", '"', "%", "_", "škoda", "\\", "nikon"]).map(
        lambda text: Condition("camera", "contains", text)
    ),
    st.sampled_from(["trips", "USB", "photos", "elsewhere"]).map(lambda name: Condition("root", "=", name)),
    st.sampled_from(["jpg", "png", "gz", "gif"]).map(lambda name: Condition("ext", "=", name)),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=6,
)


@pytest.mark.long
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(filter_=FILTERS)
def test_milvus_selects_what_the_catalog_selects(photos: tuple[PhotoCatalog, MilvusIndex], filter_: Filter) -> None:
    catalog, index = photos
    selection = index.select(filter_, catalog.store.roots.places())
    assert isinstance(selection, MilvusSelection)
    expected = catalog.selected(filter_)
    assert catalog.connection.ids(index.collection, where=selection.where).tolist() == expected.tolist()
    assert len(selection) == len(expected)
    query = queries(8)[5]
    assert selection.search(query, 7).ids.tolist() == index.search(query, 7, within=expected).ids.tolist()


@pytest.mark.parametrize("line", ["folder:trips", "tag:dog", "rating:3 or lens:x", "-path:*.png", "near:1,2,3km"])
def test_other_filters_are_left_to_the_catalog(photos: tuple[PhotoCatalog, MilvusIndex], line: str) -> None:
    catalog, index = photos
    filter_ = parse_query(line).filter
    assert filter_ is not None and index.select(filter_, catalog.store.roots.places()) is None


def test_fields_follow_every_change_and_stale_ones_are_not_used(tmp_path: Path) -> None:
    catalog = PhotoCatalog(tmp_path)
    rated = Condition("rating", ">=", 5)
    catalog.index(locked=True)
    # known contents, read again: other metadata, another place; and one that is new
    for number, roots in ((0, [2]), (1, [0, 1, 2]), (COUNT, [1])):
        images = [NewImage(f"{number:032x}", 4, 4, "PNG", ImageMetadata(rating=5, camera="Leica"), None)]
        new = [NewEmbedding(images[0].content_hash, clustered(1, seed=number)[0])] if number == COUNT else []
        for root in roots:
            files = [FileRecord(f"new {number}.gif", 1, 1, images[0].content_hash)]
            catalog.store.commit(
                Batch(catalog.roots[root], images=images, embeddings=new, files=files), catalog.model.id
            )
    places = catalog.store.roots.places()
    behind = catalog.index(locked=False)
    assert isinstance(behind, SelectingIndex) and behind.select(rated, places) is None
    index = catalog.index(locked=True)  # of the same revision
    for filter_ in (rated, Condition("camera", "contains", "leica"), Condition("ext", "=", "gif"), Not(rated)):
        selection = index.select(filter_, places)  # type: ignore[attr-defined]
        found = catalog.connection.ids(index.collection, where=selection.where)  # type: ignore[attr-defined]
        assert found.tolist() == catalog.selected(filter_).tolist()
        assert len(found) > 0
    stamp = catalog.saved.stamp
    catalog.index(locked=True)
    assert catalog.saved.stamp == stamp
    catalog.store.roots.add(tmp_path.parent)  # takes the others in
    assert index.select(rated, catalog.store.roots.places()) is None  # type: ignore[attr-defined]
    catalog.store.close()
    catalog.connection.close()


def test_faiss_evaluates_no_filters() -> None:
    assert not isinstance(FlatIndex(4), SelectingIndex)


@pytest.mark.parametrize(
    ("path", "extension"),
    [("a/b.JPG", "jpg"), ("a.png/b", ""), ("b", ""), (".png", "png"), ("x.tar.gz", "gz"), ("x.", "")],
)
def test_the_extension_of_a_place(path: str, extension: str) -> None:
    assert place_of(3, path) == (3, extension)
