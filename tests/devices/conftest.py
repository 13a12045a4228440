"""Fixtures: a small model with both UNets, on the CPU and on an emulated device, and a request for both."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import inpaint
from inpaint import Request, Result
from tests.devices.emulation import Emulated


@pytest.fixture(scope="session")
def painter(both_unets):
    """The model on the CPU, whose pictures are the right ones."""
    return inpaint.load(str(both_unets), dtype="float32", backend="torch")


@pytest.fixture(scope="session")
def load(both_unets):
    """Load the model on the device that is emulated."""
    return partial(inpaint.load, str(both_unets), dtype="float32")


@pytest.fixture
def cuda():
    with Emulated("cuda") as device:
        yield device


def request_of(**settings) -> Request:
    """A hole in a picture; `picture` and `mask` may be replaced by others, or by None."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    given = {"picture": Image.fromarray(noise), "mask": mask, "seed": 1, "steps": 2, "size": 64, **settings}
    return Request(given.pop("prompt", "a pizza"), **given)


def assert_same(ours: Result, theirs: Result) -> None:
    """The pictures differ by rounding at most; kept pixels not at all."""
    assert len(ours.images) == len(theirs.images)
    for one, other in zip(ours.images, theirs.images, strict=True):
        difference = np.abs(np.asarray(one, int) - np.asarray(other, int))
        assert difference.max() <= 1, f"{difference.max()} levels apart"
    assert ours.report.get("max_change_outside", 0) == 0
    assert not [note for note in ours.report["notes"] if "Memory" in note]


def last_latents(events) -> torch.Tensor:
    """The latents after the last step, on the host."""
    *steps, result = events
    assert isinstance(result, Result)
    return steps[-1].x.cpu()
