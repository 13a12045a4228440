"""Uploads that break off: Gradio leaves what has come of them on the disk for ever; here it goes with the request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_written: ContextVar[list[str] | None] = ContextVar("written", default=None)


def watch() -> None:
    """From now on the files that Gradio makes for uploads are known by name."""
    from gradio import route_utils

    make = route_utils.NamedTemporaryFile
    if hasattr(make, "watched"):
        return

    def made(*args, **kwargs):
        file = make(*args, **kwargs)
        if _written.get() is not None:
            _written.get().append(file.name)
        return file

    made.watched = True
    route_utils.NamedTemporaryFile = made


@contextmanager
def swept() -> Iterator[None]:
    """A request; of the uploads in it, what Gradio has not put into its place by the end is removed."""
    names: list[str] = []
    before = _written.set(names)
    try:
        yield
    finally:
        _written.reset(before)
        for name in names:
            with suppress(OSError):
                os.unlink(name)
