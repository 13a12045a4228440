"""The picture on its stage: it stays as it is while a run goes on, and is zoomed, saved and copied as it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.browser import hands

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def seen(page, clip=None) -> np.ndarray:
    """The picture, or a part of the screen, as it is, the mask hidden, all bars aside."""
    page.mouse.move(2, 2)
    page.evaluate("window.inpaint.editor.look('hidden')")
    page.add_style_tag(content=".tools, .corner, .brush-options, .progress, .grip, .line { opacity: 0 !important; }")
    data = page.screenshot(clip=clip or page.locator(".world").bounding_box())
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_outside_the_mask_not_a_pixel_of_the_screen_changes_during_a_run_nor_after_cancel(painter):
    hands.stroke(painter, (0.4, 0.5), (0.6, 0.5))
    before = seen(painter)
    h, w = before.shape[:2]
    near = np.zeros((h, w), bool)  # where the stroke lies, with two pixels around it
    reach = painter.evaluate("window.inpaint.editor.pointer.brush.size * window.inpaint.editor.view.unit / 2") + 2
    near[int(0.5 * h - reach) : int(0.5 * h + reach) + 1, int(0.4 * w - reach) : int(0.6 * w + reach) + 1] = True
    hands.set_option(painter, "steps", 100)
    hands.run(painter, "slow")
    for many in (1, 3):
        hands.previews(painter, many)
        changed = (seen(painter) != before).any(-1)
        assert changed[near].any() and not changed[~near].any()
    painter.locator("#cancel").click()
    hands.mode(painter, "stopped")
    changed = (seen(painter) != before).any(-1)
    assert changed[near].any() and not changed[~near].any()


def test_zoom_counts_the_pictures_pixels(visit, fake, tmp_path):
    Image.linear_gradient("L").resize((4000, 3000)).convert("RGB").save(tmp_path / "large.jpg")
    page = visit(fake)
    hands.open_photo(page, tmp_path / "large.jpg")
    assert "4000 × 3000" in page.locator(".about").inner_text()

    def zoomed() -> float:
        assert (
            page.locator(".level").inner_text() == f"{page.evaluate('Math.round(window.inpaint.editor.view.level)')}%"
        )
        return page.locator(".world").bounding_box()["width"] / 4000

    fitted = zoomed()
    assert page.locator(".level").inner_text() == f"{100 * fitted:.0f}%"
    page.keyboard.press("1")
    assert zoomed() == pytest.approx(1, abs=0.001)
    page.locator(".level").click()
    assert zoomed() == pytest.approx(fitted)
    for _ in range(20):
        page.keyboard.press("+")
    assert zoomed() > 4, "400 % is within reach"


def test_erase_on_release_needs_one_stroke_for_each_thing(painter):
    switch = painter.get_by_text("Erase on release")
    assert not switch.is_visible(), "only Remove has it"
    painter.locator("#task label").nth(1).click()
    switch.wait_for()
    hands.stroke(painter, (0.2, 0.2), (0.4, 0.2))
    assert painter.locator(".editor").get_attribute("data-mode") == "paint", "it is off until it is asked for"
    painter.keyboard.press("Control+z")
    switch.click()
    photo = painter.locator(".photo").get_attribute("src")
    shown = [photo]
    for y in (0.3, 0.7):
        hands.stroke(painter, (0.3, y), (0.6, y))
        painter.wait_for_function("src => document.querySelector('.photo').src !== src", arg=shown[-1])
        hands.mode(painter, "paint")
        assert hands.painted(painter) == 0, "the next stroke erases the next thing alone"
        shown.append(painter.locator(".photo").get_attribute("src"))
    assert "Erased" in hands.said(painter)
    for src in reversed(shown[:-1]):
        painter.locator("[data-do=picture_back]").click()
        painter.wait_for_function("src => document.querySelector('.photo').src === src", arg=src)
    painter.locator("#task label").nth(0).click()
    switch.wait_for(state="hidden")
    hands.stroke(painter, (0.2, 0.2), (0.4, 0.2))
    assert painter.locator(".editor").get_attribute("data-mode") == "paint"


def test_one_press_saves_in_the_photos_own_format_and_a_copy_goes_to_the_clipboard(visit, fake, tmp_path):
    Image.radial_gradient("L").resize((640, 480)).convert("RGB").save(tmp_path / "sea.jpg", quality=83)
    page = visit(fake, permissions=["clipboard-read", "clipboard-write"])
    hands.open_photo(page, tmp_path / "sea.jpg")
    hands.stroke(page, (0.4, 0.5), (0.6, 0.5))
    hands.run(page)
    hands.mode(page, "result")
    image, _, name = hands.saved(page, lambda: page.locator(".split > [data-do=download]").click())
    assert (image.format, image.size, name) == ("JPEG", (640, 480), "sea-inpainted.jpg")
    with Image.open(tmp_path / "sea.jpg") as photo:
        assert image.quantization == photo.quantization
    page.wait_for_function("document.querySelector('.status').textContent.includes('rounds colours')")
    hands.save_result(page, "png")
    assert page.locator(".split .menu").is_hidden(), "the menu is done with"
    page.keyboard.press("Control+c")
    page.wait_for_function("document.querySelector('.status').textContent.includes('copied')")
    copied = page.evaluate("""async () => { const [item] = await navigator.clipboard.read();
      const image = await createImageBitmap(await item.getType('image/png'));
      return [image.width, image.height]; }""")
    assert copied == [640, 480]


def test_a_question_mark_lists_the_keys_and_o_shows_the_picture_before(painter):
    painter.keyboard.press("?")
    sheet = painter.locator("dialog.sheetkeys")
    assert sheet.is_visible() and "Hold to see the picture before" in sheet.inner_text()
    assert sheet.evaluate("e => e.scrollHeight <= e.clientHeight")
    painter.keyboard.press("Escape")
    assert sheet.is_hidden()
    hands.stroke(painter, (0.4, 0.5), (0.6, 0.5))
    before = seen(painter)
    hands.run(painter)
    hands.mode(painter, "result")
    assert (seen(painter) != before).any()
    painter.locator(".port").focus()
    painter.keyboard.down("o")
    assert (seen(painter) == before).all()
    painter.keyboard.up("o")
    assert (seen(painter) != before).any()


def test_a_phone_shows_the_photo_and_repaint_with_little_around_it(visit, fake, tmp_path):
    for size in ((1600, 900), (900, 1600)):
        Image.effect_noise(size, 60).convert("RGB").save(tmp_path / "photo.jpg")
        page = visit(fake, **PHONE)
        hands.open_photo(page, tmp_path / "photo.jpg")
        world, port = page.locator(".world").bounding_box(), page.locator(".port").bounding_box()
        run = page.locator("#run").bounding_box()
        assert run["y"] + run["height"] <= 844 and page.evaluate("scrollY") == 0
        assert world["width"] > 330 if size[0] > size[1] else world["height"] > 0.5 * 844
        if size[0] > size[1]:
            assert world["height"] > 0.97 * port["height"], "grey above and below the photo"


def test_photo_and_result_are_shown_pixel_for_pixel(visit, fake, tmp_path):
    """Of 12 megapixels, all of them a noise that no smaller copy can stand in for."""
    levels = Image.fromarray(np.random.default_rng(1).integers(0, 4, (3000, 4000), dtype=np.uint8) * 80)
    levels.convert("RGB").save(tmp_path / "noise.png", compress_level=1)
    noise = np.asarray(levels.convert("RGB")).astype(int)
    page = visit(fake)
    hands.open_photo(page, tmp_path / "noise.png")
    hands.stroke(page, (0.49, 0.5), (0.51, 0.5))
    page.keyboard.press("1")

    def shown_is(original: np.ndarray, part: str) -> bool:
        page.wait_for_selector(f"{part}:not([hidden])", state="attached")
        page.evaluate("window.inpaint.editor.compare.set(0)")
        box, port = page.locator(".world").bounding_box(), page.locator(".port").bounding_box()
        screen = seen(page, {"x": port["x"] + 80, "y": port["y"] + 80, "width": 500, "height": 300})
        x, y = round(port["x"] + 80 - box["x"]), round(port["y"] + 80 - box["y"])
        return np.abs(screen - original[y : y + 300, x : x + 500]).max() <= 1

    assert shown_is(noise, ".world > .fine")
    hands.set_option(page, "steps", 2)
    hands.run(page)
    hands.mode(page, "result")
    image, _, _ = hands.save_result(page)
    result = np.asarray(image.convert("RGB")).astype(int)
    assert (result != noise).any() and shown_is(result, ".over > .fine")
    page.keyboard.press("0")
    page.keyboard.press("1")
    assert shown_is(result, ".over > .fine")
