"""Estimate how many denoising steps a request takes, before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inpaint import Request

MOST_ISLANDS = 64  # `mask.islands` returns no more


def steps_of(request: Request) -> int:
    """Return the most denoising steps the request can take: steps × variations × close-ups."""
    return request.steps * request.count * close_ups(request)


def most_steps_of(request: Request) -> int:
    """Return an upper bound of `steps_of` without preparing the masks."""
    return request.steps * request.count * (MOST_ISLANDS if request.islands else 1)


def close_ups(request: Request) -> int:
    """Return how many close-ups are painted at most: one, or with `islands` one for each island of the mask."""
    if not request.islands or request.whole or request.picture is None:
        return 1
    from inpaint.pixels import mask

    masks = mask.prepare(request.picture, request)
    return max(1, len(mask.islands(masks.hole.whole(), request.context))) if masks else 1
