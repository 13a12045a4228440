"""Scenes made on the fly: stickers on photographs, a hole, and a caption for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from .captions import background, caption
from .holes import Box, hole
from .stickers import Sticker

SIDES = (0.5, 0.72)  # of a hole's box in the frame: what a close-up of a hole looks like, see inpaint/crop.py
CENTRED = 0.7  # share of the holes near the middle; the others are anywhere, as in close-ups at a picture's edge
SHARES = (0.70, 0.86, 0.92)  # cumulated: sticker in the hole, bare ground, sticker beside the hole; else half erased


@dataclass(frozen=True, slots=True)
class Library:
    """What scenes are made of."""

    photos: list[Image.Image]
    stickers: list[Sticker]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture, a hole in it, and words."""

    picture: np.ndarray  # uint8 [H, W, 3]
    hole: np.ndarray  # bool [H, W]
    caption: str  # what the hole holds
    title: str  # what the whole picture shows


def scene(rng: Generator, library: Library, size: int) -> Scene:
    """One scene of size × size px; of a hundred, 70 have their sticker in the hole, 30 have nothing there."""
    picture, draw = ground(rng, library.photos, size), rng.random()
    one = pick(rng, library.stickers)
    stamp, box = placed(rng, one, size)
    mask = hole(rng, stamp.getchannel("A"), box)
    if draw < SHARES[0]:
        if rng.random() < 0.1:  # something else may be about
            other, _ = placed(rng, pick(rng, library.stickers), size, centred=0)
            picture.paste(other, mask=other)
        picture.paste(stamp, mask=stamp)
        words = title = caption(rng, one)
    elif draw < SHARES[1]:  # bare ground; the holes keep the shapes of holes that do hold something
        words = title = background(rng)
    elif draw < SHARES[2]:  # a sticker beside the hole
        other, _ = placed(rng, one, size, centred=0)
        picture.paste(other, mask=other)
        free = np.asarray(other.getchannel("A")) < 8
        mask = mask & free if (mask & free).mean() > 0.01 else free
        words, title = background(rng), caption(rng, one)
    else:  # a sticker half erased: what the hole covers of it is gone
        mask &= half(rng, size, box)
        rest = Image.composite(Image.new("RGBA", (size, size)), stamp, Image.fromarray(mask))
        picture.paste(rest, mask=rest)
        words = title = background(rng)
    return Scene(np.asarray(picture), mask, words, title)


def patch(rng: Generator, library: Library, size: int) -> np.ndarray:
    """uint8 [size, size, 3] for the autoencoder: a piece of a scene, seen from any distance."""
    picture = ground(rng, library.photos, size)
    if rng.random() < 0.4:
        for _ in range(rng.integers(1, 3)):
            side = int(math.exp(rng.uniform(math.log(40), math.log(230))))
            stamp = turned(rng, pick(rng, library.stickers), side)
            x, y = (int(at) for at in rng.uniform(-0.75 * side, size - 0.25 * side, 2))
            picture.paste(stamp, (x, y), stamp)
    return np.asarray(lit(rng, picture) if rng.random() < 0.3 else picture)


def ground(rng: Generator, photos: list[Image.Image], size: int) -> Image.Image:
    """Bare ground: a crop of a photo at a random scale, or sometimes a gradient."""
    if rng.random() < 0.06:
        return gradient(rng, size)
    photo = photos[rng.integers(len(photos))]
    zoom = math.exp(rng.uniform(0, math.log(5)))  # source px per px; 1600 px photos at 256 px have 4.2
    side = min(size * zoom, *photo.size)
    x, y = rng.uniform(0, photo.width - side), rng.uniform(0, photo.height - side)
    crop = photo.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side), reducing_gap=2)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def gradient(rng: Generator, size: int) -> Image.Image:
    """A plain colour, or two blending along a random direction."""
    one, other = rng.uniform(0, 255, (2, 3))
    angle, t = rng.uniform(0, 2 * math.pi), np.linspace(-0.5, 0.5, size)
    slope = t[:, None] * math.sin(angle) + t * math.cos(angle) + 0.5  # [H, W]
    colours = one + (other - one) * rng.random() * slope[..., None]
    return Image.fromarray(colours.clip(0, 255).astype(np.uint8))


def pick(rng: Generator, stickers: list[Sticker]) -> Sticker:
    return stickers[rng.integers(len(stickers))]


def placed(rng: Generator, sticker: Sticker, size: int, centred: float = CENTRED) -> tuple[Image.Image, Box]:
    """An RGBA layer of size × size px with the sticker on it, and the box around the sticker."""
    side = int(size * rng.uniform(*SIDES))
    free = (size - side) / 2
    reach = 0.06 * size if rng.random() < centred else free
    x, y = (int(free + min(reach, free) * at) for at in rng.uniform(-1, 1, 2))
    layer = Image.new("RGBA", (size, size))
    inner = int(side * rng.uniform(0.85, 1.0))
    layer.paste(turned(rng, sticker, inner), (x + (side - inner) // 2, y + (side - inner) // 2))
    return layer, (x, y, x + side, y + side)


def turned(rng: Generator, sticker: Sticker, side: int) -> Image.Image:
    """The sticker at side × side px, now and then flipped, turned a little or in another light."""
    picture = sticker.picture.resize((side, side), Image.Resampling.LANCZOS)
    if rng.random() < 0.1:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.2:
        picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    return lit(rng, picture) if rng.random() < 0.2 else picture


def lit(rng: Generator, picture: Image.Image) -> Image.Image:
    """The picture a little brighter or darker, with more or less contrast; transparency stays."""
    gain, offset = rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
    table = [max(0, min(255, round((v - 128) * gain + 128 + offset))) for v in range(256)]
    return picture.point(table * 3 + list(range(256)) * (picture.mode == "RGBA"))


def half(rng: Generator, size: int, box: Box) -> np.ndarray:
    """bool [size, size]: everything on one side of a line through the middle of `box`."""
    x, y, angle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, rng.uniform(0, 2 * math.pi)
    far, mask = 3 * size, Image.new("L", (size, size))
    c, s = far * math.cos(angle), far * math.sin(angle)
    ImageDraw.Draw(mask).polygon(
        [(x + c, y + s), (x - c, y - s), (x - c + s, y - s - c), (x + c + s, y + s - c)], fill=255
    )
    return np.asarray(mask) > 0
