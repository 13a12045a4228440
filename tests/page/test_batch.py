"""Check the batch tab: finished pictures are never lost, and Cancel works at any moment."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from inpaint import InpaintError
from page.batch import Batch, pack
from page.jobs.current_model import current_model
from page.layout import Page
from page.limits import Limits
from tests import gradio_aside
from tests.browser.serve import Painter
from tests.page.jobs.test_job_queue import alone

pytestmark = gradio_aside.warnings
ASK = SimpleNamespace(session_hash="batch", headers={})


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    monkeypatch.setattr(current_model, "name", "fake")
    monkeypatch.setattr(current_model, "painter", Painter())
    page = Page(Limits(session_minutes=10), "fake")
    page.build()
    return page


@pytest.fixture
def pictures(tmp_path) -> list[str]:
    for n in range(4):
        Image.new("RGB", (60, 40), (n, 9, 9)).save(tmp_path / f"p{n}.png")
    mask = Image.new("L", (60, 40))
    mask.paste(255, (5, 5, 20, 20))
    mask.save(tmp_path / "mask.png")
    return [str(tmp_path / f"p{n}.png") for n in range(4)]


def run(page, pictures, after=None, ask=ASK) -> list[tuple[str, dict]]:
    """Return what the batch reports; `after(text)` is called after each report."""
    values = [3 if name == "steps" else component.value for name, component in page.controls.by_name.items()]
    mask = str(Path(pictures[0]).with_name("mask.png"))

    async def told():
        answers = []
        async for answer in Batch(page).run(ask, pictures, [mask], "fake", *values):
            answers.append(answer)
            if after:
                after(answer[0])
        return answers

    return alone(told())


def test_a_download_or_another_visitor_meanwhile_takes_nothing_away(page, pictures, monkeypatch):
    from page import session

    real = session.monotonic

    def meanwhile(text):
        if "✓ p1" in text and "p3" not in text:
            with page.sessions.of(ASK).new_file("result", "download.png") as path:
                path.write_bytes(b"x")
            monkeypatch.setattr(session, "monotonic", lambda: real() + 3600)  # longer than a session lasts
            page.sessions.of(SimpleNamespace(session_hash="somebody else"))

    text, file = run(page, pictures, meanwhile)[-1]
    assert text.count("✓") == 4 and "4 of 4" in text
    with zipfile.ZipFile(file["value"]) as archive:
        assert sorted(archive.namelist()) == [f"p{n}.png" for n in range(4)]
    assert not list(Path(file["value"]).parent.glob("pictures")), "only the zip stays"


def test_cancel_works_while_a_picture_is_opened_or_saved(page, pictures, monkeypatch):
    batch, opened = Batch(page), []
    real = Limits.request

    def opening(limits, picture, mask, **settings):
        opened.append(picture.name)
        if len(opened) == 2:
            batch.cancel(ASK)  # there is no job in the queue now
        return real(limits, picture, mask, **settings)

    monkeypatch.setattr(Limits, "request", opening)
    text, file = run(page, pictures)[-1]
    assert opened == ["p0.png", "p1.png"] and text.count("✓") == 1
    with zipfile.ZipFile(file["value"]) as archive:
        assert archive.namelist() == ["p0.png"], "what is done is given back"


def test_the_paint_tabs_cancel_leaves_a_batch_alone(page, pictures):
    answers = run(page, pictures, lambda text: page.running.cancel(ASK))
    assert "4 of 4" in answers[-1][0]


def test_a_job_that_is_refused_takes_nobodys_cancel(page, pictures):
    """The queue is full for the visitor's second job: Cancel is still the first one's."""
    page.queue.longest = 0
    refused = run(page, pictures[:1])
    assert "long queue" in refused[-1][0] and not page.sessions.of(ASK).working


def test_a_full_queue_in_the_middle_gives_back_what_is_done(page, pictures):
    def fill(text):
        page.queue.longest = 0 if "✓ p1" in text else 100

    text, file = run(page, pictures, fill)[-1]
    assert "long queue" in text and "2 of 4" in text
    with zipfile.ZipFile(file["value"]) as archive:
        assert sorted(archive.namelist()) == ["p0.png", "p1.png"]


def test_a_public_batch_does_not_hold_what_was_removed(page, pictures):
    from inpaint import Request

    for public in (True, False):
        object.__setattr__(page.limits, "public", public)
        _, file = run(page, pictures[:1])[-1]
        with zipfile.ZipFile(file["value"]) as archive:
            (Path(pictures[0]).parent / "out.png").write_bytes(archive.read("p0.png"))
        restored = Request.from_image(Path(pictures[0]).parent / "out.png").picture.rgb.tobytes()
        assert (restored == Image.open(pictures[0]).tobytes()) is not public


def test_an_unforeseen_error_is_one_sentence_and_frees_the_visitor(page, pictures, monkeypatch):
    monkeypatch.setattr("page.batch.pack_all", lambda *_: 1 / 0)
    text, _ = run(page, pictures[:1])[-1]
    assert "ZeroDivisionError" in text and not page.sessions.of(ASK).working


def test_packed_names_do_not_collide(tmp_path):
    files = []
    for n, name in enumerate(("a.png", "A.png", "b.png")):
        (tmp_path / str(n)).mkdir()
        files.append(tmp_path / str(n) / name)
        files[-1].write_bytes(name.encode())
    with zipfile.ZipFile(pack(files, tmp_path / "out.zip")) as archive:
        assert archive.namelist() == ["a.png", "A-1.png", "b.png"] and archive.read("A-1.png") == b"A.png"


def test_packing_keeps_all_files_apart(tmp_path):
    files = []
    for folder in ("x", "y", "z"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "a.png")
        files[-1].write_bytes(folder.encode())
    with zipfile.ZipFile(pack(files, tmp_path / "out.zip")) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.png": b"x",
            "a-1.png": b"y",
            "a-2.png": b"z",
        }
        assert archive.testzip() is None
    with pytest.raises(InpaintError):
        pack([*files, tmp_path / "gone.png"], tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    with zipfile.ZipFile(tmp_path / "out.zip") as before, pytest.raises(InpaintError):
        pack([*files, tmp_path / "gone.png"], tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as after:  # the earlier one is still there, whole
        assert after.namelist() == before.namelist() and not list(tmp_path.glob(".inpaint-*"))


@pytest.mark.parametrize("year", [1970, 2200])
def test_files_of_any_year_are_packed(tmp_path, year):
    """A zip knows the years from 1980 to 2107; a board without a battery begins in 1970."""
    (tmp_path / "a.png").write_bytes(b"a")
    when = (year - 1970) * 365.25 * 86400
    os.utime(tmp_path / "a.png", (when, when))
    with zipfile.ZipFile(pack([tmp_path / "a.png"], tmp_path / "all.zip")) as archive:
        assert archive.read("a.png") == b"a"
