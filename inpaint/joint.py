"""Where a patch meets the picture, measured once for all ways to join them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from . import levels
from .membrane import doubled, film, halved

BANDS = 5  # of the multiband joint: its widest ramp is 2⁴ times its narrowest


@dataclass
class Edge:
    """Where the patch meets the picture, and what is found there once for all channels and ways to join."""

    level: np.ndarray  # uint8 [H, W], the composite
    width: int  # of the joint, in pixels
    near: np.ndarray  # bool [H, W], the picture's pixels next to the mask
    off: np.ndarray  # float32 [3, n], how much lighter the picture is there than the patch

    @classmethod
    def of(cls, picture: Image.Image, patch: Image.Image, composite: Image.Image, width: int) -> Edge:
        """Of RGB pictures and a mask (L), all of one size."""
        level = np.asarray(composite)
        inside = (level > 0).astype(np.uint8)
        near = levels.spread(inside, 2) > inside
        before, new = (np.asarray(image)[near].astype(np.float32).T for image in (picture, patch))
        return cls(level, width, near, before - new)

    @cached_property
    def hole(self) -> np.ndarray:
        """bool [H, W]: where the patch is pasted; everywhere else the picture keeps its own bytes."""
        return self.level > 0

    @cached_property
    def alpha(self) -> np.ndarray:
        """float32 [H, W], 0 … 1: how much of the patch is pasted."""
        return self.level / np.float32(255)

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
        share = np.minimum(1, (self.alpha + np.float32(1 / 255)) / np.maximum(self.ramp, np.float32(1 / 255)))
        return None if share[self.hole].min() == 1 else share

    @cached_property
    def shares(self) -> list[np.ndarray]:
        """float32 [H / 2ᵏ, W / 2ᵏ]: for each band, the ramp over `width` cells that rises inwards.

        Of a hole that is a cell smaller, so that what is enlarged again does not reach its edge.
        """
        ramps, inside = [self.ramp], self.inside
        while len(ramps) < BANDS and min(inside.shape) > 1:
            inside = (halved(inside.astype(np.float32)) == 255).astype(np.uint8) * np.uint8(255)
            ramps.append(_share(levels.retreat(inside, 1), self.width))
        return [ramp * ramp * (3 - 2 * ramp) for ramp in ramps]  # no kink where a ramp begins


@dataclass
class Joint:
    """One channel of the picture and of the patch, float32 [H, W], and what the ways to join them share."""

    edge: Edge
    before: np.ndarray
    new: np.ndarray

    @cached_property
    def drift(self) -> np.ndarray:
        """float32 [H, W]: how much the patch's colours are off around the mask, carried inwards by membranes.

        What was painted across the edge, a scarf perhaps, must not stain the whole patch: such pixels count only
        near the edge, over `width` pixels.
        """
        edge, off = self.edge, self.before - self.new
        everywhere = film(off, edge.hole)
        if edge.hidden is None:
            return everywhere
        known = (levels.spread(edge.hidden, 1) == 0).astype(np.float32)
        share = halved(known)  # half the size will do for what is only colour
        colours = film(halved(off * known) / np.maximum(share, np.float32(1e-6)), share == 0)
        return everywhere + edge.ramp * (doubled(colours, off.shape) - everywhere)

    def levelled(self, new: np.ndarray) -> np.ndarray:
        """`new` where the mask is full, and mixed with the picture by a soft mask's levels."""
        share = self.edge.levelled
        return new if share is None else self.before + share * (new - self.before)


def _share(inside: np.ndarray, width: int) -> np.ndarray:
    """float32 [H, W] in 0 … 1: the ramp that rises inwards over `width` pixels."""
    return levels.depth(inside, width) / np.float32(255)
