"""What int8 costs: text-to-image retrieval of the bundled model and of the same in fp32, on captioned photos.

Neither the photos nor the fp32 weights are part of the project: see ``--data`` and ``--reference``.
"""

from __future__ import annotations

import json

from tests.benchmarks.setting import MINI, Setting
from tests.benchmarks.timing import BenchmarkError, Figures, LeftOut, clipsearch_command, offline, run, say

SPLIT = "dev"


def measure(setting: Setting) -> Figures:
    """Hit rates at 1, 5 and 10 in percent: of the bundled model, and of the reference if one is named."""
    if setting.data is None:
        raise LeftOut("no folder of captioned photos is named; say which with --data")
    folder = setting.data / "flickr8k"
    if not (folder / "captions.tsv").is_file():
        raise BenchmarkError("the folder named by --data has no flickr8k/captions.tsv")
    specs = {MINI: MINI} | ({"reference": setting.reference} if setting.reference else {})
    rates = {}
    for name, spec in specs.items():
        say(f"  hit rates of {name}")
        command = clipsearch_command("evaluate", "--model", spec, "--captions", folder / "captions.tsv")
        command += ["--images", str(folder / "images"), "--split", SPLIT, "--json"]
        _, said = run(command, environment=offline())
        report = json.loads(said)
        rates[name] = {f"@{k}": round(100 * report[f"hit_rate_at_{k}"], 2) for k in (1, 5, 10)}
    return {"captions": f"flickr8k, {SPLIT} split", "hit_rates": rates}
