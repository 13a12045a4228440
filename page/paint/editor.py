"""The stage: the picture with its brush, a `gr.HTML` whose script is in assets/page/.

Why an own canvas and not gr.ImageEditor: the editor exports and uploads three full-size PNGs at every status message
once it is an event's input, has no soft brush, and places a preloaded layer wrongly; here only the mask travels, as
one small PNG, and the picture stays on the server as it is.
"""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import gradio as gr

from inpaint import paths

from ..words import say

ASSETS = paths.ASSETS / "page"
MODEL = ASSETS.parent / "model"
SCRIPTS = (
    "dom",
    "field",
    "mask",
    "tools",
    "view",
    "painter",
    "gestures",
    "opening",
    "toolbar",
    "watch",
    "stage",
    "messages",
    "keys",
    "suggest",
    "start",
)

_serial = itertools.count(1)


@cache
def script() -> str:
    """The stage's script: all files in one scope."""
    return "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def style() -> str:
    return (ASSETS / "style.css").read_text(encoding="utf-8")


@cache
def known() -> list[str]:
    """The names that the built-in model was taught, to be offered while a prompt is typed."""
    file = MODEL / "words.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def stage(examples: list[dict[str, str]], limits: dict[str, int]) -> gr.HTML:
    """Takes messages (see `message`) and sends the events "open", "example", "act" and "scrub"."""
    # no subclass of gr.HTML: gradio would write a .pyi beside this file
    return gr.HTML(
        html_template="<div class='stage'></div>",
        js_on_load=script(),
        apply_default_css=False,
        words=say.for_page(),
        known=known(),
        examples=examples,
        limits=limits,
        elem_id="stage",
    )


def message(kind: str = "", **content: Any) -> dict[str, Any]:
    """What the stage shall do next; numbered, so that no two are alike."""
    return {"kind": kind, "n": next(_serial), **content}
