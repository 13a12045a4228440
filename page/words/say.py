"""Look up the page's sentences by key, in English or Chinese.

The editor's script uses `for_page()`, Gradio's components use `i18n()`, and handlers use `say`.
"""

from __future__ import annotations

from functools import cache

from .options import option_words
from .sentences import WORDS

LANGUAGES = ("en", "zh")


def for_page(extra: dict[str, tuple[str, str]] | None = None) -> dict[str, dict[str, str]]:
    """Return {language: {key: sentence}}, with extra sentences added."""
    words = {**WORDS, **(extra or {})}
    return {language: {key: both[n] for key, both in words.items()} for n, language in enumerate(LANGUAGES)}


@cache
def i18n():
    """Return Gradio's translator: a component's label may be `i18n()("prompt")`."""
    import gradio as gr

    return gr.I18n(**for_page(option_words()))


def language(request) -> str:
    """Return the reader's language, en or zh, by the browser's Accept-Language header."""
    headers = getattr(request, "headers", None) or {}
    return "zh" if str(headers.get("accept-language", "")).lower().startswith("zh") else "en"


def say(key: str, language: str = "en", **values) -> str:
    """Return the sentence in that language, with its {values} filled in."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)
