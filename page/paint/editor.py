"""Build the mask editor, in which a visitor paints on the picture: a `gr.HTML` whose script is in assets/page/.

It has its own canvas, because gr.ImageEditor exports and uploads three full-size PNGs at every status message once it
is an event's input, has no soft brush, and places a preloaded layer wrongly.  Here only the mask is sent, as one
small PNG, and the picture stays on the server unchanged.
"""

from __future__ import annotations

import json
import re
from functools import cache

import gradio as gr

from inpaint import paths

from ..words import say

ASSETS = paths.ASSETS / "page"
MODEL = ASSETS.parent / "model"
IMPORT = re.compile(r'^import \{([^}]+)\} from "\./(\w+)\.js";$', re.M)
EXPORT = re.compile(r"^export (?:async function|function|class|const) (\w+)", re.M)


@cache
def script() -> str:
    """Return the editor's modules as the body of one function, whose arguments are those that Gradio passes."""
    parts = [enclosed(name) for name in modules("main")]
    return "\n".join([*parts, "$main.main({ element, props, trigger, watch, upload });"])


def modules(name: str) -> list[str]:
    """Return the names of a module and of all its imports, each after the modules it needs."""
    before: list[str] = []
    for _, needed in IMPORT.findall(source(name)):
        before += [module for module in modules(needed) if module not in before]
    return [*before, name]


@cache
def source(name: str) -> str:
    """Return the text of a module in assets/page/."""
    return (ASSETS / f"{name}.js").read_text(encoding="utf-8")


def enclosed(name: str) -> str:
    """Wrap a module as a constant: its own scope, imports as constants, exports as an object."""
    body = IMPORT.sub(lambda found: f"const {{{found[1]}}} = ${found[2]};", source(name))
    names = ", ".join(EXPORT.findall(body))
    body = EXPORT.sub(lambda found: found[0].removeprefix("export "), body)
    return f"const ${name} = (() => {{\n{body}\nreturn {{ {names} }};\n}})();"


@cache
def style() -> str:
    """Return the page's style sheet."""
    return (ASSETS / "style.css").read_text(encoding="utf-8")


@cache
def known() -> list[str]:
    """Return the words that the built-in model knows; they are suggested while a prompt is typed."""
    file = MODEL / "words.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def editor(examples: list[dict[str, str]], limits: dict[str, int | str]) -> gr.HTML:
    """Return the component; it receives the messages of messages.py.

    It sends the events "open", "example", "mask", "outline", "act", "copy", "scrub" and "detail".
    """
    # not a subclass of gr.HTML, because gradio would write a .pyi file beside this one
    return gr.HTML(
        html_template="<div class='editor'></div>",
        js_on_load=script(),
        apply_default_css=False,
        words=say.for_page(),
        known=known(),
        examples=examples,
        limits=limits,
        elem_id="editor",
    )
