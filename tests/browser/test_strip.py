"""Every run adds to the strip of results; none is lost by another run, by Keep or by a reload."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tests.browser import hands


def run(page, prompt: str, seed: int) -> None:
    """A run to its end; the result is shown."""
    many = page.locator(".thumb").count()
    page.locator("#seed textarea, #seed input").first.fill(str(seed))
    hands.run(page, prompt)
    page.wait_for_function("many => document.querySelectorAll('.thumb').length > many", arg=many)
    hands.mode(page, "result")


def colour(page, x: float, y: float) -> tuple[int, ...]:
    """The colour of the screen at this place of the picture."""
    box = page.locator(".world").bounding_box()
    clip = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "width": 2, "height": 2}
    return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB").getpixel((0, 0))


def near(a, b) -> bool:
    return max(abs(p - q) for p, q in zip(a, b, strict=True)) < 12


def painted_by(seed: int) -> tuple[int, ...]:
    """What the pretending painter makes of a seed."""
    return tuple((seed * n + 60) % 200 + 40 for n in (1, 7, 13))


def test_runs_add_up_and_any_two_can_be_compared(painter):
    hands.stroke(painter, (0.3, 0.5), (0.7, 0.5))
    for seed, prompt in ((1, "first"), (20, "second"), (45, "third")):
        run(painter, prompt, seed)
    thumbs = painter.locator(".thumb:not(.now)")
    assert thumbs.count() == 3
    for k, (seed, prompt) in enumerate(((1, "first"), (20, "second"), (45, "third"))):
        told = thumbs.nth(k).get_attribute("aria-label")
        assert prompt in told and f"Seed {seed}" in told and "Base model" in told and "0.5 s" in told
    grip = painter.locator(".grip")
    thumbs.nth(0).click()
    grip.focus()
    painter.keyboard.press("Home")
    assert near(colour(painter, 0.4, 0.5), painted_by(1))
    painter.locator("[data-do=compare_with]").click()
    thumbs.nth(2).click()
    grip.focus()
    painter.keyboard.press("Home")
    for _ in range(25):
        painter.keyboard.press("ArrowRight")
    assert near(colour(painter, 0.4, 0.5), painted_by(1)), "the first one is on the left of the line"
    assert near(colour(painter, 0.6, 0.5), painted_by(45)), "the third one on the right"
    painter.locator("[data-do=discard]").click()
    hands.mode(painter, "paint")
    assert thumbs.count() == 2
    painter.locator(".thumb").nth(1).click()
    hands.mode(painter, "result")
    painter.locator(".thumb.now").click()
    hands.mode(painter, "paint")
    assert thumbs.count() == 2 and hands.painted(painter) > 0
    thumbs.nth(1).click()
    painter.locator("[data-do=keep]").click()
    hands.mode(painter, "paint")
    assert thumbs.count() == 2, "what was kept is still in the strip, beside the other"
    thumbs.nth(0).click()
    hands.mode(painter, "result")
    image, _, _ = hands.save_result(painter)
    assert image.convert("RGB").getpixel((350, 250)) == painted_by(1)


def test_a_reload_brings_the_results_back(painter, photo):
    hands.stroke(painter, (0.3, 0.5), (0.7, 0.5))
    run(painter, "first", 1)
    painter.locator("[data-do=star]").click()
    run(painter, "second", 20)
    before = [thumb.get_attribute("aria-label") for thumb in painter.locator(".thumb:not(.now)").all()]
    painter.reload()
    painter.wait_for_function("document.querySelector('.status')?.textContent.includes('2 results are back')")
    thumbs = painter.locator(".thumb:not(.now)")
    assert [thumb.get_attribute("aria-label") for thumb in thumbs.all()] == before
    assert painter.locator(".thumb .star").count() == 1
    thumbs.nth(1).click()
    hands.mode(painter, "result")
    image, _, _ = hands.save_result(painter)
    pixels, original = np.asarray(image.convert("RGB")), np.asarray(Image.open(photo))
    assert tuple(pixels[250, 350]) == painted_by(20) and (pixels[:100] == original[:100]).all()
    run(painter, "third", 45)
    assert thumbs.count() == 3


def test_another_photo_has_its_own_strip(painter, tmp_path):
    hands.stroke(painter, (0.3, 0.5), (0.7, 0.5))
    run(painter, "first", 1)
    Image.new("RGB", (300, 200), (10, 200, 30)).save(tmp_path / "green.png")
    hands.open_photo(painter, tmp_path / "green.png")
    assert painter.locator(".thumb").count() == 0
    painter.locator("[data-do=picture_back]").click()
    painter.wait_for_function("document.querySelectorAll('.thumb').length === 2")
    painter.locator(".thumb").nth(1).click()
    hands.mode(painter, "result")


def test_a_deleted_result_can_be_brought_back(painter):
    hands.stroke(painter, (0.3, 0.5), (0.7, 0.5))
    for seed, prompt in ((1, "first"), (20, "second"), (45, "third")):
        run(painter, prompt, seed)
    thumbs, back = painter.locator(".thumb:not(.now)"), painter.locator("[data-do=undelete]")
    before = [thumb.get_attribute("aria-label") for thumb in thumbs.all()]

    def delete() -> None:
        thumbs.nth(1).click()
        painter.wait_for_function("document.querySelectorAll('.thumb')[2].getAttribute('aria-pressed') === 'true'")
        painter.locator("[data-do=discard]").click()
        hands.mode(painter, "paint")
        assert thumbs.count() == 2

    def is_back() -> None:
        hands.mode(painter, "result")
        assert [thumb.get_attribute("aria-label") for thumb in thumbs.all()] == before
        assert thumbs.nth(1).get_attribute("aria-pressed") == "true" and back.is_hidden()

    assert back.is_hidden()
    delete()
    back.click()
    is_back()
    delete()
    painter.keyboard.press("Control+z")
    is_back()
    image, _, _ = hands.save_result(painter)
    assert image.convert("RGB").getpixel((350, 250)) == painted_by(20)
    delete()
    full = hands.painted(painter)
    hands.stroke(painter, (0.3, 0.8), (0.7, 0.8))
    painter.keyboard.press("Control+z")
    assert hands.painted(painter) == full and thumbs.count() == 2, "a stroke was the last thing done"
    painter.keyboard.press("Control+z")
    is_back()


STORED = """() => new Promise((done) => { const opening = indexedDB.open('inpaint', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('drafts');
  opening.onsuccess = () => { const all = opening.result.transaction('drafts').objectStore('drafts').getAll();
    all.onsuccess = () => { opening.result.close(); done(all.result.map((one) => !!one.mask)); }; }; })"""


def test_what_is_kept_is_said_and_can_be_switched_off(painter, photo):
    hands.stroke(painter, (0.3, 0.5), (0.7, 0.5))
    painter.wait_for_function(f"async () => String(await ({STORED})()) === 'true'")
    painter.locator(".file [data-do=kept]").click()
    menu = painter.locator(".file .keptmenu")
    assert "for a day" in menu.inner_text() and "1 minute" in menu.inner_text()
    menu.locator("input").uncheck()
    assert "keeps nothing" in menu.inner_text()
    painter.wait_for_function(f"async () => (await ({STORED})()).length === 0")
    hands.stroke(painter, (0.3, 0.3), (0.7, 0.3))
    painter.reload()
    painter.wait_for_selector(".editor[data-mode=empty] .welcome")
    painter.locator(".welcome [data-do=kept]").click()
    assert not painter.locator(".welcome .keptmenu input").is_checked()
    painter.locator(".welcome .keptmenu input").check()
    hands.open_photo(painter, photo)
    hands.stroke(painter, (0.3, 0.5), (0.7, 0.5))
    painted = hands.painted(painter)
    painter.wait_for_function(f"async () => String(await ({STORED})()) === 'true'")
    painter.reload()
    painter.wait_for_function("document.querySelector('.status')?.textContent.includes('are back')")
    assert hands.painted(painter) == painted
