from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fsspec
import pytest

from clipsearch.errors import ConfigError
from clipsearch.library import Library
from clipsearch.media.decoding import read_image_bytes
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.system.remote_files import address_of, as_path, read_file, scheme_of
from indexer.scan import ScannedFile
from indexer.scan_store import changed_ns, scan_store
from tests.conftest import Notes, save_photo


@pytest.mark.parametrize(
    ("given", "scheme", "address"),
    [
        ("s3://bucket/photos/1.jpg", "s3", "s3://bucket/photos/1.jpg"),
        ("s3:/bucket/photos/", "s3", "s3://bucket/photos"),
        ("abfs+x://at/b", "abfs+x", "abfs+x://at/b"),
        ("memory://photos", "memory", "memory:///photos"),
        ("local:///mnt/photos", "local", "local:///mnt/photos"),
        ("/mnt/s3:/photos", None, None),
        ("photos/s3:", None, None),
        ("c:/photos", None, None),
        ("", None, None),
    ],
)
def test_which_paths_are_addresses(given: str, scheme: str | None, address: str | None) -> None:
    assert (scheme_of(Path(given)), address_of(Path(given))) == (scheme, address)


def test_a_file_address_is_the_path_of_a_file(tmp_path: Path) -> None:
    assert as_path(Path(f"file://{tmp_path}")) == tmp_path
    assert as_path(tmp_path) == tmp_path
    assert as_path(Path("s3://bucket")) == Path("s3:/bucket")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nowhere://photos", "nowhere://photos cannot be read: Protocol not known: nowhere"),
        ("dropbox://photos", "dropbox:// needs a package that is not installed: "),
    ],
)
def test_an_unsupported_scheme_is_one_line(library: Library, address: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        library.index(address)
    with pytest.raises(OSError, match=reason):
        read_file(Path(address), limit=10)


def test_a_file_over_the_limit_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(b"x" * 2**20)
    path = Path(f"local://{tmp_path}/large.jpg")
    assert read_image_bytes(path) == b"x" * 2**20
    with pytest.raises(OSError, match="larger than 0 MiB"):
        read_file(path, limit=2**20 - 1)


# --- walking ----------------------------------------------------------------------------------------------


def test_a_store_is_walked_as_a_folder_is() -> None:
    store = fsspec.filesystem("memory")
    names = ["b.jpg", "a/z.PNG", "a/a.jpg", "a/notes.txt", ".hidden/c.jpg", "@eadir/d.jpg", "lib/e.jpg"]
    try:
        for name in [*names, "lib/catalog.sqlite3"]:
            store.pipe(f"/walked/{name}", name.encode())
        root, errors = Path("memory://walked"), list[tuple[Path, str]]()
        found = list(scan_store(root, on_error=lambda *error: errors.append(error)))
        assert [file.relative_path for file in found] == ["b.jpg", "a/a.jpg", "a/z.PNG"]
        assert [file.size for file in found] == [5, 7, 7]
        assert all(file.mtime_ns > 0 for file in found)
        assert read_image_bytes(found[1].path) == b"a/a.jpg"
        assert list(scan_store(root, prefix="a", on_error=lambda *error: errors.append(error))) == found[1:]
        assert errors == []
        assert list(scan_store(root, prefix="gone", on_error=lambda *error: errors.append(error))) == []
        assert [path for path, _ in errors] == [root / "gone"]
    finally:
        store.rm("/walked", recursive=True)


CHANGED = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
CHANGED_NS = 1_714_979_289_250_000_000


@pytest.mark.parametrize(
    "entry",
    [
        {"LastModified": CHANGED, "ETag": "abc"},
        {"last_modified": CHANGED.astimezone(timezone(timedelta(hours=5)))},
        {"mtime": CHANGED.timestamp()},
        {"updated": "2024-05-06T07:08:09.250Z"},
        {"created": CHANGED.replace(tzinfo=None)},
    ],
)
def test_modification_times_in_the_formats_of_each_store(entry: dict[str, Any]) -> None:
    assert changed_ns(entry) == CHANGED_NS


def test_a_store_without_times_is_compared_by_checksums() -> None:
    one, other = changed_ns({"ETag": "one"}), changed_ns({"ETag": "other", "updated": "lately"})
    assert len({one, other, changed_ns({})}) == 3
    assert 0 < one < 2**63 and 0 < other < 2**63


# --- a library of a store ---------------------------------------------------------------------------------


@pytest.fixture
def address(photos: Path) -> str:
    """The photos as a remote store."""
    return f"local://{photos}"


def test_a_store_is_indexed_searched_and_followed(address: str, photos: Path, library: Library, notes: Notes) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture")
    report = library.index(address)
    assert (report.embedded, len(report.failures)) == (6, 1)
    root = Path(address)
    best = library.search("red")[0]
    assert (best.path, best.online) == (root / "red.png", False)
    assert existing_thumbnail(library.path, best.content_hash) is not None
    assert best.path not in [result.path for result in library.similar(best.path)]
    assert [(status.path, status.files, status.online) for status in library.roots.all()] == [(root, 6, False)]

    again = library.index(address)
    assert (again.indexed, again.unchanged, len(again.failures)) == (0, 6, 1)
    save_photo(photos / "red.png", "orange")
    os.utime(photos / "red.png", ns=(1, 10**18))
    (photos / "blue.png").unlink()
    (photos / "green.png").rename(photos / "grey" / "moved.png")
    followed = library.index()  # every root
    assert (followed.embedded, followed.moved, followed.removed) == (1, 1, 1)
    codes = [finding.code for finding in library.maintenance.check().findings]
    assert codes == ["unheld"]  # the replaced and deleted images
    assert library.maintenance.forget(root / "grey") == 3
    library.roots.remove(address)
    assert library.roots.all() == []


def test_an_unreachable_store_is_left_unchanged(
    address: str, photos: Path, library: Library, notes: Notes, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^local://.*/gone does not exist or cannot be reached$"):
        library.index(f"{address}/gone")
    library.index(address)
    shutil.move(photos, tmp_path / "elsewhere")
    report = library.index(address)
    assert (report.offline, report.removed, library.status().files) == ([Path(address)], 0, 6)
    assert notes[-1] == f"{address} cannot be reached, or nothing is left there; nothing is removed"


def test_folders_of_a_store_are_part_of_it(address: str, library: Library) -> None:
    library.index(f"{address}/grey")
    library.index(address)
    assert [status.path for status in library.roots.all()] == [Path(address)]
    assert library.index(f"{address}/grey").unchanged == 2


def test_an_export_of_a_store_is_imported(address: str, tmp_path: Path, open_library: Callable[..., Library]) -> None:
    one, other = open_library(tmp_path / "one"), open_library(tmp_path / "other")
    one.index(address)
    one.maintenance.export(tmp_path / "export")
    assert other.maintenance.import_from(tmp_path / "export").files == 6
    assert other.index(address).unchanged == 6


def test_scanned_files_have_addresses_as_paths() -> None:
    assert address_of(ScannedFile(Path("s3://bucket/a"), "b/c.jpg", 1, 2).path) == "s3://bucket/a/b/c.jpg"
