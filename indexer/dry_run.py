"""What a run of the indexer would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
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
    unchanged, unread = 0, Counter[str]()
    for place in (locate(store, folder) for folder in folders_to_index(store, folders)):
        if not place.online:
            result.offline.append(place.folder)
            continue
        plan = plan_folder(store, place, model_id=model.id if model else None, options=options, scanned=lambda: None)
        unchanged += plan.unchanged
        result.to_read.extend(file.path for file in plan.to_read)
        unread.update(plan.other_kinds)
        result.gone.extend(sorted(place.base / path for path in plan.gone))
        result.excluded.extend(sorted(place.base / path for path in plan.excluded))
        result.failures.extend(plan.failed + plan.unlisted)
    return replace(result, unchanged=unchanged, unread=dict(unread.most_common()))


def folders_to_index(store: Catalog, folders: Iterable[Path]) -> list[Path]:
    """The folders, with the roots inside them that are other file systems; every root if no folder is named."""
    roots = [root.path for root in store.roots.all()]
    named = [_absolute(as_path(folder)) for folder in folders]
    inside = [root for root in roots for folder in named if root.is_relative_to(folder)]
    to_index = list(dict.fromkeys([*named, *inside])) if named else roots
    if not to_index:
        raise ConfigError("no folder to index, for example: clipsearch index ~/Pictures")
    return to_index


def _absolute(folder: Path) -> Path:
    return folder if scheme_of(folder) is not None else folder.absolute()
