"""What may be left undecoded between two keyframes: the time that it saves, and what it does to the embeddings.

    python -m tests.benchmarks.skipping VIDEO...

For each video: CPU time of a full decode over that of each way, frames decoded, and the cosine of the embeddings of a
frame a second to those of a full decode (mean and least), with the bundled model.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from clipsearch.media.video.container import open_video
from clipsearch.media.video.sampling import to_image
from clipsearch.models.loading import load_encoder

WAYS = {
    "referenced frames": ("NONREF", {}),
    "the same, not deblocked": ("NONREF", {"skip_loop_filter": "all"}),
    "no B-frames": ("BIDIR", {}),
    "keyframes": ("NONKEY", {}),
}
SIZE = (340, 256)


def decode(path: Path, skip: str, options: dict[str, str], *, keep: bool) -> tuple[float, int, dict[int, Image.Image]]:
    """Seconds of CPU time, frames decoded and, if asked for, the frames in a small size by time stamp."""
    with open_video(path) as video:
        context = video.stream.codec_context
        context.options, context.skip_frame = options, skip
        images: dict[int, Image.Image] = {}
        count, started = 0, time.process_time()
        for frame in video.container.decode(video.stream):
            count += 1
            if keep and frame.pts is not None:
                images[frame.pts] = to_image(frame, SIZE)
        return time.process_time() - started, count, images


def main() -> None:
    """Measure and print a table for each video."""
    encoder = load_encoder("mini")
    for path in map(Path, sys.argv[1:]):
        whole_s, frames, _ = decode(path, "DEFAULT", {}, keep=False)
        _, _, truth = decode(path, "DEFAULT", {}, keep=True)
        with open_video(path) as video:
            base = float(video.time_base)
        print(f"{path.name}: {frames} frames")
        for name, (skip, options) in WAYS.items():
            seconds, count, _ = decode(path, skip, options, keep=False)
            _, _, images = decode(path, skip, options, keep=True)
            by_second = {int(stamp * base): stamp for stamp in sorted(images.keys() & truth.keys(), reverse=True)}
            pixels = [
                np.stack([encoder.transform(shown[stamp]) for stamp in by_second.values()]) for shown in (truth, images)
            ]
            one, other = (encoder.encode_pixels(each) for each in pixels)
            cosines = (one * other).sum(axis=1)
            damage = f"cosine {cosines.mean():.3f}, least {cosines.min():.3f}"
            print(f"  {name:24} {whole_s / seconds:5.1f} times   {count:5} frames   {damage}")


if __name__ == "__main__":
    main()
