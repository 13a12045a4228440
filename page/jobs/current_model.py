"""Hold the one loaded model, and load another one in its place.

Two models may not fit into memory, so the old one is unloaded first, and nothing else may refer to it then.  That
happens only once all files of the new one are on this machine, so that a mistyped name or a broken download does not
cost anybody the loaded model.
"""

from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from inpaint.errors import OutOfMemory

from . import kept_steps
from .events import Loading

TICK = 0.5  # seconds between two events while a model is downloaded or loaded


class CurrentModel:
    """The loaded model.

    name     its name, "" if none is loaded
    painter  its Inpainter
    options  those of `load` that apply to every model

    Only one thread at a time may load.  `find` checks and downloads a model's files, or raises ModelError; `load`
    reads them into memory.
    """

    def __init__(self, load: Callable[..., Any] | None = None, find: Callable[..., None] | None = None):
        self._load, self._find = load or _load, find or _find
        self.name, self.painter = "", None
        self.options: dict[str, Any] = {}
        self._chosen: dict[str, Any] = {}  # the options that it was loaded with

    name: str
    painter: Any  # Inpainter, of which importing the type imports torch

    def switch_to(self, name: str) -> Iterator[Loading]:
        """Yield Loading while the model is being loaded, nothing if it is loaded; on ModelError the old one stays.

        Closing the iterator stops a download, which the next one continues, but waits for a model that is being read.
        """
        if name == self.name:
            return
        yield Loading(name)
        yield from self._downloaded(name)
        loading = _Thread(lambda: self.load(name), f"load {name}")
        try:
            while not loading.ended(TICK):
                yield Loading(name)
        finally:
            loading.join()  # even if cancelled: the next job must not find a model half loaded
        loading.raise_error()

    def load(self, name: str, **options: Any) -> None:
        """Load the model in this thread, replacing the old one; on ModelError load the old one again and raise."""
        options = {**self.options, **options}
        if name == self.name and options == self._chosen:
            return
        self._find(name, **options)
        before = self.name, self._chosen
        self._unload()
        try:
            self._put(name, options)
        except BaseException as error:
            error.__traceback__ = None  # its frames still hold the part of the new model that was loaded
            self._unload()
            if before[0]:
                with suppress(Exception):  # the first error is the one to report
                    self._put(*before)
            from inpaint.memory.policy import is_out_of_memory

            if is_out_of_memory(error):
                raise OutOfMemory(
                    f"The model {name} needs more memory than this machine has.",
                    "Choose a smaller model, or memory low.",
                ) from error
            raise

    def _downloaded(self, name: str) -> Iterator[Loading]:
        """Yield Loading while the model's files are found and downloaded; closing it stops the download."""
        reached, stopped = 0, threading.Event()

        def progress(step: Any) -> None:
            nonlocal reached
            if stopped.is_set():
                raise _Stopped
            reached = step.done

        finding = _Thread(lambda: self._find(name, progress=progress, **self.options), f"find {name}")
        try:
            while not finding.ended(TICK):
                yield Loading(name, round(reached / 2**20))
        finally:
            stopped.set()
        finding.raise_error()

    def _put(self, name: str, options: dict[str, Any]) -> None:
        from inpaint.inpainter import Inpainter

        self.painter = Inpainter(self._load(name, **options))
        self.name, self._chosen = name, options

    def _unload(self) -> None:
        kept_steps.release_all()
        device = getattr(getattr(self.painter, "model", None), "device", None)
        self.name, self.painter, self._chosen = "", None, {}
        gc.collect()
        if device is not None:
            from inpaint.memory.device import empty_cache
            from inpaint.memory.malloc import trim

            empty_cache(device)
            trim()


class _Stopped(Exception):
    """Raised to stop a download that nobody is waiting for any more."""


class _Thread:
    """A thread that runs one function and keeps its error."""

    def __init__(self, work: Callable[[], None], name: str):
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error

    def ended(self, seconds: float) -> bool:
        """Wait up to that many seconds; return whether the function has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait until the function has ended."""
        self._thread.join()

    def raise_error(self) -> None:
        """Raise the function's error, if any."""
        if self._error is not None:
            raise self._error


def _load(name: str, **options: Any) -> Any:
    from inpaint.models.loading import load

    return load(name, **options)


def _find(name: str, progress: Callable[[Any], None] | None = None, **options: Any) -> None:
    """Find the model's files with those of the options of `load` that say which files are read."""
    from inpaint.models.loading import find

    known = inspect.signature(find).parameters
    find(name, progress=progress, **{key: value for key, value in options.items() if key in known})


current_model = CurrentModel()
