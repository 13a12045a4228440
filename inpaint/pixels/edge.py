"""Measure the edge between patch and picture once, for all ways of blending."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from . import morphology
from .laplace import downsample, refine, restrict, solve_planes, upsample

BANDS = 5  # of multiband blending: its widest ramp is 2⁴ times its narrowest


@dataclass
class Edge:
    """The edge between patch and picture, with everything that channels and ways of blending share."""

    level: np.ndarray  # uint8 [H, W], the composite
    width: int  # of the blend, in pixels
    near: np.ndarray  # bool [H, W], the picture's pixels next to the mask
    off: np.ndarray  # float32 [3, n], picture minus patch at those pixels

    @classmethod
    def of(cls, picture: Image.Image, patch: Image.Image, composite: Image.Image, width: int) -> Edge:
        """Return the edge of a mask (L) between two RGB pictures, all of one size."""
        level = np.asarray(composite)
        inside = (level > 0).astype(np.uint8)
        near = morphology.dilate(inside, 2) > inside
        where = np.flatnonzero(near)
        before, new = (
            np.asarray(image).reshape(-1, 3).take(where, 0).astype(np.float32).T for image in (picture, patch)
        )
        return cls(level, width, near, before - new)

    @cached_property
    def hole(self) -> np.ndarray:
        """Return bool [H, W]: where the patch is pasted; everywhere else the picture keeps its own bytes."""
        return self.level > 0

    @cached_property
    def inside(self) -> np.ndarray:
        """Return the hole as uint8 [H, W], 0 and 255."""
        return self.hole.astype(np.uint8) * np.uint8(255)

    @cached_property
    def ramp(self) -> np.ndarray:
        """Return float32 [H, W]: a ramp from 0 to 1 that rises inwards from the edge over `width` pixels."""
        return _share(self.inside, self.width)

    @cached_property
    def crossed(self) -> np.ndarray | None:
        """Return uint8 [H, W]: 255 in the hole and where a painted object crosses its edge; None if none does.

        It crosses where patch and picture differ far more than elsewhere along the edge.
        """
        deviation = np.abs(self.off - np.median(self.off, 1, keepdims=True))
        crosses = (deviation > 16 + 4 * np.median(deviation, 1, keepdims=True)).any(0)
        if not crosses.any():
            return None
        crossed = self.inside.copy()
        crossed[self.near] = crosses * np.uint8(255)
        return crossed

    @cached_property
    def levelled(self) -> np.ndarray | None:
        """Return float32 [H, W]: a soft mask's levels without its edge ramp; where they are low, the picture stays.

        None if it is 1 all over the hole.
        """
        unit = np.float32(1 / 255)
        share = np.minimum(1, (self.level * unit + unit) / np.maximum(self.ramp, unit))
        return None if share[self.hole].min() == 1 else share

    @cached_property
    def shares(self) -> list[np.ndarray]:
        """Return for each band k float32 [H / 2ᵏ, W / 2ᵏ]: the ramp that rises inwards over `width` cells.

        It belongs to a hole one cell smaller, so that upsampling it does not reach the edge.
        """
        ramps, inside = [self.ramp], self.inside
        while len(ramps) < BANDS and min(inside.shape) > 1:
            inside = (downsample(inside.astype(np.float32)) == 255).astype(np.uint8) * np.uint8(255)
            ramps.append(_share(morphology.erode(inside, 1), self.width))
        return [ramp * ramp * (3 - 2 * ramp) for ramp in ramps]  # no kink where a ramp begins


class Correction:
    """The correction of a patch: the difference around the mask, spread smoothly inwards.

    It solves Laplace's equation inside the hole.  An object that crosses the edge, such as a scarf, must not stain
    the whole patch, so its pixels count only within `width` pixels of the edge.  The coarse part is solved for all
    channels at once, at half the size.
    """

    def __init__(self, edge: Edge, before: list[np.ndarray], new: list[np.ndarray]):
        """Solve the coarse part; before, new: the picture's and the patch's channels, uint8 [H, W]."""
        self.edge, self.before, self.new = edge, before, new
        self.coarse, self.colours = self._solved(~edge.hole), None
        if edge.crossed is not None:
            self.colours = self._solved(morphology.dilate(edge.crossed, 1) == 0)

    def plane(self, k: int) -> np.ndarray:
        """Return the correction of channel k, float32 [H, W]."""
        edge, off = self.edge, self._off(k)
        everywhere = refine(self.coarse[k], off, edge.hole)
        if self.colours is not None:  # smooth colours need only half the size
            everywhere += edge.ramp * (upsample(self.colours[k], off.shape) - everywhere)
        return everywhere

    def _off(self, k: int) -> np.ndarray:
        return np.subtract(self.before[k], self.new[k], dtype=np.float32)

    def _solved(self, known: np.ndarray) -> np.ndarray:
        """Return float32 [3, H / 2, W / 2]: the harmonic surface that continues the known values."""
        known = known.astype(np.float32)
        halves = [restrict(self._off(k), known) for k in range(len(self.before))]
        return solve_planes(np.stack([values for values, _ in halves]), halves[0][1])


def _share(inside: np.ndarray, width: int) -> np.ndarray:
    """Return float32 [H, W]: a ramp from 0 to 1 that rises inwards over `width` pixels."""
    return morphology.inner_ramp(inside, width) / np.float32(255)
