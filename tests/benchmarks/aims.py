"""What the figures are to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.indexing import RCLIP
from tests.benchmarks.models import ARCHITECTURE
from tests.benchmarks.timing import Figures

_LARGEST = "1000000"


@dataclass(frozen=True)
class Aim:
    """Something to reach.

    Attributes:
        name: of what.
        wanted: the least, or with `at_most` the most, that reaches it.
        unit: after a figure.
        figure: takes it from a report; raises `KeyError` where the report does not hold it.
        at_most: less is better.
    """

    name: str
    wanted: float
    unit: str
    figure: Callable[[Figures], float]
    at_most: bool = False

    def is_reached(self, figure: float) -> bool:
        return figure <= self.wanted if self.at_most else figure >= self.wanted


def judge(sections: Figures) -> list[dict[str, object]]:
    """Every aim with its figure; ``None`` where it was not measured."""
    judged = []
    for aim in AIMS:
        try:
            figure: float | None = round(aim.figure(sections), 3)
        except (KeyError, ZeroDivisionError, ValueError):
            figure = None
        row = {"aim": aim.name, "wanted": aim.wanted, "at_most": aim.at_most, "unit": aim.unit, "figure": figure}
        judged.append({**row, "reached": None if figure is None else aim.is_reached(figure)})
    return judged


def _of_architecture(rates: Figures) -> list[str]:
    return [name for name in rates if name.split()[0] == ARCHITECTURE]


def _indexing_ratio(size: str, precision: str) -> Callable[[Figures], float]:
    def ratio(sections: Figures) -> float:
        return float(sections["indexing"]["sizes"][size]["ratio_to_rclip"][f"{ARCHITECTURE} {precision}"])  # type: ignore[index]

    return ratio


def _simulated(setting: str) -> Callable[[Figures], float]:
    return lambda sections: float(sections["scaling"]["simulation"][setting]["share_of_slowest"])  # type: ignore[index]


def _on_cuda(model: str, figure: str) -> Callable[[Figures], float]:
    return lambda sections: float(sections["cuda"][model][figure])  # type: ignore[index]


def _share_of_limit(size: str, *, of: Callable[[float, float], float]) -> Callable[[Figures], float]:
    """Of what bare decoding and bare inference allow, for the architecture at the precision that is best at it."""

    def share(sections: Figures) -> float:
        limits = sections["limits"]
        rates = sections["indexing"]["sizes"][size]["run_images_per_s"]  # type: ignore[index]
        decode = float(limits["sizes"][size]["decode_images_per_s"][ARCHITECTURE])  # type: ignore[index]
        inference = {name: max(found.values()) for name, found in limits["inference_images_per_s"].items()}  # type: ignore[index]
        return max(float(rates[name]) / of(decode, float(inference[name])) for name in _of_architecture(rates))

    return share


def _one_after_the_other(decode: float, inference: float) -> float:
    """Images/s where both stages take turns on the same cores, each at its bare limit, and nothing else takes time."""
    return 1 / (1 / decode + 1 / inference)


def _query_ratio(vectors: str) -> Callable[[Figures], float]:
    def best(sections: Figures) -> float:
        ratios = sections["queries"]["sizes"][vectors]["rclip_over_clipsearch"]  # type: ignore[index]
        return max(float(ratios[name]) for name in _of_architecture(ratios))

    return best


def _warm_search(kind: str) -> Callable[[Figures], float]:
    def p50(sections: Figures) -> float:
        return float(sections["queries"]["sizes"][_LARGEST]["warm"]["mini"][kind]["p50_ms"])  # type: ignore[index]

    return p50


def _lost_to_int8(sections: Figures) -> float:
    rates = sections["quality"]["hit_rates"]  # type: ignore[index]
    return float(rates["reference"]["@10"] - rates["mini"]["@10"])


AIMS = (
    *(
        Aim(
            f"indexing {size}, {ARCHITECTURE} {each}, speed relative to {RCLIP}",
            wanted,
            "×",
            _indexing_ratio(size, each),
        )
        for size, each, wanted in (
            ("0.3 MP", "int8", 3.5),
            ("0.3 MP", "fp32", 1.2),
            ("12 MP", "int8", 2.8),
            ("12 MP", "fp32", 1.05),
        )
    ),
    *(
        Aim(f"indexing with a simulated GPU, {each}, share of the slowest stage alone", 0.85, "", _simulated(each))
        for each in ("decode-bound", "embed-bound")
    ),
    *(
        aim
        for model in (ARCHITECTURE, "ViT-L-14")
        for aim in (
            Aim(f"CUDA, {model}, share of the slowest stage alone", 0.85, "", _on_cuda(model, "share_of_slowest")),
            Aim(f"CUDA, {model}, first batch committed", 6.0, " s", _on_cuda(model, "first_batch_s"), at_most=True),
        )
    ),
    *(
        Aim(f"indexing {size}, share of {what}", 0.8, "", _share_of_limit(size, of=of))
        for what, of in (
            ("the slower stage limit", min),
            ("the combined limit of both stages on the same cores", _one_after_the_other),
        )
        for size in ("0.3 MP", "2 MP", "12 MP", "48 MP")
    ),
    Aim(f"cold text query at 1,000 images, speed relative to {RCLIP}", 2.5, "×", _query_ratio("1000")),
    Aim(f"cold text query at 100,000 images, speed relative to {RCLIP}", 4.0, "×", _query_ratio("100000")),
    *(
        Aim(f"warm search at 1,000,000 vectors, mini, p50, {what}", 10.0, " ms", _warm_search(kind), at_most=True)
        for kind, what in (("search", "new text"), ("known", "known text"))
    ),
    Aim(
        "vector index alone at 1,000,000 vectors, p50",
        10.0,
        " ms",
        lambda sections: float(sections["vector_index"]["sizes"][_LARGEST]["search"]["p50_ms"]),  # type: ignore[index]
        at_most=True,
    ),
    Aim(
        "recall@10 of the vector index at 1,000,000 vectors",
        0.99,
        "",
        lambda sections: float(sections["vector_index"]["sizes"][_LARGEST]["recall_at_10"]),  # type: ignore[index]
    ),
    Aim(
        "rescan of 100,000 unchanged files",
        50_000,
        " files/s",
        lambda sections: float(sections["rescan"]["sizes"]["100000"]["whole_run_files_per_s"]),  # type: ignore[index]
    ),
    Aim("loss of hit rate @10 by int8, mini, points", 0.5, "", _lost_to_int8, at_most=True),
)
