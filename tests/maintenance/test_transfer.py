"""Exports against what the catalog holds, and imports against exports; both formats, over real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.full_text import OcrLine
from clipsearch.catalog.records import FailureRecord, FileRecord, NewEmbedding, NewImage, SidecarRecord
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.catalog.transfer import ExchangedImage
from clipsearch.errors import ConfigError, IndexMismatchError, LibraryError, LibraryLockedError
from clipsearch.library import Library
from clipsearch.maintenance.transfer import export_library, import_library
from clipsearch.maintenance.transfer.manifest import FORMATS, MANIFEST_NAME, file_checksum
from clipsearch.maintenance.transfer.rows import from_row
from clipsearch.media.metadata.sidecars import Beside
from clipsearch.media.metadata.sources import without_nonsense
from clipsearch.media.metadata.values import ImageMetadata, Source
from clipsearch.media.segments import WHOLE_IMAGE, Segment, SegmentKind
from clipsearch.retrieval.results import SearchResult
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder

DIM = 8
MODEL: dict[str, Any] = {"spec": "tiny/α", "fingerprint": "ff", "dim": DIM, "precision": "fp32", "parity": None}
ODD_NAME = "caf\udce9/\udcff \n😀 %_'.jpg"

forms = pytest.mark.parametrize("form", FORMATS)


def digest(number: int) -> str:
    return f"{number:032x}"


def unit(seed: int, dim: int = DIM) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def store(tmp_path: Path) -> Catalog:
    """Two roots, copies, odd names, all metadata there is, a content without embedding, and a failure."""
    store = Catalog(make(tmp_path / "library"), create=True)
    model = store.models.activate(**MODEL)
    home = store.roots.add(Path("/photos"), volume_id="uuid:1", volume_path="home/photos")
    usb = store.roots.add(Path(os.fsdecode(b"/media/us\xe9b")), volume_id=None)
    full = ImageMetadata(
        taken_at=datetime(2019, 2, 28, 23, 59, 59, 123456),
        taken_offset_min=-210,
        camera='Käméra "1"',
        lens="50 mm",
        focal_length_mm=50.000001,
        focal_length_35mm=1 / 3,
        f_number=1.8,
        exposure_s=1 / 8000,
        iso=2**26,
        latitude=-33.85678912345,
        longitude=179.99999999999997,
        altitude_m=-0.0,
        orientation=6,
        title="line\nbreak",
        caption="😀 \x01",
        rating=-1,
        keywords=("b", "a", "ä, ö"),
    )
    images = [NewImage(digest(1), 640, 480, "JPEG", full), *(NewImage(digest(n), n, 2, "PNG") for n in range(2, 8))]
    embeddings = [NewEmbedding(digest(n), unit(n), from_preview=n == 3) for n in range(1, 7)]
    here = [FileRecord(ODD_NAME, 2**40, -5, digest(1)), FileRecord("copy.jpg", 1, 2**62, digest(1))]
    here += [FileRecord(f"{n}.png", n, n, digest(n)) for n in (2, 3, 7)]
    failures = [FailureRecord("bad.jpg", 1, 1, "damaged")]
    store.commit(Batch(home, images, embeddings, here, failures), model.id)
    store.commit(
        Batch(usb, files=[FileRecord("4.png", 4, 4, digest(4)), FileRecord("1.jpg", 1, 1, digest(1))]), model.id
    )
    lines = [OcrLine(WHOLE_IMAGE, 'Total "9.90"\tä', 0.875, "latin", (1, 2, 30, 40))]
    lines.append(OcrLine(Segment(SegmentKind.TILE, 1), "合計", 1.0, "cjk", (5, 6, 7, 8)))
    store.texts.write({digest(1): lines, digest(2): []}, reader="reader 1")
    return store


def make(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def new_store(path: Path) -> Catalog:
    return Catalog(make(path), create=True)


def content_of(store: Catalog) -> tuple[Any, ...]:
    """All that an export carries."""
    with store.exchange.snapshot() as snapshot:
        model = snapshot.model()
        images = [image for block in snapshot.images(model) for image in block]
        named = (model.spec, model.fingerprint, model.dim, model.precision) if model else None
        return named, snapshot.roots, images


def exported(directory: Path) -> dict[str, Any]:
    """An export's bytes by file; the manifest parsed."""
    files: dict[str, Any] = {path.name: path.read_bytes() for path in directory.iterdir()}
    return {**files, MANIFEST_NAME: json.loads(files[MANIFEST_NAME])}


