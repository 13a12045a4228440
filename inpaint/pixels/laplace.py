"""A soap film over a hole: the smoothest surface that meets its border (Laplace's equation).

Solved from coarse to fine: each level starts from the one below and is relaxed by a few Jacobi sweeps, a large one
only where its border is new to it.  Inside, channels come first, [C, H, W]: numpy is several times quicker with long
rows than with threes.
"""

from __future__ import annotations

import numpy as np

from . import morphology

SWEEPS = ((80, 12), (160, 6))  # up to such a side so many sweeps over all of the hole
BLOCK = 1 << 14  # numbers that are doubled at a time
LEAST = 4  # on larger levels, which start best, in a rim that so many sweeps can reach


def membrane(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """float32 [H, W, C]: `values` outside the hole (bool [H, W]), harmonic inside; 0 if all of it is hole."""
    return np.ascontiguousarray(film(np.moveaxis(values, -1, 0), hole).transpose(1, 2, 0))


def film(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The same, [C, H, W] or [H, W]."""
    if not hole.any():
        return values.astype(np.float32)
    if hole.all():
        return np.zeros(values.shape, np.float32)
    values = np.ascontiguousarray(values, np.float32)
    known = (~hole).astype(np.float32)
    if max(hole.shape) <= 2:
        return _relaxed(values * known, hole)
    return sharpened(film(*coarse(values, known)), values, hole)


def coarse(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same task at half the size: the mean of what is `known` (float32 [H, W], 0 … 1), and where nothing is."""
    share = halved(known)
    return halved(values * known) / np.maximum(share, np.float32(1e-6)), share == 0


def sharpened(half: np.ndarray, values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The film of half the size as that of `values`, which it meets exactly again."""
    start = doubled(half, hole.shape)
    np.copyto(start, values, where=~hole)
    return _relaxed(start, hole)


def halved(a: np.ndarray) -> np.ndarray:
    """Half the size: the mean of each 2 × 2 of [..., H, W], an odd last row or column counted twice."""
    odd = [(0, 0)] * (a.ndim - 2) + [(0, n % 2) for n in a.shape[-2:]]
    a = np.pad(a, odd, mode="edge") if a.shape[-1] % 2 or a.shape[-2] % 2 else a
    rows = a[..., ::2, :] + a[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def doubled(a: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """[..., H/2, W/2] made by `halved` back at `shape`, bilinearly: each lies a quarter of the way to a neighbour.

    Some rows at a time, which stay in the processor's cache.
    """
    *channels, h, w = a.shape
    tall = np.concatenate([a[..., :1, :], a, a[..., -1:, :]], axis=-2)
    out = np.empty((*channels, 2 * h, 2 * w), np.float32)
    some = max(1, BLOCK // w)
    for top in range(0, h, some):
        part = tall[..., top : top + some + 2, :]
        one, three = part * np.float32(0.25), part[..., 1:-1, :] * np.float32(0.75)
        rows = np.empty((*channels, 2 * three.shape[-2], w), np.float32)
        np.add(three, one[..., :-2, :], out=rows[..., ::2, :])
        np.add(three, one[..., 2:, :], out=rows[..., 1::2, :])
        one, three, block = rows * np.float32(0.25), rows * np.float32(0.75), out[..., 2 * top : 2 * (top + some), :]
        np.add(three[..., 1:], one[..., :-1], out=block[..., 2::2])
        np.add(three[..., :-1], one[..., 1:], out=block[..., 1:-1:2])
        block[..., 0], block[..., -1] = rows[..., 0], rows[..., -1]
    return out[..., : shape[0], : shape[1]]


def _relaxed(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Inside the hole each pixel becomes the mean of its four neighbours, some times over."""
    sweeps = next((n for side, n in SWEEPS if max(hole.shape) <= side), None)
    if sweeps is None:
        return _relaxed_rim(values, hole)
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    part = np.s_[..., max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    inside, some = hole[part[1:]], values[part]
    *channels, h, w = some.shape
    mean, wide = np.empty(some.shape, np.float32), np.empty((*channels, h + 2, w + 2), np.float32)
    inner = wide[..., 1:-1, 1:-1]
    inner[:] = some
    for _ in range(sweeps):
        wide[..., 0, :], wide[..., -1, :] = wide[..., 1, :], wide[..., -2, :]  # nothing flows out
        wide[..., 0], wide[..., -1] = wide[..., 1], wide[..., -2]
        np.add(wide[..., :-2, 1:-1], wide[..., 2:, 1:-1], out=mean)
        mean += wide[..., 1:-1, :-2]
        mean += wide[..., 1:-1, 2:]
        mean *= np.float32(0.25)
        np.copyto(inner, mean, where=inside)
    some[:] = inner
    return values


def _relaxed_rim(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The same, LEAST times, for the pixels of the hole that lie that near its border."""
    h, w = hole.shape
    outside = (~hole).view(np.uint8)
    rim = np.flatnonzero(hole & (morphology.spread(outside, LEAST + 1) > 0))
    y, x = np.divmod(rim, w)
    near = [
        np.maximum(y - 1, 0) * w + x,
        np.minimum(y + 1, h - 1) * w + x,
        y * w + np.maximum(x - 1, 0),
        y * w + np.minimum(x + 1, w - 1),
    ]
    for plane in values.reshape(-1, h * w):
        for _ in range(LEAST):
            plane[rim] = sum(plane.take(each) for each in near) * np.float32(0.25)
    return values
