"""Guard Gradio: close the routes this page does not use, and limit the size of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Protocol

import anyio.to_thread
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..limits import Limits
from ..session import Sessions
from ..storage import Storage
from ..words.say import language, say
from . import bodies, origins, routes, upload_cleanup
from .listeners import Listeners

BODY = 16  # megabytes of a request that is not an upload; a mask of 4096 × 4096 in base64 fits
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]
READING = ("GET", "HEAD", "OPTIONS")


class Guarded(Protocol):
    """The parts of a page that the middleware uses."""

    limits: Limits
    sessions: Sessions
    storage: Storage
    listeners: Listeners


class Hardening:
    """ASGI middleware for one page.

    hosts  names besides this machine's own that a Host header may hold; None allows all, for a page on a network
    mcp    whether the page is an MCP server, too
    """

    def __init__(self, app: ASGIApp, page: Guarded, hosts: Collection[str] | None, mcp: bool):
        self.app, self.page, self.hosts, self.mcp = app, page, hosts, mcp
        page.listeners.counting = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # Gradio uses none
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        headers, path = Headers(scope=scope), path_of(scope)
        words = language(Request(scope))
        try:
            await self._check(scope, headers, path, words)
            receive = await self._checked_body(scope, path, words, receive)
        except HTTPException as refusal:
            answer = JSONResponse({"detail": refusal.detail}, status_code=refusal.status_code)
            return await answer(scope, receive, send_hardened)
        async with self._known(scope, path):
            with upload_cleanup.swept(), suppress(ClientDisconnect):  # a client that has left needs no answer
                await self.app(scope, receive, send_hardened)

    async def _check(self, scope: Scope, headers: Headers, path: str, words: str) -> None:
        """Raise HTTPException for a request that must be refused because of its address or headers."""
        if self.hosts is not None and not origins.knows_host(headers.get("host"), self.hosts):
            raise HTTPException(421, say("unknown_host", words))
        if routes.names_address(path):
            raise HTTPException(403, "Only files of this page can be fetched here.")
        if not routes.is_open(path, self.mcp):
            raise HTTPException(404, "There is nothing here.")
        if scope["method"] in READING:
            return
        if origins.is_cross_site(headers):
            raise HTTPException(403, "Other websites cannot send anything here.")
        if path == routes.UPLOAD:
            await anyio.to_thread.run_sync(upload_cleanup.remove_stale)
            if await anyio.to_thread.run_sync(lambda: self.page.storage.full):
                raise HTTPException(507, "There is no room for more files at the moment. Try again later.")
            self.page.storage.add(bodies.announced(scope))

    async def _checked_body(self, scope: Scope, path: str, words: str, receive: Receive) -> Receive:
        """Return a `receive` that delivers the body; raise HTTPException if it is too large or names an address."""
        most = self._most(path) * 2**20
        if bodies.announced(scope) > most:
            raise HTTPException(413, bodies.too_long(most))
        receive = bodies.limited(receive, most)
        if scope["method"] in READING or path == routes.UPLOAD or path.startswith(routes.MCP):
            return receive
        body, receive = await bodies.read(receive)
        if bodies.names_address(body):
            raise HTTPException(400, say("malformed", words))
        return receive

    def _most(self, path: str) -> int:
        """Return the allowed megabytes of a request to this address; MCP requests hold pictures as base64."""
        limits = self.page.limits
        if path == routes.UPLOAD:
            return limits.megabytes * limits.batch
        return max(BODY, 3 * limits.megabytes) if path.startswith(routes.MCP) else BODY

    @asynccontextmanager
    async def _known(self, scope: Scope, path: str) -> AsyncIterator[None]:
        """Record, while the block runs, which session is connected or listens through this request."""
        async with AsyncExitStack() as stack:
            if session := routes.heartbeat_of(path):
                self.page.sessions.connected(session)
            if followed := routes.followed_by(path, QueryParams(scope.get("query_string", b""))):
                stack.enter_context(self.page.listeners.reading(followed))
            yield


def path_of(scope: Scope) -> str:
    """Return the path without the root path, which a proxy in front may have left in it."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def guards(
    page: Guarded, *, host: str | None = None, names: Collection[str] = (), mcp: bool = False
) -> dict[str, Any]:
    """Return the arguments of `launch()` that guard the page, listening on `host`.

    names  further host names of the page, those of a proxy or a share link; more may be added later
    """
    upload_cleanup.watch()
    hosts = names if origins.is_loopback(host) else None
    return {
        "app_kwargs": {"middleware": [Middleware(Hardening, page=page, hosts=hosts, mcp=mcp)]},
        "max_file_size": page.limits.megabytes * 2**20,
        "strict_cors": True,
        "show_error": False,  # errors that are not ours may hold paths
    }