# --- there and back ---------------------------------------------------------------------------------------


@forms
def test_an_import_brings_back_what_was_exported(store: Catalog, tmp_path: Path, form: str) -> None:
    report = export_library(store, tmp_path / "out", file_format=form)
    assert (report.images, report.embeddings, report.files) == (5, 4, 7)
    other = new_store(tmp_path / "other")
    imported = import_library(other, tmp_path / "out", notify=print)
    assert (imported.images, imported.embeddings, imported.files, imported.known_files) == (5, 4, 7, 0)
    assert content_of(other) == content_of(store)
    export_library(other, tmp_path / "again", file_format=form)
    assert exported(tmp_path / "again") == exported(tmp_path / "out")
    assert [image.from_preview for image in content_of(other)[2]] == [False, False, True, False, False]


@forms
def test_what_is_said_beside_a_picture_goes_along_and_comes_apart_again(tmp_path: Path, form: str) -> None:
    store = Catalog(make(tmp_path / "library"), create=True)
    model = store.models.activate(**MODEL)
    root = store.roots.add(Path("/photos"), volume_id=None)
    said = Beside(ImageMetadata(rating=5, keywords=("beside",))).to_json()
    own = ImageMetadata(rating=1, keywords=("inside",), title="Ferry")
    file = FileRecord("2019-02-01.jpg", 1, 1, digest(1), "state", said)
    store.commit(Batch(root, [NewImage(digest(1), 4, 4, "JPEG", own)], [], [file]), model.id)
    export_library(store, tmp_path / "out", file_format=form)
    other = new_store(tmp_path / "other")
    import_library(other, tmp_path / "out", notify=print)
    assert content_of(other) == content_of(store)
    (seen,) = other.files_in(1)
    assert seen.sidecar_stamp == "state"
    by_name = {"taken_at": datetime(2019, 2, 1), "taken_source": Source.NAME}
    for metadata in (replace(own, rating=5, keywords=("beside",), **by_name), replace(own, **by_name)):
        picture = other.overview.picture(digest(1))
        assert picture is not None and picture.metadata == metadata
        other.commit(Batch(1, sidecars={"2019-02-01.jpg": SidecarRecord()}), model.id)


