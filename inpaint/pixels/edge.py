"""Where a patch meets the picture, measured once for all ways to join them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from . import morphology
from .laplace import coarse, doubled, film, halved, sharpened

BANDS = 5  # of the multiband joint: its widest ramp is 2⁴ times its narrowest


@dataclass
class Edge:
    """Where the patch meets the picture: what is found there once for all channels and ways to join."""

    level: np.ndarray  # uint8 [H, W], the composite
    width: int  # of the joint, in pixels
    near: np.ndarray  # bool [H, W], the picture's pixels next to the mask
    off: np.ndarray  # float32 [3, n], how much lighter the picture is there than the patch

    @classmethod
    def of(cls, picture: Image.Image, patch: Image.Image, composite: Image.Image, width: int) -> Edge:
        """Of RGB pictures and a mask (L), all of one size."""
        level = np.asarray(composite)
        inside = (level > 0).astype(np.uint8)
        near = morphology.spread(inside, 2) > inside
        where = np.flatnonzero(near)
        before, new = (
            np.asarray(image).reshape(-1, 3).take(where, 0).astype(np.float32).T for image in (picture, patch)
        )
        return cls(level, width, near, before - new)

    @cached_property
    def hole(self) -> np.ndarray:
        """bool [H, W]: where the patch is pasted; everywhere else the picture keeps its own bytes."""
        return self.level > 0

    @cached_property
    def inside(self) -> np.ndarray:
        """uint8 [H, W]: the hole as 0 and 255."""
        return self.hole.astype(np.uint8) * np.uint8(255)

    @cached_property
    def ramp(self) -> np.ndarray:
        """float32 [H, W], 0 … 1: rises inwards from the edge over `width` pixels."""
        return _share(self.inside, self.width)

    @cached_property
    def hidden(self) -> np.ndarray | None:
        """uint8 [H, W], 255 in the hole and where something was painted across its edge; None if nothing was.

        That is where the patch is off far more than elsewhere along the edge.
        """
        apart = np.abs(self.off - np.median(self.off, 1, keepdims=True))
        crosses = (apart > 16 + 4 * np.median(apart, 1, keepdims=True)).any(0)
        if not crosses.any():
            return None
        hidden = self.inside.copy()
        hidden[self.near] = crosses * np.uint8(255)
        return hidden

    @cached_property
    def levelled(self) -> np.ndarray | None:
        """float32 [H, W]: a soft mask's levels without its ramp at the edge, so that what it hardly changes stays.

        None if it is 1 all over the hole.
        """
        one = np.float32(1 / 255)
        share = np.minimum(1, (self.level * one + one) / np.maximum(self.ramp, one))
        return None if share[self.hole].min() == 1 else share

    @cached_property
    def shares(self) -> list[np.ndarray]:
        """float32 [H / 2ᵏ, W / 2ᵏ]: for each band, the ramp over `width` cells that rises inwards.

        Of a hole that is a cell smaller, so that what is enlarged again does not reach its edge.
        """
        ramps, inside = [self.ramp], self.inside
        while len(ramps) < BANDS and min(inside.shape) > 1:
            inside = (halved(inside.astype(np.float32)) == 255).astype(np.uint8) * np.uint8(255)
            ramps.append(_share(morphology.retreat(inside, 1), self.width))
        return [ramp * ramp * (3 - 2 * ramp) for ramp in ramps]  # no kink where a ramp begins


class Drift:
    """How much the patch's colours are off around the mask, carried inwards by membranes.

    What was painted across the edge, a scarf perhaps, must not stain the whole patch: such pixels count only near
    the edge, over `width` pixels.  What is broad is found for all channels at once, at half the size.
    """

    def __init__(self, edge: Edge, before: list[np.ndarray], new: list[np.ndarray]):
        """Of the picture's and the patch's channels, uint8 [H, W]."""
        self.edge, self.before, self.new = edge, before, new
        self.broad, self.colours = self._film(~edge.hole), None
        if edge.hidden is not None:
            self.colours = self._film(morphology.spread(edge.hidden, 1) == 0)

    def plane(self, k: int) -> np.ndarray:
        """float32 [H, W]: that of channel k."""
        edge, off = self.edge, self._off(k)
        everywhere = sharpened(self.broad[k], off, edge.hole)
        if self.colours is not None:  # half the size will do for what is only colour
            everywhere += edge.ramp * (doubled(self.colours[k], off.shape) - everywhere)
        return everywhere

    def _off(self, k: int) -> np.ndarray:
        return np.subtract(self.before[k], self.new[k], dtype=np.float32)

    def _film(self, known: np.ndarray) -> np.ndarray:
        """float32 [3, H / 2, W / 2]: the membrane between what is known."""
        known = known.astype(np.float32)
        halves = [coarse(self._off(k), known) for k in range(len(self.before))]
        return film(np.stack([values for values, _ in halves]), halves[0][1])


def _share(inside: np.ndarray, width: int) -> np.ndarray:
    """float32 [H, W] in 0 … 1: the ramp that rises inwards over `width` pixels."""
    return morphology.depth(inside, width) / np.float32(255)
