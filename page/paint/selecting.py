"""Find the outline of the thing that a visitor clicks, draws over or circles."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import gradio as gr

from inpaint import InpaintError, InvalidRequest
from inpaint.paths import without_folders
from inpaint.pixels import objects

from .. import images
from ..session import Session
from ..words.core import in_words
from ..words.say import language, say
from . import messages

log = logging.getLogger("inpaint.page")
TICK = 0.5  # seconds between two looks at a download


class Selecting:
    """The handler of the editor's event "outline"."""

    def __init__(self, page, model: str | None = None):
        self.page = page
        self.find: objects.Finder | None = None if model else objects.found
        self._model, self._loading = model or "", threading.Lock()

    def outline(self, event: gr.EventData, request: gr.Request):
        """Yield the thing that is meant as a part of the mask, or a message that says why there is none.

        If the page was started with a model for it, the first visitor who needs it is told its size and waits for it.
        """
        session = self.page.sessions.of(request)
        session.language = language(request)
        what = event._data or {}
        try:
            yield from self.prepared(session.language)
            yield messages.thing(what.get("of"), *self.found(session, what))
            return
        except InpaintError as error:
            problem = in_words(error, session.language)
        except Exception as error:
            log.exception("a thing could not be outlined")
            problem = say("unexpected", session.language, error=type(error).__name__)
        yield messages.thing(what.get("of"), say=problem, bad=True, forgotten=session.picture is None)

    def prepared(self, words: str) -> Iterator[messages.Message]:
        """Load the model if need be, once its size and the progress of its download have been shown."""
        if self.find is not None:
            return
        from inpaint.models import sam

        name, steps = without_folders(self._model), queue.SimpleQueue[Any]()
        with ThreadPoolExecutor(1) as pool:
            finding = pool.submit(sam.find, self._model, steps.put)
            while not finding.done():
                with suppress(queue.Empty):
                    step = steps.get(timeout=TICK)
                    yield messages.notice(
                        say("fetching_finder", words, name=name, mb=_mb(step.done), all=_mb(step.total or step.done))
                    )
            size = sam.weights_bytes(finding.result())
        yield messages.notice(say("loading_finder", words, name=name, mb=_mb(size)))
        with self._loading:
            self.find = self.find or sam.load(self._model)

    def found(self, session: Session, what: dict[str, Any]) -> tuple[str, list[int]]:
        """Return the thing's part of the mask as a `data:` URL, and its box there."""
        picture, grow, size = session.picture, what.get("grow"), what.get("size")
        if picture is None:
            raise InvalidRequest("picture", say("no_picture", session.language))
        if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)):
            raise InvalidRequest("mask", "These are no points of the picture.", "Give each as [x, y] in its pixels.")
        line, loop, find = what.get("line") or (), what.get("loop") or (), self.find or objects.found
        mask = objects.select(self.source(session), line, loop, grow, find)
        return images.shown_part(mask, (size[0], size[1]))

    @staticmethod
    def source(session: Session) -> objects.Source:
        """Return the session's picture, prepared; it stays prepared until another takes its place."""
        rgb = session.pictures[session.at].rgb
        source = session.source
        if source is None or source.rgb is not rgb:
            source = session.source = objects.Source(rgb)
        return source


def _mb(size: int) -> int:
    return round(size / 2**20)
