"""What a run of the indexer would do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.reports import IndexPreview
from clipsearch.errors import ConfigError
from clipsearch.system.remote_files import as_path, scheme_of
from indexer.plan import IndexOptions, locate, plan_folder


def preview(store: Catalog, folders: Iterable[Path], *, options: IndexOptions) -> IndexPreview:
    """What `indexer.run.index_folders` would do; nothing is read, locked or changed."""
    model = store.models.active()
    result = IndexPreview()
    unchanged = 0
    for place in (locate(store, folder) for folder in wanted_folders(store, folders)):
        if not place.online:
            result.offline.append(place.folder)
            continue
        plan = plan_folder(store, place, model_id=model.id if model else None, options=options, scanned=lambda: None)
        unchanged += plan.unchanged
        result.to_read.extend(file.path for file in plan.to_read)
        result.gone.extend(sorted(place.base / path for path in plan.gone))
        result.failures.extend(plan.failed + plan.unlisted)
    return IndexPreview(result.to_read, unchanged, result.gone, result.failures, result.offline)


def wanted_folders(store: Catalog, folders: Iterable[Path]) -> list[Path]:
    """The folders, with the roots inside them that are other file systems; every root if no folder is named."""
    roots = [root.path for root in store.roots.all()]
    named = [as_path(folder) for folder in folders]
    inside = [root for root in roots for folder in named if root.is_relative_to(_absolute(folder))]
    wanted = list(dict.fromkeys([*named, *inside])) if named else roots
    if not wanted:
        raise ConfigError("no folder is named; say which to index, for example: clipsearch index ~/Pictures")
    return wanted


def _absolute(folder: Path) -> Path:
    return folder if scheme_of(folder) is not None else folder.absolute()
