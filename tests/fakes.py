"""A painter without a model: it paints the mask red at once, in a few steps."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image

from inpaint import Request, Result, Step

MODEL = {"name": "fake", "fingerprint": "f" * 32}


def opened(path) -> Image.Image:
    """Return the picture in a file, with the file closed again."""
    return Image.open(BytesIO(Path(path).read_bytes()))


class FakeStep(Step):
    def __init__(self, index: int, total: int, t: int, seed: int = 0):
        nothing = torch.zeros(1, 4, 1, 1)
        super().__init__(index, total, t, nothing, nothing, nothing, (), 0, seed, 0.0, (), None)

    def preview(self, side: int = 512) -> Image.Image:
        return Image.new("RGB", (40, 30), (self.index * 50, 0, 0))


def result_of(request: Request, colour=(250, 20, 20)) -> Result:
    """Return a result whose mask (or whole picture) has one colour, a little redder for each seed."""
    request = replace(request, seed=(request.seed or 0) % 2**32)
    seeds = tuple(request.seed + k for k in range(request.count))
    images = []
    for seed in seeds:
        if request.picture is None:
            images.append(Image.new("RGB", (64, 64), colour))
            continue
        painted = request.picture.rgb.copy()
        hole = request.mask.resize(painted.size) if request.mask else None
        painted.paste((colour[0], colour[1], seed % 256), (0, 0, *painted.size), hole)
        images.append(request.picture.repainted(painted, request.picture.alpha))
    report = {
        "method": "base",
        "steps": request.steps,
        "max_change_outside": 0,
        "blend_width": 4,
        "seam_score": 1.0,
        "seconds": {"total": 0.5},
        "notes": ["Made up."],
    }
    return Result(tuple(images), request, report, MODEL, seeds)


class Painter:
    """A painter that raises `fail` after its second step, if it is set."""

    def __init__(self, fail: BaseException | None = None):
        self.model, self.fail, self.asked = SimpleNamespace(**MODEL), fail, []

    def stream(self, request: Request, fills: bool = False):
        self.asked.append(request)
        for k in range(4):
            yield FakeStep(k, 4, 1000 - 250 * k)
            if self.fail and k == 1:
                raise self.fail
        yield result_of(request)

    def __call__(self, request: Request, on_step=None) -> Result:
        *steps, result = self.stream(request)
        for step in steps:
            if on_step:
                on_step(step)
        return result
