"""docs/scale.md and README.md against what they are computed from, and what the former names."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.vectors.milvus.connection import connect
from tests.benchmarks import footprint, milvus, scale
from tests.benchmarks.report import to_markdown
from tests.conftest import ROOT

TEXT = scale.DOCUMENTS[0].read_text(encoding="utf-8")
SHOWN_BY = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize("document", scale.DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_those_of_the_benchmarks(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    made = scale.filled(text, json.loads(scale.REPORT.read_text(encoding="utf-8")))
    assert made == text, "generate them again: python -m tests.benchmarks.scale"


def test_every_table_is_in_a_document() -> None:
    texts = "".join(document.read_text(encoding="utf-8") for document in scale.DOCUMENTS)
    assert sorted(re.findall(r"<!-- computed: (\w+) -->", texts)) == sorted(scale.BLOCKS)


def test_the_benchmark_report_is_that_of_its_figures() -> None:
    text = scale.REPORT.with_suffix(".md").read_text(encoding="utf-8")
    assert text == to_markdown(json.loads(scale.REPORT.read_text(encoding="utf-8"))), (
        "generate it again: python -m tests.benchmarks.report"
    )


def test_another_figure_is_another_table() -> None:
    report = json.loads(scale.REPORT.read_text(encoding="utf-8"))
    report["sections"]["indexing"]["sizes"]["12 MP"]["run_images_per_s"]["mini"] *= 2
    assert scale.filled(TEXT, report) != TEXT


def test_what_was_not_measured_is_said() -> None:
    report = json.loads(scale.REPORT.read_text(encoding="utf-8"))
    report["sections"]["vector_index"] = {"failed": "out of memory"}
    assert scale.filled(TEXT, report).count("Not measured: the report lacks vector_index.") == 3


def test_arithmetic() -> None:
    assert scale.core_hours(100.0, 2) == pytest.approx(5.5556, abs=1e-4)
    assert scale.milvus_bytes(512) == 2048 + 48
    report = {"sections": {"vector_index": {"dim": 512, "sizes": {"1000": {}, "1000000": {"file_mb": 1488}}}}}
    assert scale.faiss_bytes(report, 512) == pytest.approx(1488 * 2**20 / 1e6)
    assert scale.faiss_bytes(report, 1024) == pytest.approx(2 * 1488 * 2**20 / 1e6)


@pytest.mark.parametrize(("file", "name"), SHOWN_BY, ids=[name for _, name in SHOWN_BY])
def test_what_shows_a_recovery_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_failure_says_what_shows_it() -> None:
    table = TEXT.partition("## What fails")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(rows) >= 14
    for row in rows:
        shown = row.strip("| ").split(" | ")[-1]
        assert "`tests/" in shown or shown == "not tried", row


# --- what it is computed from -----------------------------------------------------------------------


def test_pictures_take_more_room_with_more_dimensions(tmp_path: Path) -> None:
    sizes = {}
    for dim in (8, 512):
        (tmp_path / f"{dim}").mkdir()
        footprint.fill(tmp_path / f"{dim}", 300, dim)
        sizes[dim] = (tmp_path / f"{dim}" / CATALOG_NAME).stat().st_size
    assert sizes[512] - sizes[8] > 300 * 2 * 500
    assert all(1_000 < size < 60_000 for size in footprint.preview_sizes())


def test_both_engines_are_searched_for_the_same(tmp_path: Path) -> None:
    truth, found = tmp_path / "truth.npy", {}
    for engine in milvus.ENGINES:
        path = tmp_path / ("index.faiss" if engine == "faiss" else "index.db")
        built = milvus.build(engine, path, 300, 16)
        found[engine] = {**built, "size_mb": 1.0, **milvus.search(engine, path, truth, 300, 16, 5)}
        assert found[engine]["recall_at_10"] == 1
    connect(str(tmp_path / "index.db"), local=True).close()
    figures = {"vectors": 300, "dim": 16, "queries": 5, **found}
    report = {"sections": {"milvus": figures}}
    assert "| recall@10 | 1 | 1 |" in scale.engines(report)
    begun = {"milvus": "today", "footprint": "today"}
    measured = {
        "pictures": 2,
        "catalog": {"sqlite": {"8": 100}},
        "preview": {"longest_side": 384, "photographs": 1, "bytes": 9},
    }
    sections = {"milvus": figures, "footprint": measured}
    whole = json.loads(scale.REPORT.read_text(encoding="utf-8")) | {"sections": sections, "section_begun": begun}
    text = to_markdown(whole)
    assert "| Milvus Lite | flat |" in text and "| sqlite catalog | 100 |" in text
