"""Move the mouse, the keys and fingers on the page, in short functions for the tests."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image


def open_photo(page, path: Path) -> None:
    n = page.evaluate("document.querySelector('.editor').dataset.ready || ''")
    page.set_input_files(".editor input[type=file] >> nth=0", str(path))
    page.wait_for_function("n => (document.querySelector('.editor').dataset.ready || '') !== n", arg=n)


def at(page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the picture, 0 … 1, is on the screen."""
    box = page.locator(".world").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def stroke(page, *points: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(page, *point), steps=6)
    page.mouse.up()


def painted(page) -> int:
    """Return how many pixels of the mask are set."""
    return page.evaluate("window.inpaint.editor.pointer.mask.data.reduce((n, v) => n + (v > 0), 0)")


def level(page, x: float, y: float) -> int:
    """Return the mask's value at a place of the picture."""
    return page.evaluate(
        """([x, y]) => { const m = window.inpaint.editor.pointer.mask;
        return m.data[Math.floor(y * m.h) * m.w + Math.floor(x * m.w)]; }""",
        [x, y],
    )


def run(page, prompt: str = "") -> None:
    page.locator("#prompt textarea").fill(prompt)
    page.locator("#run").click()


def mode(page, name: str) -> None:
    page.wait_for_selector(f".editor[data-mode={name}]")


def previews(page, many: int) -> list[str]:
    """Wait for this many different previews and return their addresses."""
    seen = page.evaluate(
        """many => new Promise(done => {
        const image = document.querySelector('.shown'), seen = new Set();
        const look = () => { if (!image.hidden && image.src) seen.add(image.src);
          if (seen.size >= many || document.querySelector('.editor').dataset.mode !== 'run') done([...seen]);
          else requestAnimationFrame(look); }; look(); })""",
        many,
    )
    return seen


def stepping(page) -> None:
    """Wait until the model's steps are shown: a run cancelled while the hole is still being filled leaves no step."""
    page.wait_for_function("document.querySelector('.progress').textContent.startsWith('Step ')")


def said(page) -> str:
    return page.locator(".status").inner_text()


def saved(page, act) -> tuple[Image.Image, bytes, str]:
    """Return the picture that the browser downloads during `act`."""
    with page.expect_download() as download:
        act()
    data = Path(download.value.path()).read_bytes()
    return Image.open(io.BytesIO(data)), data, download.value.suggested_filename


def save_result(page, kind: str = "png", metadata: str = "full"):
    page.locator(".actions [data-do=download_as]").click()
    page.locator(".actions .menu select").nth(0).select_option(kind)
    page.locator(".actions .menu select").nth(1).select_option(metadata)
    return saved(page, lambda: page.locator(".actions .menu button[data-do=download]").click())


def set_option(page, name: str, value: float, group: int = 2) -> None:
    """A number among the advanced settings, in the group of that place."""
    field = page.locator(f"#option-{name} input[type=number]")
    for summary in (page.locator("#advanced > button"), page.locator("#advanced .group > button").nth(group)):
        if not field.is_visible():
            summary.click()
            page.wait_for_selector("#advanced .group", state="visible")
    field.wait_for(state="visible")
    field.fill(str(value))
    field.blur()
