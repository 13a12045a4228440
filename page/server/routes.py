"""List the addresses that the page needs; every other address of Gradio is closed.

Gradio fetches any public address on request (`proxy=`), runs ffmpeg on recordings, copies a session's state into a
file and keeps a history of runs.  The page needs none of that, and new routes of later versions stay closed too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

API = "/gradio_api"
UPLOAD, MCP = f"{API}/upload", f"{API}/mcp"

_NAME = r"[^/]+"
_PAGE = (  # the page itself and the files its browser fetches; login is for a page with a password
    r"/",
    r"/config/?",
    r"/theme\.css",
    r"/favicon\.ico",
    r"/manifest\.json",
    r"/robots\.txt",
    rf"/pwa_icon(/{_NAME})?",
    r"/(static|assets|svelte)/.+",
    r"/login/?",
    r"/logout",
)
_API = (  # the routes that the page's script and other programs call
    r"/theme\.css",
    r"/info/?",
    r"/openapi\.json",
    r"/startup-events",
    r"/login_check/?",
    r"/token/?",
    r"/app_id/?",
    rf"/heartbeat/{_NAME}",
    r"/queue/(join|data|status)",
    r"/run/predict/?",
    rf"/call(/v2)?/{_NAME}/?",
    rf"/call(/v2)?/{_NAME}/{_NAME}",
    r"/cancel",
    r"/reset/?",
    r"/upload",
    r"/upload_progress",
    r"/file=.+",
    r"/file/.+",
)
OPEN = re.compile("|".join([*_PAGE, *(API + path for path in _API)]))
_LISTENS = re.compile(rf"{API}/call(?:/v2)?/{_NAME}/({_NAME})")
_HEARTBEAT = re.compile(rf"{API}/heartbeat/({_NAME})")


def is_open(path: str, mcp: bool) -> bool:
    """Return whether this page answers at the address; `mcp` says that it is an MCP server too."""
    return bool(OPEN.fullmatch(path)) or (mcp and (path == MCP or path.startswith(f"{MCP}/")))


def names_address(path: str) -> bool:
    """Return whether the path asks for a file by a network address, which Gradio would fetch."""
    _, marker, file = path.partition(f"{API}/file")
    return bool(marker) and "://" in file


def heartbeat_of(path: str) -> str | None:
    """Return the session of a heartbeat, a connection that a tab keeps open; None for any other address."""
    found = _HEARTBEAT.fullmatch(path)
    return found[1] if found else None


def followed_by(path: str, query: Mapping[str, str]) -> str | None:
    """Return the event or session whose messages are read at this address; None for any other address."""
    if path == f"{API}/queue/data":
        return query.get("session_hash")
    found = _LISTENS.fullmatch(path)
    return found[1] if found else None
