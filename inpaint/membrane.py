"""A soap film over a hole: the smoothest surface that meets its border (Laplace's equation).

Solved from coarse to fine: each level starts from the one below and is relaxed by a few Jacobi sweeps.
"""

from __future__ import annotations

import numpy as np

SWEEPS = 12


def membrane(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """float32 [H, W, C]: `values` outside the hole (bool [H, W]), harmonic inside; 0 if all of it is hole."""
    if not hole.any():
        return values.astype(np.float32)
    if hole.all():
        return np.zeros(values.shape, np.float32)
    values = np.where(hole[..., None], np.float32(0), values.astype(np.float32))
    if max(hole.shape) > 2:
        share = halved((~hole).astype(np.float32)[..., None])
        coarse = membrane(halved(values) / np.maximum(share, 1e-6), share[..., 0] == 0)
        values = np.where(hole[..., None], enlarged(coarse, hole.shape), values)
    return _relaxed(values, hole)


def halved(a: np.ndarray) -> np.ndarray:
    """Half the size: the mean of each 2 × 2 of [H, W, C], an odd last row or column counted twice."""
    a = np.pad(a, [(0, a.shape[0] % 2), (0, a.shape[1] % 2), (0, 0)], mode="edge")
    return (a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) * np.float32(0.25)


def enlarged(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[H, W, C] made by `halved`, some times over, back at `shape`, bilinearly."""
    h, w = shape[:2]
    if a.shape[:2] == (h, w):
        return a
    from PIL import Image

    times = max(1, round(np.log2(max(h / a.shape[0], w / a.shape[1]))))
    box = (0, 0, w / 2**times, h / 2**times)  # without what an odd side was padded by
    box = (0, 0, min(box[2], a.shape[1]), min(box[3], a.shape[0]))
    bands = (Image.fromarray(np.ascontiguousarray(a[..., c], np.float32)) for c in range(a.shape[2]))
    return np.stack([np.asarray(band.resize((w, h), Image.Resampling.BILINEAR, box=box)) for band in bands], -1)


def _relaxed(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Inside the hole each pixel becomes the mean of its four neighbours, some times over."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    part = np.s_[max(0, rows[0] - 1):rows[-1] + 2, max(0, columns[0] - 1):columns[-1] + 2]
    inside = hole[part][..., None]
    wide = np.pad(values[part], ((1, 1), (1, 1), (0, 0)), mode="edge")
    inner, mean = wide[1:-1, 1:-1], np.empty_like(values[part])
    for _ in range(SWEEPS):
        np.add(wide[:-2, 1:-1], wide[2:, 1:-1], out=mean)
        mean += wide[1:-1, :-2]
        mean += wide[1:-1, 2:]
        mean *= np.float32(0.25)
        np.copyto(inner, mean, where=inside)
        wide[0], wide[-1], wide[:, 0], wide[:, -1] = wide[1], wide[-2], wide[:, 1], wide[:, -2]  # nothing flows out
    values[part] = inner
    return values
