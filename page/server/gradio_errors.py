"""Replace Gradio's own errors by a sentence: they may contain paths, and names that mean nothing to visitors.

If a future Gradio no longer calls these two methods, visitors see no error text at all, since `show_error` is off.
"""

from __future__ import annotations

import logging

import gradio as gr

from ..words.say import say

log = logging.getLogger("inpaint.page")


def translate_errors(demo: gr.Blocks) -> None:
    """Replace errors that occur while data is read or a handler runs by a sentence."""
    for method, sentence in (("preprocess_data", _malformed), ("call_function", _unexpected)):
        original = getattr(demo, method, None)
        if original is None:
            log.warning("this Gradio has no %s: visitors will see no text for its errors", method)
            continue
        setattr(demo, method, _translated(original, sentence))


def _translated(method, sentence):
    async def translated(*args, **kwargs):
        try:
            return await method(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    return translated


def _malformed(error: Exception) -> str:
    log.info("malformed data: %s", type(error).__name__)
    return say("malformed")


def _unexpected(error: Exception) -> str:
    log.exception("a handler failed")
    return say("unexpected", error=type(error).__name__)
