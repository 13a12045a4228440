"""A step that can show itself: pred_x0 in its place in the whole picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from ..diffusion.sampling import Step
from ..pixels.crop import Box
from ..pixels.mask import Placed
from .closeup import CloseUp


class View:
    """Pastes a cheap look at a latent into a small copy of the picture, through the mask.

    picture    RGB, the whole picture as it is so far
    composite  what will be pasted; None shows the patch alone
    """

    def __init__(self, closeup: CloseUp, picture: Image.Image, composite: Placed | None):
        self.closeup, self.picture, self.composite = closeup, picture, composite
        self.small: dict[int, Small] = {}

    def __call__(self, pred_x0: Tensor, side: int) -> Image.Image:
        """RGB, at most `side` pixels long; pred_x0 [1, 4, h, w]."""
        if side not in self.small:
            self.small[side] = self._copies(side)
        picture, place, cells, alpha = self.small[side]
        shown = picture.copy()
        if place is not None:
            look = self.closeup.look(pred_x0).resize(place.size, Image.Resampling.BICUBIC, box=cells)
            shown.paste(look, place[:2], alpha)
        return shown

    def _copies(self, side: int) -> Small:
        scale = min(1.0, side / max(self.picture.size))
        size = tuple(max(1, round(n * scale)) for n in self.picture.size)
        picture = self.picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
        whole = self.closeup.crop.box
        left, top, right, bottom = (round(n * scale) for n in whole)
        place = Box(left, top, max(right, left + 1), max(bottom, top + 1))
        (_, h, w), (width, height) = self.closeup.shape, place.size
        part, alpha = Box(0, 0, width, height), None
        if self.composite is not None:
            alpha = self.composite.crop(whole).resize(place.size, Image.Resampling.BILINEAR)
            if alpha.getbbox() is None:
                return Small(picture, None, None, None)
            part = Box(*alpha.getbbox())
            alpha = alpha.crop(part)
        cells = part.left * w / width, part.top * h / height, part.right * w / width, part.bottom * h / height
        place = Box(place.left + part.left, place.top + part.top, place.left + part.right, place.top + part.bottom)
        return Small(picture, place, cells, alpha)


class Small(NamedTuple):
    """What a preview of one size needs, made once."""

    picture: Image.Image
    place: Box | None  # in it, where something is pasted
    cells: tuple[float, float, float, float] | None  # what lies there, in latent cells of the close-up
    alpha: Image.Image | None  # how much of it is pasted


@dataclass(frozen=True, slots=True)
class LiveStep(Step):
    """A step of a whole job: `index` and `total` count all its walks; image `image_index` has seed `seed`."""

    image_index: int
    seed: int
    seconds: float  # since the job began
    view: View

    def preview(self, side: int = 512) -> Image.Image:
        """The picture as it stands, RGB, at most `side` pixels long."""
        return self.view(self.pred_x0[:1], side)
