"""Grey morphology on masks, uint8 [H, W]: grown, shrunk, counted inwards.  Linear in pixels, a logarithm in radius.

The shape is an octagon: four runs, across, down and along both diagonals, each by doubling shifts of one flat array.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter


def spread(levels: np.ndarray, radius: int) -> np.ndarray:
    """Each pixel takes the highest level within `radius`: uint8 [H, W], what lies beyond the edge is 0."""
    if radius <= 0:
        return levels
    flat, width = _rimmed(levels, radius)
    slant = min(round(0.2929 * radius), (radius - 1) // 2)  # 1 - 1/√2: a regular octagon
    straight = radius - 2 * slant
    for stride, reach in ((1, straight), (width, straight), (width + 1, slant), (width - 1, slant)):
        flat = _run(flat, stride, reach)
    return flat.reshape(-1, width)[radius:-radius, radius:-radius]


def square(levels: np.ndarray, radius: int) -> np.ndarray:
    """Like `spread`, but within a square: radius pixels across and down."""
    flat, width = _rimmed(levels, radius)
    for stride in (1, width):
        flat = _run(flat, stride, radius)
    return flat.reshape(-1, width)[radius:-radius, radius:-radius]


def retreat(levels: np.ndarray, radius: int) -> np.ndarray:
    """Each pixel takes the lowest level within `radius`; what lies beyond the edge does not count."""
    return 255 - spread(255 - levels, radius)


def depth(inside: np.ndarray, width: int) -> np.ndarray:
    """uint8 [H, W]: 0 outside, rising inwards to 255 over `width` pixels, or over fewer where the place is narrow.

    inside  uint8, 0 or 255.  A stroke one pixel wide is 255 all along: what was painted is seen, however thin.
    The array's edge does not count as a border.
    """
    step = -(-width // 15)  # at most 15 rungs: two of them fit into a byte; the stairs of wide ramps are smoothed
    rungs = width // step if step else 1
    count, room, eroded = np.zeros(inside.shape, np.uint8), np.zeros(inside.shape, np.uint8), inside
    for k in range(rungs):
        if k:
            eroded = retreat(eroded, step)
        if not eroded.any():
            break
        count += eroded & 1
        if (k + 1) & k == 0 or k == rungs - 1:  # 1, 2, 4, … rungs: how deep the surroundings are
            reach = k * step + round(0.3 * k * step) + (k > 0)  # an octagon misses a square's corners by 0.3
            np.maximum(room, spread(eroded, reach) & inside & np.uint8(k + 1), out=room)
    of, n = np.divmod(np.arange(256), 16)
    if step > 1:  # the middle of a rung
        of, n = np.maximum(2 * of - 1, 1), np.maximum(2 * n - 1, 0)
    ramp = np.minimum(255 * n // np.maximum(of, 1), 255).astype(np.uint8).take(room * 16 + count)
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


def patches(mask: Image.Image, scale: int = 1) -> list[tuple[int, int, int, int]]:
    """The box around each connected patch of the mask (L), as connected as it looks `scale` times smaller."""
    from scipy import ndimage

    small = shrunk(mask, tuple(-(-n // scale) for n in mask.size))
    labels, _ = ndimage.label(np.asarray(small) > 0, structure=np.ones((3, 3)))
    (w, h), (W, H), boxes = small.size, mask.size, []
    for down, across in ndimage.find_objects(labels):
        x, y = across.start * W // w, down.start * H // h
        left, top, right, bottom = mask.crop((x, y, -(-across.stop * W // w), -(-down.stop * H // h))).getbbox()
        boxes.append((x + left, y + top, x + right, y + bottom))
    return boxes


def _rimmed(levels: np.ndarray, radius: int) -> tuple[np.ndarray, int]:
    """Flat, with so wide a rim of 0 that no run reaches from one row into the next; and its width."""
    h, w = levels.shape
    rimmed = np.zeros((h + 2 * radius, w + 2 * radius), np.uint8)  # np.pad takes longer than the work, if it is small
    rimmed[radius:-radius, radius:-radius] = levels
    return rimmed.ravel(), w + 2 * radius


def _run(flat: np.ndarray, stride: int, reach: int) -> np.ndarray:
    """The maximum over the offsets -reach … reach times stride, by doubling: log₂ passes."""
    length, n = 1, len(flat)
    while length < 2 * reach + 1:
        shift = min(length, 2 * reach + 1 - length)
        out = flat.copy()
        np.maximum(flat[: n - shift * stride], flat[shift * stride :], out=out[: n - shift * stride])
        flat, length = out, length + shift
    return flat if reach == 0 else np.concatenate([np.zeros(reach * stride, np.uint8), flat[: n - reach * stride]])


def _highest(levels: np.ndarray, axis: int, n: int) -> np.ndarray:
    """`levels` with n entries along the axis: entry i is the maximum over [i, i + 1) * old / n."""
    old = levels.shape[axis]
    i = np.arange(n, dtype=np.int64)
    ends = np.stack([i * old // n, -(-(i + 1) * old // n)], 1).ravel()  # first, one past the last, first, …
    pad = [(0, 0), (0, 0)]
    pad[axis] = (0, 1)  # reduceat takes no index past the end
    return np.maximum.reduceat(np.pad(levels, pad), ends, axis=axis).take(np.arange(0, 2 * n, 2), axis=axis)


def _smoothed(ramp: np.ndarray, inside: np.ndarray, radius: int) -> np.ndarray:
    """The ramp without its stairs; averaged over what is inside only, so that thin strokes stay opaque."""
    blur = ImageFilter.BoxBlur(radius)
    mean, share = (np.asarray(Image.fromarray(x).filter(blur)).astype(np.uint16) for x in (ramp, inside))
    return np.minimum(mean * 255 // np.maximum(share, 1), 255).astype(np.uint8) & inside
