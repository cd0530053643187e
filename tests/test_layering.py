"""The direction of the arrows between modules, read from the source: see docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = {
    "faiss",
    "milvus_lite",
    "onnx",
    "onnxruntime",
    "open_clip",
    "pymilvus",
    "ray",
    "streamlit",
    "timm",
    "torch",
    "torchvision",
}
"""Never imported when a module is: ``clipsearch --help`` must stay instant, and a search free of torch."""

MAY_BE_HEAVY = (
    "clipsearch.encoders.export",
    "clipsearch.encoders.exported_layers",
    "clipsearch.encoders.openclip",
    "clipsearch.encoders.tokenizer_export",
    "clipsearch.encoders.towers",
    "indexer.finetune",
    "indexer.losses",
    "indexer.train",
)
"""Torch from the first line to the last; such a module is itself imported only where it is needed."""

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "errors",
        "config",
        "database_url",
        "query",
        "metrics",
        "extras",
        "ray_settings",
        "addresses",
        "lookahead",
        "cores",
        "products",
        "file_manager",
        "vocabulary",
        "demo_photos",
        "world_outline",
    ),
    (
        "embedded",
        "metadata",
        "pixels",
        "raw_images",
        "perceptual_hash",
        "images",
        "encoders",
        "vectors",
        "store",
        "lock",
        "reports",
        "thumbnails",
        "volumes",
        "boxes",
        "parts",
        "crops",
        "web",
    ),
    (
        "prompting",
        "caption_bank",
        "calibration",
        "zero_shot",
        "tag_scores",
        "results",
        "result_json",
        "originals",
        "query_cache",
        "query_embedding",
        "concepts",
        "model_choice",
        "explain",
    ),
    (
        "background",
        "candidates",
        "grouping",
        "search",
        "checkup",
        "compaction",
        "removal",
        "transfer",
        "duplicates",
        "standing",
        "facets",
        "tagging",
        "classification",
        "details",
        "renditions",
        "trash",
        "embedding_map",
        "places",
    ),
    ("housekeeping", "browsing", "searching", "labelling", "learning"),
    ("few_shot", "evaluation", "library", "remote"),
    ("serve",),
    ("cli",),
)
"""`clipsearch`, from the ground up: a module imports from its own layer and from those before it."""

MAY_IMPORT_INDEXER = ("clipsearch.cli", "clipsearch.library")
"""Only inside a function: reading never needs the write side."""

MAY_IMPORT_UI = "clipsearch.cli.ui"
"""Only inside a function too."""


@dataclass(frozen=True)
class Import:
    """One import: of what, on which line, and whether it runs when the module is imported."""

    name: str
    line: int
    at_import: bool
    relative: bool


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _module_name(path): path for package in ("clipsearch", "indexer", "ui") for path in (ROOT / package).rglob("*.py")
}


def _imports(node: ast.AST, *, at_import: bool = True) -> Iterator[Import]:
    """The imports below a node, except those for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, at_import, relative=False)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                name = f"{child.module}.{alias.name}" if child.module else alias.name
                yield Import(name, child.lineno, at_import, relative=child.level > 0)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield from _imports(ast.Module([statement], []), at_import=at_import)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, at_import=at_import and not inside)


def _imports_of(module: str) -> list[Import]:
    return list(_imports(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _layer(name: str) -> int | None:
    """The layer of a module of `clipsearch`; ``None`` for the package itself, which only re-exports."""
    parts = name.split(".")
    if len(parts) < 2 or f"clipsearch.{parts[1]}" not in MODULES:
        return None
    found = [number for number, layer in enumerate(LAYERS) if parts[1] in layer]
    assert found, f"say in tests/test_layering.py which layer clipsearch.{parts[1]} belongs to"
    return found[0]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    wrong = []
    for found in _imports_of(module):
        package, target = module.split(".", maxsplit=1)[0], found.name.split(".")[0]
        if package == "clipsearch" and target == "ui":
            if found.at_import or module != MAY_IMPORT_UI:
                wrong.append(found)
        elif package == "clipsearch" and target == "indexer":
            if found.at_import or not _within(module, MAY_IMPORT_INDEXER):
                wrong.append(found)
        elif package == "clipsearch" and target == "clipsearch" and module != "clipsearch.__main__":
            own, other = _layer(module), _layer(found.name)
            if own is not None and other is not None and other > own:
                wrong.append(found)
        elif (package, target) in {("indexer", "ui"), ("ui", "indexer")}:
            wrong.append(found)
    assert not wrong, f"{module} may not import {[(item.name, item.line) for item in wrong]}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_heavy_is_imported_with_a_module(module: str) -> None:
    if _within(module, MAY_BE_HEAVY) or _within(module, ("ui",)):
        return
    heavy = [
        (found.name, found.line)
        for found in _imports_of(module)
        if found.at_import and (found.name.split(".")[0] in HEAVY or _within(found.name, MAY_BE_HEAVY))
    ]
    assert not heavy, f"{module} imports {heavy}; import it in the function that needs it"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_are_absolute(module: str) -> None:
    assert not [found.line for found in _imports_of(module) if found.relative]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_all_is_sorted(module: str) -> None:
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names = ast.literal_eval(node.value)
            assert list(names) == sorted(names)
            assert len(set(names)) == len(names)


def test_every_layer_names_modules_that_exist() -> None:
    named = {f"clipsearch.{name}" for layer in LAYERS for name in layer}
    assert named <= set(MODULES)
