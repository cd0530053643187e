from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from ray.cluster_utils import Cluster

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from indexer.backends.ray.shards import Shards
from indexer.plan import IndexOptions
from indexer.run import index_folders
from tests.conftest import ColourEncoder, OtherEncoder, save_photo
from tests.ray.conftest import ONE_CORE, contents


def test_shards_are_imported_elsewhere(
    cluster: Cluster, photos: Path, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    save_photo(photos / "long.png", "green", size=(400, 40))
    shutil.copy(photos / "red.png", photos / "copy of red.png")
    settings = replace(ONE_CORE, shards=tmp_path / "shards")
    library, other = open_library(tmp_path / "one"), open_library(tmp_path / "other")
    library.index(photos, ray=settings)
    report = other.maintenance.import_from(tmp_path / "shards")
    assert (report.images, report.embeddings, report.files) == (7, 7 + 8, 8)
    assert contents(other) == contents(library)
    (shard,) = (tmp_path / "shards").glob("*.parquet")
    table = pyarrow.parquet.read_table(shard)
    assert {"content_hash", "width", "camera", "files", "embeddings"} <= set(table.column_names)


def index_here(library: Library, folder: Path, shards: Path, encoder: ColourEncoder | None = None) -> None:
    """Shards without Ray, which has no part in them."""
    used = encoder or ColourEncoder()
    with closing(Catalog(library.path)) as store:
        model = store.models.activate(
            spec=used.spec, fingerprint=used.fingerprint, dim=used.dim, precision=used.precision
        )
        kept = Shards(store, shards)
        index_folders(
            store,
            [folder],
            encoder=lambda: (used, model),
            options=IndexOptions(),
            notify=lambda _: None,
            progress=lambda _: None,
            keep=kept.keep,
        )
        kept.finish()


def test_shards_of_a_run_that_died_are_carried_on(
    photos: Path, tmp_path: Path, open_library: Callable[..., Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between a shard and its commit: the content is in two shards, and in the library once."""
    library, other = open_library(tmp_path / "one"), open_library(tmp_path / "other")

    def die(store: Catalog, batch: Batch, model_id: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Catalog, "commit", die)
        index_here(library, photos, tmp_path / "shards")
    with pytest.raises(ConfigError, match="is not an export"):
        other.maintenance.import_from(tmp_path / "shards")
    index_here(library, photos, tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.parquet"))) == 2
    assert other.maintenance.import_from(tmp_path / "shards").images == 6
    assert contents(other) == contents(library)


def test_later_runs_add_to_shards_and_know_the_roots_again(
    photos: Path, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    library, other = open_library(tmp_path / "one"), open_library(tmp_path / "other")
    index_here(library, photos, tmp_path / "shards")
    save_photo(photos / "new.png", "orange")
    save_photo(tmp_path / "another" / "other.png", "pink")
    for folder in (tmp_path / "another", photos):
        index_here(library, folder, tmp_path / "shards")
    assert other.maintenance.import_from(tmp_path / "shards").files == 8
    assert contents(other) == contents(library)


def test_shards_of_another_model_are_refused(
    photos: Path, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    index_here(open_library(tmp_path / "one"), photos, tmp_path / "shards")
    with pytest.raises(ConfigError, match="has shards of hf-hub:tests/colours"):
        index_here(open_library(tmp_path / "other"), photos, tmp_path / "shards", OtherEncoder())


def test_a_damaged_shard_is_told(photos: Path, tmp_path: Path, open_library: Callable[..., Library]) -> None:
    library = open_library(tmp_path / "one")
    index_here(library, photos, tmp_path / "shards")
    (shard,) = (tmp_path / "shards").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"images-00000001\.parquet is damaged"):
        index_here(library, photos, tmp_path / "shards")


def test_a_directory_of_something_else_is_refused(
    photos: Path, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    with pytest.raises(ConfigError, match="has other files than shards"):
        open_library().index(photos, ray=replace(ONE_CORE, shards=photos))
