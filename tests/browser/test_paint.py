"""Paint with the brush and the other tools, on a page with a fake model."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.browser import hands


def test_stroke_erase_undo_redo(painter):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    full = hands.painted(painter)
    assert full > 1000 and hands.level(painter, 0.45, 0.4) == 255 and hands.level(painter, 0.45, 0.8) == 0
    painter.keyboard.press("e")
    hands.stroke(painter, (0.45, 0.3), (0.45, 0.5))
    erased = hands.painted(painter)
    assert erased < full and hands.level(painter, 0.45, 0.4) == 0
    painter.keyboard.press("Control+z")
    assert hands.painted(painter) == full
    painter.keyboard.press("Control+z")
    assert hands.painted(painter) == 0
    painter.keyboard.press("Control+Shift+z")
    assert hands.painted(painter) == full
    painter.keyboard.press("Control+Shift+z")
    assert hands.painted(painter) == erased
    painter.keyboard.press("b")
    before = painter.evaluate("window.inpaint.editor.pointer.brush.size")
    painter.keyboard.press("]")
    assert painter.evaluate("window.inpaint.editor.pointer.brush.size") > before


def test_opacity_is_a_level_and_does_not_build_up(painter):
    painter.locator(".brush-options input[type=range]").nth(2).fill("40")
    hands.stroke(painter, (0.3, 0.5), (0.6, 0.5))
    hands.stroke(painter, (0.6, 0.5), (0.3, 0.5))
    assert 100 <= hands.level(painter, 0.45, 0.5) <= 104


def test_shapes_invert_holes_and_growth(painter):
    painter.keyboard.press("r")
    hands.stroke(painter, (0.2, 0.2), (0.4, 0.5))
    box = hands.painted(painter)
    assert abs(box / (0.2 * 700 * 0.3 * 500) - 1) < 0.05
    painter.keyboard.press("Control+i")
    assert hands.painted(painter) == pytest.approx(700 * 500 - box, rel=0.01)
    painter.locator("[data-do=mask_menu]").click()
    painter.locator(".maskmenu [data-do=clear]").click()
    painter.keyboard.press("Escape")
    painter.keyboard.press("l")
    hands.stroke(painter, (0.5, 0.2), (0.8, 0.2), (0.8, 0.6), (0.5, 0.6))
    lasso = hands.painted(painter)
    assert lasso > 0.8 * 0.3 * 700 * 0.4 * 500
    painter.locator("[data-do=mask_menu]").click()
    grow = painter.locator(".maskmenu input[type=range]")
    grow.fill("10")
    grow.dispatch_event("change")
    grown = hands.painted(painter)
    assert grown == pytest.approx(lasso + 10 * 2 * (0.3 * 700 + 0.4 * 500), rel=0.05)
    painter.locator(".maskmenu [data-do=clear]").click()
    painter.keyboard.press("Escape")
    painter.keyboard.press("b")
    hands.stroke(painter, (0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.3))
    assert hands.level(painter, 0.5, 0.5) == 0
    painter.locator("[data-do=mask_menu]").click()
    painter.locator(".maskmenu [data-do=fill_holes]").click()
    assert hands.level(painter, 0.5, 0.5) == 255


def test_a_press_on_the_picture_that_closes_a_menu_paints_nothing(painter):
    painter.locator("[data-do=mask_menu]").click()
    x, y = hands.at(painter, 0.8, 0.8)
    painter.mouse.click(x, y)
    assert painter.locator(".maskmenu").is_hidden() and hands.painted(painter) == 0
    painter.mouse.click(x, y)
    assert hands.painted(painter) > 0


def test_pick_by_colour_mask_file_alpha_and_download(visit, fake, tmp_path):
    page = visit(fake)
    picture = Image.new("RGBA", (400, 300), (20, 60, 200, 255))
    picture.paste((220, 200, 40, 255), (100, 100, 200, 200))
    picture.paste((0, 0, 0, 0), (300, 0, 400, 60))
    picture.save(tmp_path / "two.png")
    hands.open_photo(page, tmp_path / "two.png")
    page.keyboard.press("p")
    page.mouse.click(*hands.at(page, 0.37, 0.5))
    assert hands.painted(page) == pytest.approx(100 * 100, rel=0.05)
    page.locator("[data-do=mask_menu]").click()
    page.locator("[data-do=mask_from_alpha]").click()
    page.wait_for_function("window.inpaint.editor.pointer.mask.data[399] > 250")
    assert hands.level(page, 0.37, 0.5) == 0
    mask, _, name = hands.saved(page, lambda: page.locator("[data-do=mask_download]").click())
    assert mask.size == (400, 300) and name == "two-mask.png"
    levels = np.asarray(mask.convert("L"))
    assert levels[30, 350] > 250 and levels[200, 200] == 0
    Image.new("L", (200, 150), 255).save(tmp_path / "white.png")
    page.set_input_files(".maskmenu input[type=file]", str(tmp_path / "white.png"))
    page.wait_for_function("window.inpaint.editor.pointer.mask.data.every(v => v === 255)")


def test_touch_on_a_phone(visit, fake, photo):
    page = visit(fake, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=3)
    hands.open_photo(page, photo)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the phone"
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *points):
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]},
        )

    fingers("touchStart", hands.at(page, 0.3, 0.5))
    for n in range(1, 6):
        fingers("touchMove", hands.at(page, 0.3 + 0.06 * n, 0.5))
    fingers("touchEnd")
    painted = hands.painted(page)
    assert painted > 500 and page.evaluate("scrollY") == 0
    scale = page.evaluate("window.inpaint.editor.view.scale")
    (ax, ay), (bx, by) = hands.at(page, 0.4, 0.5), hands.at(page, 0.6, 0.5)
    fingers("touchStart", (ax, ay))
    fingers("touchStart", (ax, ay), (bx, by))
    for n in range(1, 6):
        fingers("touchMove", (ax - 6 * n, ay), (bx + 6 * n, by))
    fingers("touchEnd")
    assert page.evaluate("window.inpaint.editor.view.scale") > 1.3 * scale
    assert hands.painted(page) == painted, "a pinch must not paint"
    page.locator("#run").tap()
    hands.mode(page, "result")


def test_keyboard_alone(visit, fake):
    """From an example to a kept result with the keyboard only."""
    page = visit(fake)
    page.locator(".example").first.focus()
    page.keyboard.press("Enter")
    hands.mode(page, "paint")
    page.locator(".port").focus()
    before = hands.painted(page)
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    assert hands.painted(page) > before
    page.keyboard.press("Control+Enter")
    hands.mode(page, "result")
    page.locator(".grip").focus()
    page.keyboard.press("End")
    assert page.locator(".grip").get_attribute("aria-valuenow") == "100"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("[data-do=keep]").focus()
    page.keyboard.press("Enter")
    hands.mode(page, "paint")
    unnamed = page.evaluate("""[...document.querySelectorAll('.editor button, .editor input, .editor select')]
        .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')))
        .map(e => e.outerHTML)""")
    assert unnamed == []


def test_drop_paste_and_camera(browser, fake, tmp_path):
    """The other ways to open a picture; the camera shows Chromium's own test picture."""
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.goto(fake)
    page.wait_for_selector(".welcome")
    give = """([kind, colour]) => new Promise(done => { const canvas = document.createElement('canvas');
        canvas.width = 80; canvas.height = 60;
        const c = canvas.getContext('2d'); c.fillStyle = colour; c.fillRect(0, 0, 80, 60);
        canvas.toBlob(blob => { const data = new DataTransfer();
          data.items.add(new File([blob], kind + '.png', { type: 'image/png' }));
          const event = kind === 'drop'
            ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
          (kind === 'drop' ? document.querySelector('.editor') : document).dispatchEvent(event); done(); }); })"""
    for kind, colour in (("drop", "#0a0"), ("paste", "#00a")):
        page.evaluate(give, [kind, colour])
        page.wait_for_function("name => window.inpaint.editor.name === name", arg=kind)
    page.evaluate("""navigator.mediaDevices.getUserMedia = async () => { const c = document.createElement('canvas');
        c.width = 320; c.height = 240; c.getContext('2d').fillRect(0, 0, 320, 240); return c.captureStream(10); }""")
    page.evaluate("window.inpaint.editor.upload.camera()")
    page.wait_for_function("document.querySelector('dialog.camera video').videoWidth > 0")
    page.locator("dialog.camera [data-do=take_photo]").click()
    page.wait_for_function("window.inpaint.editor.name === 'camera'")
    assert page.evaluate("window.inpaint.editor.full") == [320, 240]
    assert page.locator("dialog.camera").count() == 0
    context.close()


