"""Cut small pieces out of a photo, in CIE LAB, at whatever size a segmentation needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ..crop import Box

SMALL = 1024  # long side of the copy that large pieces are cut from
ENLARGED = 2  # how much a tiny piece may be enlarged


class Piece(NamedTuple):
    """A part of the photo: its box there, and its pixels, `scale` of them for each of the photo's."""

    lab: np.ndarray  # uint8 [h, w, 3]
    box: Box
    scale: float

    def at(self, points) -> np.ndarray:
        """Return int32 [n, 2]: points of the photo in this piece's pixels, moved inside it."""
        h, w = self.lab.shape[:2]
        moved = (np.asarray(points, np.float64) - self.box[:2]) * self.scale
        return np.clip(moved, 0, (w - 1, h - 1)).astype(np.int32)

    def sides(self, size: tuple[int, int]) -> tuple[bool, bool, bool, bool]:
        """Return for left, top, right and bottom whether the photo goes on there."""
        left, top, right, bottom = self.box
        return left > 0, top > 0, right < size[0], bottom < size[1]


class Source:
    """A photo that pieces are cut from quickly; keep it while the same photo is pointed at."""

    def __init__(self, rgb: Image.Image):
        self.rgb, self.size = rgb, rgb.size
        self.small = np.asarray(rgb.resize(self._reduced(), Image.Resampling.BOX, reducing_gap=1.0))

    def _reduced(self) -> tuple[int, int]:
        by = min(1.0, SMALL / max(self.size))
        return max(1, round(self.size[0] * by)), max(1, round(self.size[1] * by))

    def piece(self, box: tuple[float, float, float, float], side: int) -> Piece:
        """Return the part in this box (clipped), scaled until its long side has `side` pixels."""
        import cv2

        left, top = max(0, int(box[0])), max(0, int(box[1]))
        clipped = Box(left, top, min(self.size[0], int(box[2]) + 1), min(self.size[1], int(box[3]) + 1))
        scale = min(ENLARGED, side / max(clipped.size))
        size = max(2, round(clipped.size[0] * scale)), max(2, round(clipped.size[1] * scale))
        pixels = self.pixels(clipped)
        how = cv2.INTER_AREA if pixels.shape[1] > size[0] else cv2.INTER_LINEAR
        return Piece(cv2.cvtColor(cv2.resize(pixels, size, interpolation=how), cv2.COLOR_RGB2LAB), clipped, scale)

    def pixels(self, box: Box) -> np.ndarray:
        """Return uint8 [h, w, 3]: the box's pixels, from the small copy if the box is large."""
        if max(box.size) <= SMALL:
            return np.asarray(self.rgb.crop(box))
        x, y = self.small.shape[1] / self.size[0], self.small.shape[0] / self.size[1]
        rows = slice(round(box.top * y), max(round(box.top * y) + 1, round(box.bottom * y)))
        return self.small[rows, round(box.left * x) : max(round(box.left * x) + 1, round(box.right * x))]
