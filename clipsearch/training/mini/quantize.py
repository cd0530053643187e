"""Give the bundled model's image tower 8-bit convolutions, and record how close it stays to what it was.

Run::

    python -m clipsearch.training.mini.quantize --data ../shared/data --model data/models/mini

The weights that the fingerprint names stay the float32 ones: libraries made with either form can be searched with
the other. Nothing is written unless parity is shown and the hit rate at 10 falls by no more than half a point.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import onnx
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.models.compile.quantization import quantize_static_int8
from clipsearch.models.manifest import file_digests
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.parity import CheckEmbeddings, Parity, measure_parity
from clipsearch.training.mini.data import TrainingData, load_training_data
from clipsearch.training.mini.export import open_session, split_layers
from clipsearch.training.mini.measure import Retrieval, retrieval
from clipsearch.training.mini.views import read_rgb, whole_view

CALIBRATION_PHOTOS = 128
MAX_LOSS = 0.005
"""How much the hit rate at 10 may fall."""


logger = logging.getLogger(__name__)


def quantize_image_tower(model: Path, data: TrainingData) -> tuple[Parity, tuple[Retrieval, Retrieval]]:
    """Replace the image tower of a compiled model by its 8-bit form.

    Args:
        model: directory with an image tower whose convolutions are float32.
        data: `train` calibrates, `dev` is compared on.

    Returns:
        Parity, and retrieval on `dev` before and after.

    Raises:
        ModelError: it is 8-bit already, parity is not shown, or too many pictures are not found any more.
    """
    before = CompiledEncoder(model)
    if "static" in before.manifest.precision["image"]:
        raise ModelError(f"{model} has an 8-bit image tower already")
    size = before.manifest.image.size[0]
    train = [data.images[number] for number in data.sets["flickr8k train"][:CALIBRATION_PHOTOS]]
    photos = data.sets["flickr8k dev"]
    dev = _pixels([data.images[number] for number in photos], size)
    with tempfile.TemporaryDirectory() as scratch:
        padded, made = Path(scratch) / "padded.onnx", Path(scratch) / "image.onnx"
        fix_padding(model / "image.onnx", padded, size)
        quantize_static_int8(padded, made, _pixels(train, size))
        split_layers(made)
        after = CompiledEncoder(model, towers={"image.onnx": made})
        texts = before.encode_texts([caption for number in photos for caption in data.captions(number)])
        forms = [CheckEmbeddings(encoder.encode_pixels(dev), texts) for encoder in (before, after)]
        parity = measure_parity(*forms)
        right = np.repeat(np.arange(len(photos)), [len(data.captions(number)) for number in photos])
        source, rounded = (retrieval(texts, form.images, right) for form in forms)
        loss = source.hit_rates[2] - rounded.hit_rates[2]
        if not parity.shown or loss > MAX_LOSS:
            raise ModelError(f"not kept: {parity}, hit rate at 10 lower by {100 * loss:.1f} points")
        (model / "image.onnx").write_bytes(made.read_bytes())
    replace(
        before.manifest,
        precision={**before.manifest.precision, "image": "int8 static, head int8 weights"},
        weights_fingerprint=before.fingerprint,
        files=file_digests(model),
        rounding=parity,
        compared_on=f"{len(dev)} photos of Flickr8k dev",
    ).write(model)
    return parity, (source, rounded)


def fix_padding(source: Path, target: Path, size: int) -> None:
    """Write a graph whose paddings, calculated in every run, are constants of its convolutions.

    Args:
        source: an image tower for pixels uint8 [n, size, size, 3].
        target: where to write.
        size: height and width in pixels.
    """
    model = onnx.load(source)
    paddings = [node for node in model.graph.node if node.op_type == "Pad"]
    shapes = _values(model, [node.input[1] for node in paddings], size)
    for padding, amounts in zip(paddings, shapes, strict=True):
        (convolution,) = (node for node in model.graph.node if padding.output[0] in node.input)
        convolution.input[0] = padding.input[0]
        (pads,) = (item for item in convolution.attribute if item.name == "pads")
        pads.ints[:] = [own + more for own, more in zip(pads.ints, amounts[[2, 3, 6, 7]].tolist(), strict=True)]
        model.graph.node.remove(padding)
    _prune(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _values(model: onnx.ModelProto, names: list[str], size: int) -> list[NDArray[np.int64]]:
    """What inner values are in a run: amounts of padding before and after each of four axes, [8]."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for name in names:
        probe.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None))
    with tempfile.TemporaryDirectory() as scratch:
        onnx.save(probe, Path(scratch) / "probe.onnx")
        session = open_session(Path(scratch) / "probe.onnx")
        values: list[NDArray[np.int64]] = session.run(names, {"pixels": np.zeros((1, size, size, 3), np.uint8)})
    return values


def _prune(graph: onnx.GraphProto) -> None:
    """Remove the nodes and constants that nothing uses."""
    while True:
        used = {name for node in graph.node for name in node.input} | {item.name for item in graph.output}
        unused = [node for node in graph.node if not used.intersection(node.output)]
        if not unused:
            break
        for node in unused:
            graph.node.remove(node)
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _pixels(paths: list[Path], size: int) -> NDArray[np.uint8]:
    return np.stack([whole_view(read_rgb(path), size) for path in paths])


@click.command()
@click.option("--data", "data_folder", type=click.Path(path_type=Path), required=True, help="Training data folder.")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Folder of the model.")
def main(data_folder: Path, model: Path) -> None:
    """Give a model's image tower 8-bit convolutions, if it stays as good."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parity, (source, rounded) = quantize_image_tower(model, load_training_data(data_folder))
    for name, result in (("before", source), ("after", rounded)):
        rates = " / ".join(f"{100 * rate:.1f}" for rate in result.hit_rates)
        logger.info("dev, %s: hit rate @1/5/10 %s %%", name, rates)
    logger.info("mean cosine %.4f, overlap of the first ten %.3f", parity.cosine, parity.overlap)


if __name__ == "__main__":
    main()
