"""Turn a click, a line or a loop on a photo into a mask of the thing that is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ...errors import InvalidRequest
from .. import morphology
from ..mask import SparseMask
from .marks import Marks
from .outline import Outline, traced
from .search import found
from .segment import Segment
from .source import Source

Finder = Callable[[Source, Marks], Segment]
FURTHEST = 256  # pixels beyond a thing's edge
GROW = 0.004  # of the long side: how far a mask reaches beyond its thing, unless that is said


def select(
    source: Source, line: Any = (), loop: Any = (), grow: int | None = None, find: Finder = found
) -> SparseMask:
    """Return the mask of the thing under a line of points, or inside a loop; all in the photo's pixels.

    find  what finds the thing: `search.found`, or a model such as `models.sam.Sam`
    grow  pixels beyond the thing's edge, less than 0 to stay inside it; None for a little, as removing it needs

    Raises InvalidRequest if the marks make no sense or nothing stands out there.
    """
    if grow is not None and not (type(grow) is int and abs(grow) <= FURTHEST):
        raise InvalidRequest("grow", "The mask cannot grow by that.", f"Choose -{FURTHEST} to {FURTHEST} pixels.")
    outline = traced(source, find(source, Marks.of(source.size, line, loop)))
    return grown(outline, source.size, beyond(source.size) if grow is None else grow)


def beyond(size: tuple[int, int]) -> int:
    """Return how many pixels a mask reaches beyond its thing by default."""
    return max(2, round(GROW * max(size)))


def grown(outline: Outline, size: tuple[int, int], by: int) -> SparseMask:
    """Return an outline as a mask of a photo of this size, grown by some pixels, or shrunk."""
    box = outline.box.grown(max(0, by)).inside_of(size)
    levels = np.zeros(box.size[::-1], np.uint8)
    left, top = outline.box.left - box.left, outline.box.top - box.top
    high, wide = outline.inside.shape
    levels[top : top + high, left : left + wide] = outline.inside * np.uint8(255)
    levels = morphology.dilate(levels, by) if by >= 0 else morphology.erode(levels, -by)
    part = Image.fromarray(np.ascontiguousarray(levels))
    tight = part.getbbox() or (0, 0, 1, 1)
    return SparseMask(part.crop(tight), box.left + tight[0], box.top + tight[1], size)
