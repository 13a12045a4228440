"""Watch every step: save its preview, and print how much the predicted clean latent still changes.

python examples/callback.py [PHOTO MASK PROMPT OUT_FOLDER]
"""

import sys
from pathlib import Path

import inpaint

photo, mask, prompt, folder = sys.argv[1:] or [
    "assets/examples/wren.jpg",
    "assets/examples/wren-mask.png",
    "pizza",
    "steps",
]
Path(folder).mkdir(exist_ok=True)
before = None


def on_step(step):
    """Save the preview of one step; to cancel, close the iterator of `painter.stream(request)` instead."""
    global before
    step.preview().save(Path(folder) / f"step-{step.index + 1:02}.png")
    change = "" if before is None else f", change {float((step.pred_x0 - before).abs().mean()):.4f}"
    before = step.pred_x0
    print(f"step {step.index + 1} of {step.total}, t = {step.t}{change}")


painter = inpaint.load("builtin")
result = painter(inpaint.Request(prompt, photo, mask, seed=7), on_step)
result.save(Path(folder) / "result.png")
