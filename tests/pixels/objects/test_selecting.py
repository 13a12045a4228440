"""A click, a line or a loop selects the thing that is meant, with its edge at the photo's own resolution."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import inpaint
from inpaint import InvalidRequest
from inpaint.pixels import morphology
from inpaint.pixels.objects import Source, beyond, select

ROOT = Path(__file__).resolve().parents[3]
THINGS = json.loads((ROOT / "tests/data/things/outlines.json").read_text())
# where a person would click, or draw a line
CLICKS = {
    "wren": [(403, 214), (401, 225), (408, 199)],
    "sign": [(261, 486), (228, 504), (331, 488)],
    "dish": [(399, 177), (428, 222), (454, 178)],
    "moon": [(595, 157), (603, 169), (584, 158)],
    "jelly": [(392, 262), (363, 270)],
}
LINES = {
    "osprey": [(320, 105), (320, 150), (295, 225), (270, 325), (265, 370)],
    "otter": [(275, 150), (350, 210), (500, 260), (650, 290), (725, 265)],
    "jelly": [(345, 270), (430, 280)],
}


@cache
def photo(name: str) -> Source:
    return Source(Image.open(ROOT / THINGS[name]["photo"]).convert("RGB"))


@cache
def drawn(name: str) -> np.ndarray:
    """The mask that was drawn by hand: bool [H, W]."""
    mask = Image.new("L", photo(name).size)
    ImageDraw.Draw(mask).polygon([tuple(point) for point in THINGS[name]["outline"]], fill=255)
    return np.asarray(mask) > 0


def white(mask) -> np.ndarray:
    return np.asarray(mask.whole()) > 0


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())


def corners(name: str, room: float = 0.05) -> list[tuple[float, float]]:
    """The corners of a box around the thing, as roughly as a hand draws it."""
    ys, xs = np.nonzero(drawn(name))
    x, y = room * np.ptp(xs), room * np.ptp(ys)
    left, top, right, bottom = xs.min() - x, ys.min() - y, xs.max() + x, ys.max() + y
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@pytest.mark.parametrize("name, at", [(name, at) for name, every in CLICKS.items() for at in every])
def test_a_click_selects_the_thing(name, at):
    assert overlap(white(select(photo(name), [at], grow=0)), drawn(name)) >= 0.85


@pytest.mark.parametrize("name", LINES)
def test_a_line_over_it_selects_the_thing(name):
    assert overlap(white(select(photo(name), LINES[name], grow=0)), drawn(name)) >= 0.85


@pytest.mark.parametrize("name", ["wren", "sign", "osprey", "otter", "dish", "moon"])
def test_a_box_around_it_selects_the_thing(name):
    assert overlap(white(select(photo(name), loop=corners(name), grow=0)), drawn(name)) >= 0.85


def test_a_circle_around_it_selects_the_thing():
    angles = np.linspace(0, 2 * np.pi, 40)
    circle = [(595 + 42 * np.cos(a), 158 + 42 * np.sin(a)) for a in angles]
    assert overlap(white(select(photo("moon"), loop=circle, grow=0)), drawn("moon")) >= 0.9


@pytest.fixture(scope="module")
def large():
    """A photo of 12 megapixels with a star on a ground of soft noise, and the star: bool [H, W]."""
    size = 4000, 3000
    rng = np.random.default_rng(3)
    noise = Image.fromarray(rng.integers(0, 70, (60, 80, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    angles = np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2, 420, 900)
    points = [(2200 + r * np.cos(a), 1500 + r * np.sin(a)) for a, r in zip(angles, reach, strict=True)]
    star = Image.new("L", size)
    ImageDraw.Draw(star).polygon(points, fill=255)
    grain = Image.fromarray(rng.integers(0, 24, (3000, 4000), dtype=np.uint8))
    image = Image.composite(Image.new("RGB", size, (200, 120, 40)), noise, star)
    return Image.blend(image, Image.merge("RGB", [grain] * 3), 0.2), np.asarray(star) > 0


def test_edges_lie_at_the_photos_own_pixels(large):
    image, star = large
    found = white(select(Source(image), [(2200, 1500)], grow=0))
    wrong = found ^ star
    rim = star ^ (morphology.erode(star.astype(np.uint8) * 255, 1) > 0)
    assert wrong.sum() / rim.sum() < 0.5, "half a pixel of the edge on average"
    near = morphology.dilate(rim.astype(np.uint8) * 255, 4) > 0
    assert (wrong & ~near).sum() < 0.02 * rim.sum(), "nowhere further off than four pixels"


def test_it_reaches_a_little_beyond_the_edge():
    source = photo("wren")
    exact = white(select(source, [(403, 214)], grow=0))
    for grow, by in ((None, beyond(source.size)), (9, 9)):
        expected = morphology.dilate(exact.astype(np.uint8) * 255, by) > 0
        assert np.array_equal(white(select(source, [(403, 214)], grow=grow)), expected)
    less = white(select(source, [(403, 214)], grow=-3))
    assert less.any() and not (less & ~exact).any() and less.sum() < exact.sum()
    assert beyond((4000, 3000)) == 16 and beyond((200, 100)) == 2


def test_the_same_marks_always_select_the_same():
    source = photo("jelly")
    first = white(select(source, [(392, 262)]))
    select(photo("wren"), [(403, 214)])
    assert np.array_equal(white(select(Source(source.rgb), [(392, 262)])), first)


def test_a_thing_may_be_cut_off_by_the_frame(large):
    image, star = large
    part = image.crop((2200, 900, 3400, 2100))
    found = white(select(Source(part), [(200, 600)], grow=0))
    assert overlap(found, star[900:2100, 2200:3400]) > 0.95


@pytest.mark.parametrize(
    "line, loop, sentence",
    [
        ((), (), "which thing is meant"),
        ([(1, 1)], [(1, 1), (90, 1), (90, 90)], "which thing is meant"),
        ([(float("nan"), 3)], (), "no points"),
        ([(1, 2, 3)], (), "no points"),
        ("ab", (), "no points"),
        ({"x": 1}, (), "no points"),
        ([(10**400, 1)], (), "no points"),
        ((), [(5, 5), (6, 5), (6, 6)], "hardly anything"),
    ],
)
def test_marks_that_make_no_sense_get_one_sentence(line, loop, sentence):
    with pytest.raises(InvalidRequest, match=sentence):
        select(photo("wren"), line, loop)


@pytest.mark.parametrize("grow", [1.5, True, 10**9, "2"])
def test_a_wrong_growth_gets_one_sentence(grow):
    with pytest.raises(InvalidRequest, match="cannot grow"):
        select(photo("wren"), [(403, 214)], grow=grow)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 64)])
def test_where_nothing_stands_out_that_is_said(size):
    with pytest.raises(InvalidRequest, match="Nothing stands out there"):
        select(Source(Image.new("RGB", size, (90, 90, 90))), [(size[0] / 2, size[1] / 2)])


def test_points_outside_count_as_the_nearest_inside():
    image = Image.new("RGB", (300, 200), (40, 90, 160))
    image.paste((220, 200, 60), (200, 40, 300, 160))
    found = white(select(Source(image), [(5000, 100)], grow=0))
    assert overlap(found, np.asarray(image)[..., 0] == 220) > 0.97


def test_from_python():
    mask = inpaint.select(ROOT / "assets/examples/wren.jpg", [(403, 214)])
    assert mask.mode == "L" and mask.size == (1024, 576) and set(np.unique(np.asarray(mask))) == {0, 255}
    request = inpaint.Request(picture=ROOT / "assets/examples/wren.jpg", mask=mask, task="remove")
    assert request.mask.size == mask.size
