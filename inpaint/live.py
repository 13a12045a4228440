"""A step that can show itself: pred_x0 in its place in the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from .closeup import CloseUp
from .crop import Box
from .mask import Placed
from .sampling import Step


class View:
    """Pastes a cheap look at a latent into a small copy of the picture, through the mask.

    picture    RGB, the whole picture as it is so far
    composite  what will be pasted; None shows the patch alone
    """

    def __init__(self, closeup: CloseUp, picture: Image.Image, composite: Placed | None):
        self.closeup, self.picture, self.composite = closeup, picture, composite
        self.small: dict[int, tuple[Image.Image, Box, Image.Image | None]] = {}

    def __call__(self, pred_x0: Tensor, side: int) -> Image.Image:
        """RGB, at most `side` pixels long; pred_x0 [1, 4, h, w]."""
        if side not in self.small:
            self.small[side] = self._copies(side)
        picture, box, alpha = self.small[side]
        shown = picture.copy()
        shown.paste(self.closeup.look(pred_x0).resize(box.size, Image.Resampling.BICUBIC), box[:2], alpha)
        return shown

    def _copies(self, side: int) -> tuple[Image.Image, Box, Image.Image | None]:
        """At display size: the picture, where the close-up lies in it, and what is pasted of that."""
        scale = min(1.0, side / max(self.picture.size))
        size = tuple(max(1, round(n * scale)) for n in self.picture.size)
        picture = self.picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        whole = self.closeup.crop.box
        left, top, right, bottom = (round(n * scale) for n in whole)
        box = Box(left, top, max(right, left + 1), max(bottom, top + 1))
        alpha = self.composite and self.composite.crop(whole).resize(box.size, Image.Resampling.BILINEAR)
        return picture, box, alpha


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
