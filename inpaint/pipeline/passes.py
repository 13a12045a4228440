"""Plan the walks of a run: each close-up at the model's size, then a large one in tiles at the picture's own detail.

A close-up that is much larger than the model's working size is painted small and enlarged, so it is soft.  Tiles of
the model's size, each with what is already there around it, then bring the detail: they begin from the picture so
far with only part of the noise, which keeps its layout.  A run that changes little keeps the layout by itself and
consists of tiles only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, log2

import numpy as np

from ..diffusion.schedule import runs
from ..pixels import mask
from ..pixels.crop import STEP, Box, Crop
from ..pixels.mask import Masks, SparseMask
from ..request import Request

LARGE = 1.5  # times the working size: a close-up larger than this needs tiles
LAYOUT = 0.4  # the strength of tiles: enough to add detail, not enough to move things
CORE = 0.75  # the part of a tile's side that is painted; the rest is what lies around it
LAP = 32  # pixels of the working size by which a tile is painted over the tiles before it, which hides the joint
NEXT = 1_000_003  # added to a tile's seed for each tile before it: with the same noise all tiles would look alike


@dataclass(frozen=True, slots=True)
class Pass:
    """A walk of one close-up for `count` images from number `first` on.

    where    the close-up
    part     the part of the picture whose mask is painted
    request  the run's request, with the strength of this walk
    tile     None, or the number of the tile, from 1 on: a tile begins from the picture so far
    fade     pixels at the left and at the top over which a tile fades in over those before it
    """

    where: Crop
    part: Box
    request: Request
    first: int
    count: int
    tile: int | None = None
    fade: tuple[int, int] = (0, 0)

    def steps(self, T: int) -> int:
        """Return the number of steps of one walk; T noise levels were trained."""
        return runs(self.request.steps, self.request.strength, self.request.exact_steps, T)

    def seeds(self, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """Return the seeds of this walk's noise, given those of the run's images."""
        some = seeds[self.first : self.first + self.count]
        return some if self.tile is None else tuple((seed + self.tile * NEXT) % 2**32 for seed in some)

    def composite(self, whole: SparseMask) -> SparseMask:
        """Return this walk's part of the mask that says how opaquely is pasted."""
        part = whole.within(self.part)
        if not any(self.fade):
            return part
        (w, h), (x, y) = self.part.size, self.fade
        across, down = (np.clip((np.arange(n) + 0.5) / max(fade, 0.5), 0, 1) for n, fade in ((w, x), (h, y)))
        faded = np.asarray(part.part) * down[:, None] * across
        return SparseMask.of(np.rint(faded).astype(np.uint8), self.part, part.size)


def parts(masks: Masks, request: Request, gap: int) -> list[Box]:
    """Return the parts of a mask that get a close-up each: all of it, or with `islands` those `gap` pixels apart."""
    return mask.islands(masks.hole.whole(), gap) if request.islands and not request.whole else [masks.box]


def close_ups(
    boxes: list[Box], size: tuple[int, int], request: Request, side: int, grid: int = STEP
) -> list[tuple[Crop, Box]]:
    """Return a close-up of each part of a mask; the whole picture if that is asked for or there is no mask.

    size  of the picture;  side, grid  as in `planned`
    """
    if request.whole or not boxes:
        whole = Crop.whole(size, side, grid)
        return [(whole, whole.box)]
    return [(Crop.around(box, size, side, request.context, request.context_factor, grid), box) for box in boxes]


def enlarged(where: Crop) -> float:
    """Return how many pixels of the picture one pixel of the working size becomes, across and down alike."""
    (w, h), (width, height) = where.box.size, where.size
    return ((w * h) / (width * height)) ** 0.5


def planned(
    crops: list[tuple[Crop, Box]], masks: Masks | None, request: Request, side: int, grid: int, detail: bool
) -> list[Pass]:
    """Return the walks of a run in order.

    crops   the close-ups, each with its part of the mask
    side    of the model's working size, which is a multiple of `grid`
    detail  whether large close-ups get tiles
    """
    passes: list[Pass] = []
    for where, part in crops:
        times = enlarged(where) if detail and masks is not None and request.strength > 0 else 1.0
        light = times > LARGE and request.strength <= LAYOUT
        tiles = times > LARGE
        if not light:
            plain = tiles and request.finish == "auto"  # tiles are joined again, with care
            first = replace(request, finish="feather") if plain else request
            passes.append(Pass(where, part, first, 0, request.count))
        if tiles and masks is not None:
            begun = replace(request, strength=min(request.strength, LAYOUT), fill="original")
            cores = list(_cores(part, masks, side, 1.0 if light else times))
            passes += [
                Pass(_tile(core, scale, masks.hole.size, side, grid), core, begun, image, 1, number, fade)
                for image in range(request.count)
                for number, (core, fade, scale) in enumerate(cores, 1)
            ]
    return passes


def _cores(part: Box, masks: Masks, side: int, times: float) -> Iterator[tuple[Box, tuple[int, int], float]]:
    """Yield of every tile what it paints, how it fades in and its scale, row by row.

    The first tiles bring about twice the detail of the whole, the next ones twice as much, down to scale 1.
    """
    levels = max(1, round(log2(times))) if times > 1 else 1
    for level in range(levels - 1, -1, -1):
        scale = times ** (level / levels)
        lap, (width, height) = round(LAP * scale), part.size
        columns, rows = (max(1, ceil(n / (CORE * side * scale))) for n in (width, height))
        for row in range(rows):
            for column in range(columns):
                fade = (lap * (column > 0), lap * (row > 0))
                core = Box(
                    part.left + column * width // columns - fade[0],
                    part.top + row * height // rows - fade[1],
                    part.left + (column + 1) * width // columns,
                    part.top + (row + 1) * height // rows,
                )
                if masks.hole.crop(core).getbbox():
                    yield core, fade, scale


def _tile(core: Box, scale: float, size: tuple[int, int], side: int, grid: int) -> Crop:
    """Return the close-up of a tile: its core, and around it as much as fits into the working size."""
    room = round(side * scale)
    box = core.at_least(room).inside(size)
    if scale == 1 and box.size == (side, side) and side % grid == 0:
        return Crop(box, box.size)
    return Crop.around(core, size, side, max(0, (room - max(core.size)) // 2), 1.0, grid)
