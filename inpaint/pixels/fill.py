"""Compute the initial content of the hole, so that the removed object does not leak into the result."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .laplace import downsample, solve, upsample

GREY = 127
SOFT = 1 / 30  # of the shorter side: how far rays from the border are blurred into each other
SIGMA = 2.0  # of each blur, in pixels of its level of the pyramid


def fill(rgb: Image.Image, hole: Image.Image, kind: str) -> Image.Image:
    """Return the picture (RGB) with its hole (L, 255 = fill) filled; both at working size.

    original, noise  as it is;  neutral  mid-grey;  blur  its surroundings, blurred;
    smooth  harmonic between its borders;  border  the nearest known pixel, carried inwards and softened
    """
    if kind in ("original", "noise", "patch"):
        return rgb
    inside = np.asarray(hole) > 127
    if not inside.any():
        return rgb
    known = np.asarray(rgb)
    if kind == "neutral" or inside.all():
        filled = np.full(known.shape, GREY, np.float32)
    else:
        filled = FILLS[kind](known.astype(np.float32), inside)
    return Image.fromarray(np.where(inside[..., None], filled.round().clip(0, 255), known).astype(np.uint8))


def _blur(known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return the mean of the known pixels around, from a pyramid in which each level reaches twice as far."""
    share = (~hole).astype(np.float32)
    return _diffused(np.moveaxis(known, -1, 0) * share, share).transpose(1, 2, 0)


def _diffused(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Spread values [3, H, W], 0 where nothing is known, outwards, weighted by the known share [H, W]."""
    from scipy.ndimage import gaussian_filter

    near = gaussian_filter(share, SIGMA, mode="nearest", truncate=3)
    part = np.clip(near * 4, 0, 1)  # sharp near the border, soft in the middle
    blurred = gaussian_filter(values, (0, SIGMA, SIGMA), mode="nearest", truncate=3) / np.maximum(near, 1e-6)
    if part.min() == 1 or max(share.shape) == 1:
        return blurred
    return blurred * part + upsample(_diffused(downsample(values), downsample(share)), share.shape) * (1 - part)


def _border(known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    down, across = distance_transform_edt(hole, return_distances=False, return_indices=True)
    sigma = min(hole.shape) * SOFT
    return gaussian_filter(known[down, across], (sigma, sigma, 0), mode="nearest")


FILLS = {"blur": _blur, "smooth": solve, "border": _border}
