"""Fill the table of options from their declaration when the documentation is built."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # `mkdocs` does not import from the folder it is started in

from inpaint.options import to_text
from inpaint.request import options

HEADER = "| option | default | limits or choices | meaning |\n|---|---|---|---|"


def on_page_markdown(markdown: str, **_) -> str:
    """Replace the marker `<!-- options -->` with the table of options."""
    return markdown.replace("<!-- options -->", table())


def table() -> str:
    """Return a Markdown table with a row for each option."""
    rows = [HEADER]
    for name, field in options().items():
        meta = field.metadata
        limits = " · ".join(f"`{choice}`" for choice in meta["choices"])
        if meta["low"] is not None:
            limits = f"{meta['low']:g} to {meta['high']:.12g}"
        default = f"`{to_text(field, field.default)}`" if field.default != "" else ""
        rows.append(f"| `{name}` | {default} | {limits} | {meta['help']} |")
    return "\n".join(rows)
