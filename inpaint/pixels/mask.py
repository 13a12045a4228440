"""Prepare masks, white = repaint: what was painted, what the model may repaint, and what is pasted back.

    composite > 0  ⇒  painted > 0  ⇒  hole > 0  ⇒  its latent cell > 0

so a pixel that was not painted is never pasted over, and every painted pixel is really repainted, however thin the
stroke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from PIL.ImageChops import lighter

from ..errors import InvalidRequest
from ..files.exif import TURNS
from ..files.label_map import FAINT
from ..files.mask_file import notes_of
from . import morphology
from .crop import Box, merged, stretch
from .expand import sides

if TYPE_CHECKING:
    from torch import Tensor

    from ..files.picture import Picture
    from ..request import Request

FULL = 253  # levels above count as 255, and those below FAINT as 0: a soft brush fades out and never quite fills
SAME_SHAPE = 1.02  # how much more one side may be scaled than the other without a note
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
NEARLY_ALL = 0.95  # of the picture is painted: a note says that little is left to work from
MOST = 64  # islands
THIN = 2  # pixels from the edge of a stroke to its middle


class SparseMask(NamedTuple):
    """A mask (L) that stores only the part that is not black."""

    part: Image.Image
    left: int
    top: int
    size: tuple[int, int]
    mode: str = "L"

    @classmethod
    def of(cls, levels: np.ndarray, box: Box, size: tuple[int, int]) -> SparseMask:
        """Return a mask of this size that holds uint8 [h, w] in a box and is black elsewhere."""
        return cls(Image.fromarray(np.ascontiguousarray(levels)), box.left, box.top, size)

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Return a part of the whole mask."""
        left, top, right, bottom = box
        return self.part.crop((left - self.left, top - self.top, right - self.left, bottom - self.top))

    def within(self, box: Box) -> SparseMask:
        """Return the part of the mask in this box; it is black elsewhere."""
        return SparseMask(self.crop(box), box.left, box.top, self.size)

    def box(self) -> tuple[int, int, int, int]:
        """Return the box of the stored part."""
        return self.left, self.top, self.left + self.part.width, self.top + self.part.height

    def whole(self) -> Image.Image:
        """Return the whole mask as a new image."""
        return self.crop((0, 0, *self.size))


class Masks(NamedTuple):
    """The three masks of a request, all of the result's size, with their bounding box and notes."""

    painted: SparseMask  # where it is 0 the result is the picture, bit for bit
    hole: SparseMask  # what the model may repaint: painted, and a margin around it
    composite: SparseMask  # how much of the patch is pasted; softened inwards only
    notes: tuple[str, ...]
    box: Box  # around the hole
    opacity: SparseMask | None = None  # how much opacity a picture with transparency gains


def prepare(picture: Picture, request: Request) -> Masks | None:
    """Return the masks of a request for the unexpanded `picture`; None if everything may change.

    `invert`, `fill_holes` and `grow` act on the given mask; the canvas that `expand` adds is always painted.
    Raises InvalidRequest if nothing is painted.
    """
    if request.mask is None and not request.mask_from_alpha and not request.expand:
        return None
    placed, notes = _painted(picture, request)
    if request.expand:
        placed = _with_canvas(placed, sides(request.expand, picture.size), picture.size)
    elif placed is None:
        raise _nothing()
    near = Box(*placed.box()).grown(request.margin + 2).inside(placed.size)
    painted = np.asarray(placed.crop(near))
    inside = np.where(painted > 0, np.uint8(255), np.uint8(0))
    notes += _remarks(painted, inside, placed.size)
    soft = _scaled(painted, morphology.inner_ramp(inside, request.feather)) if request.feather else painted
    composite, opacity = _composite(soft, inside, request.blend), None
    if picture.alpha is not None:
        seen = _opacity(picture.alpha, request, near)
        composite, opacity = _over_transparency(composite, inside, seen, request.mask_from_alpha)
    levels = (morphology.dilate(soft, request.margin), composite, painted)
    hole, pasted, all_painted = (SparseMask.of(part, near, placed.size) for part in levels)
    box = Box(*(hole.part.getbbox() or (0, 0, 0, 0)))
    box = Box(near.left + box.left, near.top + box.top, near.left + box.right, near.top + box.bottom)
    raised = None if opacity is None else SparseMask.of(opacity, near, placed.size)
    return Masks(all_painted, hole, pasted, tuple(notes), box, raised)


