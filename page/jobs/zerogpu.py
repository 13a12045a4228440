"""Borrow a GPU for one call on Hugging Face ZeroGPU; elsewhere do nothing, with or without `spaces` installed.

On ZeroGPU the decorated generator runs in a forked worker: what goes in and what it yields is pickled, and flags and
locks are not shared with it; only closing it reaches it, at its next yield.  A model that is on the GPU before the
page is launched, loaded in the main thread, is there in every worker; any other is loaded in borrowed time.
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

# The variable by which `spaces` itself knows; Hugging Face installs the package into every Gradio Space.
ACTIVE = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")

if ACTIVE:
    import spaces  # before torch, as ZeroGPU asks

START, STEP, LOAD, LONGEST = 15, 0.25, 60, 120  # seconds: worker, denoising step, loading a model, most one may ask


def gpu(duration: Callable[..., int]) -> Callable[[Callable], Callable]:
    """Return the decorator; `duration` takes the call's own arguments and returns seconds."""
    return spaces.GPU(duration=duration) if ACTIVE else lambda function: function


def seconds(name: str, requests: list[Request], *_: object) -> int:
    """Estimate the job's seconds sparingly: a short job waits less in ZeroGPU's queue."""
    from .current_model import current_model
    from .work import steps_of

    steps = sum(map(steps_of, requests))
    loading = LOAD if name != current_model.name else 0
    return min(LONGEST, START + loading + ceil(STEP * steps))


def translated(error: gr.Error) -> Exception:
    """Translate an error of `spaces`: its own sentence on quotas and queues, or that the worker failed."""
    if getattr(error, "title", "") != "ZeroGPU worker error":
        return InpaintError(str(error.message))
    if "aborted" in str(error.message):
        return InpaintError("The job took longer than ZeroGPU lends a GPU for.", "Choose fewer steps or variations.")
    return RuntimeError(str(error.message))
