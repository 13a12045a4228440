"""What counts as drawn into a filled hole, and what as ground."""

import numpy as np
from PIL import Image, ImageDraw

import inpaint
from inpaint import Request
from inpaint.pixels.ground import drawn, places
from inpaint.pixels.mask import SparseMask, prepare


def scene(rng) -> tuple[Image.Image, Image.Image, Image.Image, np.ndarray]:
    """A ground, a red ring with a ground-coloured middle drawn on it a little too dark, and the hole around it."""
    ground = Image.fromarray(rng.normal(150, 4, (64, 64, 3)).clip(0, 255).astype(np.uint8))
    painted = Image.eval(ground, lambda level: level - 14)
    draw = ImageDraw.Draw(painted)
    draw.ellipse((20, 20, 44, 44), fill=(240, 20, 20))
    draw.ellipse((28, 28, 36, 36), fill=(150, 150, 150))
    hole = Image.new("L", ground.size)
    hole.paste(255, (8, 8, 56, 56))
    y, x = np.mgrid[0:64, 0:64]
    return painted, ground, hole, np.hypot(x - 32, y - 32)


def test_the_thing_is_taken_whole_and_the_ground_is_left(rng):
    painted, ground, hole, distance = scene(rng)
    share = np.asarray(drawn(painted, ground, hole))
    assert share[distance < 10].min() > 240, "its middle looks like the ground, and yet belongs to it"
    assert share[distance > 16].max() == 0
    assert share[np.asarray(hole) == 0].max() == 0


def test_where_nothing_was_drawn_all_is_ground(rng):
    _, ground, hole, _ = scene(rng)
    darker = Image.eval(ground, lambda level: level - 40)
    assert not np.asarray(drawn(darker, ground, hole)).any(), "a wrong shade alone is no thing"


def painted(*shapes, size=(900, 600)) -> SparseMask:
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for kind, points, *more in shapes:
        getattr(draw, kind)(points, fill=255, **dict(more))
    box = mask.getbbox()
    return SparseMask(mask.crop(box), *box[:2], size)


def test_a_box_or_an_ellipse_is_one_place():
    for kind in ("rectangle", "ellipse"):
        mask = painted((kind, (300, 200, 430, 310)))
        assert places(mask) == [mask.box()]


def test_in_a_long_stroke_a_thing_gets_the_square_where_it_has_most_room():
    mask = painted(("line", (60, 100, 840, 120), ("width", 60)), ("ellipse", (200, 40, 330, 170)))
    (place,) = places(mask)
    assert place.inside(mask.size) == place and 110 <= min(place.size) <= 180
    assert place.left < 265 < place.right and place.top < 105 < place.bottom and place.right < 380
    covered = np.asarray(mask.crop(place))
    assert (covered > 0).mean() > 0.6


def test_each_large_island_gets_a_thing_and_specks_none():
    mask = painted(
        ("ellipse", (50, 50, 250, 250)), ("rectangle", (500, 300, 650, 450)), ("ellipse", (800, 20, 840, 60))
    )
    first, second = places(mask)
    for place, island in ((first, (50, 50, 251, 251)), (second, (500, 300, 651, 451))):
        assert max(abs(a - b) for a, b in zip(place, island, strict=True)) <= 4


def test_thin_strokes_are_one_place():
    mask = painted(("line", (10, 10, 890, 590), ("width", 2)))
    assert places(mask) == [mask.box()]


def test_what_lies_outside_the_place_becomes_filled_ground():
    """The built-in model changes a long stroke only around its widest part; the rest is the fill."""
    photo = Image.effect_noise((640, 400), 40).convert("RGB")
    mask = Image.new("L", photo.size)
    draw = ImageDraw.Draw(mask)
    draw.line((40, 320, 600, 320), fill=255, width=44)
    draw.ellipse((80, 180, 240, 340), fill=255)
    painter = inpaint.load("builtin")
    asked = Request("pizza", photo, mask, seed=4, steps=8)
    made = painter(asked)
    (crop,) = made.report["crops"]
    assert crop["box"][2] < 420 and made.report["max_change_outside"] == 0
    filled = next(e.image for e in reversed([*painter.stream(asked, fills=True)]) if isinstance(e, inpaint.Filled))
    away = np.asarray(mask)[:, 420:] > 0
    new, ground = (np.asarray(image)[:, 420:][away].astype(int) for image in (made.image, filled))
    assert away.any() and (new == ground).all()
    (place,) = places(prepare(asked.picture, asked).painted)
    (hole,) = {step.scene.hole.getbbox() for step in painter.stream(asked) if isinstance(step, inpaint.Step)}
    scale = (crop["box"][2] - crop["box"][0]) / crop["size"][0]
    assert abs(crop["box"][0] + hole[2] * scale - place.right - asked.margin) <= 2 * scale, "the hole it was shown"
    assert (np.asarray(made.image)[180:300, 90:230] != np.asarray(filled)[180:300, 90:230]).any()
