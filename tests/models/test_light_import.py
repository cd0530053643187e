"""open_clip is imported without what a model does not need, and everything still works afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clipsearch.models.torch.light_import import import_open_clip, uninitialized
from tests.conftest import ROOT
from tests.tiny_models import create_tiny_model, tiny_model

HEAVY = ("transformers", "timm", "torch._dynamo")

SCRIPT = """
import json, sys
from clipsearch.models.torch.encoder import OpenClipEncoder
heavy = %r
clip = OpenClipEncoder(sys.argv[1])
before = [name for name in heavy if name in sys.modules]
siglip = OpenClipEncoder(sys.argv[2])
import torch._dynamo, torchvision.ops, transformers
boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
torchvision.ops.roi_align(torch.zeros(1, 1, 4, 4), [boxes], 2)
import open_clip.hf_model
print(json.dumps([before, clip.encode_texts(["a cat"]).shape, siglip.encode_texts(["a cat"]).shape,
                  open_clip.hf_model.transformers is transformers, open_clip.hf_model.HFTextEncoder.__module__]))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.long
def test_a_model_imports_what_it_needs_and_the_next_one_the_rest(base: Path) -> None:
    specs = [f"local-dir:{tiny_model(base, name)}" for name in ("clip", "siglip")]
    command = [sys.executable, "-c", SCRIPT % (HEAVY,), *specs]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], [1, 64], [1, 64], True, "open_clip.hf_model"]


def test_it_is_open_clip() -> None:
    import open_clip

    assert import_open_clip() is open_clip


@pytest.mark.parametrize("name", ["clip", "siglip", "resnet"])
def test_weights_of_a_checkpoint_are_the_same_without_an_initialization(name: str) -> None:
    torch.manual_seed(0)
    state = create_tiny_model(name).state_dict()
    with uninitialized():
        model = create_tiny_model(name)
    model.load_state_dict(state, strict=True)
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())


def test_random_numbers_come_back_afterwards() -> None:
    with uninitialized():
        torch.nn.Linear(4, 4)
    torch.manual_seed(0)
    assert torch.nn.Linear(4, 4).weight.abs().sum() > 0
    assert torch.empty(100).normal_().std() > 0.5
