"""Make the grounds of scenes: pieces of photographs, and sometimes a gradient."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image

WIDTH = 1600  # px: in a photo this wide, a pixel of a ground covers 1 to 5 px; in narrower photos in proportion
SHARPEST = 0.8  # px of the photo per pixel of a ground, at least
PLAIN = 0.06  # share of gradients


def ground(rng: Generator, photos: list[Image.Image], size: int) -> Image.Image:
    """Return a ground of size × size px: a random piece of a random photo at a random scale."""
    if rng.random() < PLAIN:
        return gradient(rng, size)
    photo = photos[rng.integers(len(photos))]
    zoom = max(SHARPEST, math.exp(rng.uniform(0, math.log(5))) * photo.width / WIDTH)
    side = min(size * zoom, *photo.size)
    x, y = rng.uniform(0, photo.width - side), rng.uniform(0, photo.height - side)
    return photo.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side), reducing_gap=2)


def gradient(rng: Generator, size: int) -> Image.Image:
    """Return a plain colour, or two colours that blend along a random direction."""
    first, second = rng.uniform(0, 255, (2, 3))
    angle, t = rng.uniform(0, 2 * math.pi), np.linspace(-0.5, 0.5, size)
    slope = t[:, None] * math.sin(angle) + t * math.cos(angle) + 0.5  # [H, W]
    colours = first + (second - first) * rng.random() * slope[..., None]
    return Image.fromarray(colours.clip(0, 255).astype(np.uint8))
