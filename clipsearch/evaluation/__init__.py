"""Evaluation of models without a library: retrieval, labels, few-shot, robustness, overlap (docs/evaluation.md)."""

from __future__ import annotations

from clipsearch.evaluation.captions import Caption, read_captions
from clipsearch.evaluation.embedding import Progress, SkippedImage
from clipsearch.evaluation.measurements import Difference, Figure, Measurement
from clipsearch.evaluation.report import EvaluationReport, compare
from clipsearch.evaluation.retrieval import RetrievalReport, evaluate_retrieval, pair_similarities
from clipsearch.evaluation.significance import Bootstrap

__all__ = [
    "Bootstrap",
    "Caption",
    "Difference",
    "EvaluationReport",
    "Figure",
    "Measurement",
    "Progress",
    "RetrievalReport",
    "SkippedImage",
    "compare",
    "evaluate_retrieval",
    "pair_similarities",
    "read_captions",
]
