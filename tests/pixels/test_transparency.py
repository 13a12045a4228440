"""Check transparent pictures: painted parts are visible, other parts stay, hidden colours stay hidden."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

import inpaint
from inpaint import Request

SIZE = (96, 80)


@pytest.fixture(scope="module")
def painter():
    return inpaint.load("toy")


def erased(soft: int = 0) -> Image.Image:
    """A light photo with a black hole in the middle, transparent, its edge `soft` pixels wide."""
    rng = np.random.default_rng(2)
    rgb = rng.integers(150, 220, (*SIZE[::-1], 3), dtype=np.uint8)
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    inside = np.minimum.reduce([x - 30, 65 - x, y - 25, 54 - y])  # pixels from the edge, inwards
    alpha = np.where(inside < 0, 255, (255 - (inside + 1) * 255 // (soft + 1)).clip(0)).astype(np.uint8)
    rgb[alpha == 0] = 0
    return Image.fromarray(np.dstack([rgb, alpha]))


@pytest.mark.parametrize("finish", ["auto", "feather", "poisson", "multiband", "none"])
@pytest.mark.parametrize("soft", [0, 6])
@pytest.mark.parametrize("settings", [{}, {"blend": 12}, {"grow": 5}, {"feather": 6}])
def test_a_hole_is_filled_and_opaque_up_to_its_rim(painter, finish, soft, settings):
    picture = erased(soft)
    made = painter(Request("sky", picture, mask_from_alpha=True, steps=1, seed=1, finish=finish, **settings))
    before, after = np.asarray(picture), np.asarray(made.image)
    faint = (before[..., 3] > 229) & (before[..., 3] < 255)  # hardly transparent: kept as it is
    assert (after[..., 3][~faint] == 255).all() and made.report["max_change_outside"] == 0
    if not settings:
        kept = before[..., 3] > 229
        assert np.array_equal(after[kept], before[kept])
    hidden = before.copy()
    hidden[before[..., 3] == 0] = (255, 0, 255, 0)
    again = painter(replace(made.request, picture=Image.fromarray(hidden)))
    clear = (before[..., 3] == 0) & (after[..., 3] == 255)
    assert np.array_equal(np.asarray(again.image)[clear], after[clear])  # no hidden colour shows through


@pytest.mark.parametrize("soft", [0, 6])
def test_what_is_painted_over_nothing_can_be_seen(painter, soft):
    picture, mask = erased(soft), Image.new("L", SIZE)
    ImageDraw.Draw(mask).rectangle((10, 10, 50, 60), fill=255)
    made = painter(Request("sky", picture, mask, steps=1, seed=1, blend=0))
    before, after, painted = np.asarray(picture), np.asarray(made.image), np.asarray(mask) > 0
    assert (after[..., 3][painted] == 255).all()
    assert np.array_equal(after[~painted], before[~painted])  # half of the hole is still one, with its black
    faded = painter(Request("sky", picture, mask.point(lambda v: v // 5), steps=1, seed=1, blend=0))
    clear = painted & (before[..., 3] == 0)
    assert set(np.asarray(faded.image)[..., 3][clear]) == {4 * 51}


def test_an_opaque_picture_stays_without_transparency(painter):
    made = painter(Request("sky", erased().convert("RGB"), Image.new("L", SIZE, 255), steps=1, seed=1))
    assert made.image.mode == "RGB"


@pytest.mark.parametrize("expand", ["20,0,0,8", "2:1"])
def test_the_new_canvas_is_opaque_and_the_hole_is_not(painter, expand):
    picture = erased()
    made = painter(Request("sky", picture, expand=expand, steps=1, seed=1))
    left, top = inpaint.pixels.expand.sides(expand, SIZE)[:2]
    inner = made.image.crop((left, top, left + SIZE[0], top + SIZE[1]))
    assert inner.tobytes() == picture.tobytes()
    outside = np.asarray(made.image)[..., 3].astype(int).sum() - np.asarray(inner)[..., 3].astype(int).sum()
    assert outside == 255 * (made.image.width * made.image.height - SIZE[0] * SIZE[1])
