"""A click, a line, a circle or a box on the picture selects the thing that is meant; on a page with a fake model."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.browser import hands

ROOT = Path(__file__).resolve().parents[2]
BIRD = json.loads((ROOT / "tests/data/things/outlines.json").read_text())["wren"]["outline"]
SIZE = 1024, 576


@pytest.fixture
def wren(visit, fake):
    """The page with the wren's example open, without its mask, and the tool that selects things."""
    page = visit(fake)
    hands.open_photo(page, ROOT / "assets/examples/wren.jpg")
    page.locator("[data-tool=thing]").click()
    return page


def place(x: float, y: float) -> tuple[float, float]:
    return x / SIZE[0], y / SIZE[1]


def found(page) -> None:
    """Wait until everything asked for has been found or refused."""
    page.wait_for_function("() => { const t = window.inpaint.editor.things; return t.serial && !t.asked.size; }")
    page.wait_for_function("() => !document.querySelector('.status').textContent.startsWith('Finding')")


def overlap(page) -> float:
    """Intersection over union of the mask with the bird that was outlined by hand."""
    data = page.evaluate("window.inpaint.editor.pointer.mask.canvas().toDataURL('image/png').split(',')[1]")
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L")) > 0
    bird = Image.new("L", SIZE)
    ImageDraw.Draw(bird).polygon([tuple(point) for point in BIRD], fill=255)
    wanted = np.asarray(bird) > 0
    return float((mask & wanted).sum() / (mask | wanted).sum())


def click(page, x: float, y: float) -> None:
    page.mouse.click(*hands.at(page, *place(x, y)))


def test_a_click_selects_the_bird_undo_and_alt_take_it_away(wren):
    beyond = wren.locator(".slider[data-for=beyond]")
    beyond.locator("input").fill("0")
    click(wren, 403, 214)
    found(wren)
    assert overlap(wren) >= 0.85
    exact = hands.painted(wren)
    beyond.locator("input").fill("6")
    beyond.locator("input").dispatch_event("change")
    found(wren)
    wider = hands.painted(wren)
    assert wider > exact
    wren.keyboard.press("Control+z")
    assert hands.painted(wren) == 0
    wren.keyboard.press("Control+Shift+z")
    assert hands.painted(wren) == wider
    wren.keyboard.down("Alt")
    click(wren, 403, 214)
    wren.keyboard.up("Alt")
    found(wren)
    assert hands.painted(wren) == 0


@pytest.mark.parametrize("how", ["line", "circle", "box", "keys"])
def test_the_other_ways_to_say_which_thing(wren, how):
    if how == "line":
        hands.stroke(wren, *(place(*point) for point in ((430, 155), (405, 190), (395, 230))))
    if how == "circle":
        angles = np.linspace(0, 2 * np.pi, 14)
        hands.stroke(wren, *(place(415 + 85 * np.cos(a), 195 + 80 * np.sin(a)) for a in angles))
    if how == "box":
        wren.keyboard.down("Shift")
        hands.stroke(wren, place(352, 128), place(490, 262))
        wren.keyboard.up("Shift")
    if how == "keys":
        wren.keyboard.press("b")
        wren.keyboard.press("s")
        wren.evaluate("window.inpaint.editor.pointer.pen = [403, 206]")
        wren.locator(".port").focus()
        wren.keyboard.press("ArrowDown")
        wren.keyboard.press("Enter")
        wren.keyboard.press("Enter")
    found(wren)
    assert overlap(wren) >= 0.7  # with what it reaches beyond the edge


def test_where_nothing_stands_out_the_mask_stays(visit, fake, tmp_path):
    Image.new("RGB", (400, 300), (120, 120, 120)).save(tmp_path / "grey.png")
    page = visit(fake)
    hands.open_photo(page, tmp_path / "grey.png")
    hands.stroke(page, (0.2, 0.2), (0.4, 0.2))
    before = hands.painted(page)
    page.keyboard.press("s")
    page.mouse.click(*hands.at(page, 0.7, 0.7))
    page.wait_for_selector(".status.bad")
    assert "Nothing stands out there" in hands.said(page) and hands.painted(page) == before
    assert page.locator(".editor.finding").count() == 0
