"""What counts as drawn into a filled hole, and what as ground."""

import numpy as np
from PIL import Image, ImageDraw

from inpaint.pixels.ground import drawn


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
