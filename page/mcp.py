"""Serve /inpaint as an MCP tool, with the protocol's official library (https://modelcontextprotocol.io).

Gradio's own MCP server takes requests of at most 4 MB, runs cancelled calls to their end and refuses the addresses
that its schema asks for.  Here pictures come as `data:` URLs or as uploads to this page, and a call stops within one
step if it is cancelled or its client has left.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import gradio as gr
from anyio import to_thread
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from inpaint import InpaintError, InvalidRequest
from inpaint.cli import tool

from .storage import files_folder

PATH, FILE = "/gradio_api/mcp", "/gradio_api/file="
IDLE = 600  # seconds without a request after which a client's session ends
LEFT = "inpaint.left"  # key in a request's scope for the event that is set when its client has left
PICTURE = (
    "The picture: a data: URL (data:image/jpeg;base64,…), or the path that an upload to this page returns: "
    "curl -F files=@photo.jpg ADDRESS/gradio_api/upload."
)
MODEL = "A model that the page offers; leave it out for the page's own."
METADATA = {
    "type": "string",
    "enum": ["settings", "full", "none"],
    "default": "settings",
    "description": "What the finished PNG stores; full includes the pixels under the mask, too.",
}


class McpServer:
    """The tool `inpaint` over streamable HTTP, inside the page's web application."""

    def __init__(self, api, megabytes: int, sessions: int):
        """Answer calls with `api`; a request may have up to `megabytes`, and up to `sessions` clients may connect."""
        self.api, self.server = api, Server("inpaint")
        self.server.list_tools()(self.tools)
        self.server.call_tool(validate_input=False)(self.call)  # our own checks say what is wrong in one sentence
        self.manager = StreamableHTTPSessionManager(
            self.server, session_idle_timeout=IDLE, max_sessions=sessions, max_request_body_size=megabytes * 2**20
        )

    def app_kwargs(self) -> dict[str, Any]:
        """Return the arguments of launch() for FastAPI: the route, and a lifespan that runs the MCP sessions."""

        @asynccontextmanager
        async def lifespan(_) -> AsyncIterator[None]:
            async with self.manager.run():
                yield

        return {"routes": [Mount(PATH, app=self)], "lifespan": lifespan}

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on; the scope records whether its client leaves before the answer."""
        if scope["method"] == "GET":  # would open a stream for messages of the server's own, which it never sends
            refusal = Response("This MCP server takes POST.", 405, {"Allow": "POST, DELETE"})
            return await refusal(scope, receive, send)
        left = anyio.Event()

        async def watched():
            message = await receive()
            if message["type"] == "http.disconnect":
                left.set()
            return message

        await self.manager.handle_request({**scope, LEFT: left}, watched, send)

    @property
    def request(self) -> Request:
        """Return the HTTP request that is being answered."""
        request = self.server.request_context.request
        assert isinstance(request, Request)
        return request

    async def tools(self) -> list[types.Tool]:
        """Return the one tool, with every option of a request described."""
        about = tool.ABOUT + "The answer holds the address of the finished picture, and a small preview."
        schema = tool.schema(PICTURE, model=MODEL)
        schema["properties"]["settings"]["properties"]["metadata"] = METADATA
        return [types.Tool(name=tool.NAME, description=about, inputSchema=schema)]

    async def call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Answer one call; it is cancelled when the client leaves."""
        left = self.request.scope[LEFT]
        answer = tool.failed(f"There is no tool named {name[:40]!r}. There is only {tool.NAME!r}.")
        async with anyio.create_task_group() as tasks:

            async def stop_when_left():
                await left.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop_when_left)
            if name == tool.NAME:
                answer = await self.answered(arguments)
            tasks.cancel_scope.cancel()
        return answer

    async def answered(self, arguments: dict[str, Any]) -> types.CallToolResult:
        """Return the finished pictures, or a sentence that says why there are none."""
        folder = files_folder() / "mcp" / secrets.token_urlsafe(16)
        try:
            self.api.page.storage.check()
            files = [
                await to_thread.run_sync(picture_file, arguments.get(each), each, folder)
                for each in ("picture", "mask")
            ]
            words = [arguments.get(each) or "" for each in ("prompt", "settings", "model")]
            async with aclosing(self.api.inpaint(*files, *words, visitor=self.request)) as events:
                async for event in events:
                    await self.progress(json.loads(event[1]))
            paths, report = event
            return finished(paths, report, base_address(self.request))
        except (gr.Error, InpaintError) as error:
            return tool.failed(getattr(error, "message", None) or str(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def progress(self, state: dict[str, Any]) -> None:
        """Report each finished step to the client, if it asked for progress."""
        context = self.server.request_context
        token = context.meta.progressToken if context.meta else None
        if token is not None and state.get("state") == "step":
            await context.session.send_progress_notification(
                token, state["step"], state["of"], related_request_id=str(context.request_id)
            )


def picture_file(given: Any, name: str, folder: Path) -> str | None:
    """Return the path of a picture sent by a client; raise InvalidRequest if it cannot be one."""
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise InvalidRequest(name, f"The {name} is not text.", "Send a data: URL, or upload the file first.")
    if given.startswith("data:"):
        return str(decoded(given, name, folder))
    path = unquote(given.partition(FILE)[2]) if FILE in given else given
    try:
        inside = "://" not in path and Path(path).resolve().is_relative_to(files_folder()) and Path(path).is_file()
    except (OSError, ValueError):
        inside = False
    if not inside:
        raise InvalidRequest(
            name,
            f"The {name} {given[:60]!r} was not uploaded to this page.",
            "Send a data: URL, or upload the file first (POST /gradio_api/upload).",
        )
    return path


def decoded(url: str, name: str, folder: Path) -> Path:
    """Write the bytes of a base64 `data:` URL into the folder; raise InvalidRequest."""
    head, comma, text = url.partition(",")
    try:
        if not comma or not head.endswith(";base64"):
            raise ValueError
        data = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            name,
            f"The {name} is not a base64 data: URL.",
            "Write data:image/png;base64, and then the file's bytes in base64.",
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def finished(paths: list[str], report: str, address: str) -> types.CallToolResult:
    """Return the report, links and small previews of the finished pictures."""
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=report)]
    for path in paths:
        with Image.open(path) as image:
            small = tool.image(tool.preview(image))
        content += [types.TextContent(type="text", text=f"{Path(path).name}: {address}{FILE}{path}"), small]
    return types.CallToolResult(content=content)


def base_address(request: Request) -> str:
    """Return http://host:port as the client wrote it, also to a proxy in front of the page."""
    headers = request.headers
    host = headers.get("x-forwarded-host") or headers.get("host") or "localhost"
    scheme = headers.get("x-forwarded-proto") or request.url.scheme
    return f"{scheme.split(',')[0].strip()}://{host.split(',')[0].strip()}"
