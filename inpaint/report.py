"""What a result is worth, in numbers: measured on the finished pixels, never assumed."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.ImageChops import difference

RING = 3  # pixels on either side of the edge that a seam is compared with


def max_change_outside(before: Image.Image, after: Image.Image, painted: Image.Image) -> int:
    """The largest change of any channel, 0 … 255, where `painted` (L) is 0; both pictures of one mode and size."""
    kept = painted.point(lambda v: 255 * (v == 0))
    nothing = Image.new("L", painted.size)
    changes = (Image.composite(band, nothing, kept) for band in difference(before, after).split())
    return max(band.getextrema()[1] for band in changes)


def seam_score(image: Image.Image, composite: Image.Image) -> float:
    """How the picture jumps across the mask's edge, over how it varies on both sides: about 1 is no seam at all.

    0 where there is no edge.  image RGB, composite L of the same size.
    """
    values = np.asarray(image, dtype=np.float32)
    inside = np.asarray(composite) > 0
    across, beside = [], []
    for axis in (0, 1):
        step = np.abs(np.diff(values, axis=axis)).mean(-1)
        first, second = (np.take(inside, range(a, inside.shape[axis] - 1 + a), axis) for a in (0, 1))
        edge = first != second
        if edge.any():
            across.append(step[edge])
            beside.append(step[_near(edge) & ~edge])
    if not across:
        return 0.0
    usual = np.concatenate(beside).mean() if sum(map(len, beside)) else 0.0
    return float(np.concatenate(across).mean() + 1) / float(usual + 1)


def blend_width(composite: Image.Image) -> int:
    """How many pixels wide the joint is: the pixels that mix both pictures, for each pixel of edge."""
    levels = np.asarray(composite)
    inside = np.pad(levels > 0, 1)
    rim = inside[1:-1, 1:-1] & ~(inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:])
    mixed = (levels > 0) & (levels < 255)
    return round(float(mixed.sum() / max(1, rim.sum())))


def _near(edge: np.ndarray) -> np.ndarray:
    """bool: within RING pixels of an edge."""
    from scipy.ndimage import maximum_filter

    return maximum_filter(edge, 2 * RING + 1)
