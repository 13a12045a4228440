"""Fill the hole of a job from its surroundings, before the walk begins, or as its result."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from PIL import Image

from ..pixels import blending, morphology, seam
from ..pixels.mask import FULL, Masks, SparseMask
from ..pixels.patches import WIDEN, fill_patches
from ..request import Request
from .latents import digest_of
from .preview import small

PAUSE = 0.1  # seconds between two pictures of a hole that is being filled
RIM = 2  # pixels around the mask that are not copied, since the removed thing often sticks out a little


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """The fill so far, before the first step.

    image    the whole picture, RGB
    painted  the part of it that is being filled

    While a hole is being filled one comes every few hundredths of a second, often the same one again.
    """

    image: Image.Image
    painted: SparseMask

    def preview(self, side: int = 512) -> Image.Image:
        """Return the picture, RGB, at most `side` pixels long."""
        return small(self.image, side)


def fill_hole(
    rgb: Image.Image, masks: Masks, seed: int, samples: np.ndarray | None = None
) -> Generator[Filled, None, Image.Image]:
    """Return the whole picture, its painted parts filled from their surroundings; yield the fill so far.

    samples  uint16 [H, W, 3 or 4], the picture's 16 bits a channel, into which the fill is copied as well
    """
    painted = np.asarray(masks.painted.whole()) > 0
    rim = morphology.dilate(painted.view(np.uint8), RIM) > 0
    pixels = np.asarray(rgb) if samples is None else samples[..., :3].copy()  # the fill is written into samples
    shown, drawn, image = Filled(rgb, masks.painted), 0.0, rgb.copy()
    for part in fill_patches(pixels, painted, rim & ~painted, seed):
        if part is not None:
            levels = Image.fromarray(np.rint(part.pixels).astype(np.uint8))
            image.paste(levels, part.box[:2], Image.fromarray(part.hole))
            if samples is not None and part.done:
                at = np.s_[part.box.top : part.box.bottom, part.box.left : part.box.right]
                samples[at][part.hole, :3] = np.rint(part.pixels[part.hole] * WIDEN)
            if perf_counter() - drawn > PAUSE:
                shown, drawn = Filled(image.copy(), masks.painted), perf_counter()
        yield shown
    yield Filled(image, masks.painted)
    return image


class FillCache:
    """Fill the hole that walks begin from, and keep the last fill: another run over the same hole fills nothing."""

    def __init__(self) -> None:
        self.key, self.part = b"", Image.new("RGB", (1, 1))

    def __call__(self, rgb: Image.Image, masks: Masks) -> Generator[Filled, None, Image.Image]:
        """Return the whole picture, its painted parts filled with seed 0; yield the fill so far."""
        key, box = digest_of(rgb, masks.painted.whole()), masks.painted.box()
        if key != self.key:
            filled = yield from fill_hole(rgb, masks, 0)
            self.key, self.part = key, filled.crop(box)
            return filled
        filled = rgb.copy()
        filled.paste(self.part, box[:2])
        yield Filled(rgb, masks.painted)
        yield Filled(filled, masks.painted)
        return filled


def under_walk(rgb: Image.Image, filled: Image.Image, masks: Masks) -> Image.Image:
    """Return the picture that a walk begins from: filled where it may change completely, unchanged elsewhere."""
    start, painted = rgb.copy(), masks.painted
    full = painted.part.point(lambda level: 255 * (level >= FULL))
    box = painted.box()
    start.paste(filled.crop(box), box[:2], full)
    return start


def as_result(
    rgb: Image.Image, filled: Image.Image, masks: Masks, request: Request, alpha: Image.Image | None
) -> tuple[Image.Image, str, float]:
    """Return the picture with the fill pasted in, the way it was joined, and its seam score.

    A fill meets its surroundings at the mask's edge, so by itself (`auto`) it is pasted as it is.
    """
    plain = request.finish == "auto" and alpha is None and not request.feather
    mask: SparseMask = masks.painted if plain else masks.composite
    box = mask.box()
    original, patch, level = rgb.crop(box), filled.crop(box), mask.crop(box)
    if plain:
        joined, kind = original.copy(), "none"
        joined.paste(patch, (0, 0), level)
    else:
        part = alpha.crop(box) if alpha is not None else None
        joined, kind = blending.join(original, patch, level, request.finish, request.blend, part)
    image = rgb.copy()
    image.paste(joined, box[:2])
    return image, kind, seam.seam_score(joined, level)
