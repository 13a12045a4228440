"""Check that every address of this version of Gradio is either needed or closed."""

from __future__ import annotations

import re

import pytest

from page.server import routes
from tests import gradio_aside

pytestmark = gradio_aside.warnings

# What Gradio 6.31 answers and this page does not need.  A new version may bring more: read what it does, then add it
# here, or to page/server/routes.py if the page needs it.
CLOSED = {
    "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/monitoring", "/monitoring/summary",
    "/monitoring/{key}", "/gradio_api/deep_link",
    "/gradio_api/api/{api_name}", "/gradio_api/component_server",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}", "/gradio_api/dev/reload",
    "/gradio_api/process_recording", "/gradio_api/proxy={url_path:path}", "/gradio_api/runs",
    "/gradio_api/run-history/buckets", "/gradio_api/run-history/connect", "/gradio_api/run-history/records",
    "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}",
    "/gradio_api/run/{api_name}", "/gradio_api/stream/{event_id}", "/gradio_api/stream/{event_id}/close",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "/gradio_api/undo-vibe-edit", "/gradio_api/user", "/gradio_api/vibe-code", "/gradio_api/vibe-edit",
    "/gradio_api/vibe-starter-queries", "/{page}",
}  # fmt: skip


def gradios() -> set[str]:
    """The addresses that this version of Gradio answers, without a slash at the end."""
    import gradio as gr
    from gradio.routes import App

    with gr.Blocks(analytics_enabled=False) as demo:
        gr.Textbox()
    return paths(App.create_app(demo).routes)


def paths(listed) -> set[str]:
    """The paths of these routes and of the routers among them."""
    found = set()
    for route in listed:
        router = getattr(route, "original_router", None)  # as FastAPI keeps one that was included
        found |= paths(router.routes) if router is not None else {route.path.rstrip("/") or "/"}
    return found


def example(path: str) -> str:
    """An address of that shape."""
    return re.sub(r"\{\w+(:path)?\}", "x", path)


def test_every_address_of_gradio_has_been_decided_on():
    undecided = {path for path in gradios() if not routes.is_open(example(path), mcp=False)} - CLOSED
    assert not undecided, f"read what these do, then close or open them: {sorted(undecided)}"


def test_nothing_is_both_open_and_closed():
    assert not {path for path in CLOSED if routes.is_open(example(path), mcp=True)}


def test_what_the_page_needs_is_still_there():
    """If one were renamed, the page would stop working without a visible reason."""
    known = gradios()
    for path in ("/", "/config", "/theme.css", "/assets/{path:path}", "/static/{path:path}", "/gradio_api/info",
                 "/gradio_api/heartbeat/{session_hash}", "/gradio_api/queue/join", "/gradio_api/queue/data",
                 "/gradio_api/call/{api_name}", "/gradio_api/call/{api_name}/{event_id}", "/gradio_api/upload",
                 "/gradio_api/upload_progress", "/gradio_api/file={path_or_url:path}", "/gradio_api/cancel",
                 "/gradio_api/startup-events", "/gradio_api/run/{api_name}"):  # fmt: skip
        assert path in known, path
    assert len(known) > 50


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/run/inpaint",
        "/gradio_api/api/predict",
        "//config",
        "/config/x",
        "/x",
        "/gradio_api",
        "/gradio_api/",
        "/gradio_api/mcp",
        "/gradio_api/mcp/",
        "/../config",
        "/gradio_api/proxy=http://x",
        "/gradio_api/upload/x",
        "/GRADIO_API/info",
    ],
)
def test_what_is_not_listed_is_closed(path):
    assert not routes.is_open(path, mcp=False)


def test_the_mcp_server_is_open_only_where_there_is_one():
    for path in ("/gradio_api/mcp", "/gradio_api/mcp/", "/gradio_api/mcp/x"):
        assert routes.is_open(path, mcp=True) and not routes.is_open(path, mcp=False)


def test_who_listens_and_who_is_connected():
    assert routes.followed_by("/gradio_api/call/inpaint/abc", {}) == "abc"
    assert routes.followed_by("/gradio_api/queue/data", {"session_hash": "s"}) == "s"
    assert routes.followed_by("/gradio_api/queue/join", {"session_hash": "s"}) is None
    assert routes.heartbeat_of("/gradio_api/heartbeat/s") == "s" and routes.heartbeat_of("/") is None


def test_a_proxys_prefix_is_left_out():
    from page.server.middleware import path_of

    assert path_of({"path": "/paint/config", "root_path": "/paint"}) == "/config"
    assert path_of({"path": "/config", "root_path": "/paint"}) == path_of({"path": "/config"}) == "/config"
