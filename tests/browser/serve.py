"""Serve the real page with a fake painter: its steps take as long as asked, and prompts can make it fail.

`python tests/browser/serve.py --port 7999`; a prompt with the word "slow" takes 0.4 s a step, "fail" breaks on the
third step, "oom" runs out of memory, "crash" raises what nobody expects.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


class Painter:
    """Fills the mask with a colour made from the seed, a little more of it at each step."""

    model = SimpleNamespace(name="fake", fingerprint="fake-1", methods=("base", "inpaint"))

    def stream(self, request, fills=False):
        from PIL import Image

        from inpaint import InvalidRequest, ModelUnavailable, OutOfMemory, Result

        if request.mask is None or not request.mask.getbbox():
            raise InvalidRequest("mask", "Nothing is painted.", "Paint over what should change.")
        if "offline" in request.prompt:
            raise ModelUnavailable("The model is not on this machine.", "Connect once to fetch it.")
        pause = threading.Event()
        picture = request.picture.rgb
        mask = request.mask.resize(picture.size).point(lambda v: 255 * (v > 127))
        seeds = tuple(((request.seed or 0) + k) % 2**32 for k in range(request.count))
        images = []
        for k, seed in enumerate(seeds):
            colour = tuple((seed * n + 60) % 200 + 40 for n in (1, 7, 13))
            for i in range(request.steps):
                pause.wait(0.4 if "slow" in request.prompt else 0.02)
                if i == 2 and "fail" in request.prompt:
                    raise InvalidRequest("steps", "This step cannot be done.", "Choose other steps.")
                if i == 2 and "oom" in request.prompt:
                    raise OutOfMemory(
                        "This picture needs more memory than this machine has.", "Try a smaller working size."
                    )
                if i == 2 and "crash" in request.prompt:
                    raise ZeroDivisionError
                part = tuple(round(c * (i + 1) / request.steps) for c in colour)
                now = Image.composite(Image.new("RGB", picture.size, part), picture, mask)
                yield Step(k * request.steps + i, request.count * request.steps, now, picture, mask)
            images.append(Image.composite(Image.new("RGB", picture.size, colour), picture, mask))
        report = {
            "max_change_outside": 0,
            "seam_score": 1.0,
            "seconds": {"total": 0.5},
            "notes": [],
            "method": "base" if request.method == "auto" else request.method,
        }
        dressed = tuple(request.picture.repainted(image, request.picture.alpha) for image in images)
        model = {"name": "fake", "fingerprint": "fake-1"}
        yield Result(dressed, replace(request, seed=seeds[0]), report, model, seeds)

    def resume(self, step, request, finish=False):
        """Start over instead of continuing; a finished step counts as the last one."""
        yield from self.stream(replace(request, count=1, steps=1 if finish else request.steps))


class Step:
    """The attributes of a step that the page reads."""

    def __init__(self, index: int, total: int, image, picture, mask):
        self.index, self.total, self.t, self.image = index, total, 0, image
        self.x = self.pred_x0 = self.seen = ()
        look = image.resize((8, 8))
        asked = SimpleNamespace(picture=None)  # of a photo without a colour profile
        self.scene = SimpleNamespace(
            request=asked, picture=picture, hole=mask, latent_hole=lambda: look, look=lambda x: look
        )

    def preview(self, side: int = 512):
        small = self.image.copy()
        small.thumbnail((side, side))
        return small


def pretend(current_model, painter: Painter | None = None) -> None:
    """Let the page paint with the fake painter, whatever model is asked for."""
    painter = painter or Painter()

    def switch_to(name: str):
        current_model.name, current_model.painter = name, painter
        yield from ()

    current_model.switch_to = switch_to


def main() -> None:
    from page.jobs.current_model import current_model

    pretend(current_model)
    from page.main import main as serve

    serve()


if __name__ == "__main__":
    main()
