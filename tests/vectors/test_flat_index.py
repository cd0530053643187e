"""A process that searches a few times does so without loading FAISS, and finds the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from clipsearch.vectors.faiss.files import IndexStamp
from clipsearch.vectors.faiss.flat_index import FlatIndex

DIM = 512
COUNT = 70_000  # compared in two threads; twice as many load FAISS

KS = [10, 1, 1280, 10, 10]
FILTERED = 3
"""Number of searches that are limited to some ids."""

SEARCHES = """
import json, sys
from pathlib import Path
import numpy as np
from clipsearch.vectors.faiss.saved import open_index

index, _ = open_index(Path(sys.argv[1]))
query, within = np.load(sys.argv[2]), np.load(sys.argv[3])
for number, k in enumerate(json.loads(sys.argv[4])):
    neighbors = index.search(query, k, within=within if number < int(sys.argv[5]) else None)
    print(json.dumps(["faiss" in sys.modules, neighbors.ids.tolist(), neighbors.scores.tolist()]))
"""


def test_the_first_searches_of_a_process_find_what_faiss_finds_without_loading_it(tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).normal(size=(COUNT, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[100:130] = vectors[100]  # equal scores at the last rank
    index = FlatIndex(DIM)
    index.add(np.arange(COUNT), vectors)
    saved, query, ids = tmp_path / "vectors.faiss", tmp_path / "query.npy", tmp_path / "within.npy"
    index.save(saved, IndexStamp("tiny@ff", DIM, 1, 0))
    within = np.arange(0, 9000, 7)
    np.save(query, vectors[100])
    np.save(ids, within)

    arguments = [str(saved), str(query), str(ids), json.dumps(KS), str(FILTERED)]
    said = subprocess.run([sys.executable, "-c", SEARCHES, *arguments], capture_output=True, text=True, check=True)

    found = [json.loads(line) for line in said.stdout.splitlines()]
    assert [is_loaded for is_loaded, _, _ in found] == [False, False, False, False, True]
    for number, (k, (_, found_ids, scores)) in enumerate(zip(KS, found, strict=True)):
        expected = index.search(vectors[100], k, within=within if number < FILTERED else None)
        assert found_ids == expected.ids.tolist()
        np.testing.assert_allclose(scores, expected.scores, atol=1e-6)
