"""Joining the patch to the picture: nothing outside the mask is touched, and nothing hidden inside it shows again."""

from __future__ import annotations

import numpy as np
from PIL import Image

from . import levels
from .colour import from_lab, to_lab
from .membrane import enlarged, halved, membrane
from .report import seam_score

ENOUGH = 64  # pixels to measure colours on
BANDS = 5  # of the multiband joint: its widest ramp is 2⁴ times its narrowest
AROUND = 64  # pixels around the mask that are looked at


def join(original: Image.Image, patch: Image.Image, composite: Image.Image, kind: str = "auto",
         width: int = 4) -> tuple[Image.Image, str]:
    """The joined crop and the finish used; original and patch RGB, composite L, all of one size.

    feather    mixes both over the composite's ramp
    poisson    lifts the patch by a membrane that meets the picture at the mask's edge (Pérez et al. 2003)
    multiband  lets that fade inwards, fine detail over `width` pixels, colours over 16 times that, so that the
               patch keeps its own colours in the middle (bands after Burt & Adelson 1983)
    none       pastes hard;  auto  tries the first three and keeps the least visible seam
    """
    box = composite.getbbox()
    if box is None:
        return original.copy(), "none"
    if composite.getextrema()[0] > 0:
        return patch, "none"  # there is nothing to join it to
    box = (max(0, box[0] - AROUND), max(0, box[1] - AROUND), box[2] + AROUND, box[3] + AROUND)
    box = (*box[:2], min(box[2], composite.width), min(box[3], composite.height))
    before, new, alpha = (np.asarray(image.crop(box)) for image in (original, patch, composite))
    parts = before.astype(np.float32), new.astype(np.float32), alpha.astype(np.float32)[..., None] / 255
    kinds = ("feather", "multiband", "poisson") if kind == "auto" else (kind,)
    drift = _drift(*parts, max(1, width)) if {*kinds} & {"multiband", "poisson"} else None
    joined = {name: _pasted(before, FINISHES[name](*parts, max(1, width), drift), alpha) for name in kinds}
    best = kind if kind != "auto" else min(kinds, key=lambda name: seam_score(joined[name], composite.crop(box)))
    result = original.copy()
    result.paste(joined[best], box[:2])
    return result, best


def match_colours(patch: Image.Image, original: Image.Image, hole: Image.Image, amount: float) -> Image.Image:
    """The patch with the mean and spread, in LAB, that it should have had where the original is known.

    Measured only outside the hole, where the model was to reproduce the picture (Reinhard et al. 2001).
    """
    outside = np.asarray(hole) == 0
    if amount == 0 or outside.sum() < ENOUGH:
        return patch
    new, true = (to_lab(np.asarray(image)) for image in (patch, original))
    got, want = new[outside], true[outside]
    gain = np.clip(want.std(0) / np.maximum(got.std(0), 1e-3), 0.5, 2)
    matched = (new - got.mean(0)) * gain + want.mean(0)
    return Image.fromarray(from_lab(new + amount * (matched - new)))


def _pasted(before: np.ndarray, new: np.ndarray, alpha: np.ndarray) -> Image.Image:
    """`new` where the mask is, the picture's own bytes everywhere else."""
    return Image.fromarray(np.where(alpha[..., None] > 0, new.round().clip(0, 255).astype(np.uint8), before))


def _none(before, new, alpha, width, drift):
    return new


def _feather(before, new, alpha, width, drift):
    return before + alpha * (new - before)


def _poisson(before, new, alpha, width, drift):
    return _levelled(before, new + drift, alpha, width)


def _multiband(before, new, alpha, width, drift):
    """The lifted patch mixed with the patch itself, band by band, over ramps as wide as the details of the band.

    Nothing outside may change, so the ramps rise inwards; the picture's own part in the mask may be what is to be
    removed, so the lifted patch stands in for it.
    """
    inside = (alpha[..., 0] > 0).astype(np.uint8) * 255
    out, band = new + drift, -drift
    for k in range(BANDS):
        low = halved(band) if k < BANDS - 1 and min(band.shape[:2]) > 1 else None
        detail = band if low is None else band - enlarged(low, band.shape)
        share = _share(inside, width << k)
        out += enlarged(detail, out.shape) * (share * share * (3 - 2 * share))  # no kink where the ramp begins
        if low is None:
            break
        band = low
    return _levelled(before, out, alpha, width)


def _drift(before: np.ndarray, new: np.ndarray, alpha: np.ndarray, width: int) -> np.ndarray:
    """float32 [H, W, 3]: how much the patch's colours are off around the mask, carried inwards by membranes.

    Where the patch is off far more than elsewhere, something was painted across the edge, a scarf perhaps.  That
    must not stain the whole patch: such pixels count only near the edge, over `width` pixels.
    """
    hole, off = alpha[..., 0] > 0, before - new
    near = (levels.spread(hole.astype(np.uint8), 2) > 0) & ~hole
    middle = np.median(off[near], 0)
    most = 16 + 4 * np.median(np.abs(off[near] - middle), 0)
    crossing = near & (np.abs(off - middle) > most).any(-1)
    everywhere = membrane(off, hole)
    if not crossing.any():
        return everywhere
    known = (levels.spread((hole | crossing).astype(np.uint8), 1) == 0)[..., None].astype(np.float32)
    share = halved(known)  # half the size will do for what is only colour
    colours = membrane(halved(off * known) / np.maximum(share, 1e-6), share[..., 0] == 0)
    inwards = _share(hole.astype(np.uint8) * 255, width)
    return everywhere + inwards * (enlarged(colours, off.shape) - everywhere)


def _levelled(before, new, alpha, width):
    """What a soft mask hardly changes stays the picture: the composite's levels without its ramp at the edge."""
    ramp = _share((alpha[..., 0] > 0).astype(np.uint8) * 255, width)
    return before + np.minimum(1, (alpha + 1 / 255) / np.maximum(ramp, 1 / 255)) * (new - before)


def _share(inside: np.ndarray, width: int) -> np.ndarray:
    """float32 [H, W, 1] in 0 … 1: the ramp that rises inwards over `width` pixels."""
    return levels.depth(inside, width)[..., None] / np.float32(255)


FINISHES = {"none": _none, "feather": _feather, "poisson": _poisson, "multiband": _multiband}
