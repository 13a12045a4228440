"""A soap film over a hole: the smoothest surface that meets its border (Laplace's equation).

Solved from coarse to fine: each level starts from the one below and is relaxed by a few Jacobi sweeps.
"""

from __future__ import annotations

import numpy as np

SWEEPS = 12


def membrane(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """float32 [H, W, C]: `values` outside the hole (bool [H, W]), harmonic inside; grey 0 if all of it is hole."""
    if not hole.any():
        return values.astype(np.float32)
    if hole.all():
        return np.zeros(values.shape, np.float32)
    values = np.where(hole[..., None], np.float32(0), values.astype(np.float32))
    if max(hole.shape) > 2:
        values = np.where(hole[..., None], _enlarged(membrane(*_halved(values, hole)), hole.shape), values)
    return _relaxed(values, hole)


def _relaxed(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Inside the hole each pixel becomes the mean of its four neighbours, some times over."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    part = np.s_[max(0, rows[0] - 1):rows[-1] + 2, max(0, columns[0] - 1):columns[-1] + 2]
    inner, inside = values[part], hole[part][..., None]
    for _ in range(SWEEPS):
        wide = np.pad(inner, ((1, 1), (1, 1), (0, 0)), mode="edge")  # nothing flows over the picture's edge
        mean = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) * np.float32(0.25)
        inner = np.where(inside, mean, inner)
    values[part] = inner
    return values


def _halved(values: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the size: the mean of the known pixels of each 2 × 2; a hole where none is known."""
    pad = [(0, n % 2) for n in hole.shape]
    known = np.pad((~hole).astype(np.float32), pad)[..., None]
    values = np.pad(values, [*pad, (0, 0)])
    count, total = (_sum2(known), _sum2(values * known))
    return total / np.maximum(count, 1), count[..., 0] == 0


def _sum2(a: np.ndarray) -> np.ndarray:
    return a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]


def _enlarged(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return values.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]
