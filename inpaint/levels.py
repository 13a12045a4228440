"""Grey morphology on masks, uint8 [H, W]: grown, shrunk, counted inwards.  Linear in pixels, a logarithm in radius.

The shape is an octagon: four runs, across, down and along both diagonals, each by doubling shifts of one flat array.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def spread(levels: np.ndarray, radius: int) -> np.ndarray:
    """Each pixel takes the highest level within `radius`: uint8 [H, W], what lies beyond the edge is 0."""
    if radius <= 0:
        return levels
    h, w = levels.shape
    flat = np.pad(levels, radius).ravel()  # as wide a rim: no run reaches from one row into the next
    width = w + 2 * radius
    slant = min(round(0.2929 * radius), (radius - 1) // 2)  # 1 - 1/√2: a regular octagon
    straight = radius - 2 * slant
    for stride, reach in ((1, straight), (width, straight), (width + 1, slant), (width - 1, slant)):
        flat = _run(flat, stride, reach)
    return flat.reshape(-1, width)[radius:radius + h, radius:radius + w]


def retreat(levels: np.ndarray, radius: int) -> np.ndarray:
    """Each pixel takes the lowest level within `radius`; what lies beyond the edge does not count."""
    return 255 - spread(255 - levels, radius)


def depth(inside: np.ndarray, width: int) -> np.ndarray:
    """float32 [H, W] in 0 … 1: 0 outside, rising inwards over `width` pixels, or less where the place is narrow.

    inside  uint8, 0 or 255.  A stroke one pixel wide is 1 all along: what was painted is seen, however thin.
    The array's edge does not count as a border.
    """
    step = -(-width // 16)  # at most 16 rungs; wider ramps are smoothed below
    rungs = max(1, width // step)
    count, room, eroded = np.zeros(inside.shape, np.uint8), np.ones(inside.shape, np.uint8), inside
    for k in range(rungs):
        if k:
            eroded = retreat(eroded, step)
        if not eroded.any():
            break
        count += eroded & 1
        if (k + 1) & k == 0 or k == rungs - 1:  # 1, 2, 4, … rungs: how deep the surroundings are
            reach = k * step + round(0.3 * k * step) + (k > 0)  # an octagon misses a square's corners by 0.3
            room = np.where(spread(eroded, reach) & inside, np.uint8(k + 1), room)
    ramp = np.minimum(count / room.astype(np.float32), 1, dtype=np.float32)
    return _smoothed(ramp, inside, step) if step > 1 else ramp


def shrunk(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask (L) of that size, each pixel the highest level of all it covers; also for enlarging."""
    levels = np.asarray(mask)
    for axis, n in ((0, size[1]), (1, size[0])):
        if levels.shape[axis] != n:
            levels = _highest(levels, axis, n)
    return Image.fromarray(levels)


def filled(inside: np.ndarray) -> np.ndarray:
    """bool [H, W]: `inside` and everything it surrounds."""
    from scipy import ndimage

    outside, n = ndimage.label(~np.pad(inside, 1))  # four neighbours: a diagonal stroke is closed
    return inside if n <= 1 else (outside != outside[0, 0])[1:-1, 1:-1]


def _run(flat: np.ndarray, stride: int, reach: int) -> np.ndarray:
    """The maximum over the offsets -reach … reach times stride, by doubling: log₂ passes."""
    length, n = 1, len(flat)
    while length < 2 * reach + 1:
        shift = min(length, 2 * reach + 1 - length)
        out = flat.copy()
        np.maximum(flat[:n - shift * stride], flat[shift * stride:], out=out[:n - shift * stride])
        flat, length = out, length + shift
    return flat if reach == 0 else np.concatenate([np.zeros(reach * stride, np.uint8), flat[:n - reach * stride]])


def _highest(levels: np.ndarray, axis: int, n: int) -> np.ndarray:
    """`levels` with n entries along the axis: entry i is the maximum over [i, i + 1) * old / n."""
    old = levels.shape[axis]
    i = np.arange(n, dtype=np.int64)
    ends = np.stack([i * old // n, -(-(i + 1) * old // n)], 1).ravel()  # first, one past the last, first, …
    pad = [(0, 0), (0, 0)]
    pad[axis] = (0, 1)  # reduceat takes no index past the end
    return np.maximum.reduceat(np.pad(levels, pad), ends, axis=axis).take(np.arange(0, 2 * n, 2), axis=axis)


def _smoothed(ramp: np.ndarray, inside: np.ndarray, step: int) -> np.ndarray:
    """The ramp without its stairs; averaged over what is inside only, so that thin strokes stay opaque."""
    from scipy.ndimage import uniform_filter

    weight = (inside > 0).astype(np.float32)
    total, mean = uniform_filter(weight, 2 * step + 1), uniform_filter(ramp, 2 * step + 1)
    return np.divide(mean, total, out=np.zeros_like(ramp), where=weight > 0)
