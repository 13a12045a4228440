"""The gate in front of Gradio: what this page does not use is closed, and no request may bring more than it needs.

Gradio fetches any public address for whoever asks (`file=http://…`), runs ffmpeg on recordings, copies a session's
state into a file, and reads a request's body to its end whatever its length; none of that is needed here.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from ..limits import Limits
from ..session import files_folder
from ..words.say import say
from . import upload_cleanup

log = logging.getLogger("inpaint.page")
BODY = 16  # megabytes of a request that is no upload: a mask of 4096 × 4096 in base64 fits
CLOSED = (
    "/monitoring",
    *(
        f"/gradio_api/{what}"
        for what in (
            "proxy=",
            "process_recording",
            "deep_link",
            "component_server",
            "stream/",
            "run-history",
            "vibe-",
            "undo-vibe",
            "dev/",
        )
    ),
)
UPLOAD, MCP = "/gradio_api/upload", "/gradio_api/mcp/"
FILES = ("/gradio_api/file=", "/gradio_api/file/")
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]


class Gate:
    """ASGI middleware."""

    def __init__(self, app, limits: Limits):
        self.app, self.limits = app, limits

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"]

        async def answer(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        refusal = self.refusal(path)
        if refusal is None and path.endswith(UPLOAD) and scope["method"] == "POST":
            refusal = await anyio.to_thread.run_sync(self.full)
        most = self.most(path) * 2**20
        if refusal is None and announced(scope) > most:
            refusal = 413, too_long(most)
        if refusal:
            response = JSONResponse({"detail": refusal[1]}, status_code=refusal[0])
            return await response(scope, receive, answer)
        with upload_cleanup.swept(), suppress(ClientDisconnect):  # who has gone needs no answer, and the log no trace
            return await self.app(scope, counted(receive, most), answer)

    def refusal(self, path: str) -> tuple[int, str] | None:
        """(status, sentence) for an address that is closed."""
        for files in FILES:
            path, _, file = path.partition(files)  # a file may be called what it likes
            if "://" in file:
                return 403, "Only files of this page can be fetched here."
        return (404, "There is nothing here.") if any(closed in path for closed in CLOSED) else None

    def most(self, path: str) -> int:
        """Megabytes that a request to this address may bring; to the MCP tool pictures come inside it, as base64."""
        if path.endswith(UPLOAD):
            return self.limits.megabytes * self.limits.batch
        return max(BODY, 3 * self.limits.megabytes) if MCP in path else BODY

    def full(self) -> tuple[int, str] | None:
        """Whether what visitors have left here takes as much room as it may."""
        if megabytes_in(files_folder()) < self.limits.disk_megabytes:
            return None
        return 507, "There is no room for more files at the moment. Try again later."


def announced(scope) -> int:
    """Bytes of the body by its header; 0 without one, for then it is counted as it comes."""
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


def counted(receive, most: int):
    """The same receive, which refuses what comes after `most` bytes."""
    taken = 0

    async def take():
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413, too_long(most))
        return message

    return take


def too_long(most: int) -> str:
    return f"A request may bring at most {most // 2**20} MB. Send less at a time."


def megabytes_in(folder: Path) -> float:
    """What the files in there and below take; those that go meanwhile do not count."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.lstat().st_size
        except OSError:
            continue
    return total / 2**20


def guards(limits: Limits) -> dict[str, Any]:
    """What launch() must be given so that the page is as safe as app.py's."""
    upload_cleanup.watch()
    return {
        "app_kwargs": {"middleware": [Middleware(Gate, limits=limits)]},
        "max_file_size": limits.megabytes * 2**20,
        "strict_cors": True,
    }


def guarded(demo: gr.Blocks) -> None:
    """No address in place of an upload is fetched; Gradio's words on errors, which hold paths, become a sentence."""
    read, call = demo.preprocess_data, demo.call_function

    async def preprocess_data(block_fn, inputs, *args, **kwargs):
        try:
            if addressed(inputs):
                raise ValueError("an address in place of a file")
            return await read(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            log.info("malformed data: %s", type(error).__name__)
            raise gr.Error(say("malformed"), print_exception=False) from None

    async def call_function(*args, **kwargs):
        try:
            return await call(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            log.exception("a handler failed")
            raise gr.Error(say("unexpected", error=type(error).__name__), print_exception=False) from None

    demo.preprocess_data, demo.call_function = preprocess_data, call_function


def addressed(value: Any) -> bool:
    """Whether a file in there is named by an address, which Gradio would fetch."""
    if isinstance(value, (list, tuple)):
        return any(map(addressed, value))
    if not isinstance(value, dict):
        return False
    return "://" in str(value.get("path", "")) or any(map(addressed, value.values()))
