"""Turn the page's settings into a request, and the job's events into messages for the editor."""

from __future__ import annotations

import json
import logging
from functools import partial
from time import perf_counter
from typing import Any

import anyio.to_thread
import gradio as gr
from PIL import Image, ImageChops

from inpaint import InpaintError, InvalidRequest, Request
from inpaint.paths import without_folders
from inpaint.pixels.mask import SparseMask

from .. import images
from ..jobs import worker
from ..jobs.current_model import current_model
from ..jobs.events import Filling, Finished, Loading, Preview, Stopped, Waiting
from ..jobs.job_queue import QueueFull
from ..session import Session
from ..words.core import in_words
from ..words.say import language, say
from . import messages
from .controls import seed_of

log = logging.getLogger("inpaint.page")


class Running:
    """The handlers of the buttons Repaint and Cancel, and of the editor's event "rescue"."""

    def __init__(self, page):
        self.page = page

    async def run(self, request: gr.Request, packed: Any, task: Any, model: Any, fresh: Any, *values: Any):
        """Yield (message, seed): messages while the picture forms, then the results.

        The values are as the browser sent them; Gradio does not check them, so a wrong one gets a sentence of ours.
        """
        session = self.page.sessions.of(request)
        session.language = language(request)
        if not await self.page.listeners.heard([request.session_hash]):
            return  # a program that posts jobs and never asks for their results must not keep others waiting
        try:
            # in a thread, since a mask of many megapixels takes a while and must not hold up other visitors
            asked, method, resume = await anyio.to_thread.run_sync(self.asked, session, packed, task, fresh, values)
            model = self.page.model_named(str(model or self.page.shown_model), session.language)
            requests = worker.requests_for(asked, method)
            await anyio.to_thread.run_sync(self.page.limits.check_jobs, requests, session.language)
            before = session.runs
            async for message in self.watch(session, model, requests, resume):
                yield message, gr.skip()
            last = [one for one in session.strip if one.run == session.runs > before]
            if last:
                yield gr.skip(), last[0].result.request.seed
        except Exception as error:
            yield refusal(error, session), gr.skip()

    async def rescue(self, request: gr.Request):
        """Yield the messages that turn a cancelled run's last step into a finished picture."""
        session = self.page.sessions.of(request)
        kept = session.film[-1].kept if session.film else None
        try:
            if kept is None or kept.step is None:
                raise InvalidRequest("picture", say("no_result", session.language))
            async for message in self.watch(session, current_model.name, [session.asked], (kept, True)):
                yield message
        except Exception as error:
            yield refusal(error, session)

    def asked(self, session: Session, packed: Any, task: Any, fresh: Any, values) -> tuple[Request, str, Any]:
        """Return the request, the method chosen on the page, and the step to continue from."""
        if session.picture is None:
            raise InvalidRequest("picture", say("no_picture", session.language))
        packed = unpacked(packed)
        settings = self.page.controls.settings(values)
        method = settings.pop("method")
        settings["task"] = task
        if task != "expand":
            settings["expand"] = ""
        if fresh:
            settings["seed"] = seed_of("")
        if self.page.limits.public:
            settings |= {"keep_gps": False, "mark_ai": True}
        self.page.limits.check(settings, session.language)
        mask = images.mask_from(packed.get("mask"), session.picture.size)
        if mask is None and not settings["expand"] and not settings["mask_from_alpha"]:
            mask = Image.new("L", session.picture.size)  # for an empty mask the core says that nothing is painted
        asked = Request(
            picture=session.picture, mask=mask, method="auto" if method == "compare" else method, **settings
        )
        return asked, method, self.branch(session, packed.get("branch"))

    def branch(self, session: Session, index: Any):
        """Return the kept step with that number in the last run; None to start from noise."""
        if not isinstance(index, int) or not 0 <= index < len(session.film):
            return None
        kept = session.film[index].kept
        return None if kept is None or kept.step is None else (kept, False)

    async def watch(self, session: Session, model: str, requests: list[Request], resume: worker.Resume | None):
        """Yield the messages of one job, from the queue to its results; none once another picture is open."""
        film, results, previews, shown_at, filling = [], [], 0, 0.0, False
        words, session.asked, stencil = session.language, requests[0], Stencil(requests[0].mask)
        with session.running("paint") as cancel:
            work = partial(worker.paint, model, requests, resume)
            async for event in self.page.queue.run(work, address=session.address, cancel=cancel):
                if session.picture is not requests[0].picture:
                    cancel.cancel()
                    continue  # until the job ends, within one step
                match event:
                    case Waiting(position):
                        yield messages.wait(say("waiting", words, place=position))
                    case Loading(name, megabytes):
                        key = "fetching" if megabytes else "loading"
                        yield messages.wait(say(key, words, name=without_folders(name), mb=megabytes))
                    case Filling(jpeg, painted):
                        src = images.data_url(jpeg) if jpeg else None
                        if src or not filling:
                            filling, area = True, stencil.over(painted) if painted else None
                            yield messages.step(0, say("filling", words), src, area)
                    case Preview():
                        film.append(event)
                        if event.jpeg or perf_counter() - shown_at > worker.PAUSE:
                            shown_at, previews = perf_counter(), previews + bool(event.jpeg)
                            yield self.step(event, words, stencil.of(event))
                    case Finished(result):
                        results.append(result)
                    case Stopped():
                        yield self.stopped(session, film, previews)
                        return
        if session.picture is not requests[0].picture:
            return
        session.film = session.film[: resume[0].index + 1] + film if resume else film
        new, gone = session.add(results, self.page.limits.session_megabytes)
        yield await anyio.to_thread.run_sync(self.page.results.finished, session, new, gone)

    def step(self, preview: Preview, words: str, area: str | None) -> messages.Message:
        """Return the message with the progress and, if there is a new one, the preview and where it may be shown."""
        done = preview.index + 1
        eta = preview.seconds / done * (preview.total - done)
        text = say("step", words, i=done, n=preview.total, eta=max(0, round(eta)))
        src = images.data_url(preview.jpeg) if preview.jpeg else None
        return messages.step(done / preview.total, text, src, area)

    def stopped(self, session: Session, film: list, previews: int) -> messages.Message:
        """Return the message that ends a cancelled run; its steps are kept if any was shown."""
        if previews:
            session.film = film
        key = "stopped" if previews else "stopped_early"
        return messages.stopped(say(key, session.language), preview=bool(previews))

    def cancel(self, request: gr.Request) -> None:
        """Stop what this visitor is running on the paint tab, within one step."""
        self.page.sessions.of(request).cancel("paint")


