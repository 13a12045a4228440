"""Estimate how many denoising steps a request takes, before it starts."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from inpaint.pixels.crop import STEP

if TYPE_CHECKING:
    from inpaint import Request

MOST_ISLANDS = 64  # `mask.islands` returns no more
SIDE = 512  # pixels: the working size that is assumed where the request leaves it to the model
MOST_TILES = 4.5  # tiles for each square of the working size, all their scales and the last row and column included


def steps_of(request: Request) -> int:
    """Return the most denoising steps the request can take: steps × variations × close-ups and tiles."""
    if not _many(request) or request.strength == 0:
        return request.steps * request.count
    from inpaint.pipeline.passes import close_ups, parts, planned
    from inpaint.pixels import mask

    masks = mask.prepare(request.picture, request) if request.picture else None
    if masks is None:
        return request.steps * request.count
    side = request.size or SIDE
    crops = close_ups(parts(masks, request, request.context), masks.hole.size, request, side)
    passes = planned(crops, masks, request, side, STEP, request.detail != "off")
    return sum(one.steps(1000) * one.count for one in passes)


def most_steps_of(request: Request) -> int:
    """Return an upper bound of `steps_of` without preparing the masks."""
    close_ups, tiles = MOST_ISLANDS if request.islands else 1, 0
    if _many(request) and request.detail != "off" and request.picture is not None:
        width, height = request.picture.size
        side = request.size or SIDE
        tiles = ceil(width / side + 1) * ceil(height / side + 1) * ceil(MOST_TILES) * close_ups
    return request.steps * request.count * (close_ups + tiles)


def _many(request: Request) -> bool:
    """Return whether the request may take more than one walk for each picture."""
    return request.picture is not None and (request.detail != "off" or (request.islands and not request.whole))
