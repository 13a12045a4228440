"""Joining the patch to the picture: nothing outside the mask is touched, and nothing hidden inside it shows again."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from .colour import from_lab, to_lab
from .membrane import membrane
from .report import seam_score

ENOUGH = 64  # pixels to measure colours on


def join(original: Image.Image, patch: Image.Image, composite: Image.Image, kind: str = "auto",
         width: int = 4) -> tuple[Image.Image, str]:
    """The joined crop and the finish used; original and patch RGB, composite L, all of one size.

    feather    mixes both over the composite's ramp
    poisson    lifts the patch by a membrane that meets the picture at the mask's edge (Pérez et al. 2003)
    multiband  joins fine detail sharply and coarse colours softly, over about `width` pixels (Burt & Adelson 1983)
    none       pastes hard;  auto  tries the first three and keeps the least visible seam
    """
    before, new = (np.asarray(image, dtype=np.float32) for image in (original, patch))
    alpha = np.asarray(composite, dtype=np.float32)[..., None] / 255
    if not (alpha == 0).any():
        return patch, "none"  # there is nothing to join it to
    kinds = ("feather", "poisson", "multiband") if kind == "auto" else (kind,)
    joined = {name: _pasted(before, FINISHES[name](before, new, alpha, width), alpha) for name in kinds}
    best = min(kinds, key=lambda name: seam_score(joined[name], composite) if len(kinds) > 1 else 0)
    return joined[best], best


def match_colours(patch: Image.Image, original: Image.Image, composite: Image.Image, amount: float) -> Image.Image:
    """The patch with the mean and spread, in LAB, that it should have had where the original is known.

    Measured only outside the mask, where the model was to reproduce the picture (Reinhard et al. 2001).
    """
    outside = np.asarray(composite) == 0
    if amount == 0 or outside.sum() < ENOUGH:
        return patch
    new, true = (to_lab(np.asarray(image)) for image in (patch, original))
    got, want = new[outside], true[outside]
    gain = np.clip(want.std(0) / np.maximum(got.std(0), 1e-3), 0.5, 2)
    matched = (new - got.mean(0)) * gain + want.mean(0)
    return Image.fromarray(from_lab(new + amount * (matched - new)))


def _pasted(before: np.ndarray, new: np.ndarray, alpha: np.ndarray) -> Image.Image:
    """`new` where the mask is, the picture's own bytes everywhere else."""
    return Image.fromarray(np.where(alpha > 0, new.round().clip(0, 255), before).astype(np.uint8))


def _none(before, new, alpha, width):
    return new


def _feather(before, new, alpha, width):
    return before * (1 - alpha) + new * alpha


def _poisson(before, new, alpha, width):
    return new + membrane(before - new, alpha[..., 0] > 0)


def _multiband(before, new, alpha, width):
    """Laplacian pyramids of both, joined level by level; under the mask the picture is a membrane, not itself."""
    hole = alpha > 0
    base = np.where(hole, membrane(before, hole[..., 0]), before)
    level, difference = hole.astype(np.float32), new - base
    depth = max(1, min(int(np.log2(max(width, 2))) + 1, int(np.log2(max(2, min(alpha.shape[:2])))) - 1))
    out = np.zeros_like(base)
    for _ in range(depth):  # band by band: (1 - m) base + m new = base + m (new - base)
        low = _half(difference)
        out = out + _up_chain(level * (difference - _double(low, difference.shape)), base.shape)
        level, difference = _half(level), low
    return base + out + _up_chain(level * difference, base.shape)


def _half(a: np.ndarray) -> np.ndarray:
    """Half the size, averaged over 2 × 2."""
    a = np.pad(a, [(0, a.shape[0] % 2), (0, a.shape[1] % 2), (0, 0)], mode="edge")
    return (a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / 4


def _double(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bilinearly enlarged to `shape`."""
    return zoom(a, (shape[0] / a.shape[0], shape[1] / a.shape[1], 1), order=1, grid_mode=True, mode="nearest")


def _up_chain(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return a if a.shape[:2] == shape[:2] else _double(a, shape)


FINISHES = {"none": _none, "feather": _feather, "poisson": _poisson, "multiband": _multiband}
