"""Track which answers somebody is listening to.

Gradio runs what was posted to its queue to the end although nobody ever comes for the answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Listeners:
    """The open connections that read messages, by event or session; for one event loop."""

    def __init__(self) -> None:
        self.counting = False  # without the middleware nobody counts, and everybody counts as heard
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

    async def heard(self, keys: Collection[str], seconds: float) -> bool:
        """Wait up to that many seconds until somebody listens to one of these; return whether somebody does.

        Without keys the request did not come through Gradio's queue, and whoever makes it waits for the answer.
        """
        end = asyncio.get_running_loop().time() + seconds
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
