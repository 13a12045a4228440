"""Check what the page promises, in the browser, with the built-in model."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.browser import hands


@pytest.fixture
def page(visit, real):
    return visit(real)


def mask_of(page, size) -> np.ndarray:
    """Where the painter's mask is not zero, at the picture's size."""
    flat = page.evaluate("Array.from(window.inpaint.editor.pointer.mask.data)")
    w, h = page.evaluate("[window.inpaint.editor.pointer.mask.w, window.inpaint.editor.pointer.mask.h]")
    levels = Image.fromarray(np.array(flat, np.uint8).reshape(h, w))
    return np.asarray(levels.resize(size, Image.Resampling.BICUBIC).point(lambda v: 255 * (v > 0)))


def test_open_paint_run_keep_pixels_download_restore(page, tmp_path):
    """A photo larger than its display copy, turned by EXIF, with a place and a colour profile."""
    from PIL import ImageCms

    rng = np.random.default_rng(1)
    original = Image.fromarray(rng.integers(0, 256, (900, 1500, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    original.save(tmp_path / "photo.png", exif=exif, icc_profile=profile)
    hands.open_photo(page, tmp_path / "photo.png")
    hands.stroke(page, (0.3, 0.4), (0.5, 0.5))
    hands.set_option(page, "steps", 40)
    hands.run(page, "a red scarf")
    assert len(hands.previews(page, 3)) >= 3
    hands.mode(page, "result")
    assert "Every pixel outside the mask is unchanged" in page.locator(".report").inner_text()

    result, data, _ = hands.save_result(page)
    before, after = np.asarray(original), np.asarray(result.convert("RGB"))
    changed = (before != after).any(-1)
    painted = mask_of(page, original.size) > 0
    assert changed.any() and not (changed & ~painted).any(), "a pixel outside the mask has changed"
    assert result.getexif()[0x010F] == "A camera" and result.info["icc_profile"] == profile

    strokes = hands.painted(page)
    (tmp_path / "back.png").write_bytes(data)
    page.locator("#prompt textarea").fill("")
    hands.open_photo(page, tmp_path / "back.png")
    assert page.locator("#prompt textarea").input_value() == "a red scarf"
    assert page.locator("#option-steps input[type=number]").input_value() == "40"
    assert hands.painted(page) == strokes and page.evaluate("window.inpaint.editor.full") == [1500, 900]
    assert not page.locator("#fresh input").is_checked(), "a restored run keeps its seed"
    page.locator("#run").click()
    hands.mode(page, "result")
    again, _, _ = hands.save_result(page)
    assert (np.asarray(again.convert("RGB")) == after).all(), "the restored run gives another picture"


def test_scrub_branch_and_learn(page, photo):
    hands.open_photo(page, photo)
    hands.stroke(page, (0.3, 0.4), (0.6, 0.5))
    hands.run(page, "one")
    hands.mode(page, "result")
    final = page.locator(".shown").get_attribute("src")
    page.locator(".film input").fill("5")
    page.wait_for_function("src => document.querySelector('.shown').src !== src", arg=final)
    page.locator("[data-do=branch]").click()
    hands.run(page, "another")
    page.wait_for_function("document.querySelector('.report').textContent.includes('Branched from step 5')")
    page.get_by_role("tab", name="How it works").click()
    page.wait_for_selector(".figures img")
    assert page.locator(".figures figure").count() == 6
    first = page.locator(".figures img").nth(4).get_attribute("src")
    page.locator("#learn-step input[type=number]").fill("15")
    page.wait_for_function("src => document.querySelectorAll('.figures img')[4].src !== src", arg=first)
    page.locator("#equations .katex").nth(5).wait_for()
    page.locator("#equations a").nth(1).click()
    target = page.evaluate("document.querySelector(':target').textContent")
    assert "x_orig * keep" in target
    page.get_by_role("tab", name="Paint").click()
    assert hands.painted(page) > 0 and page.locator(".shown").is_visible(), "the stage survives a look at another tab"


def test_a_cancelled_run_can_be_made_a_picture(page, photo):
    hands.open_photo(page, photo)
    hands.stroke(page, (0.3, 0.4), (0.6, 0.5))
    hands.set_option(page, "steps", 150)
    hands.run(page, "a pizza")
    hands.stepping(page)
    page.locator("#cancel").click()
    hands.mode(page, "stopped")
    page.locator("[data-do=use_preview]").click()
    hands.mode(page, "result")
    assert "Stopped at step" in page.locator(".report").inner_text()


def test_expand_makes_the_picture_wider(page, photo):
    hands.open_photo(page, photo)
    page.locator("#task label").nth(4).click()
    page.wait_for_selector("#expand")
    page.locator("#run").click()
    hands.mode(page, "result")
    image, _, _ = hands.save_result(page)
    assert abs(image.width / image.height - 16 / 9) < 0.02 and image.height == 500
    page.locator("[data-do=keep]").click()
    hands.mode(page, "paint")
    assert page.evaluate("window.inpaint.editor.full") == [image.width, 500]


def test_a_batch_comes_back_as_a_zip(page, tmp_path):
    mask = Image.new("L", (60, 40))
    mask.paste(255, (10, 10, 30, 30))
    mask.save(tmp_path / "mask.png")
    names = ["a.png", "b.png", "broken.png"]
    for name in names[:2]:
        Image.effect_noise((60, 40), 60).convert("RGB").save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    page.get_by_role("tab", name="Batch").click()
    page.set_input_files("#batch-pictures input[type=file]", [str(tmp_path / name) for name in names])
    page.set_input_files("#batch-masks input[type=file]", str(tmp_path / "mask.png"))
    page.wait_for_function("document.querySelectorAll('#batch-pictures .file').length === 3")
    page.wait_for_function("document.querySelectorAll('#batch-masks .file').length === 1")
    page.locator("#batch-run").click()
    page.wait_for_function("document.querySelector('#batch-report textarea').value.includes('Ready: 2 of 3')")
    assert "✗ broken.png" in page.locator("#batch-report textarea").input_value()
    with page.expect_download() as download:
        page.locator("#batch-zip a").first.click()
    archive = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert sorted(archive.namelist()) == ["a.png", "b.png"]


def test_the_photo_stays_sharp_while_a_run_goes_on(page, photo):
    """Outside the mask no pixel of the screen changes, neither with the previews nor when the run is cancelled."""
    hands.open_photo(page, photo)
    hands.stroke(page, (0.35, 0.4), (0.6, 0.5))
    hands.set_option(page, "steps", 150)
    page.mouse.move(5, 5)
    (left, top), (right, bottom) = hands.at(page, 0, 0), hands.at(page, 1, 1)
    clip = {"x": left + 2, "y": top + 30, "width": right - left - 4, "height": bottom - top - 60}  # no bar's shadow

    def seen() -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)

    before = seen()
    hands.run(page, "a pizza")
    hands.stepping(page)
    during = seen()
    assert page.locator(".editor").get_attribute("data-mode") == "run"
    page.locator("#cancel").click()
    hands.mode(page, "stopped")
    whole = Image.fromarray(mask_of(page, (round(right - left), round(bottom - top))))
    painted = (
        np.asarray(whole.crop((2, 30, 2 + before.shape[1], 30 + before.shape[0])).filter(ImageFilter.MaxFilter(9)))
        > 0
    )
    for now in (during, seen()):
        changed = np.abs(now - before).max(-1) > 2
        assert changed[painted].mean() > 0.3 and not changed[~painted].any()
