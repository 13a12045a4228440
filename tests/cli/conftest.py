"""Fixtures: a fake painter, and a folder with a picture and its mask."""

import pytest
from PIL import Image

import inpaint

from ..fakes import Painter


@pytest.fixture
def painter(monkeypatch):
    """A fake that is loaded whatever is asked for; `loaded` holds what was asked for."""
    fake = Painter()
    fake.loaded = []

    def load(name, progress, **settings):
        fake.loaded.append((name, settings))
        fake.progress = progress
        return fake

    monkeypatch.setattr(inpaint, "load", load)
    monkeypatch.setattr("warnings.simplefilter", lambda *_: None)  # the command silences them for good
    return fake


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A folder with a picture and a mask, which is the current one."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGBA", (40, 30), "gray").save("cat.png")
    mask = Image.new("L", (40, 30))
    mask.paste(255, (10, 10, 20, 20))
    mask.save("mask.png")
    return tmp_path
