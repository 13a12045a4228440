"""Masks, white = repaint: what was painted, what the model may repaint, and what is pasted back.

    composite > 0  ⇒  painted > 0  ⇒  hole > 0  ⇒  its latent cell > 0

so a pixel that was not painted is never pasted over, and every pixel that was is really repainted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from . import levels
from .crop import Box
from .errors import InvalidRequest

if TYPE_CHECKING:
    from torch import Tensor

    from .picture import Picture
    from .request import Request

FAINT, FULL = 26, 253  # levels below a tenth are nothing, above 99 % everything: a soft brush has a foot and a top
MANY = 0.95


class Masks(NamedTuple):
    """Three masks of the picture's size, mode L, and what to say about them."""

    painted: Image.Image  # where it is 0 the result is the picture, bit for bit
    hole: Image.Image  # what the model may repaint: painted, and a margin around it
    composite: Image.Image  # how much of the patch is pasted; softened inwards only
    notes: tuple[str, ...]


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
    if (painted > 0).sum() > MANY * mask.width * mask.height:
        notes.append("Nearly everything is painted: little of the picture is left to go by.")
    inside = np.where(painted > 0, np.uint8(255), np.uint8(0))
    soft = painted
    if request.feather:
        soft = _scaled(painted, levels.depth(inside, request.feather))
    composite = _scaled(np.minimum(soft.astype(np.uint16) * 4, 255).astype(np.uint8),  # a level that hardly changes
                        levels.depth(inside, request.blend) if request.blend else 1.0)  # takes no loss from the VAE
    hole = levels.spread(soft, request.margin)
    return Masks(*(_placed(part, near, mask.size) for part in (painted, hole, composite)), tuple(notes))


def to_latent_grid(hole: Image.Image, factor: int = 8) -> Tensor:
    """[1, 1, h, w] in 0 … 1: the highest level in each cell, so that a hairline still repaints its cells."""
    import torch

    level = torch.from_numpy(np.array(hole, dtype=np.float32) / 255)[None, None]
    return torch.nn.functional.max_pool2d(level, factor, ceil_mode=True)


def islands(mask: Image.Image, gap: int) -> list[Box]:
    """Boxes of what is painted, those nearer than `gap` pixels joined, from left to right."""
    from scipy import ndimage

    scale = max(1, min(gap // 4, 8))  # islands that touch at this scale are joined anyway
    small = levels.shrunk(mask, tuple(-(-n // scale) for n in mask.size))
    labels, _ = ndimage.label(np.asarray(small) > 0, structure=np.ones((3, 3)))
    x, y = mask.width / small.width, mask.height / small.height
    boxes = [Box(int(across.start * x), int(down.start * y), min(mask.width, -(-int(across.stop * x * 16) // 16) + 1),
                 min(mask.height, -(-int(down.stop * y * 16) // 16) + 1))
             for down, across in ndimage.find_objects(labels)]
    joined: list[Box] = []
    while boxes:
        box = boxes.pop()
        near = [other for other in joined if box.gap(other) < gap]
        if near:  # the larger box may reach further ones
            joined = [other for other in joined if other not in near]
            for other in near:
                box = box.joined(other)
            boxes.append(box)
        else:
            joined.append(box)
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
        mask = levels.shrunk(mask, size)
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
        painted = np.where(work >= 128, np.uint8(255), np.uint8(0))
    if request.fill_holes:
        painted = np.where(levels.filled(painted > 0) & (painted == 0), np.uint8(255), painted)
    if request.grow:
        painted = (levels.spread if request.grow > 0 else levels.retreat)(painted, abs(request.grow))
    return painted


def _scaled(level: np.ndarray, by: np.ndarray | float) -> np.ndarray:
    """uint8: level × by, rounded up so that nothing painted becomes nothing."""
    return np.ceil(level * by).astype(np.uint8)


def _placed(part: np.ndarray, box: Box, size: tuple[int, int]) -> Image.Image:
    whole = Image.new("L", size)
    whole.paste(Image.fromarray(np.ascontiguousarray(part)), box[:2])
    return whole


def _nothing() -> InvalidRequest:
    return InvalidRequest("mask", "Nothing is painted.", "Paint over what should change.")
