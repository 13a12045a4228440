"""Fill the islands of a hole one by one, from coarse to fine, each from its own surroundings.

A coarse copy is filled by the PatchMatch library and shown at once.  The detail is then copied from the picture at
its full resolution, from the same places, so that grain and sharpness match.  Specks and scratches are narrow enough
to be filled at full resolution directly.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np

from .. import morphology
from ..crop import Box
from ..laplace import solve
from .field import KNOWN, Field
from .levels import Level, Levels, halved
from .library import LibraryFailed, fill_each

# The pixels of a hole at the scale at which …
COARSE = 110**2  # … the library fills it
QUICK = 40**2  # … its first picture is made
EXACT = 40**2  # … every patch is compared with every other
FEW = 100  # … a fill without the library begins
NARROW = 6  # pixels from the middle of a scratch to its edge
REACH = 1.2  # how far around the hole patches are searched, relative to the side of a square of its area
LEAST = 40  # pixels around the hole that are searched at least
ENOUGH = 0.5  # of the hole's area: the search reaches further if fewer pixels are free to copy
MIX = 0.6  # how far the detail of the library's pictures is averaged; their broad colours are averaged fully
EASE = 0.2  # how far broad colours are moved towards the smoothest surface over the hole
BROAD = 0.05  # of the hole's depth: wider variations count as broad
WIDE = 2.0  # pixels on both sides of the edge over which colours are averaged
SMOOTH = 6.0  # levels: a surface with this standard deviation counts as half smooth
SHARP = 0.35  # the sharpness of `Field.vote` at full size
SEEDS = 2  # how many pictures of the library are averaged
WIDEN = 257  # 16-bit levels for each of 8 bits
TILE = 64  # pixels: scratches are filled in pieces of this size
NEAR = 14  # pixels around such a piece from which it may be filled


class Filling(NamedTuple):
    """One island, or a piece of one, as it is filled.

    box     the part of the picture, the island and its surroundings
    pixels  float32 [h, w, 3], the picture in this box, 0 … 255, with fractions where it has more than 8 bits
    hole    bool [h, w], the pixels that are new
    done    whether they are final
    """

    box: Box
    pixels: np.ndarray
    hole: np.ndarray
    done: bool


def fill_patches(
    rgb: np.ndarray, hole: np.ndarray, avoid: np.ndarray | None = None, seed: int = 0
) -> Iterator[Filling | None]:
    """Yield the islands of a hole as they are filled, first coarse, then final; yield None while the library works.

    rgb    uint8 [H, W, 3], or uint16
    hole   bool [H, W], what is filled; no part of it is ever copied from
    avoid  bool [H, W], what must not be copied from either

    Closing the iterator stops the work at once.  Without anything to copy from, a hole becomes smooth.
    """
    from scipy import ndimage

    avoid = np.zeros_like(hole) if avoid is None else avoid
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    if not len(rows):
        return
    top, left = int(rows[0]), int(columns[0])
    part = np.s_[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    labels, count = ndimage.label(hole[part], np.ones((3, 3)))
    core = morphology.erode(np.pad(hole[part], 1).view(np.uint8) * 255, NARROW)[1:-1, 1:-1] > 0
    wide = np.unique(labels[core])
    narrow = np.ones(count + 1, bool)
    narrow[wide] = False
    if len(wide) < count:
        scratches = narrow[labels] & (labels > 0)
        yield from _fill_narrow(rgb, hole, avoid, scratches, top, left)
    places = ndimage.find_objects(labels)
    for number in wide:
        down, across = places[number - 1]
        box = Box(across.start + left, down.start + top, across.stop + left, down.stop + top)
        island = np.zeros(hole.shape, bool) if count > 1 else hole
        if count > 1:
            island[top + down.start : top + down.stop, left + across.start : left + across.stop] = (
                labels[down, across] == number
            )
        yield from _fill_wide(rgb, island, avoid | hole if count > 1 else avoid, box, seed)


def _fill_wide(rgb, island, avoid, box: Box, seed: int) -> Iterator[Filling | None]:
    """Fill one island with the library at a coarse size, then level by level."""
    around = _surround(island, avoid, box)
    part = np.s_[around.top : around.bottom, around.left : around.right]
    hole = island[part]
    levels = Levels(_in_levels(rgb[part]), hole, avoid[part] & ~hole)
    scale = levels.scale(COARSE)
    if not levels.free(scale):
        level = levels[scale]
        smooth = solve(_rim(level.picture, level.hole), level.hole)
        yield Filling(around, levels.pixels(smooth, scale), hole, True)
        return
    quick = levels.scale(QUICK)
    if quick > scale:
        (estimate,) = yield from _coarse(levels[quick], (seed,))
        yield Filling(around, levels.pixels(estimate, quick), hole, False)
    level = levels[scale]
    filled = yield from _coarse(level, tuple(seed + k for k in range(SEEDS)))
    mean = np.mean(filled, axis=0, dtype=np.float32)
    differs = mean - filled[0]
    estimate = filled[0] + MIX * differs + (1 - MIX) * _broad(differs, level.hole)
    smooth = solve(_rim(level.picture, level.hole), level.hole)
    estimate = np.where(level.hole[..., None], estimate + EASE * _broad(smooth - estimate, level.hole), level.picture)
    yield Filling(around, levels.pixels(estimate + _meeting(level, estimate), scale), hole, scale == 1)
    if scale == 1:
        return
    field, rough = (yield from _field(estimate, levels, scale)), scale
    while scale > 1:
        scale //= 2
        finer = Field(levels[scale].hole, levels[scale].avoid, 2)
        finer.enlarge(field)
        field = finer
        yield None
    small = estimate = field.vote(levels[1].picture, SHARP)
    for _ in range(rough.bit_length() - 1):
        small = halved(small)
    yield Filling(around, levels.pixels(estimate, 1, _meeting(levels[rough], small), rough), hole, True)


def _coarse(level: Level, seeds: tuple[int, ...]) -> Generator[None, None, list[np.ndarray]]:
    """Return the level as the library fills it with each seed, float32 [h, w, 3]; all at once."""
    rgb = np.rint(level.picture).astype(np.uint8)
    try:
        return [image.astype(np.float32) for image in (yield from fill_each(rgb, level.hole, level.avoid, seeds))]
    except LibraryFailed:
        estimate, _ = yield from _own(Levels(*level))
        return [estimate]


def _own(levels: Levels, scale: int = 1) -> Generator[None, None, tuple[np.ndarray, Field]]:
    """Return a level filled without the library, from half its size on, and the field that filled it."""
    level = levels[scale]
    field = Field(level.hole, level.avoid, 2)
    area = np.count_nonzero(level.hole)
    if area > FEW and levels.free(2 * scale):
        _, half = yield from _own(levels, 2 * scale)
        field.enlarge(half)
        estimate = field.vote(level.picture)
    else:
        estimate = solve(_rim(level.picture, level.hole), level.hole)
    for trust in (1, 2, KNOWN):
        if area <= EXACT:
            field.search(estimate, level.picture, trust)
        else:
            field.measure(estimate)
            field.improve(estimate)
        estimate = field.vote(level.picture)
        yield None
    return estimate, field


def _field(estimate: np.ndarray, levels: Levels, scale: int) -> Generator[None, None, Field]:
    """Return the field of an estimate at this scale, found exactly at a smaller one."""
    size = max(scale, levels.scale(EXACT))
    known = {scale: estimate}
    for smaller in (2**k for k in range(30) if scale < 2**k <= size):
        known[smaller] = halved(known[smaller // 2])
    field: Field | None = None
    while size >= scale:
        level = levels[size]
        finer = Field(level.hole, level.avoid, 2)
        if field is None:
            finer.search(known[size], level.picture)
        else:
            finer.enlarge(field)
            for _ in range(2):
                finer.measure(known[size])
                finer.improve(known[size])
        field, size = finer, size // 2
        yield None
    assert field is not None
    return field


def _fill_narrow(rgb, hole, avoid, scratches, top: int, left: int) -> Iterator[Filling | None]:
    """Fill specks and scratches piece by piece, each from the pixels beside it."""
    y, x = np.nonzero(scratches)
    tiles = np.unique(np.stack([y // TILE, x // TILE], 1), axis=0)
    for row, column in tiles:
        piece = scratches[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
        inner = Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        at = Box(
            left + int(column) * TILE + int(inner.left),
            top + int(row) * TILE + int(inner.top),
            left + int(column) * TILE + int(inner.right),
            top + int(row) * TILE + int(inner.bottom),
        )
        around = at.grown(NEAR).inside_of(hole.shape[::-1])
        part = np.s_[around.top : around.bottom, around.left : around.right]
        filled = _in_place(rgb[part], hole[part], avoid[part])
        down, across = at.top - around.top, at.left - around.left
        mine = np.zeros(filled.shape[:2], bool)
        mine[down : down + at.size[1], across : across + at.size[0]] = piece[
            inner.top : inner.bottom, inner.left : inner.right
        ]
        yield Filling(around, filled, mine, True)


def _in_place(rgb: np.ndarray, hole: np.ndarray, avoid: np.ndarray) -> np.ndarray:
    """Return float32 [h, w, 3] with a narrow hole filled at once."""
    from scipy import ndimage

    source = _in_levels(rgb)
    near = ndimage.distance_transform_edt(hole | avoid, return_distances=False, return_indices=True)
    soft = ndimage.gaussian_filter(source[near[0], near[1]], (1.5, 1.5, 0), mode="nearest")
    estimate = np.where(hole[..., None], soft, source)
    field = Field(hole, avoid & ~hole, 2)
    if field.usable.any():
        for trust, sharp in ((1, 0.0), (2, SHARP)):
            field.search(estimate, source, trust)
            estimate = field.vote(source, sharp)
    return np.clip(estimate, 0, 255).astype(np.float32)


def _in_levels(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 or uint16 as float32, 0 … 255."""
    return pixels / np.float32(WIDEN) if pixels.dtype == np.uint16 else pixels.astype(np.float32)


