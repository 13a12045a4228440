"""Answer the HTTP endpoints /inpaint, which is an MCP tool too, and /select: take files, return pictures."""

from __future__ import annotations

import io
import json
import logging
import secrets
import shutil
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr
from anyio import CapacityLimiter, to_thread
from gradio.context import LocalContext

from inpaint import InpaintError, InvalidRequest, Picture, Request, Result
from inpaint.files.writing import write
from inpaint.paths import without_folders
from inpaint.pixels import objects
from inpaint.request import read_settings

from .jobs import worker
from .jobs.events import Event, Finished, Loading, Preview, Waiting
from .jobs.job_queue import QueueFull
from .server.file_input import file_input
from .session import address_of
from .storage import Storage, files_folder
from .words.say import say

log = logging.getLogger("inpaint.page")
KEPT = 3600  # seconds for which a result can be downloaded
METADATA = ("settings", "full", "none")

Answer = tuple[list[str] | None, str]  # files, JSON


class Api:
    """The handlers of /inpaint and /select; they use no session."""

    def __init__(self, page):
        self.page, self.results = page, KeptResults(page.storage)
        self.decoding = CapacityLimiter(4)  # pictures at once

    async def inpaint(
        self,
        picture: str,
        mask: str,
        prompt: str = "",
        settings: Any = None,
        model: str = "",
        visitor: gr.Request | None = None,
    ):
        """Repaint the masked part of a picture with Stable Diffusion; every other pixel stays as it is.

        Args:
            picture: The picture to change, as a file.
            mask: A picture of the same content: white is repainted, black stays. May be left out to expand.
            prompt: What to paint there; empty fills from the surroundings.
            settings: JSON object, or its text, with any of the request's options, such as {"steps": 20}; also
                "metadata": what the result stores, "settings", "full" (the original picture, too) or "none".
            model: A model that the page offers; empty uses the page's own.

        Returns:
            The picture so far (previews first, the finished PNG last), and JSON with the step or the report.
        """
        try:
            if not await self.page.listeners.heard(_keys(visitor)):
                log.info("a request was dropped: its client does not listen for the answer")
                return
            # in threads, since decoding and storing take a while and must not hold up other visitors
            request, name, metadata = await to_thread.run_sync(
                self.request, picture, mask, prompt, settings, model, limiter=self.decoding
            )
            async for event in self.page.queue.run(
                lambda: worker.paint(name, [request]), address=address_of(visitor)
            ):
                answer = await to_thread.run_sync(self.answer, event, metadata)
                if answer:
                    yield answer
            return
        except QueueFull as full:
            problem = say("busy", n=full.position)
        except InpaintError as error:
            problem = str(error)
        except Exception as error:  # its own message may hold paths, so only its type is shown
            log.exception("a request failed")
            problem = say("unexpected", error=type(error).__name__)
        # gradio_client's iteration just ends at an error, so the problem is sent as an answer first
        yield None, json.dumps({"state": "failed", "problem": problem})
        raise gr.Error(problem, print_exception=False)

    async def select(self, picture: str, marks: Any = None):
        """Return the mask of a thing in a picture, which a click, a line over it or a loop around it points out.

        Args:
            picture: The picture, as a file.
            marks: JSON object with "line": [[x, y], ...] in the picture's pixels, one point for a click, or "loop",
                the corners of a box or of any closed line; "grow" is how far to reach beyond the thing's edge.

        Returns:
            The mask, a PNG of the picture's size: white is the thing.
        """
        try:
            return await to_thread.run_sync(self.mask_of, picture, marks, limiter=self.decoding)
        except InpaintError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:  # its own message may hold paths, so only its type is shown
            log.exception("a thing could not be outlined")
            raise gr.Error(say("unexpected", error=type(error).__name__), print_exception=False) from error

    def mask_of(self, picture: str, marks: Any) -> str:
        """Return the path of a mask of the thing that the marks point out."""
        if not picture:
            raise InvalidRequest("picture", "There is no picture.", "Send one as `picture`.")
        given = _object(marks)
        self.page.limits.check_file(Path(picture))
        opened = Picture.open(Path(picture))
        self.page.limits.check_pixels(*opened.size)
        mask = objects.select(objects.Source(opened.rgb), **given).whole()
        buffer = io.BytesIO()
        mask.save(buffer, "PNG")
        return self.results.add(buffer.getvalue(), "mask.png")

    def request(self, picture: str, mask: str, prompt: str, settings: Any, model: str) -> tuple[Request, str, str]:
        """Return the request, the model's name and how much metadata the result holds, within this page's limits."""
        if not picture:
            raise InvalidRequest("picture", "There is no picture.", "Send one as `picture`.")
        self.page.storage.check()
        chosen = read_settings(settings, prompt, besides=("metadata",))
        metadata = chosen.pop("metadata", METADATA[0])
        if metadata not in METADATA:
            raise InvalidRequest(
                "metadata", "This value of metadata is unknown.", f"Choose one of {', '.join(METADATA)}."
            )
        name = self.page.model_named(model or self.page.shown_model, "en")
        if self.page.limits.public:
            chosen |= {"keep_gps": False, "mark_ai": True}
        self.page.limits.check(chosen)
        request = self.page.limits.request(Path(picture), Path(mask) if mask else None, **chosen)
        return worker.requests_for(request, request.method)[0], name, metadata

    def answer(self, event: Event, metadata: str = METADATA[0]) -> Answer | None:
        """Return files and JSON for an event; None for an event that is not sent to clients."""
        match event:
            case Waiting(position):
                return None, json.dumps({"state": "waiting", "place": position})
            case Loading(model, megabytes):
                return None, json.dumps({"state": "loading", "model": without_folders(model), "megabytes": megabytes})
            case Preview(index, total, _, jpeg) if jpeg is not None:
                state = {"state": "step", "step": index + 1, "of": total}
                return [self.results.add(jpeg, "preview.jpg")], json.dumps(state)
            case Finished(result):
                return self._finished(result, metadata)
        return None

    def _finished(self, result: Result, metadata: str) -> Answer:
        state = {"state": "done", "seed": result.seeds[0], "seeds": list(result.seeds), "report": result.report}
        files = [
            self.results.add(result.to_bytes("PNG", k, metadata=metadata), f"inpainted-{k + 1}.png")
            for k in range(len(result.images))
        ]
        return files, json.dumps(state)


