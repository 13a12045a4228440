"""Run a job on a GPU that Hugging Face ZeroGPU lends for one call; elsewhere run it as it is.

On ZeroGPU the decorated generator runs in a forked process.  Its arguments and the values it yields are pickled;
flags and locks are not shared with it, so it can be stopped only by closing it, which takes effect at its next
yield.  A model that the main thread has loaded before the page is launched is available in every such process; any
other model is loaded in the time for which the GPU is lent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from inpaint.errors import InpaintError

if TYPE_CHECKING:
    import gradio as gr

    from inpaint import Request

# The variable that the package `spaces` itself checks; Hugging Face installs the package in every Gradio Space.
ACTIVE = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")

if ACTIVE:
    import spaces  # before torch, as ZeroGPU asks

START, STEP, LOAD = 15, 0.25, 60  # seconds for the process to start, for a denoising step, for loading a model
LONGEST = 120  # seconds: ZeroGPU lends no GPU for longer


def gpu(duration: Callable[..., int]) -> Callable[[Callable], Callable]:
    """Return the decorator that asks for a GPU; `duration` takes the call's own arguments and returns seconds."""
    return spaces.GPU(duration=duration) if ACTIVE else lambda function: function


def seconds(name: str, requests: list[Request], *_: object) -> int:
    """Estimate the job's seconds; not generously, since a short job waits less in ZeroGPU's queue."""
    from .current_model import current_model
    from .work import steps_of

    steps = sum(map(steps_of, requests))
    loading = LOAD if name != current_model.name else 0
    return min(LONGEST, START + loading + ceil(STEP * steps))


def translated(error: gr.Error) -> Exception:
    """Turn an error of `spaces` into ours: its sentence on quotas and queues, or that the process failed."""
    if getattr(error, "title", "") != "ZeroGPU worker error":
        return InpaintError(str(error.message))
    if "aborted" in str(error.message):
        return InpaintError(
            "The job took longer than the time for which ZeroGPU lends a GPU.", "Choose fewer steps or variations."
        )
    return RuntimeError(str(error.message))
