"""Find the outline of the thing that a visitor clicks, draws over or circles."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from inpaint import InpaintError, InvalidRequest
from inpaint.pixels import objects

from .. import images
from ..session import Session
from ..words.core import in_words
from ..words.say import language, say
from . import messages

log = logging.getLogger("inpaint.page")


class Selecting:
    """The handler of the editor's event "outline"."""

    def __init__(self, page):
        self.page = page

    def outline(self, event: gr.EventData, request: gr.Request):
        """Return the thing that is meant as a part of the mask, or a message that says why there is none."""
        session = self.page.sessions.of(request)
        session.language = language(request)
        what = event._data or {}
        try:
            return messages.thing(what.get("of"), *self.found(session, what))
        except InpaintError as error:
            problem = in_words(error, session.language)
        except Exception as error:
            log.exception("a thing could not be outlined")
            problem = say("unexpected", session.language, error=type(error).__name__)
        return messages.thing(what.get("of"), say=problem, bad=True, forgotten=session.picture is None)

    def found(self, session: Session, what: dict[str, Any]) -> tuple[str, list[int]]:
        """Return the thing's part of the mask as a `data:` URL, and its box there."""
        picture, grow, size = session.picture, what.get("grow"), what.get("size")
        if picture is None:
            raise InvalidRequest("picture", say("no_picture", session.language))
        if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)):
            raise InvalidRequest("mask", "These are no points of the picture.", "Give each as [x, y] in its pixels.")
        mask = objects.select(self.source(session), what.get("line") or (), what.get("loop") or (), grow)
        return images.shown_part(mask, (size[0], size[1]))

    @staticmethod
    def source(session: Session) -> objects.Source:
        """Return the session's picture, prepared; it stays prepared until another takes its place."""
        rgb = session.pictures[session.at].rgb
        source = session.source
        if source is None or source.rgb is not rgb:
            source = session.source = objects.Source(rgb)
        return source
