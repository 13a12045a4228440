"""Make patches for training the autoencoder, and pictures of single stickers, with Pillow, one at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image

from .grounds import ground
from .stickers import Library, Sticker


def patch(rng: Generator, library: Library, size: int) -> np.ndarray:
    """Return a patch for the autoencoder, uint8 [size, size, 3]: a piece of a scene at a random scale."""
    picture = ground(rng, library.photos, size)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.4:
        for _ in range(rng.integers(1, 3)):
            side = int(math.exp(rng.uniform(math.log(40), math.log(230))))
            stamp = turned(rng, library.stickers[rng.integers(len(library.stickers))], side)
            x, y = (int(at) for at in rng.uniform(-0.75 * side, size - 0.25 * side, 2))
            picture.paste(stamp, (x, y), stamp)
    return np.asarray(lit(rng, picture) if rng.random() < 0.3 else picture)


def turned(rng: Generator, sticker: Sticker, side: int) -> Image.Image:
    """Return the sticker at side × side px, sometimes flipped, slightly rotated or relit."""
    picture = sticker.picture.resize((side, side), Image.Resampling.LANCZOS)
    if rng.random() < 0.1:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.2:
        picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    return lit(rng, picture) if rng.random() < 0.2 else picture


def lit(rng: Generator, picture: Image.Image) -> Image.Image:
    """Return the picture slightly brighter or darker, with more or less contrast; its transparency stays."""
    gain, offset = rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
    table = [max(0, min(255, round((v - 128) * gain + 128 + offset))) for v in range(256)]
    return picture.point(table * 3 + list(range(256)) * (picture.mode == "RGBA"))