@pytest.mark.parametrize("kind", ["tiff", "avif", "red", "erased", "sideways"])
def test_a_mask_of_any_kind_is_read_by_the_server(painter, tmp_path, kind):
    """White or any colour on black, or a hole in a photo, also in formats that not every browser reads."""
    levels = Image.new("L", (700, 500))
    levels.paste(255, (100, 50, 300, 250))
    black = Image.new("RGB", levels.size)
    if kind == "red":
        Image.composite(Image.new("RGB", levels.size, (200, 0, 0)), black, levels).save(tmp_path / "mask.png")
    elif kind == "erased":
        photo = Image.effect_noise(levels.size, 60).convert("RGBA")
        photo.putalpha(levels.point(lambda v: 255 - v))
        photo.save(tmp_path / "mask.png")
    elif kind == "sideways":
        levels.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "mask.png")
    else:
        levels.save(tmp_path / f"mask.{kind}")
    accepted = painter.locator(".maskmenu input[type=file]").get_attribute("accept")
    assert all(ending in accepted for ending in (".avif", ".heic", ".heif", ".tif", "image/*"))
    painter.set_input_files(".maskmenu input[type=file]", str(next(tmp_path.glob("mask.*"))))
    painter.wait_for_function("document.querySelector('.status').textContent.includes('mask is loaded')")
    assert hands.painted(painter) == pytest.approx(200 * 200, rel=0.03)
    if kind != "sideways":
        assert hands.level(painter, 200 / 700, 150 / 500) > 250 and hands.level(painter, 0.8, 0.8) == 0


