"""Joining the patch to the picture: nothing outside the mask is touched, and nothing hidden inside it shows again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from PIL import Image

from .colour import from_lab, to_lab
from .edge import Drift, Edge
from .laplace import doubled, halved
from .seam import Seam, around

ENOUGH = 64  # pixels to measure colours on
BROAD = 1 / 18  # of a picture's shorter side: what is wider is colour, what is narrower is detail
AROUND = 16  # pixels around the mask that are looked at
LIFTS = {"poisson": "drift", "multiband": "kept"}  # what a finish adds to the patch


def join(
    original: Image.Image, patch: Image.Image, composite: Image.Image, kind: str = "auto", width: int = 4
) -> tuple[Image.Image, str]:
    """The joined crop and the finish used; original and patch RGB, composite L, all of one size.

    feather    mixes both over the composite's ramp
    poisson    lifts the patch by a membrane that meets the picture at the mask's edge (Pérez et al. 2003)
    multiband  lets that fade inwards, fine detail over `width` pixels, colours over 16 times that, so that the
               patch keeps its own colours in the middle (bands after Burt & Adelson 1983)
    none       pastes hard;  auto  tries the first three and keeps the least visible seam
    """
    if composite.getbbox() is None:
        return original.copy(), "none"
    least = composite.getextrema()[0]
    if least > 0:  # there is no edge to join it at
        whole = least == 255 or kind == "none"
        return (patch, "none") if whole else (Image.composite(patch, original, composite), "feather")
    box = around(composite, AROUND)
    picture, patch, composite = (image.crop(box) for image in (original, patch, composite))
    joint = Joint(picture, patch, Edge.of(picture, patch, composite, max(1, width)))
    if kind == "auto":
        seam = Seam(composite)
        kind = min(("feather", "poisson", "multiband"), key=lambda name: seam.value(joint.pixels(name, seam.pixels)))
    result = original.copy()
    result.paste(joint.image(kind), box[:2])
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


class Joint:
    """`picture` with `patch` joined in (RGB), in each of the ways: at some pixels, or all of it."""

    def __init__(self, picture: Image.Image, patch: Image.Image, edge: Edge):
        self.edge = edge
        self.before, self.new = ([np.asarray(plane) for plane in image.split()] for image in (picture, patch))

    @cached_property
    def drift(self) -> list[np.ndarray]:
        """float32 [H, W] a channel: what lifts the patch to the picture at the mask's edge."""
        drift = Drift(self.edge, self.before, self.new)
        return [drift.plane(k) for k in range(3)]

    @cached_property
    def kept(self) -> list[np.ndarray]:
        """float32 [H, W] a channel: the part of the drift that is left where it fades inwards."""
        return [drift - _faded(drift, self.edge.shares) for drift in self.drift]

    def pixels(self, kind: str, where: np.ndarray) -> np.ndarray:
        """uint8 [n, 3]: the joined picture at flat indices."""
        return np.stack([self._joined(kind, k, lambda plane: plane.take(where)) for k in range(3)], 1)

    def image(self, kind: str) -> Image.Image:
        """The joined picture."""
        return Image.merge("RGB", [Image.fromarray(self._joined(kind, k, lambda plane: plane)) for k in range(3)])

    def _joined(self, kind: str, k: int, part: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """uint8: channel k of a part of the picture; outside the hole its own bytes."""
        edge, before, new = self.edge, part(self.before[k]), part(self.new[k]).astype(np.float32)
        if kind == "feather":
            new = before + part(edge.level) / np.float32(255) * (new - before)
        elif kind in LIFTS:
            new += part(getattr(self, LIFTS[kind])[k])
            if edge.levelled is not None:  # mixed with the picture by a soft mask's levels
                new = before + part(edge.levelled) * (new - before)
        return np.where(part(edge.hole), np.rint(new, out=new).clip(0, 255, out=new).astype(np.uint8), before)


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
