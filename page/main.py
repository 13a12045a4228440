"""Start the page: prepare the process, build the page, listen until it is stopped."""

from __future__ import annotations

import os

from .arguments import arguments, check_address


def main(argv: list[str] | None = None) -> None:
    """Run the page until the process is stopped."""
    asked = arguments(argv)
    check_address(asked.host, asked.port)
    environment()
    from inpaint.memory import malloc
    from inpaint.paths import ASSETS

    from .server import gradio_startup

    malloc.keep()  # before any thread starts, so that the worker's thread uses the same heap
    gradio_startup.install()
    from .jobs import zerogpu  # imports `spaces` before torch, on ZeroGPU
    from .jobs.current_model import current_model
    from .layout import Page, head, theme
    from .limits import Limits
    from .paint.editor import style
    from .server import exposure
    from .server.middleware import guards
    from .words.say import i18n

    names = exposure.known_names()
    exposed = exposure.is_exposed(asked.host, asked.share, names) and not asked.trust_visitors
    current_model.options["backend"] = asked.backend
    page = Page(Limits.from_environment(exposed=exposed), asked.model, asked.select_model)
    if zerogpu.ACTIVE:  # a model loaded in this thread before the launch is available in every worker
        current_model.load(asked.model)
    with gradio_startup.one_app():
        demo = page.build()
    guarded = guards(page, host=asked.host, names=names, mcp=asked.mcp)
    if asked.mcp:
        from .api import Api
        from .mcp import McpServer

        server = McpServer(Api(page), 3 * page.limits.megabytes, page.limits.sessions)
        guarded["app_kwargs"] |= server.app_kwargs()
    demo.launch(
        server_name=asked.host,
        server_port=asked.port,
        share=asked.share,
        mcp_server=False,  # page/mcp.py serves MCP instead
        auth=asked.auth,
        inbrowser=asked.open,
        theme=theme(),
        css=style(),
        head=head(),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        i18n=i18n(),
        prevent_thread_lock=True,
        **guarded,
        favicon_path=ASSETS / "page" / "icon.svg",
    )
    names |= exposure.name_of(demo.share_url)  # known only after the launch
    page.warm()
    demo.block_thread()


def environment() -> None:
    """Prepare the process before gradio is imported: no analytics, no history of runs, a private folder."""
    from .server.exposure import trust_proxies
    from .server.private_folder import leave_on_signals, private_folder

    leave_on_signals()
    trust_proxies()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ["GRADIO_TEMP_DIR"] = str(private_folder())
