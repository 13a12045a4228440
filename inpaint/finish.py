"""Joining the patch to the picture: nothing outside the mask is touched, and nothing hidden inside it shows again."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .colour import from_lab, to_lab
from .joint import Edge, Joint
from .membrane import doubled, halved
from .report import Seam, around

ENOUGH = 64  # pixels to measure colours on
BROAD = 1 / 18  # of a picture's shorter side: what is wider is colour, what is narrower is detail
AROUND = 16  # pixels around the mask that are looked at


def join(original: Image.Image, patch: Image.Image, composite: Image.Image, kind: str = "auto",
         width: int = 4) -> tuple[Image.Image, str]:
    """The joined crop and the finish used; original and patch RGB, composite L, all of one size.

    feather    mixes both over the composite's ramp
    poisson    lifts the patch by a membrane that meets the picture at the mask's edge (Pérez et al. 2003)
    multiband  lets that fade inwards, fine detail over `width` pixels, colours over 16 times that, so that the
               patch keeps its own colours in the middle (bands after Burt & Adelson 1983)
    none       pastes hard;  auto  tries the first three and keeps the least visible seam
    """
    if composite.getbbox() is None:
        return original.copy(), "none"
    if composite.getextrema()[0] > 0:
        return patch, "none"  # there is nothing to join it to
    box = around(composite, AROUND)
    picture, patch, composite = (image.crop(box) for image in (original, patch, composite))
    kinds = ("feather", "poisson", "multiband") if kind == "auto" else (kind,)
    joined = dict(zip(kinds, _joined(picture, patch, Edge.of(picture, patch, composite, max(1, width)), kinds),
                      strict=True))
    if kind == "auto":
        seam = Seam(composite)
        kind = min(kinds, key=lambda name: seam.score(joined[name]))
    result = original.copy()
    result.paste(joined[kind], box[:2])
    return result, kind


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


def hold_colours(patch: Image.Image, held: Image.Image, amount: float) -> Image.Image:
    """The patch with its own detail on the broad colours of `held`, as far as `amount`; both RGB of one size.

    The low-pass exchange of ILVR (Choi et al. 2021, arXiv 2108.02938, eq. 6), once, on the finished picture.
    """
    from scipy.ndimage import gaussian_filter

    new, sigma = np.asarray(patch, np.float32), min(patch.size) * BROAD
    off = gaussian_filter(np.asarray(held, np.float32) - new, (sigma, sigma, 0), mode="nearest")
    return Image.fromarray((new + amount * off).round().clip(0, 255).astype(np.uint8))


def _joined(picture: Image.Image, patch: Image.Image, edge: Edge, kinds: tuple[str, ...]) -> list[Image.Image]:
    """`picture` with the patch joined in each of these ways; channel by channel, to be frugal with memory."""
    planes: dict[str, list] = {name: [] for name in kinds}
    for before, new in zip(picture.split(), patch.split(), strict=True):
        joint = Joint(edge, np.asarray(before, np.float32), np.asarray(new, np.float32))
        for name in kinds:
            plane = np.rint(FINISHES[name](joint)).clip(0, 255).astype(np.uint8)
            planes[name].append(Image.fromarray(np.where(edge.hole, plane, np.asarray(before))))
    return [Image.merge("RGB", planes[name]) for name in kinds]


def _none(joint: Joint) -> np.ndarray:
    return joint.new


def _feather(joint: Joint) -> np.ndarray:
    return joint.before + joint.edge.alpha * (joint.new - joint.before)


def _poisson(joint: Joint) -> np.ndarray:
    return joint.levelled(joint.new + joint.drift)


def _multiband(joint: Joint) -> np.ndarray:
    """The lifted patch mixed with the patch itself, band by band, over ramps as wide as the details of the band.

    Nothing outside may change, so the ramps rise inwards; the picture's own part in the mask may be what is to be
    removed, so the lifted patch stands in for it.
    """
    return joint.levelled(joint.new + (joint.drift - _faded(joint.drift, joint.edge.shares)))


def _faded(drift: np.ndarray, shares: list[np.ndarray]) -> np.ndarray:
    """float32 [H, W]: the part of the drift that is taken back, nothing at the hole's edge and all in its middle.

    Each level of the pyramid has half the size and the same ramp, so its ramp is twice as wide in the picture.
    """
    if len(shares) == 1:
        return drift * shares[0]
    low = halved(drift)
    out = (drift - doubled(low, drift.shape)) * shares[0]
    out += doubled(_faded(low, shares[1:]), drift.shape)
    return out


FINISHES = {"none": _none, "feather": _feather, "poisson": _poisson, "multiband": _multiband}
