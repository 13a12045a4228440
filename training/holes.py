"""Holes: the shapes that a person paints over a thing, or to make room for one."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

KINDS = ("box", "ellipse", "strokes", "silhouette")
SHARES = (0.38, 0.30, 0.17, 0.15)

Box = tuple[float, float, float, float]  # left, top, right, bottom


def hole(rng: Generator, silhouette: Image.Image, box: Box) -> np.ndarray:
    """bool [H, W]: a hole of a random kind over what `silhouette` (an "L" picture) shows inside `box`."""
    kind = rng.choice(KINDS, p=SHARES)
    grow = rng.uniform(0.0, 0.12) * (box[2] - box[0])
    if kind == "silhouette":  # the margin hides soft edges, which would otherwise tell what stood here
        return np.asarray(silhouette.filter(ImageFilter.MaxFilter(2 * int(2 + grow / 2) + 1))) > 8
    mask = Image.new("L", silhouette.size)
    draw = ImageDraw.Draw(mask)
    left, top, right, bottom = box
    if kind == "box":
        draw.rectangle((left - grow, top - grow, right + grow, bottom + grow), fill=255)
    elif kind == "ellipse":
        grow += 0.1 * (right - left)  # an ellipse in the same box would cut the corners off
        draw.ellipse((left - grow, top - grow, right + grow, bottom + grow), fill=255)
    else:
        scribble(rng, draw, box)
    return np.asarray(mask) > 0


def scribble(rng: Generator, draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Thick zigzag lines through `box`, as of a brush moved to and fro until all is covered."""
    left, top, right, _ = box
    side = right - left
    rows = int(rng.integers(3, 6))
    width = side / rows * rng.uniform(1.2, 1.7)
    wobble = rng.uniform(-0.08, 0.08, (rows * 2, 2)) * side
    ends = [
        (x, top + (row + 0.5) * side / rows)
        for row in range(rows)
        for x in ((left, right) if row % 2 == 0 else (right, left))
    ]
    points = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(ends, wobble, strict=True)]
    if rng.random() < 0.5:  # the same by columns
        points = [(left + y - top, top + x - left) for x, y in points]
    draw.line(points, fill=255, width=int(width), joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
