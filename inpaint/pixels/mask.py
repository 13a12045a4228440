"""Masks, white = repaint: what was painted, what the model may repaint, and what is pasted back.

    composite > 0  ⇒  painted > 0  ⇒  hole > 0  ⇒  its latent cell > 0

so a pixel that was not painted is never pasted over, and every pixel that was is really repainted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from ..errors import InvalidRequest
from . import morphology
from .crop import Box, merged

if TYPE_CHECKING:
    from torch import Tensor

    from ..files.picture import Picture
    from ..request import Request

FAINT, FULL = 26, 253  # levels below a tenth are nothing, above 99 % everything: a soft brush has a foot and a top
MANY, MOST, THIN = 0.95, 64, 2  # of the picture, of islands, pixels from the edge of a stroke to its middle


class Placed(NamedTuple):
    """A mask (L) as large as its picture of which only a part is kept: all around that it is black."""

    part: Image.Image
    left: int
    top: int
    size: tuple[int, int]
    mode: str = "L"

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """As of the whole."""
        left, top, right, bottom = box
        return self.part.crop((left - self.left, top - self.top, right - self.left, bottom - self.top))

    def whole(self) -> Image.Image:
        """A new image of the picture's size."""
        return self.crop((0, 0, *self.size))


class Masks(NamedTuple):
    """Three masks of the picture's size, what to say about them, and where they are not black."""

    painted: Placed  # where it is 0 the result is the picture, bit for bit
    hole: Placed  # what the model may repaint: painted, and a margin around it
    composite: Placed  # how much of the patch is pasted; softened inwards only
    notes: tuple[str, ...]
    box: Box  # around the hole


def prepare(picture: Picture, request: Request) -> Masks | None:
    """The masks of a request; None if everything may change.  InvalidRequest if nothing is painted."""
    if request.mask is None and not request.mask_from_alpha:
        return None
    mask, notes = _fitted(_given(picture, request), picture.size)
    if request.invert:
        mask = mask.point(lambda v: 255 - v)
    box = _box(mask)
    near = box.grown(max(0, request.grow) + request.margin + 2).inside(mask.size)
    work = np.asarray(mask.crop(near))
    painted = _painted(work, request)
    if not painted.any():
        raise _nothing()
    inside = np.where(painted > 0, np.uint8(255), np.uint8(0))
    notes += _remarks(painted, inside, picture.size)
    soft = painted
    if request.feather:
        soft = _scaled(painted, morphology.depth(inside, request.feather))
    composite = _scaled(
        np.minimum(soft.astype(np.uint16) * 4, 255).astype(np.uint8),  # a level that hardly changes
        morphology.depth(inside, request.blend),
    )  # takes no loss from the VAE
    hole = morphology.spread(soft, request.margin)
    left, top, right, bottom = Image.fromarray(np.ascontiguousarray(hole)).getbbox()
    box = Box(near.left + left, near.top + top, near.left + right, near.top + bottom)
    parts = (Image.fromarray(np.ascontiguousarray(part)) for part in (painted, hole, composite))
    return Masks(*(Placed(part, near.left, near.top, mask.size) for part in parts), tuple(notes), box)


def to_latent_grid(hole: Image.Image, factor: int = 8) -> Tensor:
    """[1, 1, h, w] in 0 … 1: the highest level in each cell, so that a hairline still repaints its cells."""
    import torch

    level = torch.from_numpy(np.array(hole, dtype=np.float32) / 255)[None, None]
    return torch.nn.functional.max_pool2d(level, factor, ceil_mode=True)


def islands(mask: Image.Image, gap: int) -> list[Box]:
    """Boxes of what is painted, those nearer than `gap` pixels joined, from left to right; at most 64 of them."""
    scale = max(1, min(gap // 4, 8))  # islands that touch at this scale are joined anyway
    while len(boxes := morphology.patches(mask, scale)) > 1000:
        scale *= 2  # a mask of specks
    while len(joined := merged([Box(*box) for box in boxes], gap)) > MOST:
        boxes, gap = joined, max(1, 2 * gap)
    return sorted(joined)


def _given(picture: Picture, request: Request) -> Image.Image:
    """The mask file or strokes, or with mask_from_alpha what is transparent; both where there are both."""
    if not request.mask_from_alpha:
        return request.mask
    if picture.alpha is None:
        raise InvalidRequest("mask_from_alpha", "The picture has no transparency.", "Paint a mask or open one.")
    clear = picture.alpha.point(lambda v: 255 - v)
    if request.mask is None:
        return clear
    from PIL.ImageChops import lighter

    return lighter(clear, _fitted(request.mask, picture.size)[0])


def _fitted(mask: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, list[str]]:
    """The mask at the picture's size, and a note if it had another.  Hard masks stay hard, strokes stay."""
    if mask.size == size:
        return mask, []
    notes = [f"The mask was {mask.width} × {mask.height} pixels; it is resized to the picture's size."]
    if abs(mask.width * size[1] / (mask.height * size[0]) - 1) > 0.02:
        notes.append("The mask has another shape than the picture: check where it lies.")
    hard = not any(mask.histogram()[1:255])
    if size[0] < mask.width or size[1] < mask.height:
        mask = morphology.shrunk(mask, size)
    else:
        mask = mask.resize(size, Image.Resampling.BILINEAR)
    return (mask.point(lambda v: 255 * (v >= 128)) if hard else mask), notes


def _box(mask: Image.Image) -> Box:
    box = mask.getbbox()
    if box is None:
        raise _nothing()
    return Box(*box)


def _painted(work: np.ndarray, request: Request) -> np.ndarray:
    """uint8 [h, w]: levels snapped, holes filled, grown or shrunk."""
    if request.soft:
        floor = min(FAINT, int(work.max()))  # the faintest of masks still is one
        painted = np.where(work >= FULL, np.uint8(255), np.where(work >= floor, work, np.uint8(0)))
    else:
        painted = np.where((work >= 128) | _hairlines(work), np.uint8(255), np.uint8(0))
    if request.fill_holes:
        painted = np.where(morphology.filled(painted > 0) & (painted == 0), np.uint8(255), painted)
    if request.grow:
        painted = (morphology.spread if request.grow > 0 else morphology.retreat)(painted, abs(request.grow))
    return painted


def _hairlines(work: np.ndarray) -> np.ndarray:
    """bool [h, w]: strokes of one pixel that lie between two rows of pixels, so only half as bright in both."""
    half = work >= 64
    if not (half & (work < 128)).any():
        return np.zeros(work.shape, bool)
    return half & (work.astype(np.int16) - morphology.spread(morphology.retreat(work, 1), 1) >= 64)  # a white top-hat


def _remarks(painted: np.ndarray, inside: np.ndarray, size: tuple[int, int]) -> list[str]:
    """What a person may not have meant."""
    brightest = int(painted.max())
    notes = []
    if np.count_nonzero(inside) > MANY * size[0] * size[1]:
        notes.append("Nearly everything is painted: little of the picture is left to go by.")
    if not morphology.retreat(inside, THIN).any():
        notes.append(f"Only thin strokes are painted, at most {2 * THIN} pixels wide.")
    if brightest < FAINT:
        notes.append(f"The mask is faint, at most {brightest} of 255: hardly anything changes.  Paint in white.")
    return notes


def _scaled(level: np.ndarray, by: np.ndarray) -> np.ndarray:
    """uint8: level × by / 255, rounded up so that nothing painted becomes nothing."""
    return ((level.astype(np.uint16) * by + 254) // 255).astype(np.uint8)


def _nothing() -> InvalidRequest:
    return InvalidRequest("mask", "Nothing is painted.", "Paint over what should change.")
