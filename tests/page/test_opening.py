"""Check files opened on the page: the message, and the settings that come back."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw

from inpaint import Request, load
from page.limits import Limits
from page.paint.opening import Opening
from page.session import Session
from tests import gradio_aside

pytestmark = gradio_aside.warnings
NAMES = ("prompt", "steps")


@pytest.fixture
def opening() -> Opening:
    controls = SimpleNamespace(names=NAMES, fits=lambda name, value: True, shown=lambda name, value: value)
    return Opening(SimpleNamespace(limits=Limits(), controls=controls))


@pytest.fixture(scope="module")
def result():
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).ellipse((20, 20, 40, 40), fill=255)
    photo = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    return load("toy")(Request("a scarf", photo, mask=mask, seed=3, steps=2))


def resaved(data: bytes) -> bytes:
    """The picture with its texts, saved by a program that copies no private chunks."""
    from PIL.PngImagePlugin import PngInfo

    image, chunks, file = Image.open(BytesIO(data)), PngInfo(), BytesIO()
    for name, text in image.text.items():
        chunks.add_itxt(name, text)
    image.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def said(opening: Opening, data: bytes, values=None):
    message, _, _, *settings = opening.put(Session(), data, "saved.png", values)
    return message, [update.get("value") for update in settings]


def test_everything_is_back_is_said_only_when_it_is(opening, result):
    whole, _ = said(opening, result.to_bytes())
    assert whole["say"].startswith("Everything this picture was made with is back") and whole["mask"]
    for data in (result.to_bytes(metadata="settings"), resaved(result.to_bytes())):
        part, settings = said(opening, data)
        assert not part["mask"] and "Everything" not in part["say"]
        assert "mask" in part["say"] and settings == ["a scarf", 2], "what is missing is named, the words are back"


def test_after_a_reload_what_was_last_chosen_counts_not_what_the_file_remembers(opening, result):
    _, settings = said(opening, result.to_bytes(), ["fill", None, True, "a hat", 9])
    assert settings == ["a hat", 9]
