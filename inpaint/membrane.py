"""A soap film over a hole: the smoothest surface that meets its border (Laplace's equation).

Solved from coarse to fine: each level starts from the one below and is relaxed by a few Jacobi sweeps.  Inside,
channels come first, [C, H, W]: numpy is several times quicker with long rows than with threes.
"""

from __future__ import annotations

import numpy as np

SWEEPS = ((80, 12), (160, 6))  # up to such a side so many sweeps; on larger levels, which start best, LEAST
LEAST = 4
SMALL = 100  # a side up to which all channels are relaxed at once; one by one stays in the processor's cache


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
    share = halved(known)
    coarse = film(halved(values * known) / np.maximum(share, np.float32(1e-6)), share == 0)
    start = doubled(coarse, hole.shape)
    np.copyto(start, values, where=~hole)
    return _relaxed(start, hole)


def halved(a: np.ndarray) -> np.ndarray:
    """Half the size: the mean of each 2 × 2 of [..., H, W], an odd last row or column counted twice."""
    odd = [(0, 0)] * (a.ndim - 2) + [(0, n % 2) for n in a.shape[-2:]]
    a = np.pad(a, odd, mode="edge") if a.shape[-1] % 2 or a.shape[-2] % 2 else a
    rows = a[..., ::2, :] + a[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def doubled(a: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """[..., H/2, W/2] made by `halved` back at `shape`, bilinearly: each lies a quarter of the way to a neighbour."""
    *channels, h, w = a.shape
    one, three = a * np.float32(0.25), a * np.float32(0.75)
    rows = np.empty((*channels, 2 * h, w), np.float32)
    np.add(three[..., 1:, :], one[..., :-1, :], out=rows[..., 2::2, :])
    np.add(three[..., :-1, :], one[..., 1:, :], out=rows[..., 1:-1:2, :])
    rows[..., 0, :], rows[..., -1, :] = a[..., 0, :], a[..., -1, :]
    one, three = rows * np.float32(0.25), rows * np.float32(0.75)
    out = np.empty((*channels, 2 * h, 2 * w), np.float32)
    np.add(three[..., 1:], one[..., :-1], out=out[..., 2::2])
    np.add(three[..., :-1], one[..., 1:], out=out[..., 1:-1:2])
    out[..., 0], out[..., -1] = rows[..., 0], rows[..., -1]
    return out[..., :shape[0], :shape[1]]


def _relaxed(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Inside the hole each pixel becomes the mean of its four neighbours, some times over."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    part = np.s_[..., max(0, rows[0] - 1):rows[-1] + 2, max(0, columns[0] - 1):columns[-1] + 2]
    inside, sweeps = hole[part[1:]], next((n for side, n in SWEEPS if max(hole.shape) <= side), LEAST)
    for some in values[part] if values.ndim > 2 and max(hole.shape) > SMALL else [values[part]]:
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
