"""Measure the quality of a finished picture: its seam, its blend width, and any change outside the mask."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.ImageChops import difference

from . import morphology
from .crop import Box
from .mask import SparseMask

RING = 3  # pixels on either side of the edge that a seam is compared with
BAND = 128  # rows that are compared at a time


def max_change_outside(before: Image.Image, after: Image.Image, painted: Image.Image | SparseMask) -> int:
    """Return the largest change of any channel, 0 … 255, where `painted` (L) is 0; pictures of one mode and size."""
    most, (width, height) = 0, painted.size
    for top in range(0, height, BAND):  # in bands, so that no third picture must fit into memory
        rows = (0, top, width, min(top + BAND, height))
        changed = difference(before.crop(rows), after.crop(rows))
        box = changed.getbbox(alpha_only=False)
        if box is not None:
            kept = painted.crop(rows).crop(box).point([255] + [0] * 255)
            nothing = Image.new("L", kept.size)
            most = max(
                most,
                *(
                    int(np.asarray(Image.composite(channel, nothing, kept)).max())
                    for channel in changed.crop(box).split()
                ),
            )
    return most


def seam_score(image: Image.Image, composite: Image.Image) -> float:
    """Return the jump across the mask's edge relative to the variation beside it: about 1 means no seam.

    0 without an edge.  image RGB, composite L of the same size.
    """
    return Seam(composite).score(image)


class Seam:
    """The edge of a mask (L), found once for any number of pictures of its size.

    pixels  flat indices of the pixels near the edge
    pairs   (first, second, crossing): neighbours as indices into `pixels`, and whether the edge runs between them
    """

    def __init__(self, composite: Image.Image):
        neighbours = []
        box = padded_box(composite, RING + 1)
        inside = np.asarray(composite.crop(box)) > 0
        h, w = inside.shape
        for axis, stride in ((0, w), (1, 1)):
            edge = np.zeros((h, w), bool)  # between a pixel and the next one
            first = edge[:-1] if axis == 0 else edge[:, :-1]
            first[:] = np.diff(inside, axis=axis)
            if not edge.any():
                continue
            near = morphology.dilate_square(edge.view(np.uint8), RING) > 0
            (near[-1:] if axis == 0 else near[:, -1:])[:] = False  # there is no next pixel
            where = np.flatnonzero(near)
            neighbours.append((where, where + stride, edge.ravel()[where]))
        needed, order = np.zeros(h * w, bool), np.empty(h * w, np.int32)
        for first, second, _ in neighbours:
            needed[first] = needed[second] = True
        at = np.flatnonzero(needed)
        order[at] = np.arange(len(at))
        self.pairs = [(order[first], order[second], crossing) for first, second, crossing in neighbours]
        self.pixels = (at // w + box.top) * composite.width + at % w + box.left

    def score(self, image: Image.Image) -> float:
        """Return the `seam_score` of an RGB picture."""
        return self.value(np.asarray(image).reshape(-1, 3).take(self.pixels, 0))

    def value(self, rows: np.ndarray) -> float:
        """Return the `seam_score` from the colours of `pixels` alone, uint8 [n, 3]."""
        if not self.pairs:
            return 0.0
        across, beside = [], []
        for first, second, crossing in self.pairs:
            step = np.abs(rows.take(first, 0).astype(np.int16) - rows.take(second, 0)).sum(1)
            across.append(step[crossing])
            beside.append(step[~crossing])
        usual = np.concatenate(beside).mean() / 3 if sum(map(len, beside)) else 0.0
        return float(np.concatenate(across).mean() / 3 + 1) / float(usual + 1)


def blend_width(composite: Image.Image) -> int:
    """Return the width of the blend in pixels: how many pixels mix both pictures, per pixel of edge."""
    level = np.asarray(composite)
    inside = np.pad(level > 0, 1)
    rim = inside[1:-1, 1:-1] & ~(inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:])
    mixed = (level > 0) & (level < 255)
    return round(float(mixed.sum() / max(1, rim.sum())))


def padded_box(mask: Image.Image, margin: int) -> Box:
    """Return the bounding box of the mask (L), padded and clipped; the whole picture if the mask is empty."""
    return Box(*(mask.getbbox() or (0, 0, *mask.size))).grown(margin).inside(mask.size)
