"""The page's entrance: `python app.py` opens it on http://127.0.0.1:7860."""

from __future__ import annotations

import argparse
import atexit
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="app.py", description="Repaint a part of a photo, in the browser.")
    parser.add_argument("--model", default="builtin", help="builtin, sd15, toy, a folder, a single file or a Hub id")
    parser.add_argument(
        "--backend",
        default="auto",
        choices=("auto", "torch", "openvino"),
        help="what runs the UNet on a CPU; auto: OpenVINO for large models, where it is installed",
    )
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 lets the network in")
    parser.add_argument("--port", type=int, help="default: 7860 or the next free one")
    parser.add_argument("--share", action="store_true", help="a public link for 72 hours, through Gradio's servers")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="ask for this name and password")
    parser.add_argument("--mcp", action="store_true", help="also be an MCP server; needs gradio[mcp]")
    parser.add_argument("--open", action="store_true", help="open the browser")
    return parser.parse_args(argv)


def private_folder() -> str:
    """A folder of this process alone for uploads and downloads; it goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="inpaint-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment() -> None:
    """No analytics, no run history, files in a folder of our own: all before gradio is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ["GRADIO_TEMP_DIR"] = private_folder()


def main(argv: list[str] | None = None) -> None:
    asked = arguments(argv)
    if asked.mcp and importlib.util.find_spec("mcp") is None:
        sys.exit('--mcp needs gradio\'s own client library: pip install "gradio[mcp]" in an environment of its own.')
    environment()
    from inpaint.memory import malloc
    from page.server import gradio_startup

    malloc.keep()  # before there are threads, so that the desk's allocates from the same heap
    gradio_startup.install()
    from page.jobs import zerogpu  # imports `spaces` first where it is installed  # noqa: F401
    from page.jobs.current_model import painters
    from page.layout import Page, head, theme
    from page.limits import Limits
    from page.paint.editor import style
    from page.server.middleware import guards
    from page.words.say import i18n

    limits = Limits.from_environment()
    painters.backend = asked.backend
    page = Page(limits, asked.model)
    with gradio_startup.one_app():
        demo = page.build()
    demo.launch(
        server_name=asked.host,
        server_port=asked.port,
        share=asked.share,
        mcp_server=asked.mcp,
        auth=tuple(asked.auth.split(":", 1)) if asked.auth else None,
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
        **guards(limits),
        favicon_path=Path(__file__).parent / "assets" / "page" / "icon.svg",
    )
    page.warm()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the private folder goes
    demo.block_thread()


if __name__ == "__main__":
    main()