@pytest.mark.parametrize(
    "absurd",
    [
        {"taken_at": "9999-12-31T23:59:59"}, {"taken_at": "1970-01-01T00:00:00"}, {"latitude": 0.0, "longitude": 0.0},
        {"latitude": 1e308, "longitude": 1.0}, {"latitude": float("nan"), "longitude": 1.0}, {"iso": 2**40},
        {"f_number": float("inf")}, {"rating": -(2**62)}, {"taken_offset_min": 10**9}, {"exposure_s": -1.0},
    ],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_unknown_after_an_import(absurd: dict[str, Any]) -> None:
    row = {"content_hash": digest(1), "width": 4, "height": 4, "format": "JPEG", "metadata_version": 1}
    row |= {"keywords": [], "files": [], "from_preview": False, "tags": [], **absurd}
    fields = from_row(row, roots=0, vectors=()).fields
    assert [fields[name] for name in absurd] == [None] * len(absurd)


def test_both_formats_carry_the_same(store: Catalog, tmp_path: Path) -> None:
    for form in FORMATS:
        export_library(store, tmp_path / form, file_format=form)
        import_library(new_store(tmp_path / f"of {form}"), tmp_path / form, notify=print)
    assert content_of(Catalog(tmp_path / "of npz")) == content_of(Catalog(tmp_path / "of parquet"))


@forms
def test_importing_twice_changes_nothing(store: Catalog, tmp_path: Path, form: str) -> None:
    export_library(store, tmp_path / "out", file_format=form)
    before = content_of(store)
    report = import_library(store, tmp_path / "out", notify=print)
    assert (report.images, report.embeddings, report.files, report.known_files) == (0, 0, 0, 7)
    assert content_of(store) == before


@forms
def test_an_empty_library_goes_there_and_back(tmp_path: Path, form: str) -> None:
    assert export_library(new_store(tmp_path / "a"), tmp_path / "out", file_format=form).files == 0
    other = new_store(tmp_path / "b")
    assert import_library(other, tmp_path / "out", notify=print).files == 0
    assert content_of(other) == (None, [], [])


@forms
def test_a_real_library_is_searched_after_import_without_any_inference(
    indexed: Library, open_library: Callable[..., Library], photos: Path, tmp_path: Path, form: str
) -> None:
    def comparable(found: SearchResult) -> SearchResult:
        """Previews are no part of an export; and the order of sums may differ, with it the last digits."""
        return replace(found, thumbnail=None, probability=round(found.probability or 0.0, 6))

    expected = [comparable(found) for found in indexed.search("red", k=6)]
    indexed.maintenance.export(tmp_path / "out", format=form)
    encoder = ColourEncoder()
    other = open_library(tmp_path / "other", encoder=encoder)
    other.maintenance.import_from(tmp_path / "out")
    assert [comparable(found) for found in other.search("red", k=6)] == expected
    assert other.index(photos).unchanged == 6
    assert encoder.embedded == 0
    assert other.maintenance.check(full=True).is_sound


names = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6)
    | st.binary(min_size=1, max_size=6).map(os.fsdecode),
    min_size=1,
    max_size=3,
).map("/".join)
safe_names = names.filter(
    lambda name: not any(part in ("", ".", "..") for part in name.split("/")) and "\0" not in name
)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
floats = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.long
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(safe_names, st.tuples(st.integers(0, 2**62), st.integers(-(2**62), 2**62)), max_size=8),
    metadata=st.lists(
        st.builds(
            ImageMetadata,
            taken_at=st.none() | st.datetimes(),
            title=texts,
            caption=texts,
            latitude=floats,
            iso=st.none() | st.integers(0, 2**40),
            keywords=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)).map(tuple),
        ).map(without_nonsense),
        min_size=1,
        max_size=3,
    ),
)
@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8 exist on Linux")
def test_any_library_goes_there_and_back(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, tuple[int, int]],
    metadata: list[ImageMetadata],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    first = new_store(folder / "first")
    model = first.models.activate(**MODEL)
    root = first.roots.add(Path("/p"))
    images = [NewImage(digest(n), 1, 1, "PNG", item) for n, item in enumerate(metadata)]
    embeddings = [NewEmbedding(digest(n), unit(n)) for n in range(0, len(metadata), 2)]
    records = [
        FileRecord(path, size, mtime, digest(n % len(images))) for n, (path, (size, mtime)) in enumerate(files.items())
    ]
    first.commit(Batch(root, images, embeddings, records), model.id)
    for form in FORMATS:
        export_library(first, folder / form, file_format=form)
        second = new_store(folder / f"second {form}")
        import_library(second, folder / form, notify=print)
        assert content_of(second) == content_of(first)
        second.close()
    first.close()


# --- what others read -------------------------------------------------------------------------------------


def test_numpy_and_json_read_an_export(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "concepts.json",
        "embeddings.npz",
        "images.jsonl",
        "manifest.json",
    ]
    embeddings = np.load(tmp_path / "out" / "embeddings.npz")["embeddings"]
    assert (embeddings.shape, embeddings.dtype) == ((4, DIM), np.float16)
    lines = [json.loads(line) for line in (tmp_path / "out" / "images.jsonl").read_text("ascii").splitlines()]
    assert [line["embedding"] for line in lines] == [0, 1, 2, 3, None]
    np.testing.assert_array_equal(embeddings[3], unit(4).astype(np.float16))
    first = lines[0]
    assert first["taken_at"] == "2019-02-28T23:59:59.123456"
    assert first["keywords"] == ["b", "a", "ä, ö"]
    manifest = json.loads((tmp_path / "out" / MANIFEST_NAME).read_text())
    assert manifest["model"] == MODEL
    paths = {os.fsencode(f"{manifest['roots'][file['root']]['path']}/{file['path']}") for file in first["files"]}
    assert paths == {os.fsencode(f"/photos/{ODD_NAME}"), b"/photos/copy.jpg", b"/media/us\xe9b/1.jpg"}
    assert "camera" not in lines[1]


