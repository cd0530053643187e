"""Names and texts are found in whatever Unicode form either side has them, in each kind of database."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import literal, select

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.filters import FilterCompiler
from clipsearch.catalog.open_database import open_database
from clipsearch.catalog.portable_sql import folded
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.config import LibraryPlace
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.query import parse_query
from clipsearch.text import fold
from clipsearch.vectors.milvus.fields import place_of

FORMS = ("NFC", "NFD")

NAMED = ImageMetadata(
    camera="Caméra Écureuil",
    lens="Ångström 35mm",
    title="Straße nach İzmir",
    caption="ΟΔΟΣ Mom\u2019s ﬁle ｃａｔ",
    keywords=("Dänemark", "東京ガ"),
)

FOUND = (
    "keyword:Dänemark",
    "keyword:DÄNEMARK",
    "keyword:東京ガ",
    "camera:écureuil",
    "lens:ÅNGSTRÖM",
    "title:straße",
    "title:STRASSE",
    "title:izmir",
    "title:İZMİR",
    "caption:οδος",
    "caption:ΟΔΟΣ",
    'caption:"mom\'s"',
    "caption:file",
    "caption:cat",
    "folder:Übung",
    "folder:übung",
    "path:*café*.JPG",
    'path:"übung/caf?\u00a0am.jpg"',
    "ext:ｊｐｇ",
    "tag:Fußgänger",
    "tag:FUSSGÄNGER",
)


@pytest.fixture(params=FORMS)
def catalog(catalog_place: LibraryPlace, request: pytest.FixtureRequest) -> Iterator[Catalog]:
    """A catalog with one file that is named, and one that is not, in a Unicode form."""

    def formed(text: str) -> str:
        return unicodedata.normalize(request.param, text)

    names = {name: formed(str(getattr(NAMED, name))) for name in ("camera", "lens", "title", "caption")}
    metadata = replace(NAMED, **names, keywords=tuple(map(formed, NAMED.keywords)))
    digests = ["1" * 32, "2" * 32]
    store = Catalog(catalog_place)
    model = store.models.activate(spec="fixed", fingerprint="0" * 16, dim=2, precision="fp32")
    images = [NewImage(digests[0], 8, 8, "JPEG", metadata), NewImage(digests[1], 8, 8, "JPEG", ImageMetadata())]
    embeddings = [NewEmbedding(digest, np.array([1, 0], np.float32)) for digest in digests]
    files = [
        FileRecord(formed("Übung/café\u202fAM.jpg"), 1, 0, digests[0]),
        FileRecord("other/plain.png", 1, 0, digests[1]),
    ]
    store.commit(Batch(store.roots.add(Path("/photos")), images, embeddings, files), model.id)
    store.tags.decide([digests[0]], formed("fußgänger"), present=True)
    yield store
    store.close()


@pytest.mark.parametrize("typed_in", FORMS)
def test_every_filter_finds_every_form(catalog: Catalog, typed_in: str) -> None:
    model = catalog.models.active()
    assert model is not None
    compiler = FilterCompiler(catalog.roots.all(), is_online=lambda root: True, canonical_tag=catalog.tags.canonical)
    for line in FOUND:
        filter_ = parse_query(unicodedata.normalize(typed_in, line)).filter
        assert filter_ is not None
        found = catalog.embedding_ids_where(model.id, compiler.condition(filter_))
        assert len(found) == 1, line


def test_a_database_folds_as_python_does(catalog_place: LibraryPlace) -> None:
    letters = [chr(code) for code in range(1, 0x3000) if unicodedata.category(chr(code))[0] in "LMNPSZ"]
    words = [
        "Straße",
        "İzmir ISPARTA ısı",
        "ΟΔΟΣ οδος",
        "cafe\u0301 Da\u0308nemark",
        "soft\u00adhyphen",
        "O\u2019Brien",
    ]
    with closing(open_database(catalog_place, create=False)) as database, database.reading() as connection:
        for text in ["".join(letters[start : start + 50]) for start in range(0, len(letters), 50)] + words:
            assert connection.execute(select(folded(literal(text)))).scalar_one() == fold(text), text


def test_places_of_files_have_one_form_for_an_extension() -> None:
    assert place_of(1, "a.ＪＰＧ") == place_of(1, "b.jpg")
