"""Check the tab that explains a run: six figures of every step, with every sampler and the article's program."""

import base64
import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

import inpaint
from inpaint import Request
from inpaint.request import SAMPLERS
from page.how_it_works import EQUATIONS, Learn, line_of, lines
from page.words.say import say


@pytest.fixture(scope="module")
def painter():
    return inpaint.load("toy")


@pytest.fixture(scope="module")
def asked():
    photo = Image.new("RGB", (96, 72), (90, 120, 60))
    mask = Image.new("L", photo.size)
    ImageDraw.Draw(mask).ellipse((30, 20, 66, 52), fill=255)
    return Request("", photo, mask, seed=3, steps=6, size=64, strength=0.9)


def figures(steps, k) -> dict[str, np.ndarray]:
    """The pictures of step k by their captions."""
    html = Learn(None).figures(steps, k, "en")
    found = re.findall(r"src='data:image/[a-z]+;base64,([^']+)'><figcaption>([^<]+)", html)
    return {caption: np.asarray(Image.open(BytesIO(base64.b64decode(data)))).astype(float) for data, caption in found}


@pytest.mark.parametrize("settings", [*({"sampler": name} for name in SAMPLERS), {"article": True}], ids=str)
def test_the_unet_is_shown_noise_in_every_step_and_less_each_time(painter, asked, settings):
    *steps, _ = painter.stream(replace(asked, **settings))
    spread = []
    for k in range(len(steps)):
        shown = figures(steps, k)
        assert len(shown) == 6
        seen = shown[say("learn_seen", "en")]
        spread.append(seen[: seen.shape[0] // 6].std())  # above the hole, where only the original and noise are
    assert 20 < spread[0] == max(spread) and 0 < spread[-1] == min(spread) < 0.8 * spread[0]


def test_the_lines_beside_the_equations_are_in_the_loop():
    assert len(EQUATIONS) == 6
    for _, _, text in EQUATIONS:
        assert text in lines()[line_of(text) - 1]
