"""Bring a thing's outline to the photo's own resolution: each pixel near it goes to the side whose colour it has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ..crop import Box
from .segment import Segment, disc
from .source import Source

ROWS = 512  # of the photo at a time
NEAR = 9  # pixels of the piece from which a side's colour is taken
APART = 20  # difference in RGB from which the two sides' colours can be told apart


class Outline(NamedTuple):
    """A thing at the photo's own resolution: bool [h, w] in a box of the photo."""

    inside: np.ndarray
    box: Box


def traced(source: Source, find: Segment) -> Outline:
    """Return the thing with its border at the photo's own pixels."""
    box, (wide, high) = find.piece.box, find.piece.box.size
    rough = Image.fromarray(find.inside.astype(np.uint8) * 255)
    if find.piece.scale >= 1:
        return Outline(np.asarray(rough.resize((wide, high), Image.Resampling.BILINEAR)) > 127, box)
    sides = _Sides(source, find)
    inside = np.empty((high, wide), bool)
    for top in range(0, high, ROWS):
        bottom = min(high, top + ROWS)
        part = (0, top * rough.height / high, rough.width, bottom * rough.height / high)
        level = np.array(rough.resize((wide, bottom - top), Image.Resampling.BILINEAR, box=part))
        ys, xs = np.nonzero((level > 5) & (level < 250))
        if len(ys):
            strip = np.asarray(source.rgb.crop((box.left, box.top + top, box.right, box.top + bottom)))
            level[ys, xs] = sides.share(strip[ys, xs].astype(np.float32), xs, ys + top, level[ys, xs])
        inside[top:bottom] = _smoothed(level) > 127
    return Outline(inside, box)


def _smoothed(level: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.medianBlur(level, 3)


class _Sides:
    """The colours of thing and ground near each pixel of the piece."""

    def __init__(self, source: Source, find: Segment):
        import cv2

        self.scale = find.piece.scale
        h, w = find.inside.shape
        box = find.piece.box
        rgb = cv2.resize(source.pixels(box), (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
        thing = find.inside.astype(np.uint8)
        core = cv2.erode(thing, disc(1), borderValue=1)
        core = np.where(cv2.dilate(core, disc(3)) > 0, core, thing)  # thin parts have no core
        self.thing, self.ground = (_mean(rgb, side) for side in (core, 1 - cv2.dilate(thing, disc(1))))

    def share(self, colours: np.ndarray, xs: np.ndarray, ys: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Return uint8 [n]: how much of the thing's colour each pixel has; its level where the sides look alike."""
        thing, ground = (_at(side, xs * self.scale, ys * self.scale) for side in (self.thing, self.ground))
        apart = thing - ground
        length = (apart**2).sum(1)
        share = ((colours - ground) * apart).sum(1) / np.maximum(length, 1)
        trust = np.clip(np.sqrt(length) / APART - 0.5, 0, 1)
        return np.clip(trust * 255 * share + (1 - trust) * level, 0, 255).astype(np.uint8)


def _mean(rgb: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return float32 [h, w, 3]: the mean colour of a part around each pixel, from further away where it is far."""
    import cv2

    weight = part.astype(np.float32)
    total, share = np.zeros_like(rgb), np.zeros_like(weight)
    for size, by in ((NEAR, 1.0), (4 * NEAR + 1, 1e-3), (16 * NEAR + 1, 1e-6)):
        total += by * cv2.blur(rgb * weight[..., None], (size, size))
        share += by * cv2.blur(weight, (size, size))
    return total / np.maximum(share, 1e-9)[..., None]


def _at(values: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Return [n, 3]: values between the pixels of [h, w, 3], linearly."""
    h, w = values.shape[:2]
    x, y = np.clip(xs - 0.5, 0, w - 1), np.clip(ys - 0.5, 0, h - 1)
    left, top = x.astype(int), y.astype(int)
    right, low = np.minimum(left + 1, w - 1), np.minimum(top + 1, h - 1)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = values[top, left] * (1 - fx) + values[top, right] * fx
    return upper * (1 - fy) + (values[low, left] * (1 - fx) + values[low, right] * fx) * fy
