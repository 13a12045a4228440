"""The page without a browser: the desk, the sessions, the limits, the words, the models."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from tests import gradio_aside

pytestmark = gradio_aside.warnings

ROOT = Path(__file__).resolve().parents[2]


def alone(coroutine):
    """Its result, in a thread without an event loop: the browser's tests may have one running in this."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def everything(desk, work, meanwhile=None):
    """What `desk.run` tells, as a list; `meanwhile(task, told)` is called after each."""

    async def collect():
        told, tasks = [], []
        async for kind, value in desk.run(work, tasks.append):
            told.append((kind, value))
            if meanwhile:
                meanwhile(tasks[0], told)
        return told

    return alone(collect())


def test_the_desk_serves_one_after_the_other():
    from page.jobs.job_queue import Desk

    desk, at_work, worst = Desk(), [], []

    def work():
        at_work.append(1)
        worst.append(len(at_work))
        yield from range(3)
        at_work.pop()

    async def crowd():
        async def one():
            return [told async for told in desk.run(work)]

        return await asyncio.gather(*(one() for _ in range(8)))

    for told in alone(crowd()):
        assert [value for kind, value in told if kind == "event"] == [0, 1, 2]
        places = [value for kind, value in told if kind == "place"]
        assert places == sorted(places, reverse=True)
    assert max(worst) == 1


def test_cancel_stops_within_one_step_and_the_next_one_runs():
    from page.jobs.job_queue import Desk

    desk, seen, closed = Desk(), [], threading.Event()
    gate = threading.Semaphore(0)

    def endless():
        try:
            while True:
                gate.acquire(timeout=20)
                seen.append(1)
                yield len(seen)
        finally:
            closed.set()

    def stop_after_two(task, told):
        if len(told) == 2:
            desk.cancel(task)
        gate.release()

    gate.release()
    told = everything(desk, endless, stop_after_two)
    assert told[-1] == ("stopped", None) and closed.wait(5) and len(seen) <= 4
    assert everything(desk, lambda: iter("ab")) == [("event", "a"), ("event", "b")]


def test_leaving_stops_the_work():
    from page.jobs.job_queue import Desk

    desk, closed = Desk(), threading.Event()

    def endless():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async def leave():
        async for _ in desk.run(endless):
            break

    alone(leave())
    assert closed.wait(5)


def test_the_line_has_an_end_and_errors_come_through():
    from page.jobs.job_queue import Busy, Desk, Task

    desk, gate, at_work = Desk(longest=1), threading.Event(), threading.Event()

    def held():
        at_work.set()
        gate.wait(20)
        yield 1

    desk.join(Task(held))
    assert at_work.wait(5)
    desk.join(Task(held))
    with pytest.raises(Busy):
        desk.join(Task(held))
    gate.set()

    def broken():
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        everything(Desk(), broken)


def test_sessions_are_apart_and_leave_nothing_behind(tmp_path, monkeypatch):
    from inpaint import Picture
    from page.session import Sessions

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    sessions = Sessions(minutes=60)
    one, two = SimpleNamespace(session_hash="one"), SimpleNamespace(session_hash="two")
    for n in range(5):
        sessions.of(one).put(Picture.open(Image.new("RGB", (100 + n, 10))), megabytes=10)
    assert sessions.of(two).picture is None
    session = sessions.of(one)
    assert session.picture.size == (104, 10) and session.travel(-3) and session.picture.size == (101, 10)
    assert not session.travel(-2)
    session.put(Picture.open(Image.new("RGB", (9, 9))), megabytes=0)
    assert [p.size for p in session.pictures] == [(100, 10), (9, 9)], "over budget the first and the last stay"
    path = session.file("../../evil.png")
    path.write_bytes(b"x")
    assert tmp_path in path.parents and path.name == "evil.png"
    sessions.forget(one)
    assert not path.exists() and sessions.of(one).picture is None
    sessions.minutes = 0
    sessions.of(two)
    assert set(sessions.all) == {"two"}


def test_only_uploaded_files_can_be_opened(tmp_path, monkeypatch):
    from inpaint import UnreadablePicture
    from page.paint.opening import SALT, taken

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "mine"))
    (tmp_path / "mine" / "abc").mkdir(parents=True)
    (tmp_path / "mine" / "sessions" / "x").mkdir(parents=True)
    for path in (tmp_path / "secret.png", tmp_path / "mine" / "sessions" / "x" / "other.png"):
        path.write_bytes(b"secret")
        with pytest.raises(UnreadablePicture):
            taken(str(path))
    for path in ("", "/etc/passwd", str(tmp_path / "mine"), str(tmp_path / "mine" / ".." / "secret.png")):
        with pytest.raises(UnreadablePicture):
            taken(path)
    (tmp_path / "mine" / "abc" / "photo.png").write_bytes(b"photo" + bytes(SALT))
    assert taken(str(tmp_path / "mine" / "abc" / "photo.png")) == b"photo"
    assert not (tmp_path / "mine" / "abc").exists(), "the stored copy goes at once"


def test_limits_come_from_the_environment():
    from inpaint import InvalidRequest
    from page.limits import Limits

    home = Limits.from_environment({})
    assert not home.public and home.steps == 150
    space = Limits.from_environment({"SPACE_ID": "someone/something", "INPAINT_MAX_STEPS": "33"})
    assert space.public and space.steps == 33 and space.megapixels == 12
    space.check({"steps": 33, "count": 2, "size": 512})
    for name, value in (("steps", 34), ("count", 3), ("size", 2048)):
        with pytest.raises(InvalidRequest, match=str(value)):
            space.check({name: value})


