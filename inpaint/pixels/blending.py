"""Blend the patch into the picture, hiding its seam; pixels outside the mask keep their bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from PIL import Image

from .colour import from_lab, to_lab
from .edge import Correction, Edge
from .laplace import downsample, upsample
from .seam import Seam, padded_box

ENOUGH = 64  # pixels: on fewer, colours are not measured
BROAD = 1 / 18  # of a picture's shorter side: variations wider than that count as colour, narrower ones as detail
AROUND = 16  # pixels around the mask that blending needs
CORRECTIONS = {"poisson": "correction", "multiband": "fading"}  # the property that is added to the patch


def join(
    original: Image.Image,
    patch: Image.Image,
    composite: Image.Image,
    kind: str = "auto",
    width: int = 4,
    alpha: Image.Image | None = None,
) -> tuple[Image.Image, str]:
    """Return the joined crop and the method used; original and patch RGB, composite L, all of one size.

    feather    mixes both over the composite's ramp
    poisson    adds to the patch a solution of Laplace's equation that meets the picture at the mask's edge (Pérez et
               al. 2003)
    multiband  lets that fade inwards, fine detail over `width` pixels, colours over 16 times that, so that the
               patch keeps its own colours in the middle (bands after Burt & Adelson 1983)
    none       pastes hard;  auto  tries the first three and keeps the least visible seam

    alpha  L, the original's transparency: fully transparent pixels have no colour for the patch to meet
    """
    if composite.getbbox() is None:
        return original.copy(), "none"
    least = np.asarray(composite).min()
    if least > 0:  # the mask covers all of the crop, so it has no edge
        whole = least == 255 or kind == "none"
        return (patch, "none") if whole else (Image.composite(patch, original, composite), "feather")
    box = padded_box(composite, AROUND)
    picture, patch, composite = (image.crop(box) for image in (original, patch, composite))
    if alpha is not None:
        picture = Image.composite(picture, patch, alpha.crop(box).point([0] + [255] * 255))
    blend = Blend(picture, patch, Edge.of(picture, patch, composite, max(1, width)))
    if kind == "auto":
        seam = Seam(composite)
        kind = min(("feather", "poisson", "multiband"), key=lambda name: seam.value(blend.pixels(name, seam.pixels)))
    result = original.copy()
    pasted = alpha and composite.point([0] + [255] * 255)  # transparent pixels of the picture were replaced above
    result.paste(blend.image(kind), box[:2], pasted)
    return result, kind


def match_colours(patch: Image.Image, original: Image.Image, hole: Image.Image, amount: float) -> Image.Image:
    """Match the patch's mean and standard deviation in LAB to the original's, by `amount`, 0 … 1.

    Both are measured outside the hole only, where patch and picture should agree (Reinhard et al. 2001).
    """
    outside = np.asarray(hole) == 0
    if amount == 0 or outside.sum() < ENOUGH:
        return patch
    new, true = (to_lab(np.asarray(image)) for image in (patch, original))
    ours, theirs = new[outside], true[outside]
    gain = np.clip(theirs.std(0) / np.maximum(ours.std(0), 1e-3), 0.5, 2)
    matched = (new - ours.mean(0)) * gain + theirs.mean(0)
    return Image.fromarray(from_lab(new + amount * (matched - new)))


def hold_colours(patch: Image.Image, held: Image.Image, amount: float) -> Image.Image:
    """Return the patch with its low frequencies moved towards those of `held` by `amount`; both RGB, one size.

    This is the low-pass exchange of ILVR (Choi et al. 2021, arXiv 2108.02938, eq. 6), once, on the final picture.
    """
    from scipy.ndimage import gaussian_filter

    new, sigma = np.asarray(patch, np.float32), min(patch.size) * BROAD
    off = gaussian_filter(np.asarray(held, np.float32) - new, (sigma, sigma, 0), mode="nearest")
    return Image.fromarray((new + amount * off).round().clip(0, 255).astype(np.uint8))


class Blend:
    """Blend `patch` into `picture` (RGB) in several ways, at some of its pixels or at all of them."""

    def __init__(self, picture: Image.Image, patch: Image.Image, edge: Edge):
        self.edge = edge
        self.before, self.new = ([np.asarray(plane) for plane in image.split()] for image in (picture, patch))

    @cached_property
    def correction(self) -> list[np.ndarray]:
        """Return float32 [H, W] a channel: the correction by which the patch meets the picture at the mask's edge."""
        correction = Correction(self.edge, self.before, self.new)
        return [correction.plane(k) for k in range(3)]

    @cached_property
    def fading(self) -> list[np.ndarray]:
        """Return float32 [H, W] a channel: the same correction, each band fading inwards over its own width."""
        return [plane - _faded(plane, self.edge.shares) for plane in self.correction]

    def pixels(self, kind: str, where: np.ndarray) -> np.ndarray:
        """Return the blended picture at flat indices, uint8 [n, 3]."""
        return np.stack([self._blended(kind, k, lambda plane: plane.take(where)) for k in range(3)], 1)

    def image(self, kind: str) -> Image.Image:
        """Return the blended picture."""
        return Image.merge("RGB", [Image.fromarray(self._blended(kind, k, lambda plane: plane)) for k in range(3)])

    def _blended(self, kind: str, k: int, part: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return channel k of a part of the picture, uint8; outside the hole the picture's own bytes."""
        edge, before, new = self.edge, part(self.before[k]), part(self.new[k]).astype(np.float32)
        if kind == "feather":
            new = before + part(edge.level) / np.float32(255) * (new - before)
        elif kind in CORRECTIONS:
            new += part(getattr(self, CORRECTIONS[kind])[k])
            if edge.levelled is not None:  # a soft mask's levels mix patch and picture
                new = before + part(edge.levelled) * (new - before)
        return np.where(part(edge.hole), np.rint(new, out=new).clip(0, 255, out=new).astype(np.uint8), before)


def _faded(correction: np.ndarray, shares: list[np.ndarray]) -> np.ndarray:
    """Return the part of the correction to take back, float32 [H, W]: none at the edge, all in the middle.

    Each level of the pyramid has half the size and the same ramp, so its ramp is twice as wide in the picture.
    """
    if len(shares) == 1:
        return correction * shares[0]
    low = downsample(correction)
    out = (correction - upsample(low, correction.shape)) * shares[0]
    out += upsample(_faded(low, shares[1:]), correction.shape)
    return out
