"""Fill the islands of a hole one by one, from coarse to fine, each from its own surroundings.

A coarse copy is filled by the PatchMatch library and shown at once; the detail is then copied at the picture's own
resolution, following the same field, so that grain and sharpness are the picture's.  Specks and scratches are narrow
enough to be filled in place.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np

from ..crop import Box
from ..laplace import solve
from .field import KNOWN, Field, usable
from .library import LibraryFailed, library

COARSE = 130**2  # pixels of a hole at the size at which the library fills it
EXACT = 64**2  # … and at the size at which every patch is compared with every other
FEW = 100  # … and at which a fill without the library begins
NARROW = 6  # pixels from the middle of a scratch to its edge
REACH = 1.2  # of the side of a square of the hole's size: how far around it is looked for patches
LEAST = 40  # pixels to look around at least
ENOUGH = 0.5  # of the hole's area: so many patches there must be to copy from
EASE = 0.2  # how far broad colours are moved towards the smoothest surface over the hole
BROAD = 0.05  # of the hole's depth: variations wider than that count as broad
SHARP = 0.35  # of `Field.vote`, at the end
SEEDS = 2  # pictures of the library that are averaged
SEARCHED = 600_000  # pixels of a hole, up to which its field is improved at a level
TILE = 64  # pixels: scratches are filled in pieces of this size
NEAR = 20  # pixels around such a piece that are looked at


class Filling(NamedTuple):
    """One island, or a piece of one, as it is filled.

    box     where it lies, with its surroundings
    pixels  uint8 [h, w, 3], the part of the picture in the box
    hole    bool [h, w], which of them are new
    done    whether they are final
    """

    box: Box
    pixels: np.ndarray
    hole: np.ndarray
    done: bool


def fill_patches(
    rgb: np.ndarray, hole: np.ndarray, avoid: np.ndarray | None = None, seed: int = 0
) -> Iterator[Filling | None]:
    """Yield the islands of a hole as they are filled, coarse and then final; None while a native call is at work.

    rgb    uint8 [H, W, 3]
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
    depth = ndimage.distance_transform_edt(np.pad(hole[part], 1))[1:-1, 1:-1]
    deepest = np.r_[0, ndimage.maximum(depth, labels, np.arange(1, count + 1))]
    narrow = deepest <= NARROW
    wide = [number for number in range(1, count + 1) if not narrow[number]]
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
    picture, hole = rgb[part].astype(np.float32), island[part]
    avoid = avoid[part] & ~hole
    scale = _scale(hole, avoid, COARSE)
    source, coarse, avoided = _smaller(picture, hole, avoid, scale)
    if not usable(coarse, avoided, 2).any():
        yield Filling(around, _pixels(solve(_rim(source, coarse), coarse), picture, hole, scale), hole, True)
        return
    smooth = solve(_rim(source, coarse), coarse)
    estimates: list[np.ndarray] = []
    for k in range(SEEDS):
        estimates.append((yield from _coarse(source, coarse, avoided, seed + k)))
        mean = np.mean(estimates, axis=0, dtype=np.float32)  # what the seeds agree on, in the detail of the first
        estimate = estimates[0] + _broad(mean - estimates[0], coarse)
        estimate = np.where(coarse[..., None], estimate + EASE * _broad(smooth - estimate, coarse), source)
        yield Filling(around, _pixels(estimate, picture, hole, scale), hole, scale == 1 and k == SEEDS - 1)
    if scale == 1:
        return
    field = yield from _field(estimate, picture, hole, avoid, scale)
    while scale > 1:
        scale //= 2
        source, level, avoided = _smaller(picture, hole, avoid, scale)
        estimate = np.where(level[..., None], _twice(estimate, level.shape), source)
        finer = Field(level, avoided, 2)
        finer.enlarge(field)
        yield None
        estimate = finer.vote(source, 0 if np.count_nonzero(level) <= SEARCHED else SHARP)
        yield None
        if np.count_nonzero(level) <= SEARCHED:
            finer.measure(estimate)
            finer.improve(estimate)
            yield None
            estimate = finer.vote(source, SHARP if scale == 1 else 0)
        field = finer
    yield Filling(around, _pixels(estimate, picture, hole, 1), hole, True)


def _coarse(source, hole, avoid, seed: int) -> Generator[None, None, np.ndarray]:
    """Return the level as the library fills it, float32 [h, w, 3]."""
    try:
        filled = yield from library.fill(source.astype(np.uint8), hole, avoid, seed)
    except LibraryFailed:
        estimate, _ = yield from _own(source, hole, avoid)
        return estimate
    return filled.astype(np.float32)


def _own(source, hole, avoid) -> Generator[None, None, tuple[np.ndarray, Field]]:
    """Return the level filled without the library, from half its size on, and the field that filled it."""
    field = Field(hole, avoid, 2)
    _, smaller, avoided = _smaller(source, hole, avoid, 2)
    if np.count_nonzero(hole) > FEW and np.count_nonzero(usable(smaller, avoided, 2)) > np.count_nonzero(smaller):
        _, half = yield from _own(*_smaller(source, hole, avoid, 2))
        field.enlarge(half)
        estimate = field.vote(source)
    else:
        estimate = solve(_rim(source, hole), hole)
    for trust in (1, 2, KNOWN):
        if np.count_nonzero(hole) <= EXACT:
            field.search(estimate, source, trust)
        else:
            field.measure(estimate)
            field.improve(estimate)
        estimate = field.vote(source)
        yield None
    return estimate, field


