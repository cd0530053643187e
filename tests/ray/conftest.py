"""A cluster of two nodes on this machine, which the tests of the package share, and libraries that it filled."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from clipsearch.catalog.catalog import Catalog
from clipsearch.config import LibraryPlace
from clipsearch.library import Library
from clipsearch.system.ray_settings import RaySettings
from tests.conftest import save_photo

ONE_CORE = RaySettings(worker_cpus=1)

_STARTS = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What Ray's own modules use that is to go away is not ours to mend, nor the processes that it leaves to Python."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\."))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one core each; this process is joined with them."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = _started_cluster()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def _started_cluster() -> Cluster:
    """Two nodes; Ray gives each 30 s to come up, a limit of its own that a busy machine may miss."""
    for _ in range(_STARTS - 1):
        try:
            return _two_nodes()
        except Exception as error:  # which is all that Ray raises
            if "timed out during startup" not in str(error):
                raise
    return _two_nodes()


def _two_nodes() -> Cluster:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
    except BaseException:
        cluster.shutdown()
        raise
    return cluster


def many_photos(folder: Path, count: int) -> Path:
    """A folder of small photos, no two alike."""
    for number in range(count):
        save_photo(folder / f"{number % 5}" / f"{number:04}.png", (number % 256, number // 256, 77), size=(24, 16))
    return folder


def contents(library: Library, place: LibraryPlace | None = None) -> dict[str, Any]:
    """All that a library holds of its files, by path: content, what is known of it, and embeddings to the bit."""
    model = library.active_model()
    found: dict[str, Any] = {str(failure.path): failure.reason for failure in library.maintenance.failures()}
    if model is None:
        return found
    with closing(Catalog(place or library.path)) as store, store.exchange.snapshot() as snapshot:
        for block in snapshot.images(model):
            for image in block:
                for file in image.files:
                    path = str(snapshot.roots[file.root].path / file.path)
                    assert path not in found
                    found[path] = (file.size, file.mtime_ns, image.content_hash, image.fields, image.vectors)
    return found


@pytest.fixture
def libraries(tmp_path: Path, open_library: Callable[..., Library]) -> tuple[Library, Library]:
    """One to be filled by the local engine, one by Ray's."""
    return open_library(tmp_path / "local"), open_library(tmp_path / "distributed")
