"""Build file inputs whose handlers receive paths, without the empty temporary file that Gradio makes for each."""

from __future__ import annotations

from typing import Any

import gradio as gr


def file_input(**options: Any) -> gr.File:
    """Return a file component whose handler receives a path, a list of paths, or None."""
    component: Any = gr.File(type="filepath", **options)
    component.preprocess = _paths
    return component


def _paths(payload: Any) -> str | list[str] | None:
    """Return the paths of Gradio's FileData or list of them."""
    if payload is None:
        return None
    files = getattr(payload, "root", payload)
    return [file.path for file in files] if isinstance(files, list) else files.path
