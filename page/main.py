"""Start the page: prepare the process, build the page, listen until somebody stops it."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile

from .arguments import arguments, check_address


def main(argv: list[str] | None = None) -> None:
    """Run the page until the process is told to end."""
    asked = arguments(argv)
    check_address(asked.host, asked.port)
    end_politely()
    environment()
    from inpaint.memory import malloc
    from inpaint.paths import ASSETS

    from .server import gradio_startup

    malloc.keep()  # before there are threads, so that the worker's allocates from the same heap
    gradio_startup.install()
    from .jobs import zerogpu  # imports `spaces` first where it is installed  # noqa: F401
    from .jobs.current_model import painters
    from .layout import Page, head, theme
    from .limits import Limits
    from .paint.editor import style
    from .server.middleware import guards
    from .words.say import i18n

    limits = Limits.from_environment()
    painters.backend = asked.backend
    page = Page(limits, asked.model)
    with gradio_startup.one_app():
        demo = page.build()
    guarded = guards(limits)
    if asked.mcp:
        from .api import Api
        from .mcp import McpServer

        server = McpServer(Api(page), 3 * limits.megabytes, limits.sessions)
        guarded["app_kwargs"] |= server.app_kwargs()
    demo.launch(
        server_name=asked.host,
        server_port=asked.port,
        share=asked.share,
        mcp_server=False,  # page/mcp.py
        auth=asked.auth,
        inbrowser=asked.open,
        theme=theme(),
        css=style(),
        head=head(),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        show_error=True,
        i18n=i18n(),
        prevent_thread_lock=True,
        **guarded,
        favicon_path=ASSETS / "page" / "icon.svg",
    )
    page.warm()
    demo.block_thread()


def environment() -> None:
    """No analytics, no run history, files in a folder of our own: all before gradio is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ["GRADIO_TEMP_DIR"] = private_folder()


def private_folder() -> str:
    """Make a folder of this process alone for uploads and downloads; it goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="inpaint-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def end_politely() -> None:
    """End by way of `exit` on Ctrl-C, a closed terminal or the system's word, so that the private folder goes."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: sys.exit(0))