def _object(marks: Any) -> dict[str, Any]:
    """Return the marks as {name: value}; raise InvalidRequest for anything else."""
    try:
        given = json.loads(marks) if isinstance(marks, str) else marks
    except ValueError:
        given = None
    if not isinstance(given, dict) or not given.keys() <= {"line", "loop", "grow"}:
        raise InvalidRequest("mask", "The marks cannot be read.", 'Send an object such as {"line": [[120, 80]]}.')
    return given


def _keys(visitor: gr.Request | None) -> list[str]:
    """Return the keys under which a listener to this request is counted: its session and its event."""
    return [key for key in (getattr(visitor, "session_hash", None), LocalContext.event_id.get(None)) if key]


class KeptResults:
    """Files that Gradio serves, each in a folder with a random name; removed after an hour or at exit."""

    def __init__(self, storage: Storage):
        self.storage = storage
        self._made: dict[Path, float] = {}  # {folder: when it was made, monotonic}, oldest first
        self._lock = threading.Lock()

    def add(self, data: bytes, name: str) -> str:
        """Store a file and return its path; raise InpaintError if there is no room."""
        self.storage.check()
        path = files_folder() / "api" / secrets.token_urlsafe(16) / name
        for folder in self._expired(path.parent):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            path.parent.mkdir(parents=True)
        except OSError as error:
            raise InpaintError(
                "The result cannot be stored: the disk is full or read-only.", "Try again later."
            ) from error
        self.storage.add(len(data))
        return str(write(path, data))

    def _expired(self, new: Path) -> list[Path]:
        """Register a new folder and return the expired ones."""
        with self._lock:
            old = [folder for folder, made in self._made.items() if monotonic() - made > KEPT]
            for folder in old:
                del self._made[folder]
            self._made[new] = monotonic()
        return old


def add_api(page) -> None:
    """Add the endpoints, with hidden components for its inputs and outputs."""
    api = Api(page)
    with gr.Row(visible=False):
        inputs = [
            file_input(label="picture"),
            file_input(label="mask"),
            gr.Textbox("", label="prompt"),
            gr.JSON({}, label="settings"),
            gr.Textbox("", label="model"),
        ]
        outputs = [gr.File(label="picture", file_count="multiple"), gr.Textbox(label="report")]
        button = gr.Button()
        marks, mask, pointing = gr.JSON({}, label="marks"), gr.File(label="mask"), gr.Button()
    button.click(api.inpaint, inputs, outputs, api_name="inpaint", concurrency_limit=None)
    pointing.click(api.select, [inputs[0], marks], mask, api_name="select", concurrency_limit=4)
