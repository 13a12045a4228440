"""Import Gradio quickly and without its own warnings, for every test that runs it in this process."""

import pytest

from page.server import gradio_startup

gradio_startup.install()

warnings = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:gradio",
    "ignore::DeprecationWarning:starlette",
    "ignore::DeprecationWarning:httpx",
    "ignore::DeprecationWarning:websockets",
    "ignore::DeprecationWarning:fastapi",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)  # and its sockets at exit
