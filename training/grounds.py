"""Make bare grounds: pieces of photographs, and now and then a gradient."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image

WIDTH = 1600  # px of a photo in which a piece is shown at 1 to 5 px a pixel; narrower photos are shown as coarsely
SHARPEST = 0.8  # px of the photo for each pixel at the least, whatever its width
PLAIN = 0.06  # share of gradients


def ground(rng: Generator, photos: list[Image.Image], size: int) -> Image.Image:
    """Cut one ground of size × size px: a random piece of a random photo at a random scale."""
    if rng.random() < PLAIN:
        return gradient(rng, size)
    photo = photos[rng.integers(len(photos))]
    zoom = max(SHARPEST, math.exp(rng.uniform(0, math.log(5))) * photo.width / WIDTH)
    side = min(size * zoom, *photo.size)
    x, y = rng.uniform(0, photo.width - side), rng.uniform(0, photo.height - side)
    return photo.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side), reducing_gap=2)


def gradient(rng: Generator, size: int) -> Image.Image:
    """Make a plain colour, or two that blend along a random direction."""
    one, other = rng.uniform(0, 255, (2, 3))
    angle, t = rng.uniform(0, 2 * math.pi), np.linspace(-0.5, 0.5, size)
    slope = t[:, None] * math.sin(angle) + t * math.cos(angle) + 0.5  # [H, W]
    colours = one + (other - one) * rng.random() * slope[..., None]
    return Image.fromarray(colours.clip(0, 255).astype(np.uint8))