def _surround(island, avoid, box: Box) -> Box:
    """Return the box in which patches are looked for; it reaches further where little is free."""
    size = island.shape[1], island.shape[0]
    area = int(np.count_nonzero(island[box.top : box.bottom, box.left : box.right]))
    reach = max(LEAST, round(REACH * area**0.5))
    while True:
        around = box.grown(reach).inside_of(size)
        part = np.s_[around.top : around.bottom, around.left : around.right]
        free = np.count_nonzero(~(island[part] | avoid[part]))
        if free >= ENOUGH * area + 400 or around.size == size:
            return around
        reach *= 2


def _broad(difference: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return the broad part of a difference [H, W, 3] inside the hole."""
    from scipy import ndimage

    sigma = max(0.7, BROAD * float(ndimage.distance_transform_edt(hole).max()))
    return np.where(hole[..., None], _mean_of(difference, hole, sigma), 0)


def _meeting(level: Level, estimate: np.ndarray) -> np.ndarray:
    """Return what to add to an estimate so that smooth surfaces go on without a step at the hole's edge.

    The step is measured between broad colours on both sides and spread inwards as by Pérez et al. 2003; where either
    side is not smooth, there is no step to speak of and it counts as none.
    """
    from scipy import ndimage

    outside, rough = _around(level.picture, ~level.hole)
    inside, rougher = _around(estimate, level.hole)
    step = (outside - inside) * np.exp(-((np.maximum(rough, rougher) / SMOOTH) ** 2))
    beside = ndimage.binary_dilation(level.hole) & ~level.hole  # only there are both sides near
    nearest = ndimage.distance_transform_edt(~beside, return_distances=False, return_indices=True)
    return solve(step[nearest[0], nearest[1]], level.hole) * level.hole[..., None]


def _around(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the known pixels near each, [h, w, 3], and how far they spread, [h, w, 1]."""
    mean, square = (_mean_of(each, known, WIDE) for each in (values, values**2))
    return mean, np.sqrt(np.maximum(square - mean**2, 0)).max(-1, keepdims=True)


def _rim(source: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return the known colours, smoothed so that no single pixel of the rim is drawn into the hole."""
    return np.where(hole[..., None], 0, _mean_of(source, ~hole, 3.0))


def _mean_of(values: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """Return the mean of the known pixels (bool [h, w]) around each, [h, w, 3], weighted by a Gaussian."""
    from scipy import ndimage

    share = ndimage.gaussian_filter(known.astype(np.float32), sigma)
    blurred = ndimage.gaussian_filter(values * known[..., None], (sigma, sigma, 0))
    return blurred / np.maximum(share, np.float32(1e-4))[..., None]
