"""Track for which answers a client is listening.

Gradio runs every call posted to its queue to the end, even if nobody ever fetches the answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

PATIENCE = 15  # seconds to wait until a client listens for the answer; then its job is queued or dropped


class Listeners:
    """The open connections that read messages, by event or session; for one event loop."""

    def __init__(self) -> None:
        self.counting = False  # the middleware sets this; without it, every request counts as heard
        self._open: Counter[str] = Counter()
        self._changed = asyncio.Event()

    @contextmanager
    def reading(self, key: str) -> Iterator[None]:
        """Count a listener while the block runs."""
        self._open[key] += 1
        self._changed.set()
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    async def heard(self, keys: Collection[str]) -> bool:
        """Wait up to PATIENCE seconds for a listener to one of these keys; return whether there is one.

        A request without keys did not come through Gradio's queue, so its client is waiting for the answer itself.
        """
        end = asyncio.get_running_loop().time() + PATIENCE
        while keys and self.counting and not any(self._open[key] for key in keys):
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return False
        return True
