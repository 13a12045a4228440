"""Hold a picture and its hole at full size, half, a quarter, …, each made once from the one before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ..laplace import downsample
from .field import usable

LEAST = 16  # pixels a side of the smallest level
FREE = 0.3  # of the hole's pixels: a level needs at least as many patches to copy from


class Level(NamedTuple):
    """The picture at one size.

    picture  float32 [h, w, 3], 0 … 255; meaningless inside the hole
    hole     bool [h, w]: pixels that are filled, in part or whole
    avoid    bool [h, w]: pixels that must not be copied
    """

    picture: np.ndarray
    hole: np.ndarray
    avoid: np.ndarray


class Levels:
    """The levels by scale: 1, 2, 4, …"""

    def __init__(self, picture: np.ndarray, hole: np.ndarray, avoid: np.ndarray):
        self.sizes = [Level(picture, hole, avoid)]
        self.share = (~hole).astype(np.float32)  # how much of each pixel of the smallest level is known

    def __getitem__(self, scale: int) -> Level:
        """Return the level that is smaller by `scale`, a power of 2."""
        at = scale.bit_length() - 1
        while len(self.sizes) <= at:
            last = self.sizes[-1]
            known = np.where(self.share[..., None] > 0, last.picture, 0) * self.share[..., None]
            share = halved(self.share[..., None])
            picture = np.rint(halved(known) / np.maximum(share, np.float32(1e-6)))
            hole = _any(last.hole)
            self.sizes.append(Level(picture, hole, _any(last.avoid) & ~hole))
            self.share = share[..., 0]
        return self.sizes[at]

    def free(self, scale: int) -> bool:
        """Return whether there is enough to copy from at this scale."""
        if min(self.sizes[0].hole.shape) < LEAST * scale:
            return scale == 1 and bool(usable(self.sizes[0].hole, self.sizes[0].avoid, 2).any())
        level = self[scale]
        found = np.count_nonzero(usable(level.hole, level.avoid, 2))
        return bool(found > 0 if scale == 1 else found >= FREE * np.count_nonzero(level.hole))

    def scale(self, most: int) -> int:
        """Return the scale at which the hole has at most so many pixels, or the last with enough to copy from."""
        scale, area = 1, np.count_nonzero(self.sizes[0].hole)
        while area / scale**2 > most and self.free(2 * scale):
            scale *= 2
        return scale

    def pixels(self, estimate: np.ndarray, scale: int, more: np.ndarray | None = None, rough: int = 1) -> np.ndarray:
        """Return float32 [H, W, 3] at full size: the picture, its hole filled with an estimate at this scale.

        more  what is added to it, at the scale `rough`
        """
        full = self.sizes[0]
        filled = _enlarged(estimate, scale, full.hole.shape)
        if more is not None:
            filled = filled + _enlarged(more, rough, full.hole.shape)
        return np.where(full.hole[..., None], np.clip(filled, 0, 255), full.picture).astype(np.float32)


def halved(values: np.ndarray) -> np.ndarray:
    """Return the means of 2 × 2 pixels of [H, W, C]; an odd last row or column counts twice."""
    return np.ascontiguousarray(np.moveaxis(downsample(np.moveaxis(values, -1, 0)), 0, -1))


def _enlarged(values: np.ndarray, scale: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return values [h, w, 3] of a smaller level at full size, bilinearly."""
    if scale == 1:
        return values
    h, w = shape[:2]
    box, way = (0, 0, w / scale, h / scale), Image.Resampling.BILINEAR
    planes = [Image.fromarray(np.ascontiguousarray(values[..., k], np.float32)) for k in range(values.shape[-1])]
    return np.stack([np.asarray(plane.resize((w, h), way, box=box)) for plane in planes], -1)


def _any(mask: np.ndarray) -> np.ndarray:
    """Return where any of 2 × 2 pixels is set."""
    h, w = mask.shape
    if h % 2 or w % 2:
        mask = np.pad(mask, ((0, h % 2), (0, w % 2)))
    rows = mask[::2] | mask[1::2]
    return rows[:, ::2] | rows[:, 1::2]
