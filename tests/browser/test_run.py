"""Follow a run from the button to the kept file, with a fake painter; the last test uses the built-in model."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from PIL import Image

from tests.browser import hands


def pixels(image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def test_watch_keep_download_and_restore(painter, photo):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    mask = painter.evaluate("window.inpaint.editor.pointer.mask.canvas().toDataURL()")
    painter.locator("#count label").nth(1).click()
    hands.run(painter, "slow red scarf")
    assert len(hands.previews(painter, 3)) >= 3
    hands.mode(painter, "result")
    assert "unchanged" in painter.locator(".report").inner_text()
    assert painter.locator(".thumb:not(.now)").count() == 2
    assert hands.painted(painter) > 1000, "the mask stays"
    image, data, name = hands.save_result(painter)
    assert name == "noise-inpainted.png"
    kept = np.asarray(Image.open(io.BytesIO(__import__("base64").b64decode(mask.split(",")[1]))).convert("L")) <= 127
    assert (pixels(image)[kept] == pixels(Image.open(photo))[kept]).all()
    assert (pixels(image)[~kept] != pixels(Image.open(photo))[~kept]).any()
    second = painter.locator(".thumb:not(.now)").nth(1)
    second.click()
    other, _, _ = hands.save_result(painter, "jpg", "none")
    assert other.format == "JPEG"
    painter.locator("#prompt textarea").fill("something else")
    (photo.parent / "back.png").write_bytes(data)
    hands.open_photo(painter, photo.parent / "back.png")
    assert painter.locator("#prompt textarea").input_value() == "slow red scarf"
    assert painter.evaluate("window.inpaint.editor.pointer.mask.canvas().toDataURL()") == mask
    assert "back" in hands.said(painter)


def test_results_have_a_history(painter):
    hands.stroke(painter, (0.2, 0.2), (0.4, 0.2))
    hands.run(painter)
    hands.mode(painter, "result")
    first = painter.locator(".photo").get_attribute("src")
    painter.locator("[data-do=discard]").click()
    hands.mode(painter, "paint")
    assert painter.locator(".photo").get_attribute("src") == first and hands.painted(painter) > 0
    hands.run(painter)
    hands.mode(painter, "result")
    painter.locator(".actions .tick input").check()
    painter.locator("[data-do=keep]").click()
    hands.mode(painter, "paint")
    assert hands.painted(painter) > 0, "the mask was to be kept"
    second = painter.locator(".photo").get_attribute("src")
    assert second != first
    painter.locator("[data-do=picture_back]").click()
    painter.wait_for_function("src => document.querySelector('.photo').src === src", arg=first)
    painter.locator("[data-do=picture_forward]").click()
    painter.wait_for_function("src => document.querySelector('.photo').src === src", arg=second)


def test_film_can_be_scrubbed_and_saved(painter):
    hands.stroke(painter, (0.2, 0.2), (0.4, 0.2))
    hands.run(painter)
    hands.mode(painter, "result")
    final = painter.locator(".shown").get_attribute("src")
    film = painter.locator(".film input")
    assert film.get_attribute("max") == "21"
    film.fill("3")
    painter.wait_for_function("src => document.querySelector('.shown').src !== src", arg=final)
    painter.locator("[data-do=film_export]").click()
    movie, _, name = hands.saved(painter, lambda: painter.locator("[data-do=film_webp]").click())
    assert name == "noise-film.webp" and movie.n_frames >= 3
    film.fill("21")
    painter.wait_for_function("src => document.querySelector('.shown').src === src", arg=final)


def test_cancel_then_run_again(painter):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    hands.set_option(painter, "steps", 100)  # 40 seconds
    hands.run(painter, "slow")
    hands.previews(painter, 2)
    began = time.monotonic()
    painter.locator("#cancel").click()
    hands.mode(painter, "stopped")
    assert time.monotonic() - began < 10
    assert painter.locator(".shown").is_visible() and "Cancelled" in hands.said(painter)
    assert hands.painted(painter) > 1000
    hands.run(painter, "quick")
    hands.mode(painter, "result")


def test_two_people_see_only_their_own_and_wait_in_line(visit, fake, photo, tmp_path):
    Image.new("RGB", (300, 200), (10, 200, 30)).save(tmp_path / "green.png")
    first, second = visit(fake), visit(fake)
    hands.open_photo(first, photo)
    hands.open_photo(second, tmp_path / "green.png")
    for page in (first, second):
        hands.stroke(page, (0.4, 0.5), (0.6, 0.5))
    hands.set_option(first, "steps", 100)  # so that it still runs when the second one asks
    hands.run(first, "slow")
    hands.previews(first, 2)
    hands.run(second, "quick")
    second.wait_for_function("document.querySelector('.progress span').textContent.includes('queue')")
    first.context.close()  # closing the tab frees the painter for who waits
    hands.mode(second, "result")
    image, _, _ = hands.save_result(second)
    assert image.size == (300, 200) and tuple(pixels(image)[5, 5]) == (10, 200, 30)


def test_compare_both(painter):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    painter.locator("#method label").nth(3).click()
    hands.run(painter)
    hands.mode(painter, "result")
    assert painter.locator(".thumb:not(.now) span").all_inner_texts() == ["Base model", "Inpainting model"]
    assert painter.locator(".film output").inner_text() == "Finished"


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("fail", "This step cannot be done."),
        ("oom", "more memory than this machine has"),
        ("crash", "something went wrong"),
        ("offline", "not on this machine"),
    ],
)
def test_errors_are_one_sentence_and_lose_nothing(painter, prompt, sentence):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    mask = hands.painted(painter)
    hands.run(painter, prompt)
    painter.wait_for_selector(".status.bad")
    assert sentence in hands.said(painter) and "Traceback" not in hands.said(painter)
    assert hands.painted(painter) == mask and painter.locator(".photo").is_visible()
    hands.run(painter, "quick")
    hands.mode(painter, "result")


def test_bad_input_is_one_sentence(visit, fake, tmp_path):
    page = visit(fake)
    page.locator("#run").click()
    page.wait_for_selector(".status.bad")
    assert "Open a photo" in hands.said(page)
    broken = {"text.png": b"this is no picture", "empty.jpg": b"", "cut.png": b"\x89PNG\r\n\x1a\n123"}
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        page.evaluate("document.querySelector('.status').textContent = ''")
        page.set_input_files(".editor input[type=file] >> nth=0", str(tmp_path / name))
        page.wait_for_function("document.querySelector('.status.bad')?.textContent.length > 10")
        assert re.fullmatch(r"[^{}\n]+\.", hands.said(page)), hands.said(page)
    Image.new("RGB", (64, 64)).save(tmp_path / "fine.png")
    hands.open_photo(page, tmp_path / "fine.png")
    hands.run(page)
    page.wait_for_selector(".status.bad")
    assert "painted" in hands.said(page)
    assert page.locator(".photo").is_visible()


def test_twelve_megapixels_are_ready_in_two_seconds(visit, fake, tmp_path):
    noise = Image.effect_noise((1000, 750), 60).convert("RGB").resize((4000, 3000))
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: the picture is 3000 × 4000
    noise.save(tmp_path / "phone.jpg", quality=88, exif=exif)
    page = visit(fake)
    began = time.monotonic()
    hands.open_photo(page, tmp_path / "phone.jpg")
    took = time.monotonic() - began
    assert page.evaluate("window.inpaint.editor.full") == [3000, 4000]
    assert took < 2, f"{took:.2f} s"
    hands.stroke(page, (0.4, 0.5), (0.6, 0.5))
    assert hands.painted(page) > 100


def test_closing_the_tab_takes_its_files_along(visit, fake, photo, tmp_path_factory):
    page = visit(fake)
    hands.open_photo(page, photo)
    hands.stroke(page, (0.4, 0.5), (0.6, 0.5))
    hands.run(page)
    hands.mode(page, "result")
    hands.save_result(page)

    def files() -> set:
        """What lies in the server's private folder, of this and of other visitors."""
        found = tmp_path_factory.getbasetemp().glob("fake*/inpaint-*/files/sessions/*/*/*")
        return {path for path in found if path.is_file()}

    mine = {path for path in files() if path.name == "noise-inpainted.png"}
    assert mine
    page.context.close()
    deadline = time.monotonic() + 40
    while mine & files() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not mine & files()
