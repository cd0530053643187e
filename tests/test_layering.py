"""The order of the packages, read from every import of the source: see docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ORDER: tuple[tuple[str, ...], ...] = (
    ("clipsearch.errors", "clipsearch.config", "clipsearch.text", "clipsearch.metrics", "clipsearch._version"),
    ("clipsearch.system",),
    ("clipsearch.query",),
    ("clipsearch.media",),
    ("clipsearch.models",),
    ("clipsearch.catalog",),
    ("clipsearch.vectors",),
    ("clipsearch.retrieval",),
    ("clipsearch.labeling",),
    ("clipsearch.browse",),
    ("clipsearch.maintenance",),
    ("clipsearch.evaluation",),
    ("clipsearch.training",),
    ("indexer",),
    ("clipsearch.library_parts", "clipsearch.library"),
    ("clipsearch.server",),
    ("clipsearch.demo",),
    ("clipsearch.cli",),
    ("ui",),
)
"""From the ground up: a package imports from those before it and from itself, wherever the import stands."""

SEAMS = {("clipsearch.library", "indexer"), ("clipsearch.cli", "ui")}
"""Inside functions only: reading never loads the write side, and only its own command loads the page."""

TOP = ("clipsearch", "clipsearch.__main__")
"""The package itself re-exports what is public, and starts the command line."""

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
    "clipsearch.models.compile.compile",
    "clipsearch.models.compile.layers",
    "clipsearch.models.compile.tokenizer",
    "clipsearch.models.torch",
    "clipsearch.training",
)
"""Torch from the first line to the last; such a module is itself imported only where it is needed."""


@dataclass(frozen=True)
class Import:
    """One import: of which module, on which line, and whether it runs when the importing module is imported."""

    module: str
    line: int
    at_import: bool


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for package in ("clipsearch", "indexer", "ui")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imports_of(tree: ast.AST, *, at_import: bool = True) -> Iterator[Import]:
    """Every import below a node: also inside functions, and for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: import by the full name"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield Import(name if name in MODULES else str(node.module), node.lineno, at_import)
        else:
            is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            )
            yield from imports_of(node, at_import=at_import and not is_later)


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def rank(module: str) -> int | None:
    """Where a module's package is in the order; ``None`` for other people's."""
    if module in TOP or module.partition(".")[0] not in ("clipsearch", "indexer", "ui"):
        return None
    ranks = [number for number, packages in enumerate(ORDER) if _within(module, packages)]
    assert ranks, f"say in tests/test_layering.py where the package of {module} is in the order"
    return ranks[0]


def upward(module: str, tree: ast.AST) -> list[str]:
    """The imports of a module that the order does not allow."""
    own, wrong = rank(module), []
    for item in imports_of(tree):
        other = rank(item.module)
        if own is None or other is None:
            continue
        is_seam = any(_within(module, (source,)) and _within(item.module, (target,)) for source, target in SEAMS)
        if item.at_import if is_seam else other > own:
            wrong.append(f"line {item.line}: {item.module}")
    return wrong


def test_imports_point_to_the_ground() -> None:
    wrong = {module: found for module, tree in MODULES.items() if (found := upward(module, tree))}
    assert not wrong


@pytest.mark.parametrize(
    "source",
    [
        "from clipsearch.library import Library",
        "def later():\n    from clipsearch.library import Library",
        "if TYPE_CHECKING:\n    from clipsearch.cli import output",
        "def later():\n    import indexer.run",
    ],
)
def test_an_import_that_points_up_is_found_wherever_it_stands(source: str) -> None:
    assert upward("clipsearch.retrieval.searcher", ast.parse(source))


def test_no_modules_import_each_other_in_a_circle() -> None:
    """By any import, also inside functions and for typing; `prepare` raises a `CycleError` that has the circle."""
    graph = {module: {item.module for item in imports_of(tree)} for module, tree in MODULES.items()}
    TopologicalSorter(graph).prepare()


def test_the_seams_are_inside_functions() -> None:
    assert upward("clipsearch.library", ast.parse("import indexer.run"))
    assert not upward("clipsearch.library", ast.parse("def index():\n    import indexer.run"))


def test_nothing_heavy_is_imported_with_a_module() -> None:
    heavy = [
        (module, item.line, item.module)
        for module, tree in MODULES.items()
        if not _within(module, ("ui", *MAY_BE_HEAVY))
        for item in imports_of(tree)
        if item.at_import and (item.module.split(".")[0] in HEAVY or _within(item.module, MAY_BE_HEAVY))
    ]
    assert not heavy, "import these in the functions that need them"


def test_all_is_sorted() -> None:
    for module, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
            ):
                names = ast.literal_eval(node.value)
                assert list(names) == sorted(set(names)), module


def test_the_order_names_packages_that_exist() -> None:
    assert {name for packages in ORDER for name in packages} <= set(MODULES)