def test_arrow_reads_an_export(store: Catalog, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    export_library(store, tmp_path / "out", file_format="parquet")
    table = pyarrow.parquet.read_table(tmp_path / "out" / "images.parquet")
    assert table.schema.field("embeddings").type == pyarrow.list_(pyarrow.list_(pyarrow.float16(), DIM))
    assert table.column("embeddings").combine_chunks().value_lengths().to_pylist().count(0) == 1
    assert table.column("taken_at")[0].as_py() == datetime(2019, 2, 28, 23, 59, 59, 123456)
    files = table.column("files")[0].as_py()
    assert files[1]["path"] == "copy.jpg" or files[2]["path"] == "copy.jpg"
    assert any(file["path"] == "caf//e9///ff \n😀 %_'.jpg" for file in files)


@pytest.mark.long
@forms
def test_many_contents_are_written_and_read_in_blocks(tmp_path: Path, form: str) -> None:
    store = new_store(tmp_path / "many")
    model = store.models.activate(**MODEL)
    root = store.roots.add(Path("/photos"))
    count = 6001  # more than one group of rows
    store.commit(
        Batch(
            root,
            [NewImage(digest(n), 1, 1, "PNG") for n in range(count)],
            [NewEmbedding(digest(n), unit(n)) for n in range(0, count, 3)],
            [FileRecord(f"{n}.png", 1, 1, digest(n)) for n in range(count)],
        ),
        model.id,
    )
    export_library(store, tmp_path / "out", file_format=form)
    other = new_store(tmp_path / "other")
    import_library(other, tmp_path / "out", notify=print)
    assert content_of(other) == content_of(store)


def test_what_no_file_holds_is_not_exported(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    lines = (tmp_path / "out" / "images.jsonl").read_text().splitlines()
    assert digest(5) not in {json.loads(line)["content_hash"] for line in lines}


def test_an_export_is_one_state_of_the_catalog(store: Catalog, tmp_path: Path) -> None:
    with store.exchange.snapshot() as snapshot:
        before = snapshot.count(snapshot.model())
        model = store.models.active()
        assert model is not None
        store.commit(Batch(1, removed=["2.png", "3.png"]), model.id)
        assert snapshot.count(snapshot.model()) == before
        assert sum(len(block) for block in snapshot.images(model)) == before[0]


# --- into a library that has something --------------------------------------------------------------------


def test_what_the_library_knows_stays_as_it_is(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    other = new_store(tmp_path / "other")
    model = other.models.activate(**{**MODEL, "precision": "int8"})
    root = other.roots.add(Path("/photos"), volume_id="uuid:1", volume_path="home/photos")
    known = [NewImage(digest(2), 99, 99, "GIF"), NewImage(digest(50), 1, 1, "PNG")]
    other.commit(
        Batch(
            root,
            known,
            [NewEmbedding(digest(2), unit(99))],
            [FileRecord("2.png", 5, 5, digest(50))],
            [FailureRecord("3.png", 1, 1, "damaged")],
        ),
        model.id,
    )
    report = import_library(other, tmp_path / "out", notify=print)
    assert (report.images, report.embeddings, report.files, report.known_files) == (4, 3, 6, 1)
    images = {image.content_hash: image for image in content_of(other)[2]}
    assert digest(2) not in images  # its only file has another content here
    assert [file.path for file in images[digest(50)].files] == ["2.png"]
    assert other.failures() == []  # the export could read it
    embedding = other.embedding_of(digest(2), model.id)
    assert embedding is not None
    np.testing.assert_array_equal(embedding[1], unit(99).astype(np.float16))


def test_a_folder_inside_a_root_and_one_around_it(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    outer = new_store(tmp_path / "outer")
    outer.roots.add(Path("/"), volume_id="uuid:1", volume_path="")
    import_library(outer, tmp_path / "out", notify=print)
    assert [root.path for root in outer.roots.all()] == [Path("/"), Path(os.fsdecode(b"/media/us\xe9b"))]
    assert "photos/copy.jpg" in {file.relative_path for file in outer.files_in(1)}

    inner = new_store(tmp_path / "inner")
    model = inner.models.activate(**MODEL)
    root = inner.roots.add(Path("/photos/deep"), volume_id="uuid:1", volume_path="home/photos/deep")
    inner.commit(
        Batch(root, [NewImage(digest(70), 1, 1, "PNG")], files=[FileRecord("x.png", 1, 1, digest(70))]), model.id
    )
    import_library(inner, tmp_path / "out", notify=print)
    assert [root.path for root in inner.roots.all()][1:] == [Path("/photos")]
    photos = inner.roots.all()[1]
    assert {"deep/x.png", "copy.jpg"} <= {file.relative_path for file in inner.files_in(photos.id)}


def test_the_same_folder_on_another_drive_is_refused(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    other = new_store(tmp_path / "other")
    other.roots.add(Path("/photos"), volume_id="uuid:2", volume_path="photos")
    with pytest.raises(ConfigError, match="another drive"):
        import_library(other, tmp_path / "out", notify=print)
    assert other.counts().files == 0


@pytest.mark.parametrize("change", [{"spec": "other"}, {"fingerprint": "ee"}])
def test_another_model_is_refused(store: Catalog, tmp_path: Path, change: dict[str, str]) -> None:
    export_library(store, tmp_path / "out")
    other = new_store(tmp_path / "other")
    other.models.activate(**{**MODEL, **change})
    with pytest.raises(IndexMismatchError, match="--library DIR"):
        import_library(other, tmp_path / "out", notify=print)
    assert other.counts().files == 0


def test_a_second_writer_is_refused(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    with writer_lock(store.directory), pytest.raises(LibraryLockedError):
        import_library(store, tmp_path / "out", notify=print)
    with writer_lock(store.directory):  # reading needs no lock
        export_library(store, tmp_path / "out2")


# --- what goes wrong --------------------------------------------------------------------------------------


def test_nothing_is_overwritten(store: Catalog, tmp_path: Path) -> None:
    for name in ("file", "folder", "link"):
        path = tmp_path / name
        {"file": path.touch, "folder": path.mkdir, "link": lambda path=path: path.symlink_to("nowhere")}[name]()
        with pytest.raises(ConfigError, match="already"):
            export_library(store, path)
    with pytest.raises(ConfigError, match="cannot write"):
        export_library(store, tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match="npz, parquet"):
        export_library(store, tmp_path / "out", file_format="csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "library", "link"]


@pytest.mark.long
def test_an_export_that_breaks_off_leaves_nothing(
    store: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clipsearch.maintenance.transfer.file_checksum", full)
    with pytest.raises(ConfigError, match="No space left") as caught:
        export_library(store, tmp_path / "out")
    assert isinstance(caught.value.__cause__, OSError)
    assert [path.name for path in tmp_path.iterdir()] == ["library"]


@forms
def test_damaged_embeddings_are_not_exported(store: Catalog, tmp_path: Path, form: str) -> None:
    import sqlite3
    from contextlib import closing

    for vector in (b"", bytes(2 * DIM), bytes(4 * DIM)):
        with closing(sqlite3.connect(store.directory / CATALOG_NAME)) as connection, connection:
            connection.execute("UPDATE embeddings SET vector = ? WHERE id = 2", [vector])
        with pytest.raises(LibraryError, match="check --repair"):
            export_library(store, tmp_path / "out", file_format=form)
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_parquet_says_what_to_install(
    store: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        export_library(store, tmp_path / "out", file_format="parquet")
    export_library(store, tmp_path / "out", file_format="npz")


def test_exporting_loads_neither_pyarrow_nor_models() -> None:
    code = (
        "import sys; from clipsearch.maintenance import check, compact, forget, transfer;"
        "print([name for name in ('pyarrow', 'faiss', 'torch', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def forge(directory: Path, form: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the rows of an export and give it the right checksum."""
    if form == "npz":
        path = directory / "images.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow
        import pyarrow.parquet

        path = directory / "images.parquet"
        table = pyarrow.parquet.read_table(path)
        rows = table.to_pylist()
        change(rows)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table.schema), path)
    manifest = json.loads((directory / MANIFEST_NAME).read_text())
    manifest["checksums"][path.name] = file_checksum(path)
    (directory / MANIFEST_NAME).write_text(json.dumps(manifest))


FORGERIES: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "a path out of the folder": lambda rows: rows[0]["files"][0].update(path="../../etc/passwd"),
    "an absolute path": lambda rows: rows[0]["files"][0].update(path="/etc/passwd"),
    "an empty path": lambda rows: rows[0]["files"][0].update(path=""),
    "a NUL in a path": lambda rows: rows[0]["files"][0].update(path="a\0b"),
    "a folder that is not there": lambda rows: rows[0]["files"][0].update(root=2),
    "a folder before the first": lambda rows: rows[0]["files"][0].update(root=-1),
    "a negative size": lambda rows: rows[0]["files"][0].update(size=-1),
    "a hash that is none": lambda rows: rows[0].update(content_hash="x" * 32),
    "a short hash": lambda rows: rows[0].update(content_hash="ab"),
    "text that is no JSON": lambda rows: rows[0].update(text="no"),
    "text without a reader": lambda rows: rows[0].update(text='{"lines": []}'),
    "text without a box": lambda rows: rows[0].update(
        text='{"reader": "r", "lines": [{"segment": ["image", 0], "text": "", "confidence": 1.0, "box": [0]}]}'
    ),
    "a row too few": lambda rows: rows.pop(),
}


@forms
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=list(FORGERIES))
def test_rows_that_make_no_sense_are_refused_before_anything_is_changed(
    store: Catalog, tmp_path: Path, form: str, forgery: Callable[[list[dict[str, Any]]], Any]
) -> None:
    export_library(store, tmp_path / "out", file_format=form)
    forge(tmp_path / "out", form, forgery)
    other = new_store(tmp_path / "other")
    with pytest.raises(ConfigError, match="is damaged") as caught:
        import_library(other, tmp_path / "out", notify=print)
    assert "\n" not in str(caught.value)
    assert content_of(other) == (None, [], [])


JSON_FORGERIES: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "no object": lambda rows: rows.insert(0, []),  # type: ignore[arg-type]
    "text for a number": lambda rows: rows[0].update(width="640"),
    "true for a number": lambda rows: rows[0].update(width=True),
    "a number that is too large": lambda rows: rows[0].update(width=2**63),
    "nothing for a width": lambda rows: rows[0].pop("width"),
    "no files": lambda rows: rows[0].pop("files"),
    "files that are no list": lambda rows: rows[0].update(files="a.jpg"),
    "a file that is no object": lambda rows: rows[0].update(files=["a.jpg"]),
    "an unknown field": lambda rows: rows[0].update(mood="good"),
    "a time with a zone": lambda rows: rows[0].update(taken_at="2020-01-01T00:00:00+01:00"),
    "no time": lambda rows: rows[0].update(taken_at="yesterday"),
    "a lone surrogate in a text": lambda rows: rows[0].update(title="\ud800"),
    "a surrogate that is no byte": lambda rows: rows[0]["files"][0].update(path="a\ud800.jpg"),
    "embeddings in another order": lambda rows: rows[0].update(embedding=1),
    "one embedding more": lambda rows: rows[-1].update(embedding=4),
}


@pytest.mark.parametrize("forgery", JSON_FORGERIES.values(), ids=list(JSON_FORGERIES))
def test_lines_that_make_no_sense_are_refused(
    store: Catalog, tmp_path: Path, forgery: Callable[[list[dict[str, Any]]], Any]
) -> None:
    test_rows_that_make_no_sense_are_refused_before_anything_is_changed(store, tmp_path, "npz", forgery)


@forms
def test_damaged_files_are_told_in_one_line(store: Catalog, tmp_path: Path, form: str) -> None:
    other = new_store(tmp_path / "other")
    export_library(store, tmp_path / "out", file_format=form)
    good = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for path, content in good.items():
        for damaged in (b"", content[: len(content) // 2], content[:-3] + b"\xff\x00\xff", None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            with pytest.raises(ConfigError) as caught:
                import_library(other, tmp_path / "out", notify=print)
            assert "\n" not in str(caught.value) and str(tmp_path / "out") in str(caught.value)
            path.write_bytes(content)
    assert content_of(other) == (None, [], [])
    import_library(other, tmp_path / "out", notify=print)


@pytest.mark.parametrize("vectors", [np.zeros((4, DIM), "<f2"), np.eye(4, DIM + 1, dtype="<f2"), np.eye(4, DIM)])
def test_embeddings_of_another_shape_type_or_length_are_refused(
    store: Catalog, tmp_path: Path, vectors: np.ndarray
) -> None:
    export_library(store, tmp_path / "out")
    np.savez(tmp_path / "out" / "embeddings.npz", embeddings=vectors)
    forge(tmp_path / "out", "npz", lambda rows: None)
    manifest = json.loads((tmp_path / "out" / MANIFEST_NAME).read_text())
    manifest["checksums"]["embeddings.npz"] = file_checksum(tmp_path / "out" / "embeddings.npz")
    (tmp_path / "out" / MANIFEST_NAME).write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="is damaged"):
        import_library(new_store(tmp_path / "other"), tmp_path / "out", notify=print)


def test_a_compressed_npz_is_read_too(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    path = tmp_path / "out" / "embeddings.npz"
    np.savez_compressed(path, embeddings=np.load(path)["embeddings"])
    manifest = json.loads((tmp_path / "out" / MANIFEST_NAME).read_text())
    manifest["checksums"]["embeddings.npz"] = file_checksum(path)
    (tmp_path / "out" / MANIFEST_NAME).write_text(json.dumps(manifest))
    assert zipfile.ZipFile(path).infolist()[0].compress_type == zipfile.ZIP_DEFLATED
    other = new_store(tmp_path / "other")
    import_library(other, tmp_path / "out", notify=print)
    assert content_of(other) == content_of(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 7}, "newer clipsearch"),
        ({"kind": "recipes"}, "damaged"),
        ({"format": "csv"}, "unknown format"),
        ({"model": {"spec": "x"}}, "damaged"),
        ({"model": {**MODEL, "dim": 0}}, "makes no sense"),
        ({"model": {**MODEL, "dim": 7}}, "damaged"),
        ({"roots": [{"path": "photos", "volume_id": None, "volume_path": None}]}, "not absolute"),
        ({"roots": [{"path": "/photos"}]}, "'volume_id' is missing"),
        ({"roots": []}, "is damaged"),
        ({"roots": 3}, "damaged"),
        ({"checksums": {"../x": ""}}, "names files elsewhere"),
        ({"images": 4}, "not hold what its manifest says"),
        ({"embeddings": 3}, "damaged"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    store: Catalog, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    export_library(store, tmp_path / "out")
    path = tmp_path / "out" / MANIFEST_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    other = new_store(tmp_path / "other")
    with pytest.raises(ConfigError, match=message):
        import_library(other, tmp_path / "out", notify=print)
    assert content_of(other) == (None, [], [])


def test_a_directory_that_is_no_export_is_refused(store: Catalog, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", make(tmp_path / "empty")):
        with pytest.raises(ConfigError, match="is not an export"):
            import_library(store, path, notify=print)


def test_folders_of_another_kind_of_system_are_kept_offline(store: Catalog, tmp_path: Path) -> None:
    export_library(store, tmp_path / "out")
    path = tmp_path / "out" / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    manifest["roots"][0]["path"] = r"D:\photos"
    path.write_text(json.dumps(manifest))
    with Library.open(tmp_path / "other", create=True) as library:
        library.maintenance.import_from(tmp_path / "out")
        assert r"D:\photos" in {str(root.path) for root in library.roots.all()}


def test_an_import_that_breaks_off_goes_on(store: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.maintenance.transfer.npz.CHUNK", 2)
    export_library(store, tmp_path / "out")
    other = new_store(tmp_path / "other")
    add, calls = other.exchange.add, []

    def breaking(images: list[ExchangedImage], *rest: Any) -> Any:
        calls.append(images)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(images, *rest)

    monkeypatch.setattr(other.exchange, "add", breaking)
    with pytest.raises(KeyboardInterrupt):
        import_library(other, tmp_path / "out", notify=print)
    assert 0 < other.counts().images < 5
    report = import_library(other, tmp_path / "out", notify=print)
    assert (report.images, content_of(other)) == (3, content_of(store))
