"""The one model in memory, and how another one takes its place."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

LISTED = ("builtin", "sd15", "sd2", "toy")  # `models.FAMILIES`, which cannot be asked before torch is there


class Painters:
    """`painter` is the Inpainter of the model called `name`.  Only the desk's thread changes them."""

    def __init__(self):
        self.name, self.painter, self.shelf, self.backend = "", None, None, "auto"
        self.leaving: list[Callable[[], None]] = []  # called before a model goes, so that nobody holds on to it

    def take(self, name: str):
        """The painter for this model; loads it if it is another one.  Raises ModelError and keeps the old one."""
        if name == self.name:
            return self.painter
        from inpaint.inpainter import Inpainter
        from inpaint.models.loading import Shelf

        self.shelf = self.shelf or Shelf()
        before, self.name, self.painter = self.name, "", None
        if before:
            for leave in self.leaving:
                leave()
        try:
            self.shelf.take(name, backend=self.backend)
            before = name
        finally:
            if self.shelf.current is not None:
                self.name, self.painter = before, Inpainter(self.shelf.current)
        return self.painter

    def fetch(self, name: str) -> Iterator[tuple[str, str, int]]:
        """("loading", name, megabytes downloaded so far) while the model is on its way; raises ModelError."""
        if name == self.name:
            return
        yield "loading", name, 0
        failed: list[BaseException] = []

        def load():
            try:
                self.take(name)
            except BaseException as error:
                failed.append(error)

        before, thread = downloaded(), threading.Thread(target=load, name="load")
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.5)
                yield "loading", name, round((downloaded() - before) / 2**20)
        finally:
            thread.join()  # whoever cancels, the next job must not meet a model half loaded
        if failed:
            raise failed[0]


def downloaded() -> int:
    """Bytes in the Hub's cache, finished or not."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = os.environ.get("HF_HOME") or caches / "huggingface"
    blobs = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").glob("models--*/blobs/*")
    total = 0
    for blob in blobs:
        try:
            total += blob.stat().st_size
        except OSError:
            continue  # renamed just now
    return total


painters = Painters()
