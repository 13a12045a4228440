"""Solve Laplace's equation over a hole: the smoothest surface that meets its border, like a soap film.

The method is multigrid, from coarse to fine: each level starts from the coarser solution and is relaxed by a few
Jacobi sweeps; large levels only near the border, where the coarser solution is least exact.  Inside this module
channels come first, [C, H, W]: numpy is several times quicker with long rows than with rows of three.
"""

from __future__ import annotations

import numpy as np

from . import morphology

SWEEPS = ((80, 12), (160, 6))  # (longest side, sweeps over all of the hole)
BLOCK = 1 << 14  # numbers that are upsampled at a time
RIM_SWEEPS = 4  # on larger levels, only in the rim that this many sweeps can reach


def solve(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return float32 [H, W, C]: `values` outside the hole (bool [H, W]), harmonic inside; 0 if everything is hole."""
    return np.ascontiguousarray(solve_planes(np.moveaxis(values, -1, 0), hole).transpose(1, 2, 0))


def solve_planes(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Solve the same for [C, H, W] or [H, W]."""
    if not hole.any():
        return values.astype(np.float32)
    if hole.all():
        return np.zeros(values.shape, np.float32)
    values = np.ascontiguousarray(values, np.float32)
    known = (~hole).astype(np.float32)
    if max(hole.shape) <= 2:
        return _relax(values * known, hole)
    return refine(solve_planes(*restrict(values, known)), values, hole)


def restrict(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the problem at half the size: the means of `known` pixels (float32 [H, W], 0 … 1), and the hole."""
    share = downsample(known)
    return downsample(values * known) / np.maximum(share, np.float32(1e-6)), share == 0


def refine(half: np.ndarray, values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Enlarge the solution of half the size to that of `values`, whose known pixels it meets exactly."""
    start = upsample(half, hole.shape)
    np.copyto(start, values, where=~hole)
    return _relax(start, hole)


def downsample(a: np.ndarray) -> np.ndarray:
    """Return the mean of each 2 × 2 of [..., H, W]; an odd last row or column counts twice."""
    odd = [(0, 0)] * (a.ndim - 2) + [(0, n % 2) for n in a.shape[-2:]]
    a = np.pad(a, odd, mode="edge") if a.shape[-1] % 2 or a.shape[-2] % 2 else a
    rows = a[..., ::2, :] + a[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def upsample(a: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Undo `downsample` to `shape`, bilinearly: pixels lie a quarter of the way to the next.

    It works on some rows at a time, which stay in the processor's cache.
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


def _relax(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Replace each pixel of the hole by the mean of its four neighbours, SWEEPS times; changes `values`."""
    sweeps = next((n for side, n in SWEEPS if max(hole.shape) <= side), None)
    if sweeps is None:
        return _relax_rim(values, hole)
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    part = np.s_[..., max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    inside, some = hole[part[1:]], values[part]
    *channels, h, w = some.shape
    mean, wide = np.empty(some.shape, np.float32), np.empty((*channels, h + 2, w + 2), np.float32)
    inner = wide[..., 1:-1, 1:-1]
    inner[:] = some
    for _ in range(sweeps):
        wide[..., 0, :], wide[..., -1, :] = wide[..., 1, :], wide[..., -2, :]  # no flow over the array's edge
        wide[..., 0], wide[..., -1] = wide[..., 1], wide[..., -2]
        np.add(wide[..., :-2, 1:-1], wide[..., 2:, 1:-1], out=mean)
        mean += wide[..., 1:-1, :-2]
        mean += wide[..., 1:-1, 2:]
        mean *= np.float32(0.25)
        np.copyto(inner, mean, where=inside)
    some[:] = inner
    return values


def _relax_rim(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Do the same RIM_SWEEPS times for the hole's pixels near its border."""
    h, w = hole.shape
    outside = (~hole).view(np.uint8)
    rim = np.flatnonzero(hole & (morphology.dilate(outside, RIM_SWEEPS + 1) > 0))
    y, x = np.divmod(rim, w)
    near = [
        np.maximum(y - 1, 0) * w + x,
        np.minimum(y + 1, h - 1) * w + x,
        y * w + np.maximum(x - 1, 0),
        y * w + np.minimum(x + 1, w - 1),
    ]
    for plane in values.reshape(-1, h * w):
        for _ in range(RIM_SWEEPS):
            plane[rim] = sum(plane.take(each) for each in near) * np.float32(0.25)
    return values
