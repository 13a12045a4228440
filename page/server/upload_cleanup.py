"""Remove the files of interrupted uploads, which Gradio would leave on the disk for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from ..storage import files_folder

STALE = 1800  # seconds without a write after which an incomplete upload is removed

_written: ContextVar[list[str] | None] = ContextVar("written", default=None)


def watch() -> bool:
    """Record the names of the files that Gradio makes for uploads; return False if this Gradio makes them otherwise.

    In that case `remove_stale` removes incomplete uploads later, by their age.
    """
    from gradio import route_utils

    make = getattr(route_utils, "NamedTemporaryFile", None)
    if make is None or hasattr(make, "watched"):
        return make is not None

    def made(*args, **kwargs):
        file = make(*args, **kwargs)
        names = _written.get()
        if names is not None:
            names.append(file.name)
        return file

    vars(made)["watched"] = True
    vars(route_utils)["NamedTemporaryFile"] = made
    return True


@contextmanager
def swept() -> Iterator[None]:
    """Remove the incomplete uploads of one request when the block ends; Gradio has moved the complete ones."""
    names: list[str] = []
    before = _written.set(names)
    try:
        yield
    finally:
        _written.reset(before)
        for name in names:
            with suppress(OSError):
                os.unlink(name)


def remove_stale(folder: Path | None = None) -> None:
    """Remove incomplete uploads, the files directly in the folder, that have not been written to for long."""
    with suppress(OSError), os.scandir(folder or files_folder()) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False) and time.time() - entry.stat().st_mtime > STALE:
                    os.unlink(entry.path)
