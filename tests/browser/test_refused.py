"""Whatever is refused, lost or broken: the page comes back with one sentence, and nothing is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from . import hands
from .conftest import ROOT

LONG = "1102676403634909187355"


@pytest.fixture
def ready(painter):
    """A page with a photo and a stroke, every group of settings open."""
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    painter.locator("#advanced > button").click()
    painter.wait_for_selector("#advanced .group", state="visible")
    for group in painter.locator("#advanced .group > button").all():
        group.click()
    painter.locator("#advanced .group").last.locator("input").last.wait_for(state="visible")
    return painter


def ended(page) -> str:
    """Waits until a run has ended, in whatever way; what is said about it."""
    page.wait_for_function("""() => document.querySelector('#run').checkVisibility()
        && !document.querySelector('#cancel').checkVisibility()
        && (document.querySelector('.editor').dataset.mode === 'result' || document.querySelector('.status.bad')
          || document.querySelector('#panel .why'))""")
    return hands.said(page)


def test_any_whole_number_is_a_seed(ready):
    for typed, seed in ((LONG, int(LONG) % 2**32), ("-7", 2**32 - 7), (" 12 345 ", 12345), ("４２", 42)):
        ready.locator("#seed input").fill(typed)
        ready.wait_for_function("!document.querySelector('#fresh input').checked")  # what is typed is meant
        ready.locator("#run").click()
        hands.mode(ready, "result")
        assert ready.locator("#seed input").input_value() == str(seed)
        ready.locator("[data-do=discard]").click()
        hands.mode(ready, "paint")


def test_nonsense_in_any_field_is_one_sentence_and_repaint_is_there_again(ready):
    mask = hands.painted(ready)
    numbers = ready.locator("#panel input[type=number]").all()
    texts = ready.locator("#seed input, #option-size input, #option-eta input, #option-quality textarea").all()
    assert len(numbers) > 10 and len(texts) == 4
    kinds = ("99999999999999", "-99999.5", "")
    for n, field in enumerate([*numbers, *texts]):
        before, quality = field.input_value(), field.evaluate("e => !!e.closest('#option-quality')")
        nonsense = kinds[n % 3] if field in numbers else "x" * 4001 if quality else ("seven", "1e999", "-3")[n % 3]
        field.fill(nonsense)
        field.press("Control+Enter")  # without leaving the field, which would put it in order
        said = ended(ready)
        assert said.count("\n") == 0 and "Traceback" not in said and "Error" not in said, (n, nonsense, said)
        assert hands.painted(ready) == mask and ready.locator(".photo").is_visible()
        if ready.locator(".editor").get_attribute("data-mode") == "result":
            ready.locator("[data-do=discard]").click()
            hands.mode(ready, "paint")
        field.fill(before)
        field.blur()
    assert ready.locator("#panel .why").count() == 0, "what is mended is not marked any more"
    hands.run(ready, "quick")
    hands.mode(ready, "result")


def test_a_refused_value_is_named_beside_its_field(ready):
    ready.locator("#seed input").fill("seven")
    ready.locator("#run").click()
    ready.wait_for_selector("#seedbox .why")
    assert "seven" in ready.locator("#seedbox .why").inner_text() and "seven" in hands.said(ready)
    assert ready.locator("#seed input").get_attribute("aria-invalid") == "true"
    ready.locator("#seed input").fill("7")
    assert ready.locator(".why").count() == 0
    ready.locator("#run").click()
    hands.mode(ready, "result")


def test_what_gradio_refuses_before_our_handler_gives_the_page_back(painter):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    painter.route("**/queue/join*", lambda route: route.fulfill(status=422, body='{"detail": "No."}'))
    painter.locator("#run").click()
    painter.wait_for_selector(".status.bad")
    assert "still here" in hands.said(painter) and painter.locator("#run").is_visible()
    painter.unroute("**/queue/join*")
    painter.locator("#run").click()
    hands.mode(painter, "result")


def test_the_welcome_survives_repaint_on_the_empty_page(visit, fake):
    page = visit(fake)
    for press in (lambda: page.locator("#run").click(), lambda: page.keyboard.press("Control+Enter")):
        page.evaluate("document.querySelector('.status').textContent = ''")
        press()
        page.wait_for_function("document.querySelector('.status').textContent.includes('Open a photo')")
        assert page.locator(".welcome").is_visible() and page.locator(".tools").is_hidden()
    page.locator(".example").first.click()
    hands.mode(page, "paint")


def test_a_picture_opened_during_a_run_stays(painter, tmp_path):
    from PIL import Image

    Image.new("RGB", (320, 200), (10, 200, 30)).save(tmp_path / "green.png")
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    hands.run(painter, "slow")
    hands.previews(painter, 2)
    hands.open_photo(painter, tmp_path / "green.png")
    photo = painter.locator(".photo").get_attribute("src")
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    hands.run(painter, "quick")  # the first run has made room
    hands.mode(painter, "result")
    assert painter.locator(".photo").get_attribute("src") == photo
    image, _, name = hands.save_result(painter)
    assert image.size == (320, 200) and name == "green-inpainted.png"


def test_a_reload_brings_photo_mask_and_settings_back(painter):
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    mask = hands.painted(painter)
    hands.set_option(painter, "steps", 7)
    hands.run(painter, "a red scarf")
    hands.mode(painter, "result")
    drafts = """() => new Promise(done => { const look = () => { const o = indexedDB.open('inpaint', 1);
      o.onsuccess = () => { const q = o.result.transaction('drafts').objectStore('drafts').getAll();
        q.onsuccess = () => { o.result.close();
          q.result.some(d => d.mask) ? done() : setTimeout(look, 50); }; }; };
      look(); })"""
    painter.evaluate(drafts)
    painter.locator("#prompt textarea").fill("a blue scarf")  # typed, and not run yet
    painter.reload()
    hands.mode(painter, "paint")
    painter.wait_for_function(
        "n => window.inpaint.editor.pointer.mask.data.reduce((a, v) => a + (v > 0), 0) === n", arg=mask
    )
    painter.wait_for_function("document.querySelector('#prompt textarea').value === 'a blue scarf'")
    assert painter.evaluate("window.inpaint.editor.full") == [700, 500] and "back" in hands.said(painter)
    painter.locator("#run").click()
    hands.mode(painter, "result")
    painter.locator(".film input").fill("1")
    assert "of 7" in painter.locator(".film output").inner_text()


def test_a_reload_brings_the_kept_result_back(painter):
    """Not the photo that was opened."""
    middle = """() => { const photo = document.querySelector('.photo'), c = document.createElement('canvas');
      c.width = c.height = 1; c.getContext('2d').drawImage(photo, photo.naturalWidth / 2, photo.naturalHeight * 0.4,
      1, 1, 0, 0, 1, 1); return [...c.getContext('2d').getImageData(0, 0, 1, 1).data].join(); }"""
    size = "() => window.inpaint.editor.draft.record.file.size"
    photo, opened = painter.evaluate(middle), painter.evaluate(size)
    hands.stroke(painter, (0.3, 0.4), (0.6, 0.4))
    hands.run(painter, "a red scarf")
    hands.mode(painter, "result")
    painter.locator("[data-do=keep]").click()
    hands.mode(painter, "paint")
    kept = painter.evaluate(middle)
    assert kept != photo
    painter.wait_for_function(f"n => ({size})() !== n", arg=opened)
    painter.evaluate("() => window.inpaint.editor.draft.writing")
    painter.reload()
    hands.mode(painter, "paint")
    painter.wait_for_function("document.querySelector('.status').textContent.includes('are back')")
    assert painter.evaluate(middle) == kept and painter.evaluate("window.inpaint.editor.full") == [700, 500]


class Server:
    """The page on the pretending painter, at a port of its own, to be killed and started again."""

    def __init__(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        command = [sys.executable, str(ROOT / "tests/browser/serve.py"), "--port", str(self.port)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(self.folder)}
        self.log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=subprocess.STDOUT, env=environment)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.address, timeout=2).close()
                return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self.log.close()


@pytest.mark.parametrize("press", ["#run", "[data-do=keep]"])
def test_a_server_started_anew_gets_photo_and_mask_again(visit, photo, tmp_path, press):
    server = Server(tmp_path)
    with server:
        page = visit(server.address)
        hands.open_photo(page, photo)
        hands.stroke(page, (0.3, 0.4), (0.6, 0.4))
        hands.run(page, "quick")
        hands.mode(page, "result")
        hands.stroke(page, (0.3, 0.6), (0.6, 0.6))
        mask = hands.painted(page)
    with server:
        page.locator("#prompt textarea").fill("something else")
        page.locator(press).click()
        page.wait_for_function("document.querySelector('.status').textContent.includes('It is back')")
        hands.mode(page, "paint")
        assert hands.painted(page) == mask and page.evaluate("window.inpaint.editor.full") == [700, 500]
        hands.run(page, "quick")
        hands.mode(page, "result")
        page.context.close()


def test_a_killed_server_is_one_sentence_and_all_is_there_when_it_is_back(visit, photo, tmp_path):
    server = Server(tmp_path)
    with server:
        page = visit(server.address)
        hands.open_photo(page, photo)
        hands.stroke(page, (0.3, 0.4), (0.6, 0.4))
        mask = hands.painted(page)
        hands.run(page, "slow")
        hands.previews(page, 2)
        page.wait_for_function("window.inpaint.editor.draft.record.mask")  # kept once the hand has rested
        page.evaluate("() => window.inpaint.editor.draft.writing")
    page.wait_for_selector(".status.bad")
    assert "kept" in hands.said(page) and page.locator("#run").is_visible()
    assert hands.painted(page) == mask and page.locator(".photo").is_visible()
    page.locator("#prompt textarea").fill("quick, and typed while nobody answered")
    page.evaluate("window.before = true")
    with server:
        page.wait_for_function("!window.before")  # Gradio loads the page anew once the server answers again
        page.wait_for_function(
            "n => window.inpaint?.editor.pointer.mask?.data.reduce((a, v) => a + (v > 0), 0) === n",
            arg=mask,
            timeout=60_000,
        )
        hands.mode(page, "paint")
        typed = "document.querySelector('#prompt textarea').value === 'quick, and typed while nobody answered'"
        page.wait_for_function(typed)
        page.locator("#run").click()
        hands.mode(page, "result")
        page.context.close()
