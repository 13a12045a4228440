"""Hugging Face ZeroGPU: `gpu(duration)` borrows a GPU for one call where `spaces` is installed, else nothing.

The decorated generator then runs in a forked worker: what goes in and what it yields is pickled, and flags and locks
are not shared with it; only closing it reaches it, at its next yield.
"""

from __future__ import annotations

from collections.abc import Callable

try:
    import spaces  # before torch, as ZeroGPU asks
except ImportError:
    spaces = None

PRESENT = spaces is not None


def gpu(duration: Callable) -> Callable:
    """A decorator; `duration` takes the call's own arguments and returns seconds."""
    if spaces is None:
        return lambda function: function
    return spaces.GPU(duration=duration)


def seconds(name: str, requests, *_) -> int:
    """A frugal guess of how long the job needs: a shorter one waits less in ZeroGPU's queue."""
    steps = sum(request.steps * request.count for request in requests)
    return min(120, 15 + round(0.25 * steps))
