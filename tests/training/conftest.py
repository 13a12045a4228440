"""Fixtures: a tiny training with two photos of noise, three discs, and a plan of a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training import measure, sheet, stickers, text, unet, vae
from training.plan import Plan


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Sums in one order, so that weights can be compared bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def library() -> stickers.Library:
    rng = np.random.default_rng(0)
    grounds = [Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)) for _ in range(2)]
    discs = []
    for name, colour in (("red disc", "red"), ("blue disc", "blue"), ("egg", "white")):
        picture = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(picture).ellipse((4, 4, 60, 60), fill=colour)
        discs.append(stickers.Sticker(name, ("round", "flat"), picture))
    return stickers.Library(grounds, discs)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return tiny(tmp_path)


def tiny(work: Path) -> Plan:
    return Plan(
        work,
        work,
        vae_channels=(8, 8, 8, 8),
        vae_steps=3,
        vae_batch=2,
        scenes=8,
        shard=4,
        size=64,
        frames=((64, 64), (96, 64)),
        grounds=3,
        holes=3,
        orders=20,
        vocabulary=800,
        text_steps=3,
        text_batch=4,
        text_width=64,
        text_layers=1,
        channels=(16, 16, 16),
        first_steps=3,
        inpaint_steps=2,
        base_steps=2,
        batch=2,
        layout="plain-plain",
        save_seconds=0,
        log_every=1,
        sheet_every=100,
    )


@pytest.fixture
def unseen(monkeypatch):
    """No sheets and no measuring, which take longer than the tiny trainings."""
    silence(monkeypatch)


def silence(monkeypatch) -> None:
    for module, name in ((sheet, "drawn"), (sheet, "round_trip"), (measure, "log")):
        monkeypatch.setattr(module, name, lambda *_: None)


@pytest.fixture(scope="session")
def trained(library, tmp_path_factory) -> Plan:
    """A whole undisturbed training."""
    plan = tiny(tmp_path_factory.mktemp("trained"))
    with pytest.MonkeyPatch.context() as patch:
        silence(patch)
        train(library, plan)
    return plan


def train(library: stickers.Library, plan: Plan) -> None:
    """Train every part."""
    vae.train(library, library.photos, plan)
    text.train(library.stickers, plan)
    for mode in unet.PARENT:
        unet.train(mode, library, library.photos, plan)
