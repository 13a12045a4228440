"""Apply grey morphology to masks, uint8 [H, W]: dilate, erode, fill holes, ramps.  O(pixels · log radius).

The structuring element is an octagon, made of running maxima across, down and along both diagonals of one flat array,
each computed by doubling shifts.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

LEVELS = 15  # of a ramp: depth and room take four bits each


def dilate(levels: np.ndarray, radius: int) -> np.ndarray:
    """Return the highest level within `radius` of each pixel: uint8 [H, W]; beyond the edge everything is 0."""
    if radius <= 0:
        return levels
    flat, width = _padded(levels, radius)
    slant = min(round(0.2929 * radius), (radius - 1) // 2)  # 1 - 1/√2: a regular octagon
    straight = radius - 2 * slant
    for stride, reach in ((1, straight), (width, straight), (width + 1, slant), (width - 1, slant)):
        flat = _running_max(flat, stride, reach)
    return flat.reshape(-1, width)[radius:-radius, radius:-radius]


def dilate_square(levels: np.ndarray, radius: int) -> np.ndarray:
    """Return the highest level within a square around each pixel, `radius` pixels to each side: uint8 [H, W]."""
    flat, width = _padded(levels, radius)
    for stride in (1, width):
        flat = _running_max(flat, stride, radius)
    return flat.reshape(-1, width)[radius:-radius, radius:-radius]


def erode(levels: np.ndarray, radius: int) -> np.ndarray:
    """Return the lowest level within `radius` of each pixel: uint8 [H, W]; pixels beyond the edge do not count."""
    return 255 - dilate(255 - levels, radius)


def inner_ramp(inside: np.ndarray, width: int) -> np.ndarray:
    """Return a ramp that rises inwards from 0 outside to 255 over `width` pixels, or over fewer in narrow parts.

    inside  uint8 [H, W], 0 or 255

    A stroke one pixel wide is 255 all along, so that no stroke is too thin to show.  The array's edge does not count
    as a border.
    """
    step = -(-width // LEVELS)  # pixels of one level; the stairs of wide ramps are smoothed
    levels = width // step if step else 1
    depth, room, eroded = np.zeros(inside.shape, np.uint8), np.zeros(inside.shape, np.uint8), inside
    for k in range(levels):
        if k:
            eroded = erode(eroded, step)
        if not eroded.any():
            break
        depth += eroded & 1
        if (k + 1) & k == 0 or k == levels - 1:  # 1, 2, 4, … levels: how deep the surroundings are
            reach = k * step + round(0.3 * k * step) + (k > 0)  # an octagon misses a square's corners by 0.3
            np.maximum(room, dilate(eroded, reach) & inside & np.uint8(k + 1), out=room)
    ramp = _ramp_table(step).take(room * 16 + depth)
    return _smoothed(ramp, inside, step) if step > 1 else ramp


def _ramp_table(step: int) -> np.ndarray:
    """Return uint8 [256]: entry 16 · room + depth is 255 · depth / room, the ramp's height at a pixel.

    depth  how many erosions the pixel survives, 0 to 15
    room   how many the deepest pixel near it survives

    Levels wider than a pixel are measured at their middle.
    """
    room, depth = np.divmod(np.arange(256), 16)
    if step > 1:
        room, depth = np.maximum(2 * room - 1, 1), np.maximum(2 * depth - 1, 0)
    return np.minimum(255 * depth // np.maximum(room, 1), 255).astype(np.uint8)


def resize_max(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize a mask (L); each pixel gets the highest level among those it covers, also when enlarging."""
    levels = np.asarray(mask)
    for axis, n in ((0, size[1]), (1, size[0])):
        if levels.shape[axis] != n:
            levels = _max_along(levels, axis, n)
    return Image.fromarray(levels)


def fill_holes(inside: np.ndarray) -> np.ndarray:
    """Return `inside` and everything it encloses: bool [H, W]."""
    from scipy import ndimage

    outside, n = ndimage.label(~np.pad(inside, 1))  # four neighbours: a diagonal stroke is closed
    return inside if n <= 1 else (outside != outside[0, 0])[1:-1, 1:-1]


def components(mask: Image.Image, scale: int = 1) -> list[tuple[int, int, int, int]]:
    """Return the box around each connected component of the mask (L), connected at 1 / `scale` of its size."""
    from scipy import ndimage

    small = resize_max(mask, (-(-mask.width // scale), -(-mask.height // scale)))
    labels, _ = ndimage.label(np.asarray(small) > 0, structure=np.ones((3, 3)))
    (w, h), (W, H), boxes = small.size, mask.size, []
    for down, across in ndimage.find_objects(labels):
        x, y = across.start * W // w, down.start * H // h
        box = mask.crop((x, y, -(-across.stop * W // w), -(-down.stop * H // h))).getbbox()
        if box is not None:  # always: a pixel of the smaller mask is not 0 only if one that it covers is not
            left, top, right, bottom = box
            boxes.append((x + left, y + top, x + right, y + bottom))
    return boxes


def _padded(levels: np.ndarray, radius: int) -> tuple[np.ndarray, int]:
    """Return the flat levels, zero-padded so that no run reaches from one row into the next; and the padded width."""
    h, w = levels.shape
    padded = np.zeros((h + 2 * radius, w + 2 * radius), np.uint8)  # np.pad is too slow for small masks
    padded[radius:-radius, radius:-radius] = levels
    return padded.ravel(), w + 2 * radius


def _running_max(flat: np.ndarray, stride: int, reach: int) -> np.ndarray:
    """Return the maximum over the offsets -reach … reach times stride, by doubling: log₂ passes."""
    length, n = 1, len(flat)
    while length < 2 * reach + 1:
        shift = min(length, 2 * reach + 1 - length)
        out = flat.copy()
        np.maximum(flat[: n - shift * stride], flat[shift * stride :], out=out[: n - shift * stride])
        flat, length = out, length + shift
    return flat if reach == 0 else np.concatenate([np.zeros(reach * stride, np.uint8), flat[: n - reach * stride]])


def _max_along(levels: np.ndarray, axis: int, n: int) -> np.ndarray:
    """Return `levels` with n entries along the axis: entry i is the maximum over [i, i + 1) * old / n."""
    old = levels.shape[axis]
    i = np.arange(n, dtype=np.int64)
    ends = np.stack([i * old // n, -(-(i + 1) * old // n)], 1).ravel()  # first, one past the last, first, …
    pad = [(0, 0), (0, 0)]
    pad[axis] = (0, 1)  # reduceat takes no index past the end
    return np.maximum.reduceat(np.pad(levels, pad), ends, axis=axis).take(np.arange(0, 2 * n, 2), axis=axis)


def _smoothed(ramp: np.ndarray, inside: np.ndarray, radius: int) -> np.ndarray:
    """Smooth the ramp's steps; the mean is taken over the inside only, so that thin strokes stay opaque."""
    blur = ImageFilter.BoxBlur(radius)
    mean, share = (np.asarray(Image.fromarray(x).filter(blur)).astype(np.uint16) for x in (ramp, inside))
    return np.minimum(mean * 255 // np.maximum(share, 1), 255).astype(np.uint8) & inside