def _field(estimate, picture, hole, avoid, scale: int) -> Generator[None, None, Field]:
    """Return the field of an estimate at this scale, found exactly at a smaller one."""
    smallest = max(scale, _scale(hole, avoid, EXACT))
    field: Field | None = None
    size = smallest
    while size >= scale:
        source, level, avoided = _smaller(picture, hole, avoid, size)
        known = estimate if size == scale else _mean(estimate, size // scale)[: level.shape[0], : level.shape[1]]
        finer = Field(level, avoided, 2)
        if field is None:
            finer.search(known, source)
        else:
            finer.enlarge(field)
            for _ in range(2):
                finer.measure(known)
                finer.improve(known)
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
    """Return uint8 [h, w, 3] with a narrow hole filled at once."""
    from scipy import ndimage

    source = rgb.astype(np.float32)
    near = ndimage.distance_transform_edt(hole | avoid, return_distances=False, return_indices=True)
    soft = ndimage.gaussian_filter(source[near[0], near[1]], (1.5, 1.5, 0), mode="nearest")
    estimate = np.where(hole[..., None], soft, source)
    field = Field(hole, avoid & ~hole, 2)
    if field.usable.any():
        for trust, sharp in ((1, 0.0), (2, SHARP)):
            field.search(estimate, source, trust)
            estimate = field.vote(source, sharp)
    return np.clip(np.rint(estimate), 0, 255).astype(np.uint8)


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


def _scale(hole, avoid, most: int) -> int:
    """Return the power of 2 by which the level is smaller at which the hole has at most so many pixels."""
    scale, area = 1, np.count_nonzero(hole)
    while area / scale**2 > most:
        shape = [-(-n // (2 * scale)) for n in hole.shape]
        _, smaller, avoided = _smaller(np.zeros((*hole.shape, 0), np.float32), hole, avoid, 2 * scale)
        if min(shape) < 16 or np.count_nonzero(usable(smaller, avoided, 2)) < 0.3 * np.count_nonzero(smaller):
            break  # so small, there is too little left to copy from
        scale *= 2
    return scale


def _smaller(picture, hole, avoid, scale: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, hole and avoid at 1 / scale of their size: means of the known pixels, in whole numbers."""
    if scale == 1:
        return picture, hole, avoid
    h, w = (-(-n // scale) for n in hole.shape)
    rim = (0, h * scale - hole.shape[0]), (0, w * scale - hole.shape[1])
    known = np.pad(~hole, rim).astype(np.float32)
    values = np.pad(picture, (*rim, (0, 0))) * known[..., None]
    share = known.reshape(h, scale, w, scale).sum((1, 3))
    values = values.reshape(h, scale, w, scale, picture.shape[-1]).sum((1, 3))
    values /= np.maximum(share, np.float32(1))[..., None]
    hole, avoid = (np.pad(mask, rim).reshape(h, scale, w, scale).any((1, 3)) for mask in (hole, avoid))
    return np.rint(values), hole, avoid & ~hole


def _mean(estimate: np.ndarray, scale: int) -> np.ndarray:
    """Return the means of scale × scale pixels; the last row and column are repeated where they do not fill one."""
    h, w = (-(-n // scale) for n in estimate.shape[:2])
    rim = (0, h * scale - estimate.shape[0]), (0, w * scale - estimate.shape[1])
    wide = np.pad(estimate, (*rim, (0, 0)), mode="edge")
    return wide.reshape(h, scale, w, scale, estimate.shape[-1]).mean((1, 3))


def _twice(estimate: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return each pixel twice across and down, cut to shape."""
    return estimate.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]


def _broad(difference: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return the broad part of a difference [H, W, 3] inside the hole."""
    from scipy import ndimage

    sigma = max(0.7, BROAD * float(ndimage.distance_transform_edt(hole).max()))
    share = ndimage.gaussian_filter(hole.astype(np.float32), sigma)
    blurred = ndimage.gaussian_filter(difference * hole[..., None], (sigma, sigma, 0))
    return np.where(hole[..., None], blurred / np.maximum(share, np.float32(1e-3))[..., None], 0)


def _rim(source: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return the known colours, smoothed so that no single pixel of the rim is drawn into the hole."""
    from scipy import ndimage

    known = (~hole).astype(np.float32)
    share = ndimage.gaussian_filter(known, 3.0)
    blurred = ndimage.gaussian_filter(source * known[..., None], (3, 3, 0))
    return np.where(hole[..., None], 0, blurred / np.maximum(share, np.float32(1e-4))[..., None])


def _pixels(estimate: np.ndarray, picture: np.ndarray, hole: np.ndarray, scale: int) -> np.ndarray:
    """Return uint8 [H, W, 3]: the picture, its hole filled with an estimate that is smaller by `scale`."""
    if scale > 1:
        from scipy import ndimage

        h, w = hole.shape
        y, x = (np.arange(h) + 0.5) / scale - 0.5, (np.arange(w) + 0.5) / scale - 0.5
        planes = [
            ndimage.map_coordinates(estimate[..., k], np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
            for k in range(3)
        ]
        estimate = np.stack(planes, -1)
    return np.where(hole[..., None], np.clip(np.rint(estimate), 0, 255), picture).astype(np.uint8)
