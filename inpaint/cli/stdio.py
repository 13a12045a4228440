"""Serve the MCP tool on standard input and output; assistants start it as `python -m inpaint --mcp`.

Pictures are given as paths of files on this machine, so they may be of any size.  The result is a new file beside the
picture; nothing is overwritten.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import from_thread, to_thread

from .. import batch
from ..errors import InpaintError, InvalidRequest
from ..request import Request, read_settings
from ..result import Result
from . import outputs, tool

if TYPE_CHECKING:
    from ..inpainter import Inpainter

PICTURE = "The path of a picture file on this machine."
OUT = "The file to write, .png, .jpg, .webp or .tiff; leave it out for a new file beside the picture."

Progress = Callable[[int, int], Coroutine[Any, Any, None]]  # steps done, steps in all
Answer = tuple[dict[str, Any], list[bytes]]  # facts, previews


def serve(load: Callable[[], Inpainter]) -> None:
    """Answer requests until standard input ends; `load` is called for the first picture and returns the painter."""
    from mcp import types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

    server, jobs = Server(tool.NAME), Jobs(load)

    @server.list_tools()
    async def tools() -> list[types.Tool]:
        about = tool.ABOUT + "The result is a new file, beside a small preview."
        return [types.Tool(name=tool.NAME, description=about, inputSchema=tool.schema(PICTURE, out=OUT))]

    @server.call_tool(validate_input=False)  # our own checks say what is wrong in one sentence
    async def call(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        context = server.request_context
        token = context.meta.progressToken if context.meta else None

        async def progress(done: int, total: int) -> None:
            if token is not None:
                await context.session.send_progress_notification(token, done, total)

        try:
            facts, previews = await jobs.run(name, arguments, progress)
        except InpaintError as error:
            return tool.failed(str(error))
        except Exception as error:
            return tool.failed(batch.unforeseen(error))
        content = [types.TextContent(type="text", text=json.dumps(facts))]
        return types.CallToolResult(content=[*content, *map(tool.image, previews)])

    async def main() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(main)


class Jobs:
    """Run one request at a time in a thread; a cancelled request stops within one step."""

    def __init__(self, load: Callable[[], Inpainter]):
        self.load, self.painting = load, threading.Lock()
        self.painter: Inpainter | None = None

    async def run(self, name: str, arguments: dict[str, Any], progress: Progress) -> Answer:
        """Return facts and previews of the saved pictures; await progress(done, total) after each step."""
        if name != tool.NAME:
            raise InvalidRequest("name", f"There is no tool named {name[:40]!r}.", f"Use {tool.NAME}.")
        stop = threading.Event()
        try:
            return await to_thread.run_sync(self._paint, arguments, progress, stop, abandon_on_cancel=True)
        finally:
            stop.set()

    def _paint(
        self, arguments: dict[str, Any], progress: Progress, stop: threading.Event
    ) -> tuple[dict, list[bytes]]:
        request, out = asked(arguments)
        with self.painting:  # a cancelled call may still be in its last step
            if stop.is_set():
                raise InpaintError("The call was cancelled.")
            self.painter = self.painter or self.load()
            from ..pipeline.filling import Filled  # which needs torch, as the painter does

            for event in self.painter.stream(request, fills=True):
                if stop.is_set():
                    break
                if isinstance(event, Result):
                    return saved(event, out)
                if not isinstance(event, Filled):
                    from_thread.run(progress, event.index + 1, event.total)
        raise InpaintError("The call was cancelled.")


def asked(arguments: dict[str, Any]) -> tuple[Request, outputs.Outputs]:
    """Return the request and the files to write; raise InpaintError before any work."""
    unknown = set(arguments) - {"picture", "mask", "prompt", "settings", "out"}
    if unknown:
        raise InvalidRequest(
            "settings", f"There is no argument {min(unknown)[:40]!r}.", "Options belong in settings."
        )
    picture, mask, out = (_path(arguments, name) for name in ("picture", "mask", "out"))
    if picture is None:
        raise InvalidRequest("picture", "There is no picture.", "Give the path of one as `picture`.")
    settings = read_settings(arguments.get("settings"), arguments.get("prompt"))
    request = Request(picture=picture, mask=mask, **settings)
    if out and out.exists():
        raise InvalidRequest("out", f"{out} exists already.", "Choose another name, or leave it out.")
    return request, outputs.plan(out, request.count, None, picture, {"picture": picture, "mask": mask})


def saved(result: Result, out: outputs.Outputs) -> Answer:
    """Write the pictures; return facts and previews for the assistant."""
    paths = out.save(result, "full", 95)
    facts = {"files": [str(path.resolve()) for path in paths], "seeds": list(result.seeds), "report": result.report}
    return facts, [tool.preview(image) for image in result.images]


def _path(arguments: dict[str, Any], name: str) -> Path | None:
    given = arguments.get(name)
    if given is not None and not isinstance(given, str):
        raise InvalidRequest(name, f"The {name} is not text.", "Give the path of a file.")
    return Path(given.removeprefix("file://")).expanduser() if given else None
