"""Generates ``data/world/land.geojson`` from the npm package world-atlas; see ``data/world/README.md``.

Run as ``python -m ui.build_world_outline land-110m.json data/world/land.geojson``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

_DECIMALS = 1
"""Decimals of a degree: 11 km, less than a pixel of a map of a whole country."""

_Line: TypeAlias = list[tuple[float, float]]


def land_of(topology: dict[str, Any]) -> dict[str, Any]:
    """The land of a quantized TopoJSON as a GeoJSON MultiPolygon, rounded.

    Source: the TopoJSON specification 1.0, §2.1.3 (arcs) and §4 (their indexes; ``~i`` is arc i backwards).
    """
    (step_x, step_y), (left, bottom) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs: list[_Line] = []
    for arc in topology["arcs"]:
        x = y = 0
        line: _Line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * step_x + left, y * step_y + bottom))
        arcs.append(line)
    shapes = topology["objects"]["land"]
    polygons = [
        [_ring(indexes, arcs) for indexes in polygon]
        for shape in shapes.get("geometries", [shapes])
        for polygon in (shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]])
    ]
    kept = [rings for polygon in polygons if (rings := [ring for ring in polygon if len(ring) > 3])]
    return {"type": "MultiPolygon", "coordinates": kept}


def _ring(indexes: list[int], arcs: list[_Line]) -> _Line:
    """The joined arcs, rounded, without repeated points."""
    ring: _Line = []
    for index in indexes:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        for longitude, latitude in arc:
            point = (round(longitude, _DECIMALS), round(latitude, _DECIMALS))
            if not ring or ring[-1] != point:
                ring.append(point)
    return ring


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    land = land_of(json.loads(source.read_text(encoding="utf-8")))
    target.write_text(json.dumps(land, separators=(",", ":")) + "\n", encoding="utf-8")