class Stencil:
    """The part of the picture that the previews of one run may change; the rest stays sharp on the screen."""

    def __init__(self, painted: Image.Image | None):
        """Begin with what is painted: it holds for a preview that does not say itself what will be pasted."""
        self.painted = painted
        self.seen: SparseMask | None = None  # never the step, which would keep the model in memory
        self.mask: Image.Image | None = None

    def over(self, painted: SparseMask) -> str | None:
        """Return the `data:` URL of the stencil for a hole that is being filled if it has changed, or None."""
        if painted is self.seen:
            return None
        self.seen, self.mask = painted, images.reduced(painted.whole())
        return images.stencil(self.mask)

    def of(self, preview: Preview) -> str | None:
        """Return the `data:` URL of the stencil (see `images.stencil`) if it has changed, or None."""
        render = getattr(preview.step, "render", None)
        if render is None:
            painted, self.painted = self.painted, None
            return images.stencil(painted) if painted is not None and self.mask is None else None
        if render.composite is None or render.composite is self.seen:
            return None
        self.seen, mask = render.composite, images.reduced(render.composite.whole())
        self.mask = mask if self.mask is None else ImageChops.lighter(self.mask, mask)  # islands are painted in turn
        return images.stencil(self.mask)


def refusal(error: Exception, session: Session) -> messages.Message:
    """Return the message that ends a run with a sentence about the error, and names the field to change."""
    words = session.language
    match error:
        case QueueFull():
            sentence = say("busy", words, n=error.position)
        case InpaintError():
            sentence = in_words(error, words)
        case _:
            log.error("a run failed", exc_info=error)
            sentence = say("unexpected", words, error=type(error).__name__)
    field = getattr(error, "field", None)
    return messages.stopped(sentence, bad=True, field=field, forgotten=session.picture is None)


def unpacked(packed: Any) -> dict[str, Any]:
    """Return the values that the editor sent as JSON; {} if that is not a JSON object."""
    try:
        values = json.loads(packed or "{}")
    except (TypeError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