def test_a_mask_has_the_pictures_own_resolution(visit, fake, tmp_path):
    Image.effect_noise((9000, 240), 60).convert("RGB").save(tmp_path / "panorama.jpg")
    page = visit(fake)
    hands.open_photo(page, tmp_path / "panorama.jpg")
    assert page.evaluate("[window.inpaint.editor.pointer.mask.w, window.inpaint.editor.pointer.mask.h]") == [
        9000,
        240,
    ]
    assert page.evaluate("document.querySelector('.photo').naturalHeight") > 200
    hands.stroke(page, (0.4, 0.5), (0.6, 0.5))
    hands.run(page, "quick")
    hands.mode(page, "result")
    assert "resized" not in page.locator(".below").text_content()


def test_names_for_screen_readers_and_focus_after_opening(visit, fake):
    page = visit(fake)
    for what in ("Light or dark", "Another seed", "Repaint", "Picture to paint on"):
        assert page.get_by_label(what).or_(page.get_by_role("button", name=what)).count() == 1, what
    assert page.get_by_role("button", name="Light or dark").inner_text().strip() == "Light or dark"
    page.locator(".example").first.focus()
    page.keyboard.press("Enter")
    hands.mode(page, "paint")
    page.wait_for_function("document.activeElement === document.querySelector('.port')")
    page.locator("#prompt textarea").focus()
    ring = page.evaluate("""() => { const field = document.querySelector('#prompt textarea');
        const box = field.getBoundingClientRect();
        for (let e = field.parentElement; e.id !== 'panel'; e = e.parentElement) {
          const clip = e.getBoundingClientRect(), cuts = getComputedStyle(e).overflowX !== 'visible';
          if (cuts && (clip.left > box.left - 4 || clip.right < box.right + 4)) return e.id || e.className;
        } return null; }""")
    assert ring is None, "the ring around the prompt is cut"


def test_the_page_speaks_chinese(visit, fake):
    page = visit(fake, locale="zh-CN")
    for place, words in ((".welcome h2", "打开一张照片"), ("#run", "重绘"), ("#task", "扩展")):
        page.locator(place, has_text=words).wait_for()
    page.locator("#run").click()
    page.locator(".status.bad", has_text="还没有图片。请先打开照片。").wait_for()
    page.get_by_role("tab", name="批量").click()
    page.get_by_label("处理情况").wait_for()