def to_latent_grid(hole: Image.Image, factor: int = 8) -> Tensor:
    """Return [1, 1, h, w] in 0 … 1: the highest level in each cell, so that even a thin stroke repaints its cells."""
    import torch

    level = torch.from_numpy(np.array(hole, dtype=np.float32) / 255)[None, None]
    return torch.nn.functional.max_pool2d(level, factor, ceil_mode=True)


def islands(mask: Image.Image, gap: int) -> list[Box]:
    """Return the boxes of painted islands from left to right, merged if nearer than `gap` pixels; at most 64."""
    scale = max(1, min(gap // 4, 8))  # islands that touch at this scale are joined anyway
    while len(found := morphology.components(mask, scale)) > 1000:
        scale *= 2  # the mask consists of specks
    boxes = [Box(*box) for box in found]
    while len(joined := merged(boxes, gap)) > MOST:
        boxes, gap = joined, max(1, 2 * gap)
    return sorted(joined)


def fitted(mask: Image.Image, size: tuple[int, int], orientation: int = 1) -> tuple[Image.Image, list[str]]:
    """Resize a mask to a picture; return it, and notes if its size differed.

    A hard mask stays hard, and no thin stroke is lost.

    orientation  the EXIF orientation that the picture was turned by: a mask that lies on its side is turned likewise
    """
    if mask.size == size:
        return mask, []
    notes: list[str] = []
    if stretch(mask.size, size) > SAME_SHAPE and stretch(mask.size[::-1], size) <= SAME_SHAPE:
        turn = TURNS[orientation] if orientation in SIDEWAYS else Image.Transpose.ROTATE_270
        mask, notes = mask.transpose(turn), ["The mask lay on its side: it is turned by 90° to fit the picture."]
        if mask.size == size:
            return mask, notes
    notes.append(f"The mask was {mask.width} × {mask.height} pixels; it is resized to the picture's size.")
    if stretch(mask.size, size) > SAME_SHAPE:
        notes.append("The mask has another shape than the picture: check its position.")
    hard = not any(mask.histogram()[1:255])
    if size[0] < mask.width or size[1] < mask.height:
        mask = morphology.resize_max(mask, size)
    else:
        mask = mask.resize(size, Image.Resampling.BILINEAR)
    return (mask.point(lambda v: 255 * (v >= 128)) if hard else mask), notes


def _painted(picture: Picture, request: Request) -> tuple[SparseMask | None, list[str]]:
    """Return the mask on the unexpanded picture, None if nothing is painted, and notes."""
    mask, notes = _given(picture, request)
    if mask is None:
        return None, notes
    if request.invert:
        mask = mask.point(lambda v: 255 - v)
    box = mask.getbbox()
    if box is None:
        return None, notes
    near = Box(*box).grown(max(0, request.grow) + 2).inside(mask.size)
    painted = _levels(np.asarray(mask.crop(near)), request)
    if not painted.any():
        return None, notes
    return SparseMask.of(painted, near, mask.size), notes


def _given(picture: Picture, request: Request) -> tuple[Image.Image | None, list[str]]:
    """Return the request's mask at the picture's size, joined with the transparent part if that is to be painted."""
    mask: Image.Image | None = None
    notes: list[str] = []
    if request.mask is not None:
        mask, notes = fitted(request.mask, picture.size, getattr(picture, "orientation", 1))
        notes = [*notes_of(request.mask), *notes]
    if not request.mask_from_alpha:
        return mask, notes
    if picture.alpha is None:
        raise InvalidRequest("mask_from_alpha", "The picture has no transparency.", "Paint a mask or open one.")
    clear = picture.alpha.point(lambda v: 255 - v)
    return (clear if mask is None else lighter(clear, mask)), notes


def _with_canvas(placed: SparseMask | None, added: tuple[int, int, int, int], size: tuple[int, int]) -> SparseMask:
    """Return the mask on the expanded picture: all of the new canvas, and the mask as it was."""
    left, top, right, bottom = added
    width, height = size
    whole = Image.new("L", (left + width + right, top + height + bottom), 255)
    whole.paste(0, (left, top, left + width, top + height))
    if placed is not None:
        whole.paste(placed.part, (left + placed.left, top + placed.top))
    box = Box(*(whole.getbbox() or (0, 0, 0, 0)))
    return SparseMask(whole.crop(box), box[0], box[1], whole.size)


def _levels(work: np.ndarray, request: Request) -> np.ndarray:
    """Return uint8 [h, w]: the levels snapped, holes filled, grown or shrunk."""
    if request.soft:
        floor = min(FAINT, int(work.max()))  # a mask that is faint everywhere still counts
        painted = np.where(work >= FULL, np.uint8(255), np.where(work >= floor, work, np.uint8(0)))
    else:
        painted = np.where((work >= 128) | _hairlines(work), np.uint8(255), np.uint8(0))
    if request.fill_holes:
        painted = np.where(morphology.fill_holes(painted > 0) & (painted == 0), np.uint8(255), painted)
    if request.grow:
        painted = (morphology.dilate if request.grow > 0 else morphology.erode)(painted, abs(request.grow))
    return painted


def _composite(soft: np.ndarray, inside: np.ndarray, blend: int) -> np.ndarray:
    """Return uint8 [h, w]: how opaquely the patch is pasted.

    Where the mask's level is a quarter or more, the patch is pasted fully; below that it fades out, so that a pixel
    which hardly changes does not take on the VAE's losses.
    """
    level = np.minimum(soft.astype(np.uint16) * 4, 255).astype(np.uint8)
    return _scaled(level, morphology.inner_ramp(inside, blend))


def _opacity(alpha: Image.Image, request: Request, near: Box) -> np.ndarray:
    """Return uint8 [h, w]: a picture's alpha in a box of the result; the canvas around it is opaque."""
    left, top = sides(request.expand, alpha.size)[:2] if request.expand else (0, 0)
    opaque = Image.new("L", near.size, 255)
    opaque.paste(alpha, (left - near.left, top - near.top))
    return np.asarray(opaque)


def _over_transparency(
    composite: np.ndarray, inside: np.ndarray, alpha: np.ndarray, fill: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of the patch's colours is pasted over a picture with `alpha`, and the change in its opacity.

    All uint8 [h, w].  A transparent pixel has no colour to mix with, so the patch's own is taken there: pasting with
    weight m over opacity a makes the opacity a + m (1 - a), of which m belongs to the patch (Porter and Duff 1984).
    With `fill` everything painted becomes opaque, since the missing part is to be filled.
    """
    if fill:
        missing = np.minimum(inside, 255 - alpha)
        return np.maximum(composite, missing), inside
    m, a = composite.astype(np.float32) / 255, alpha.astype(np.float32) / 255
    opacity = a + m * (1 - a)
    share = np.where(m > 0, m / np.maximum(opacity, 1 / 255), 0)
    return np.ceil(share * 255).clip(0, 255).astype(np.uint8), composite


def _hairlines(work: np.ndarray) -> np.ndarray:
    """Return bool [h, w]: one-pixel strokes that lie between two rows of pixels and are half as bright in both."""
    half = work >= 64
    if not (half & (work < 128)).any():
        return np.zeros(work.shape, bool)
    return half & (work.astype(np.int16) - morphology.dilate(morphology.erode(work, 1), 1) >= 64)  # white top-hat


def _remarks(painted: np.ndarray, inside: np.ndarray, size: tuple[int, int]) -> list[str]:
    """Return notes about masks that a person may not have meant."""
    brightest = int(painted.max())
    notes = []
    if np.count_nonzero(inside) > NEARLY_ALL * size[0] * size[1]:
        notes.append("Nearly everything is painted: little of the picture is left to work from.")
    if not morphology.erode(inside, THIN).any():
        notes.append(f"Only thin strokes are painted, at most {2 * THIN} pixels wide.")
    if brightest < FAINT:
        notes.append(f"The mask is faint, at most {brightest} of 255: hardly anything changes.  Paint in white.")
    return notes


def _scaled(level: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return uint8 level × by / 255, rounded up so that no painted pixel becomes 0."""
    return ((level.astype(np.uint16) * by + 254) // 255).astype(np.uint8)


def _nothing() -> InvalidRequest:
    return InvalidRequest("mask", "Nothing is painted.", "Paint over what should change.")
