"""Start faster: skip work that gradio does at import and while a page is built, but that this page does not need.

At import gradio writes .pyi stubs beside its modules and a docstring for every event of every component: together
more than half of its import time.  While a page is built it makes the whole web application twice, and again at
launch. Each of these is skipped only if this version of gradio does it; otherwise nothing is changed.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def _no_stubs(module) -> None:
    if hasattr(module, "create_or_modify_pyi"):
        module.create_or_modify_pyi = lambda *_: None


def _no_event_docs(module) -> None:
    listener: Any = getattr(module, "EventListener", None)
    if hasattr(listener, "set_doc"):
        listener.set_doc = lambda self, *_, **__: None


TRIMS: dict[str, Callable] = {"gradio.component_meta": _no_stubs, "gradio.events": _no_event_docs}


class _Trimming(importlib.abc.MetaPathFinder):
    """Import the modules of TRIMS as usual, then trim each of them."""

    def find_spec(self, name, path=None, target=None):
        if name not in TRIMS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            loader: Any = spec.loader
            read = loader.exec_module

            def exec_module(module):
                read(module)
                TRIMS[name](module)

            loader.exec_module = exec_module
        return spec


def install() -> None:
    """Trim gradio's modules as they are imported; call this before the first `import gradio`."""
    if "gradio" not in sys.modules:
        sys.meta_path.insert(0, _Trimming())


@contextmanager
def one_app() -> Iterator[None]:
    """Keep gradio from making a web application while a page is built inside the block; launch() makes one."""
    from gradio.routes import App

    real = App.__dict__.get("create_app")
    if real is None:
        yield
        return
    app: Any = App
    app.create_app = staticmethod(lambda *_, **__: None)
    try:
        yield
    finally:
        app.create_app = real