def test_every_word_is_there_in_both_languages():
    from page.words.options import OPTIONS, option_words
    from page.words.say import for_page
    from page.words.sentences import WORDS

    words = {**WORDS, **option_words()}
    for key, (english, chinese) in words.items():
        assert english and chinese, key
        assert set(re.findall(r"{(\w+)", english)) == set(re.findall(r"{(\w+)", chinese)), key
    from inpaint.request import options

    assert set(OPTIONS) - set(options()) == set(), "words for an option that is gone"
    script = "\n".join(path.read_text() for path in (ROOT / "assets/page").glob("*.js"))
    used = set(re.findall(r'say\("(\w+)"', script))
    used |= set(re.findall(r'(?:button|menuButton)\("[^"]*", (?:"\w+"|null), "(\w+)"', script))
    used |= set(re.findall(r'(?:slider|item)\("(\w+)"', script))
    assert len(used) > 40 and used <= set(for_page()["en"]), used - set(for_page()["en"])


def test_the_equations_point_at_their_lines():
    from page.how_it_works import EQUATIONS, equations, line_of, source

    assert len({line_of(text) for _, _, text in EQUATIONS}) == len(EQUATIONS)
    for _, _, text in EQUATIONS:
        assert f"#line-{line_of(text)}" in equations() and f"id='line-{line_of(text)}'" in source()


def test_a_forged_mask_is_one_sentence():
    from inpaint import InvalidRequest
    from page.images import mask_from

    assert mask_from(None, (8, 8)) is None
    for address in (
        "x",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,!!",
        7,
        ["x"],
    ):
        with pytest.raises(InvalidRequest, match="mask did not arrive"):
            mask_from(address, (8, 8))


def test_building_the_page_imports_nothing_heavy():
    program = (
        "import sys; sys.path.insert(0, '.'); from page.main import environment; environment()\n"
        "from page.server import gradio_startup as quick; quick.install()\n"
        "from page.layout import Page; from page.limits import Limits\n"
        "with quick.one_app(): Page(Limits(), 'toy').build()\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'scipy'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_on_a_space(tmp_path):
    """With `spaces` there and the variables set: jobs go through spaces.GPU, and paths are refused."""
    (tmp_path / "spaces.py").write_text(
        "import functools\nused = []\n"
        "def GPU(function=None, duration=None):\n"
        "    def wrap(f):\n"
        "        @functools.wraps(f)\n"
        "        def call(*a):\n"
        "            used.append(duration(*a)); yield from f(*a)\n"
        "        return call\n"
        "    return wrap\n"
    )
    program = """
import sys; sys.path[:0] = ['.', sys.argv[1]]
from page.main import environment; environment()
import spaces
from page.jobs import worker as studio
from page.jobs import zerogpu
from page.layout import Page
from page.limits import Limits
from inpaint import InvalidRequest, Request
from tests.browser.serve import Painter
from PIL import Image
assert zerogpu.PRESENT
page = Page(Limits.from_environment(), 'builtin'); page.build()
assert page.limits.public and not page.controls.model.allow_custom_value
assert page.controls.by_name['steps'].maximum == 50
try: page.check_model('/etc/passwd', 'en'); raise SystemExit('a path was let through')
except InvalidRequest: pass
studio.painters.name, studio.painters.painter = 'builtin', Painter()
request = Request(picture=Image.new('RGB', (64, 64)), mask=Image.new('L', (64, 64), 255), steps=4, seed=1)
*steps, result = studio.paint('builtin', [request])
import pickle; pickle.dumps([steps, result])   # they cross a process boundary on ZeroGPU
assert len(steps) == 4 and all(step.live is None for step in steps) and steps[0].jpeg
assert spaces.used == [16], spaces.used
print('fine')
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "", "SPACE_ID": "a/b", "TMPDIR": str(tmp_path)},
    )
    assert done.stdout.strip() == "fine", done.stderr


def test_the_display_copy_is_small_and_keeps_transparency():
    import base64

    from inpaint import Picture
    from page.images import shown_picture

    picture = Image.new("RGBA", (3000, 1000), (200, 30, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 1500, 1000))
    address = shown_picture(Picture.open(picture))
    image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    assert image.size == (2449, 816) and image.mode == "RGBA" and image.getpixel((10, 10))[3] == 0


def test_another_model_takes_the_place_of_the_first(monkeypatch):
    """The old one is let go before the new one comes, and comes back if that one cannot be loaded."""
    import inpaint.inpainter
    import inpaint.models.loading
    from inpaint import ModelUnavailable
    from page.jobs.current_model import Painters

    loaded = []

    def load(name, backend):
        loaded.append(name)
        assert backend == "torch"
        if name == "missing":
            raise ModelUnavailable("It is not here.")
        return SimpleNamespace(name=name)

    monkeypatch.setattr(inpaint.models.loading, "Shelf", lambda shelf=inpaint.models.loading.Shelf: shelf(load))
    monkeypatch.setattr(inpaint.inpainter, "Inpainter", lambda model: SimpleNamespace(model=model))
    painters, left = Painters(), []
    painters.backend = "torch"
    painters.leaving.append(lambda: left.append(painters.painter))
    first, *_ = painters.fetch("one")
    assert first == ("loading", "one", 0)
    assert painters.painter.model.name == "one" and left == []
    assert list(painters.fetch("one")) == []
    with pytest.raises(ModelUnavailable):
        list(painters.fetch("missing"))
    assert left == [None] and painters.name == "one" and painters.painter.model.name == "one"
    list(painters.fetch("two"))
    assert painters.painter.model.name == "two" and loaded == ["one", "missing", "one", "two"]


def test_the_listed_models_are_the_families():
    from inpaint.models.loading import FAMILIES
    from page.jobs.current_model import LISTED

    assert set(LISTED) == set(FAMILIES)
