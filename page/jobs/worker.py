"""Run requests and yield their events: previews while the pictures form, then the results.

All of this runs in the job queue's thread; on ZeroGPU in a separate process.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import gradio as gr

from inpaint import InpaintError, InvalidRequest, Request, Result

from .current_model import current_model
from .events import Event, Failed, Filling, Finished, Loading, Preview
from .kept_steps import SIDE, KeptStep, jpeg, small
from .zerogpu import ACTIVE, gpu, seconds, translated

if TYPE_CHECKING:
    from inpaint import Step
    from inpaint.pipeline.filling import Filled

PAUSE = 0.2  # at most five previews a second …
COST = 0.02  # … and at most this share of the run's time spent on them

Resume = tuple[KeptStep, bool]  # a step to continue from, and whether to finish its picture at once


def requests_for(request: Request, method: str) -> list[Request]:
    """Return the request for this method; for `compare` two, with the same seed."""
    if request.seed is None:
        request = replace(request, seed=random.SystemRandom().randrange(2**32))
    if method != "compare":
        return [request]
    return [replace(request, method="base"), replace(request, method="inpaint")]


def paint(name: str, requests: list[Request], resume: Resume | None = None) -> Iterator[Event]:
    """Yield Loading if the model must be loaded, a Preview for every step, and Finished for every request.

    Raises InpaintError, also for ZeroGPU's own refusals, with its sentence.
    """
    try:
        with closing(_paint(name, requests, resume)) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise event.error
                yield event
    except gr.Error as error:
        raise translated(error) from error


def warm_up(name: str) -> Iterator[Event]:
    """Make a tiny run, an event for each step: what a model prepares at its first run is ready before anybody waits.

    Do nothing where the model runs in another process.
    """
    if ACTIVE or current_model.name != name or current_model.painter is None:
        return
    from PIL import Image

    small, mask = Image.new("RGB", (64, 64), "grey"), Image.new("L", (64, 64), 255)
    request = Request("warm", small, mask, steps=2)  # with a prompt, since some models run no step without one
    for event in current_model.painter.stream(request):
        if not isinstance(event, Result):
            event.preview(SIDE)
            yield Loading(name)


@gpu(duration=seconds)
def _paint(name: str, requests: list[Request], resume: Resume | None) -> Iterator[Event]:
    """Yield what `paint` yields, in the process that has the GPU; an InpaintError becomes a Failed event."""
    try:
        yield from current_model.switch_to(name)
        yield from _steps(requests, resume)
    except InpaintError as error:
        error.__traceback__ = None  # its frames hold the job's tensors
        yield Failed(error)


def _steps(requests: list[Request], resume: Resume | None) -> Iterator[Event]:
    from inpaint.pipeline.filling import Filled  # which imports torch, as the model has done by now

    began, pacer, done = perf_counter(), _Pacer(), 0
    for request in requests:
        total, shown, profile = 0, None, request.picture.icc if request.picture else None
        for event in _stream(request, resume):
            if isinstance(event, Result):
                yield Finished(event)
                continue
            if isinstance(event, Filled):
                yield (
                    Filling()
                    if event is shown or shown is None
                    else Filling(jpeg(small(event, profile)), event.painted)
                )
                shown = event
                continue
            total, now = event.total, perf_counter() - began
            picture = pacer.preview(event, now, profile)
            kept = None if ACTIVE else KeptStep(event, profile)
            yield Preview(done + event.index, total * len(requests), now, picture, kept)
        done += total


def _stream(request: Request, resume: Resume | None) -> Iterator[Filled | Step | Result]:
    painter = current_model.painter
    if resume is None:
        return painter.stream(request, fills=True)
    kept, finish = resume
    step = kept.step
    if step is None:  # another model was loaded while the job waited
        raise InvalidRequest(
            "picture", "This step is no longer available: another model was loaded since.", "Run again."
        )
    return painter.resume(step, request, finish)


class _Pacer:
    """Choose which steps get a preview, so that previews cost at most COST of the time."""

    def __init__(self) -> None:
        self.last: float | None = None
        self.spent = 0.0

    def preview(self, step: Step, now: float, profile: bytes | None) -> bytes | None:
        """Return the step's picture, or None if the last one is too recent; `now` is seconds since the job began.

        profile  the ICC profile of the photo's colours
        """
        if self.last is not None and (now - self.last < PAUSE or self.spent > COST * now):
            return None
        began = perf_counter()
        picture = jpeg(small(step, profile))
        took = perf_counter() - began
        if self.last is not None:  # the first one takes longer: it also scales the picture and fits the colours
            self.spent += took
        self.last = now + took
        return picture
