"""The HTTP endpoint /inpaint, and the MCP tool of that name: plain files in, previews and then the result out."""

from __future__ import annotations

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

from inpaint import InpaintError, InvalidRequest, Request
from inpaint.files.writing import write
from inpaint.request import options

from .jobs import worker
from .jobs.job_queue import Busy
from .session import address_of, files_folder
from .words.say import say

log = logging.getLogger("inpaint.page")
KEPT = 3600  # seconds that a result can be fetched


class Api:
    """Answers /inpaint; it knows no session."""

    def __init__(self, page):
        self.page, self.door = page, CapacityLimiter(4)  # pictures decoded at once

    async def inpaint(
        self,
        picture: str,
        mask: str,
        prompt: str = "",
        settings: str = "{}",
        model: str = "",
        visitor: gr.Request | None = None,
    ):
        """Repaint the masked part of a picture with Stable Diffusion; every other pixel stays as it is.

        Args:
            picture: The picture to change, as a file.
            mask: A picture of the same content: white is repainted, black stays. May be left out to expand.
            prompt: What to paint there; empty fills from the surroundings.
            settings: JSON object with any of the request's options, such as {"steps": 20, "seed": 7}.
            model: A model the page offers; empty takes the page's own.

        Returns:
            The picture as it stands (previews first, the finished PNG last), and JSON that tells step and report.
        """
        try:
            # in threads: decoding and storing take a while, and meanwhile nobody else would get an answer
            request, name = await to_thread.run_sync(
                self.request, picture, mask, prompt, settings, model, limiter=self.door
            )
            async for kind, value in self.page.desk.run(
                lambda: worker.paint(name, [request]), address=address_of(visitor)
            ):
                told = await to_thread.run_sync(self.told, kind, value)
                if told:
                    yield told
        except Busy as busy:
            raise gr.Error(say("busy", n=busy.place), print_exception=False) from None
        except InpaintError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:  # its own words may hold paths
            log.exception("a request failed")
            raise gr.Error(say("unexpected", error=type(error).__name__), print_exception=False) from None

    def request(self, picture: str, mask: str, prompt: str, settings: str, model: str) -> tuple[Request, str]:
        """The request and the model's name, within this page's limits."""
        if not picture:
            raise InvalidRequest("picture", "There is no picture.", "Send one as `picture`.")
        try:
            chosen = json.loads(settings or "{}") if isinstance(settings, str) else dict(settings or {})
        except (ValueError, TypeError, RecursionError) as error:  # RecursionError: brackets nested without end
            raise InvalidRequest(
                "settings", "The settings are no JSON.", 'Send an object like {"steps": 20}.'
            ) from error
        unknown = set(chosen) - set(options()) if isinstance(chosen, dict) else {"settings"}
        if unknown:
            raise InvalidRequest(
                "settings",
                f"There is no option named {repr(sorted(unknown)[0][:40])[1:-1]}.",
                f"Options are: {', '.join(options())}.",
            )
        name = model or self.page.model
        self.page.check_model(name, "en")
        if self.page.limits.public:
            chosen["keep_gps"] = False
        self.page.limits.check(chosen)
        chosen["prompt"] = prompt or ""
        request = self.page.limits.request(Path(picture), Path(mask) if mask else None, **chosen)
        return worker.requests_for(request, request.method)[0], name

    def told(self, kind: str, value: Any):
        """(file or None, JSON) for one event."""
        if kind == "place":
            return None, json.dumps({"state": "waiting", "place": value})
        if kind != "event":
            return None
        if isinstance(value, tuple):
            return None, json.dumps({"state": "loading", "model": value[1], "megabytes": value[2]})
        if isinstance(value, worker.Shown):
            if value.jpeg is None:
                return None
            return [stored(value.jpeg, "preview.jpg")], json.dumps(
                {"state": "step", "step": value.index + 1, "of": value.total}
            )
        report = {"state": "done", "seed": value.seeds[0], "seeds": list(value.seeds), "report": value.report}
        return [
            stored(value.to_bytes("PNG", k), f"inpainted-{k + 1}.png") for k in range(len(value.images))
        ], json.dumps(report)


_given: dict[Path, float] = {}  # folders of results, oldest first, and when they were made; no clock can jump here
_giving = threading.Lock()


def stored(data: bytes, name: str) -> str:
    """A file that Gradio serves, in a folder named by chance; it goes after an hour or when the program ends."""
    path = files_folder() / "api" / secrets.token_urlsafe(16) / name
    with _giving:
        old = [folder for folder, made in _given.items() if monotonic() - made > KEPT]
        for folder in old:
            del _given[folder]
        _given[path.parent] = monotonic()
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        path.parent.mkdir(parents=True)
    except OSError as error:
        raise InpaintError(
            "The result cannot be stored: the disk is full or closed to writing.", "Try again later."
        ) from error
    return str(write(path, data))


def add_api(page) -> None:
    """The endpoint, on components that are never shown."""
    api = Api(page)
    with gr.Row(visible=False):
        inputs = [
            gr.File(label="picture", type="filepath"),
            gr.File(label="mask", type="filepath"),
            gr.Textbox("", label="prompt"),
            gr.Textbox("{}", label="settings"),
            gr.Textbox("", label="model"),
        ]
        outputs = [gr.File(label="picture", file_count="multiple"), gr.Textbox(label="report")]
        button = gr.Button()
    button.click(api.inpaint, inputs, outputs, api_name="inpaint", concurrency_limit=None)
