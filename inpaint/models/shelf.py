"""The one model that is loaded, and how another one takes its place."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import OutOfMemory


class Shelf:
    """`take` swaps the model; if the new one cannot be loaded, the old one comes back.

    Both may not fit into memory, so the old one goes first: whoever else holds it keeps it there.
    """

    def __init__(self, loader: Callable[..., Any] | None = None):
        self.loader, self.current = loader or _load, None
        self.asked: tuple[str, dict[str, Any]] | None = None

    def take(self, name: str, **options) -> Any:
        """The model of this name: the one on the shelf if it is that, else loaded after the old one has gone."""
        if self.current is not None and self.asked == (name, options):
            return self.current
        before = self.asked
        self._clear()
        try:
            self._put(name, options)
        except BaseException as error:
            error.__traceback__ = None  # its frames hold what was loaded of the new one
            self._clear()
            if before is not None:
                with suppress(Exception):  # the first error is the one to tell
                    self._put(*before)
            from ..memory.policy import is_out_of_memory

            if is_out_of_memory(error):
                raise OutOfMemory(
                    f"The model {name} needs more memory than there is.", "Choose a smaller model, or memory low."
                ) from error
            raise
        return self.current

    def _put(self, name: str, options: dict[str, Any]) -> None:
        self.current = self.loader(name, **options)
        self.asked = (name, options)

    def _clear(self) -> None:
        device = getattr(self.current, "device", None)
        self.asked = self.current = None
        gc.collect()
        if device is not None:
            from ..memory.device import empty_cache
            from ..memory.malloc import trim

            empty_cache(device)
            trim()


def _load(name: str, **options) -> Any:
    from .loading import load

    return load(name, **options)
